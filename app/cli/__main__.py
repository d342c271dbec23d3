"""`python -m app.cli` is the program `nervplay`."""

import sys

from app.cli.main import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
