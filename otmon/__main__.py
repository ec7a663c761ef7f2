"""`python -m otmon`."""

from otmon.cli import main

if __name__ == "__main__":
    main()
