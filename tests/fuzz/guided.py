"""What libFuzzer calls; see tests.fuzz.pdus."""

import sys

import atheris

with atheris.instrument_imports(include=["otmon.protocols", "otmon.text"]):
    from tests.fuzz.pdus import try_one

if __name__ == "__main__":
    atheris.Setup(sys.argv, try_one)
    atheris.Fuzz()
