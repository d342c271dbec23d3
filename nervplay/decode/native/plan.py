"""How a chain of convolutions runs: which kernel takes each, packed weights, and the sizes of blocks and strips.

Rules, measured on 2 cores with 1 MiB of second-level cache each:
  * Winograd where the kernel is 3x3, 5x5 or a line of 3 or 5 taps and the map has at least `MIN_TILES` tiles: below,
    reading 64 transformed weights per pair of channels costs more than it saves;
  * 1024 positions of transformed tiles per block: 16 tiles of 8x8, 128 of 8x1;
  * where vectors have 16 lanes, a 1x3 stage of few channels with a head inside has tiles as lanes (`line.h`);
  * strips of as few rows as give every thread `SHARE` pieces; the rings of a chain then fit the cache.
"""

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nervplay.decode.lowering import Conv
from nervplay.decode.native.library import ACTIVATIONS, KINDS, Isa, Op
from nervplay.decode.native.packing import (
    TRIO,
    pack_depthwise,
    pack_direct,
    pack_head,
    pack_head16,
    pack_line,
    pack_line16,
    pack_linear,
    pack_winograd,
    pack_winograd16,
    padded,
    panels,
    shuffle_order,
)

__all__ = ["SHARE", "Plan", "integer_candidates", "kind_of", "peak_shape", "plan_chain"]

Float = NDArray[np.float32]

MIN_TILES = 16
SHARE = 4
_WINOGRAD = ((3, 3), (5, 5), (3, 1), (1, 3), (5, 1), (1, 5))
_BLOCK_POSITIONS = 1024
_BLOCK_PIXELS = 64
_HEAD_PIXELS = 320
_LINE_LANES, _LINE_TILES, _LINE_CHANNELS, _LINE_ROWS = 16, 16, 48, 4
"""Of `line.h`: lanes of the vectors that it needs, tiles of a piece, most channels (their positions stay in the
first-level cache, beside the weights), and rows of its longest strip."""


@dataclass(frozen=True)
class Plan:
    """A chain, ready to run.

    Args:
        convolutions: what it computes.
        count: ops that are run; one fewer than convolutions where the last op computes the head, too.
        kinds: the kernel of each: a name of `KINDS`, "depthwise" or "linear".
        ops: the structs of the kernels, an array of `Op`.
        arrays: what they point to; kept alive here.
    """

    convolutions: Sequence[Conv]
    count: int
    kinds: Sequence[str]
    ops: Any
    arrays: list[NDArray[Any]] = field(default_factory=list)


def _tile(taps: int) -> int:
    """Return the outputs of a Winograd tile in one direction."""
    return 1 if taps == 1 else 9 - taps


def _positions(conv: Conv) -> int:
    """Return the input positions of a Winograd tile."""
    return int(np.prod([1 if taps == 1 else 8 for taps in conv.weight.shape[2:]]))


def kind_of(conv: Conv, *, last: bool) -> str:
    """Return the kernel that computes a convolution in float32.

    Args:
        conv: the convolution.
        last: whether it ends its chain.
    """
    if conv.depthwise:
        return "depthwise"
    if conv.rows and conv.size[1] == 1:
        return "linear"
    if last and conv.is_head:
        return "head"
    kh, kw = conv.weight.shape[2:]
    tiles = -(-conv.out_size[0] // _tile(kh)) * -(-conv.out_size[1] // _tile(kw))
    if (kh, kw) in _WINOGRAD and tiles >= MIN_TILES:
        return "wino"
    return "direct"


def peak_shape(conv: Conv, kind: str) -> tuple[int, ...]:
    """Return the form of what calibration measures of a convolution's input for 16-bit products.

    Args:
        conv: the convolution.
        kind: "wino" for (positions, padded C), of the transformed input, or "head" for (C,), of the input itself.
    """
    channels = conv.weight.shape[1]
    return (channels,) if kind == "head" else (_positions(conv), padded(channels, 16))


def _whole_head(stage: Conv, head: Conv) -> bool:
    """Whether a head can read 16-bit integers from the stage before it, which has such products, too."""
    outputs, channels, _, kw = head.weight.shape
    return (outputs, kw) == (3, 3) and channels % 2 == 0 and min(stage.weight.shape[2:]) > 1


def integer_candidates(chain: Sequence[Conv]) -> dict[Conv, str]:
    """Return the convolutions of a chain that could have 16-bit products, in order, and their kernels in float32.

    Args:
        chain: each reads what the one before it makes.
    """
    last = chain[-1]
    kinds = {conv: kind_of(conv, last=conv is last) for conv in chain}
    found = {conv: kind for conv, kind in kinds.items() if kind == "wino"}
    if kinds[last] == "head" and len(chain) > 1 and chain[-2] in found and _whole_head(chain[-2], last):
        found[last] = "head"
    return found


def _pack(op: Op, conv: Conv, kind: str, isa: Isa, peak: Float | None) -> list[NDArray[Any]]:
    """Point an op at its weights, and return them."""
    outputs = conv.weight.shape[0]
    order = shuffle_order(outputs, conv.shuffle)
    weight, bias = conv.weight[order], np.zeros(padded(outputs, isa.lanes), np.float32)
    bias[:outputs] = conv.bias[order]
    arrays: list[NDArray[Any]] = [bias]
    op.bias = bias.ctypes.data
    if kind in ("wino16", "line16"):
        assert peak is not None
        wino = kind == "wino16"
        packed = pack_winograd16(weight, peak, isa.lanes, isa.panel) if wino else pack_line16(weight, peak)
        arrays += [packed.weights, packed.scale, packed.norm, packed.axes]
        op.scale, op.norm, op.axes = (part.ctypes.data for part in packed[1:])
    elif kind == "wino":
        arrays.append(pack_winograd(weight, isa.lanes, isa.panel))
    elif kind == "line":
        arrays.append(pack_line(weight))
    elif kind == "direct":
        arrays.append(pack_direct(weight, isa.lanes, isa.panel))
    elif kind == "head":
        arrays.append(pack_head(weight, isa.lanes))
    elif kind == "depthwise":
        arrays.append(pack_depthwise(weight, isa.lanes))
    else:
        arrays.append(pack_linear(weight[:, :, 0, 0], isa.lanes))
    op.weights = arrays[1].ctypes.data
    return arrays


def _divide(op: Op, conv: Conv, kind: str, isa: Isa, threads: int) -> None:
    """Choose the sizes of blocks and strips."""
    op.groups = 1
    if kind.startswith("line"):
        op.strip = _line_strip(conv, threads)
        return
    winograd = kind.startswith("wino")
    tall, wide = (_tile(taps) if winograd else 1 for taps in conv.weight.shape[2:])
    if winograd:
        op.block = _BLOCK_POSITIONS // _positions(conv)
    else:
        op.block = _HEAD_PIXELS if kind == "head" else _BLOCK_PIXELS
    height, width = conv.out_size
    across, bands = -(-width // wide), -(-height // tall)
    blocks = -(-across // op.block)
    wanted = 1 if threads == 1 else SHARE * threads
    op.strip = min(bands, -(-wanted // blocks)) * tall
    if kind != "head" and blocks * bands < wanted:
        op.groups = min(len(panels(conv.weight.shape[0], isa.lanes, isa.panel)), -(-wanted // (blocks * bands)))


def _line_strip(conv: Conv, threads: int) -> int:
    """Return rows of a strip of which as few lanes as can be compute nothing, and all threads as much."""
    across, most = -(-conv.out_size[1] // _tile(3)), min(_LINE_ROWS, conv.out_size[0])

    def used(rows: int) -> float:
        turns = -(-rows * across // (_LINE_TILES * threads))
        return rows * across / (turns * threads)

    return max(range(1, most + 1), key=used)


def plan_chain(convolutions: Sequence[Conv], isa: Isa, threads: int, peaks: Mapping[Conv, Float] | None = None) -> Plan:
    """Return a chain ready to run.

    Args:
        convolutions: each reads what the one before it makes.
        isa: instruction set.
        threads: of the pool that will run it; changes speed only.
        peaks: for those that are to have 16-bit products, the largest magnitudes of their transformed input.
    """
    count = len(convolutions)
    ops, arrays = (Op * count)(), []
    kinds = _kinds(convolutions, isa, peaks or {})
    for i, (op, conv, kind) in enumerate(zip(ops, convolutions, kinds, strict=True)):
        peak = (peaks or {}).get(conv)
        op.kind = KINDS.get(kind, 0)
        op.act, op.slope = ACTIVATIONS[conv.activation], conv.slope
        (op.height, op.width), (op.out_height, op.out_width) = conv.size, conv.out_size
        op.out_channels, op.channels, op.kh, op.kw = conv.weight.shape
        if conv.depthwise:
            op.channels = op.out_channels
        (op.top, op.left), op.shuffle = conv.padding, conv.shuffle
        _divide(op, conv, kind, isa, threads)
        arrays += _pack(op, conv, kind, isa, peak)
        op.ring = op.height
        if i:
            # What one strip reads, and what one strip of the op before adds: see native/chain.c.
            op.ring = op.strip + op.kh - 1 + ops[i - 1].strip * ops[i - 1].shuffle
    peak = (peaks or {}).get(convolutions[-1])
    if kinds[-1] == "head" and peak is not None and kinds[-2:-1] == ["wino16"] and _whole_head(*convolutions[-2:]):
        kinds[-1] = "head16"
        arrays += _pack_whole_head(ops[count - 2], ops[count - 1], convolutions[-1], peak, isa)
    if _fuses(convolutions, kinds, isa):
        ops[count - 2].head, ops[count - 2].groups = ctypes.addressof(ops[count - 1]), 1
        count -= 1
    return Plan(convolutions, count, kinds, ops, arrays)


def _kinds(convolutions: Sequence[Conv], isa: Isa, peaks: Mapping[Conv, Float]) -> list[str]:
    """Return the kernel of each convolution, but for heads with 16-bit products."""
    kinds = [kind_of(conv, last=conv is convolutions[-1]) for conv in convolutions]
    if _fuses(convolutions, kinds, isa) and _in_line(convolutions[-2], isa):
        kinds[-2] = "line"
    whole = {"wino": "wino16", "line": "line16"}
    return [whole.get(kind, kind) if conv in peaks else kind for conv, kind in zip(convolutions, kinds, strict=True)]


def _in_line(stage: Conv, isa: Isa) -> bool:
    """Whether `line.h` computes a stage that has a head inside."""
    outputs, channels, *taps = stage.weight.shape
    known = isa.lanes == _LINE_LANES and taps == [1, 3]
    return known and channels <= _LINE_CHANNELS and outputs % (TRIO * stage.shuffle**2) == 0


def _pack_whole_head(stage: Op, head: Op, conv: Conv, peak: Float, isa: Isa) -> list[NDArray[Any]]:
    """Give a head 16-bit products, and the stage before it integers to store; return what they point to."""
    packed = pack_head16(conv.weight, peak, isa.lanes)
    units = np.zeros(padded(stage.out_channels, isa.lanes), np.float32)
    units[: stage.out_channels] = np.tile(packed.units, stage.shuffle**2)
    head.kind = KINDS["head16"]
    head.weights, head.scale = packed.weights.ctypes.data, packed.scale.ctypes.data
    stage.units = units.ctypes.data
    return [packed.weights, packed.scale, units]


def _fuses(convolutions: Sequence[Conv], kinds: Sequence[str], isa: Isa) -> bool:
    """Whether the last stage can compute the head behind it: see native/fused.h."""
    if len(kinds) < 2 or kinds[-1] != "head" or not kinds[-2].startswith(("wino", "line")):
        return False
    head = convolutions[-1].weight
    return (head.shape[0], *head.shape[2:]) == (3, 1, 1) and head.shape[1] % isa.lanes == 0
