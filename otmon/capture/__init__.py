"""Capture files in, Batches out: pcap, pcapng, gzip, zstd, standard input; several inputs merged by their clocks.

Nothing here looks inside a frame. Damage ends an input, not the run.
"""
