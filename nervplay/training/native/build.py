"""Compile the kernels of a fit for the processor that is here, once, into the user's cache.

Unlike the decoder's they are never shipped: whoever fits with a compiler at hand gets them. Vectors, the exponential
function and the threads are the decoder's sources (`nervplay/decode/native`).
"""

import hashlib
import logging
import secrets
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from nervplay.decode.native.build import FLAGS, X86, BuildError, find_compiler, run_compiler

__all__ = ["build", "instruction_set", "library_name"]

_LOG = logging.getLogger("nervplay.compiling")

HERE = Path(__file__).resolve().parent
SHARED = HERE.parents[1] / "decode" / "native"
UNITS = (
    *(HERE / f"{name}.c" for name in ("adam", "convnext", "convolution", "depthwise", "elementwise", "frame", "head")),
    *(HERE / f"{name}.c" for name in ("ssim", "team")),
    SHARED / "pool.c",
)
NEEDS = {
    "avx512": ("avx512_f", "avx512_bw", "avx512_vl", "avx512_dq", "avx512_vnni", "avx2", "fma3"),
    "avx2": ("avx2", "fma3"),
}
"""What a processor must have for a set of `X86`, by PyTorch's names."""


def instruction_set() -> str:
    """Return the best set of this processor: "avx512", "avx2", or "generic", which has NEON where there is NEON."""
    features: Mapping[str, Any] = torch.cpu.get_capabilities()
    return next((name for name, needs in NEEDS.items() if all(features.get(it) for it in needs)), "generic")


def _flags(instructions: str) -> list[str]:
    """Return the compiler's arguments but sources and target; sums may use fused multiply-adds."""
    return [*FLAGS, "-ffp-contract=fast", f"-I{SHARED}", *X86.get(instructions, "").split()]


def library_name(instructions: str) -> str:
    """Return the file name of a library made from the sources as they are.

    Args:
        instructions: see `instruction_set`.
    """
    digest = hashlib.sha256(repr((_flags(instructions), sysconfig.get_platform())).encode())
    for path in sorted((*UNITS, *HERE.glob("*.h"), *SHARED.glob("*.h"))):
        digest.update(path.name.encode() + path.read_bytes())
    suffix = sysconfig.get_config_var("SHLIB_SUFFIX") or ".so"
    return f"nervplay-fit-{instructions}-{digest.hexdigest()[:16]}{suffix}"


def build(folder: Path) -> Path:
    """Compile the library into `folder` and return its path; a library that is there already is kept.

    Several processes may do so at the same time: the file appears whole or not at all.

    Args:
        folder: where to put it; made where it is missing.

    Raises:
        BuildError: no compiler, a compiler that fails, a folder that cannot be written.
    """
    instructions = instruction_set()
    target = folder / library_name(instructions)
    if target.is_file():
        return target
    compiler = find_compiler()
    if compiler is None:
        raise BuildError("no C compiler is here (cc, gcc or clang)")
    part = folder / f".{target.name}.{secrets.token_hex(4)}.part"
    _LOG.info("compiling the kernels of fits with %s: some ten seconds, once for this version", compiler)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        run_compiler(compiler, [*_flags(instructions), "-shared", *map(str, UNITS), "-o", str(part), "-lm"])
        part.replace(target)
    except OSError as error:
        raise BuildError(f"the kernels cannot be built in {folder}: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
    return target
