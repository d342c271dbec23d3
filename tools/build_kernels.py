"""Compile the kernels of decoding and of fitting into a folder, ahead of what would do so when it first needs them.

    python tools/build_kernels.py FOLDER

Without a compiler nothing is built, and it says so: nervplay runs without them.
"""

import sys
from pathlib import Path

from nervplay.decode.native import build as decoding
from nervplay.training.native import build as fitting


def main() -> None:
    """Compile what is not there yet."""
    folder = Path(sys.argv[1])
    try:
        for build in (decoding.build, fitting.build):
            build(folder)
    except decoding.BuildError as error:
        print(f"kernels: left out: {error}")


if __name__ == "__main__":
    main()
