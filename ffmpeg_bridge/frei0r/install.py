"""Building the plug-in with the compiler that is here, and putting it where every frei0r host looks."""

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nervplay.bitstream.atomic import atomic_write
from nervplay.errors import CapabilityError, OutputError

__all__ = ["PLUGINS", "InstallReport", "install_plugins", "plugin_folder"]

PLUGINS = {"nerv": 1, "nervcmp": 0}
"""Names of the libraries, and whether each is a source."""

_SOURCE = Path(__file__).with_name("nerv.c")
_PREBUILT = Path(__file__).with_name("prebuilt")
_FLAGS = ("-O2", "-fPIC", "-shared", "-fvisibility=hidden")


@dataclass(frozen=True, kw_only=True)
class InstallReport:
    """What was installed.

    Args:
        folder: where.
        made_by: the compiler, or "prebuilt".
    """

    folder: Path
    made_by: str


def plugin_folder() -> Path:
    """Return the folder of the user that FFmpeg, MLT and GStreamer search without being told."""
    return Path.home() / ".frei0r-1" / "lib"


def install_plugins(folder: Path | None = None) -> InstallReport:
    """Put both plug-ins into a folder, each whole or not at all; those that are there are replaced.

    A prebuilt pair is taken where the package carries one for this machine, else they are built with cc, gcc, clang, or
    the compiler of the package ziglang.

    Args:
        folder: where; `plugin_folder()` when None. Made where it is missing.

    Raises:
        CapabilityError: nothing here can build them, or this system has no place for them.
        OutputError: the folder cannot be written to.
    """
    if platform.system() not in ("Linux", "Darwin"):
        raise CapabilityError(f"the plug-in is for Linux and macOS, not {platform.system()}; {_OTHER_WAYS}")
    folder = folder or plugin_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"folder {folder} cannot be made ({error.strerror}); name another with --folder") from error
    with tempfile.TemporaryDirectory() as build:
        made_by = _make(Path(build))
        for name in PLUGINS:
            target = folder / (name + _suffix())
            atomic_write(target, (Path(build) / target.name).read_bytes(), overwrite=True)
    atomic_write(folder / "nerv.conf", f"python={sys.executable}\n".encode(), overwrite=True)
    return InstallReport(folder=folder, made_by=made_by)


_OTHER_WAYS = "these need none: nervplay ffmpeg -i clip.nerv OUT, nervplay pipe clip.nerv | ffmpeg -i - OUT"


def _suffix() -> str:
    return ".dylib" if platform.system() == "Darwin" else ".so"


def _make(build: Path) -> str:
    """Make both libraries in a folder; return what made them."""
    prebuilt = _PREBUILT / f"{platform.system()}-{platform.machine()}".lower()
    if prebuilt.is_dir():
        for name in PLUGINS:
            shutil.copy(prebuilt / (name + _suffix()), build)
        return "prebuilt"
    complaint = ""
    for compiler in _compilers():
        complaint = _compile(compiler, build)
        if not complaint:
            return " ".join(compiler[-2:])
    if complaint:
        raise CapabilityError(f"the plug-in does not compile here ({complaint}); {_OTHER_WAYS}")
    raise CapabilityError(f"no C compiler here; install one (or: pip install ziglang) for the plug-in; {_OTHER_WAYS}")


def _compilers() -> Iterator[list[str]]:
    """Yield the C compilers that are here, the user's own choice first."""
    for name in filter(None, (os.environ.get("CC"), "cc", "gcc", "clang")):
        if found := shutil.which(name):
            yield [found]
    if importlib.util.find_spec("ziglang"):
        yield [sys.executable, "-m", "ziglang", "cc"]


def _compile(compiler: list[str], build: Path) -> str:
    """Build both libraries; return the compiler's first complaint, "" for none."""
    libraries = ["-ldl"] if platform.system() == "Linux" else []
    for name, is_source in PLUGINS.items():
        target = build / (name + _suffix())
        command = [*compiler, *_FLAGS, f"-DNERV_SOURCE={is_source}", "-o", str(target), str(_SOURCE), *libraries]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a compiler found here
        if done.returncode:
            return next(iter(done.stderr.splitlines()), f"exit code {done.returncode}")
    return ""
