"""The live sensor measured at the mirror port of a plant in network namespaces: `make bench-live`."""
