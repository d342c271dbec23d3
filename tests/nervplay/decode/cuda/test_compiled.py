"""What Triton makes of the kernel for a GPU, which needs none: the machine instructions that it is written for.

The convolutions are those in which the networks of `benchmarks/decode_gpu.py` spend their time; they are packed and
launched as ever, but for the launch itself. In a process of its own, as the kernel is compiled there and interpreted
here.
"""

import importlib.util
import json
import os
import subprocess
import sys
from typing import Any

import pytest

COMPILE = """
import json, re, subprocess, sys, tempfile
import numpy as np
import torch
from triton import knobs
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from nervplay.decode.cuda import kernels
from nervplay.decode.cuda.engines import triton_engine
from nervplay.decode.cuda.packing import ALIGNMENT, inside, map_size, pack
from nervplay.decode.graph import Value
from nervplay.decode.lowering import Conv
from nervplay.decode.native.packing import padded
from nervplay.decode.quantise import Integers, Units

kernel, made = kernels.conv_kernel, []


class Compiled:
    def __getitem__(self, grid):
        return lambda *args, **options: made.append(kernel.run(*args, grid=grid, warmup=True, **options))


class Driver:
    def __init__(self, capability):
        self.capability = capability

    def get_current_target(self):
        return GPUTarget("cuda", self.capability, 32)

    def get_current_device(self):
        return self.capability  # compiled kernels are kept by device

    def get_current_stream(self, device):
        return 0


def usage(cubin):
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        tool = [knobs.nvidia.cuobjdump.path, "-res-usage", file.name]
        said = subprocess.run(tool, check=True, capture_output=True, text=True)
    return {name: int(re.search(name + ":(\\\\d+)", said.stdout + said.stderr)[1]) for name in ("REG", "STACK")}


def compiled(capability, integer, outputs, channels, taps, height, width, shuffle, activation):
    driver.set_active(Driver(capability))
    value = Value(0, (), torch.float32)
    conv = Conv(
        weight=np.ones((outputs, channels, taps, taps), np.float32), bias=np.zeros(outputs, np.float32),
        padding=(taps // 2, taps // 2), source=value, target=value, size=(height, width), out_size=(height, width),
        activation=activation, shuffle=shuffle,
    )
    unit = Units(np.ones(channels, np.float32), 1)
    given = Integers(unit, conv.weight.astype(np.int8), np.ones(outputs, np.float32), conv.bias) if integer else None
    there = outputs // shuffle**2
    stored = there if conv.is_head else padded(there, ALIGNMENT)
    after = Units(np.ones(there, np.float32), 1) if integer and not conv.is_head else None
    layer = pack(conv, torch.device("cpu"), integers=given, target=after, stored=stored)
    kind = torch.int8 if integer else torch.bfloat16
    if conv.is_head:
        target = torch.empty(1, there, height, width).permute(0, 2, 3, 1)
    else:  # what reads it has borders
        whole = torch.empty(1, height * shuffle + 4, width * shuffle + 4, stored, dtype=kind)
        target = whole[:, 2:-2, 2:-2]
    triton_engine()(layer, torch.empty(map_size(conv), dtype=kind), target)
    text, tile = made[-1].asm["ptx"], layer.tile
    return usage(made[-1].asm["cubin"]) | dict(
        products=sorted(set(re.findall(r"w?g?mma\\.(?:mma_async\\.)?sync[\\w.]*", text))),
        copies=sorted(set(re.findall(r"cp\\.async\\.c[ag]\\.shared\\.global[^;]*?, (0x\\w+|\\d+)", text))),
        loads=sorted(set(re.findall(r"ld\\.global[\\w.]*", text))),
        stores=sorted(set(re.findall(r"st\\.global[\\w.]*", text))),
        shared=made[-1].metadata.shared,
        block=tile.m * tile.n,
        cached=tile.cached,
    )


kernels.conv_kernel = Compiled()
print(json.dumps([compiled(*case) for case in json.loads(sys.argv[1])]))
"""

FULL_HD = (204, 61, 5, 540, 960, 2, "gelu")
"""Two thirds of HNeRV-3M's work at 1920x1080: outputs, channels, taps, height, width, pixel shuffle, activation."""
SMALL_BLOCKS = (132, 40, 5, 160, 320, 2, "gelu")
NERV = (384, 96, 3, 360, 640, 2, "silu")
ROWS = (256, 112, 1, 1, 57600, 1, "gelu")
HEAD = (3, 51, 3, 1080, 1920, 1, "half_tanh")
SYNC8 = "mma.sync.aligned.m16n8k32.row.col.satfinite.s32.s8.s8.s32"
CASES = {
    (90, True, *FULL_HD): "wgmma.mma_async.sync.aligned.m64n128k32.s32.s8.s8",
    (90, True, 244, 73, 5, 270, 480, 2, "gelu"): "wgmma.mma_async.sync.aligned.m64n128k32.s32.s8.s8",
    (90, True, *SMALL_BLOCKS): "wgmma.mma_async.sync.aligned.m64n64k32.s32.s8.s8",
    (90, True, *NERV): "wgmma.mma_async.sync.aligned.m64n128k32.s32.s8.s8",
    (90, True, *ROWS): "wgmma.mma_async.sync.aligned.m64n128k32.s32.s8.s8",
    (90, True, *HEAD): "wgmma.mma_async.sync.aligned.m64n16k32.s32.s8.s8",
    (90, False, *FULL_HD): "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16",
    (80, True, *FULL_HD): SYNC8,
    (89, True, *NERV): SYNC8,
    (120, True, *FULL_HD): SYNC8,
}
"""Compute capability, whether these are integers, and the convolution: the instruction of products."""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[Any, ...], Any]:
    """What is made of each case."""
    if importlib.util.find_spec("triton") is None:
        pytest.skip("Triton is not installed here")
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE, json.dumps(list(CASES))],
        env=environment | {"TRITON_CACHE_DIR": str(tmp_path_factory.mktemp("triton"))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(CASES, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("case", CASES)
def test_tensor_cores_and_wide_accesses(compiled: dict[tuple[Any, ...], Any], case: tuple[Any, ...]) -> None:
    found = compiled[case]
    assert found["products"] == [CASES[case]]
    copies = {int(size, 0) for size in found["copies"]}
    assert copies in ([{8, 16}] if found["cached"] else [{16}, set()]), "bytes of weights, and of maps that are cached"
    assert not [kind for kind in found["loads"] if kind.endswith(("b8", "b16"))], "nor anything less without a copy"
    assert found["copies"] or "ld.global.v4.b32" in found["loads"]
    assert found["stores"] == ["st.global.v4.b32"]
    assert found["STACK"] == 0, "nothing is spilled"
    assert found["shared"] <= 48 << 10, "two blocks in a multiprocessor, also where it has 100 KiB"


@pytest.mark.parametrize("case", [case for case in CASES if case[0] < 120])
def test_two_blocks_have_registers(compiled: dict[tuple[Any, ...], Any], case: tuple[Any, ...]) -> None:
    found = compiled[case]
    threads = 256 if found["block"] == 128 * 128 else 128
    assert found["REG"] * threads <= 65536 // 2, "one computes while the other stores"
