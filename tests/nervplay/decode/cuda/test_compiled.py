"""What Triton makes of the kernel for a GPU, which needs none: the machine instructions that it is written for.

In a process of its own, as the kernel is compiled there and interpreted here.
"""

import importlib.util
import json
import os
import subprocess
import sys
from typing import Any

import pytest

COMPILE = """
import json, re, sys
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile
from nervplay.decode.cuda.kernels import conv_kernel


def compiled(capability, channels, integer):
    inner, block = 9 * channels, 64 if integer else 32
    constants = dict(
        CHANNELS=channels, COLUMNS=3, INNER=inner, INNER_PADDED=-(-inner // block) * block, OUTPUTS=32, SHUFFLE=2,
        ACTIVATION="gelu", INTEGER=integer, REQUANTISE=integer, WIDE=False, BLOCK_M=128, BLOCK_N=128, BLOCK_K=block,
        BLOCKS_N=1, stride_channel=1,
    )
    kinds = {name: "i32" for name in conv_kernel.arg_names} | {name: "constexpr" for name in constants}
    map_kind = "*i8" if integer else "*bf16"
    kinds |= dict(source=map_kind, weight=map_kind, target=map_kind, scale="*fp32", shift="*fp32", offset="*i32")
    kinds |= dict(per_step="*fp32", slope="fp32", next_zero="fp32")
    aligned = [name for name, kind in kinds.items() if kind[0] == "*"] + ["stride_batch", "stride_row", "stride_column"]
    place = conv_kernel.arg_names.index
    source = ASTSource(
        fn=conv_kernel, signature=kinds, constexprs={(place(name),): value for name, value in constants.items()},
        attrs={(place(name),): [["tt.divisibility", 16]] for name in aligned},
    )
    made = compile(source, target=GPUTarget("cuda", capability, 32), options=dict(num_warps=8, num_stages=3))
    text = made.asm["ptx"]
    return dict(
        products=sorted(set(re.findall(r"w?g?mma\\.(?:mma_async\\.)?sync[\\w.]*", text))),
        loads=sorted(set(re.findall(r"cp\\.async\\.c[ag]\\.shared\\.global[^;]*?, (0x\\w+|\\d+)", text))),
        stores=sorted(set(re.findall(r"st\\.global[\\w.]*", text))),
        shared=made.metadata.shared,
    )


print(json.dumps([compiled(*case) for case in json.loads(sys.argv[1])]))
"""


CASES = {
    (90, 64, True): "wgmma.mma_async.sync.aligned.m64n128k32.s32.s8.s8",
    (90, 48, True): "wgmma.mma_async.sync.aligned.m64n128k32.s32.s8.s8",
    (80, 64, True): "mma.sync.aligned.m16n8k32.row.col.satfinite.s32.s8.s8.s32",
    (89, 48, True): "mma.sync.aligned.m16n8k32.row.col.satfinite.s32.s8.s8.s32",
    (120, 64, True): "mma.sync.aligned.m16n8k32.row.col.satfinite.s32.s8.s8.s32",
    (90, 64, False): "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16",
}
"""Compute capability, channels and whether these are integers: the instruction of products."""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, int, bool], Any]:
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
def test_tensor_cores_and_wide_accesses(
    compiled: dict[tuple[int, int, bool], Any], case: tuple[int, int, bool]
) -> None:
    found = compiled[case]
    assert found["products"] == [CASES[case]]
    assert [int(size, 0) for size in found["loads"]] == [16], "16 bytes at a time"
    assert found["stores"] == ["st.global.v4.b32"]
    assert found["shared"] <= 48 << 10, "two blocks in a multiprocessor, also where it has 100 KiB"
