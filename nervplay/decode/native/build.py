"""Compile the kernels: one shared library, each instruction set of the processor family once, chosen at run time.

Only the standard library is imported, so that the build hook of a wheel (`hatch_build.py`) can load this file by path.
Where there is no C compiler nothing breaks: decoding then runs in PyTorch.
"""

import contextlib
import hashlib
import logging
import os
import platform
import secrets
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

__all__ = ["BuildError", "build", "find_compiler", "library_name", "open_built", "run_compiler", "source_hash"]

_LOG = logging.getLogger("nervplay.compiling")
_Library = TypeVar("_Library")

HERE = Path(__file__).resolve().parent
UNITS = ("pool.c", "chain.c", "net.c")
"""Sources that are compiled once, for any processor of the family."""
VARIED = {"isa.c": "-ffp-contract=fast", "colour.c": "-ffp-contract=off"}
"""Sources that are compiled once per instruction set, and how they may round: colours are defined to the bit."""

FLAGS = ("-std=gnu11", "-O3", "-fPIC", "-fvisibility=hidden", "-fno-math-errno", "-fno-trapping-math", "-pthread", "-w")
"""No -ffast-math: sums keep their order, NaN stays NaN."""

X86 = {
    "avx512": (
        "-DNK_AVX512 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni -mavx2 -mfma -mprefer-vector-width=512"
    ),
    "avxvnni": "-DNK_AVX2 -DNK_AVXVNNI -mavx2 -mfma -mavxvnni",
    "avx2": "-DNK_AVX2 -mavx2 -mfma",
}
"""Flags by table name (`nk.h`), best first; "generic" is compiled everywhere, with NEON where the processor has it."""


class BuildError(RuntimeError):
    """There is no compiler, or it failed; the message is one line."""


def find_compiler() -> str | None:
    """Return the C compiler: $CC, cc, gcc or clang, whichever is there first; None without any."""
    for name in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        found = shutil.which(name) if name else None
        if found:
            return found
    return None


def source_hash() -> str:
    """Return a hash of sources, flags and processor family: the name under which a built library is kept."""
    digest = hashlib.sha256(repr((FLAGS, X86, UNITS, VARIED, platform.machine())).encode())
    for path in sorted(HERE.glob("*.[ch]")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def library_name() -> str:
    """Return the file name of a library made from the sources as they are."""
    return f"nervplay-kernels-{source_hash()}{sysconfig.get_config_var('SHLIB_SUFFIX') or '.so'}"


def run_compiler(compiler: str, arguments: Sequence[str]) -> None:
    """Run the compiler.

    Args:
        compiler: its path.
        arguments: all of them.

    Raises:
        BuildError: it cannot be run or fails.
    """
    try:
        result = subprocess.run([compiler, *arguments], capture_output=True, text=True, check=False)  # noqa: S603 - the user's own compiler
    except OSError as error:
        raise BuildError(f"the compiler {compiler} cannot be run: {error.strerror}") from None
    if result.returncode:
        reason = next((line for line in result.stderr.splitlines() if "error" in line), "no message")
        raise BuildError(f"the compiler {compiler} failed: {reason.strip()}")


def _compile_set(compiler: str, name: str, flags: str, work: Path) -> BuildError | None:
    """Compile what is compiled once per instruction set into `work`; return why that failed, if it did."""
    try:
        for unit, rounding in VARIED.items():
            command = [*FLAGS, rounding, f"-DNK_NAME={name}", *flags.split(), "-c", str(HERE / unit)]
            run_compiler(compiler, [*command, "-o", str(work / f"{name}-{unit}.o")])
    except BuildError as error:
        return error
    return None


def _known_sets(failed: dict[str, BuildError | None]) -> list[str]:
    """Return the instruction sets that the compiler knows; an old one may lack some.

    Raises:
        BuildError: it cannot compile even what is portable.
    """
    if failed["generic"]:
        raise failed["generic"]
    for name, error in failed.items():
        if error:
            _LOG.warning("the kernels are compiled without those for %s: %s", name, error)
    return [name for name, error in failed.items() if not error]


def build(folder: Path) -> Path:
    """Compile the library into `folder` and return its path; a library that is there already is kept.

    Several processes may do so at the same time: the file appears whole or not at all.

    Args:
        folder: where to put it; made where it is missing.

    Raises:
        BuildError: no compiler, a compiler that fails, a folder that cannot be written.
    """
    target = folder / library_name()
    if target.is_file():
        return target
    compiler = find_compiler()
    if compiler is None:
        raise BuildError("no C compiler is here (cc, gcc or clang)")
    variants = (X86 if platform.machine().lower() in ("x86_64", "amd64") else {}) | {"generic": ""}
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nervplay-build-")))
        except OSError as error:
            raise BuildError(f"the kernels cannot be written to {folder}: {error.strerror}") from None
        _LOG.info("compiling the native kernels with %s: some ten seconds, once for this version", compiler)
        with ThreadPoolExecutor(len(os.sched_getaffinity(0)) if sys.platform == "linux" else 2) as pool:
            errors = pool.map(lambda name: _compile_set(compiler, name, variants[name], work), variants)
            known = _known_sets(dict(zip(variants, errors, strict=True)))
            every = "-DNK_ALL=" + "".join(f"X({name})" for name in known)
            jobs = [[*FLAGS, every, "-c", str(HERE / unit), "-o", str(work / f"{unit}.o")] for unit in UNITS]
            list(pool.map(lambda arguments: run_compiler(compiler, arguments), jobs))
        part = folder / f".{target.name}.{secrets.token_hex(4)}.part"
        try:
            objects = [str(path) for path in sorted(work.glob("*.o"))]
            run_compiler(compiler, ["-shared", "-pthread", *objects, "-o", str(part), "-lm"])
            with part.open("rb") as written:
                os.fsync(written.fileno())  # else a machine that stops may have the name and not the content
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    return target


def open_built(folder: Path, make: Callable[[Path], Path], open_library: Callable[[Path], _Library]) -> _Library:
    """Return the library of a folder; one that was damaged there is made once more.

    Where nothing may be run from that folder a new one would be of no use, and compiling it take long in every process.

    Args:
        folder: where it is, or is to be.
        make: `build`, or what does the same for another library.
        open_library: loads it.

    Raises:
        BuildError: there is none and none can be made, or not even a new one can be loaded.
    """
    path = make(folder)
    try:
        return open_library(path)
    except BuildError as error:
        if hasattr(os, "ST_NOEXEC") and os.statvfs(folder).f_flag & os.ST_NOEXEC:
            raise
        _LOG.info("%s: it is compiled once more", error)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise BuildError(f"the damaged library {path} cannot be removed: {error.strerror}") from None
    return open_library(make(folder))
