"""`python -m otmon`, and the console script: nothing is imported here before Ctrl-C is answered in one line."""

import sys


def main() -> None:
    """Console script."""
    try:
        from otmon.cli import main as cli
    except KeyboardInterrupt:
        sys.stderr.write("otmon: error: interrupted\n")
        sys.exit(130)
    cli()


if __name__ == "__main__":
    main()
