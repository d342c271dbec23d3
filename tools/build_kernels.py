"""Compile the kernels of decoding and of fitting into a folder, ahead of what would do so when it first needs them.

    python tools/build_kernels.py FOLDER [--decoder]

With --decoder those of decoding alone: for that no package need be installed. Without a compiler nothing is built, and
it says so: nervplay runs without them.
"""

import argparse
import runpy
from pathlib import Path

DECODER = Path(__file__).resolve().parent.parent / "nervplay" / "decode" / "native" / "build.py"


def build_decoder(folder: Path) -> None:
    """Compile the kernels of decoding; `build.py` is run by its path, for its package imports PyTorch."""
    building = runpy.run_path(str(DECODER))
    try:
        building["build"](folder)
    except building["BuildError"] as error:
        print(f"kernels: left out: {error}")


def build_fitting(folder: Path) -> None:
    """Compile the kernels of fits for this processor."""
    from nervplay.decode.native.build import BuildError  # noqa: PLC0415 - packages that need not be there before
    from nervplay.training.native.build import build  # noqa: PLC0415

    try:
        build(folder)
    except BuildError as error:
        print(f"kernels: left out: {error}")


def main() -> None:
    """Compile what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--decoder", action="store_true")
    asked = parser.parse_args()
    build_decoder(asked.folder)
    if not asked.decoder:
        build_fitting(asked.folder)


if __name__ == "__main__":
    main()
