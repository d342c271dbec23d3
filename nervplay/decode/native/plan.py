"""How a chain of convolutions runs: which kernel takes each, packed weights, and the sizes of blocks and strips.

Rules, measured on 2 cores with 1 MiB of second-level cache each:
  * Winograd where the kernel is 3x3, 5x5 or a line of 3 or 5 taps and the map has at least `MIN_TILES` tiles: below,
    reading 64 transformed weights per pair of channels costs more than it saves;
  * 1024 positions of transformed tiles per block: 16 tiles of 8x8, 128 of 8x1;
  * where vectors have 16 lanes, a 1x3 stage of few channels with a head inside has tiles as lanes (`line.h`), and
    in float32, where the processor adds beside multiplying, its products in pairs (`line_pairs.h`);
  * strips of as few rows as give every thread `SHARE` pieces; the rings of a chain then fit the cache.
"""

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nervplay.decode.ghosts import Ghost
from nervplay.decode.lowering import Conv
from nervplay.decode.native.library import ACTIVATIONS, KINDS, Isa, Op
from nervplay.decode.native.narrow import NARROW_STEPS
from nervplay.decode.native.packing import (
    TRIO,
    aligned,
    pack_depthwise,
    pack_direct,
    pack_head,
    pack_head16,
    pack_line,
    pack_line16,
    pack_line_pairs,
    pack_line_pairs16,
    pack_linear,
    pack_winograd,
    pack_winograd16,
    padded,
    panel_ranges,
    panels,
    range_table,
    shuffle_order,
)
from nervplay.decode.native.packing_flat import MOST_CHANNELS, pack_flat16
from nervplay.decode.native.plan_ghost import GhostPlan, plan_gate, plan_ghost
from nervplay.decode.native.plan_points import PointsPlan, plan_points
from nervplay.decode.native.schedule import order_chain
from nervplay.decode.points import Points
from nervplay.decode.weave import Part

__all__ = [
    "SHARE",
    "STORING",
    "WHOLE",
    "Plan",
    "candidate_kind",
    "fill",
    "fuses",
    "integer_candidates",
    "is_candidate",
    "kind_of",
    "pack_whole_head",
    "peak_shape",
    "plan_chain",
    "whole_head",
]

Float = NDArray[np.float32]

WHOLE = {"wino": "wino16", "line": "line16", "line_pairs": "line_pairs16", "direct": "flat16"}
"""Kernels with 16-bit products, by those in float32."""
STORING = ("wino16", "flat16")
"""Kernels that can store 16-bit integers for a head."""

MIN_TILES = 16
SHARE = 4
_WINOGRAD = ((3, 3), (5, 5), (3, 1), (1, 3), (5, 1), (1, 5))
_WHOLE_MOST = 32767
"""Largest magnitude of the integers that a head reads."""
_FLAT_WORK = 10_000_000
"""Products of the smallest 1x1 convolution that gets integers."""
_BLOCK_POSITIONS = 1024
_BLOCK_PIXELS = 64
_HEAD_PIXELS = 320
_LINE_LANES, _LINE_TILES, _LINE_CHANNELS, _LINE_ROWS = 16, 16, 48, 5
"""Of `line.h`: lanes of the vectors that it needs, tiles of a piece, most channels (their positions stay in the
first-level cache, beside the weights), and rows of its longest strip."""
_PAIRS_LANES, _PAIRS_CHANNELS = 16, 16
"""Of `wino_pairs.h`: lanes of the vectors that it needs, fewest channels."""


@dataclass(frozen=True)
class Plan:
    """A chain, ready to run.

    Args:
        parts: what it computes.
        count: ops that are run; one fewer than parts where the last op computes the head, too.
        kinds: the kernel of each: a name of `KINDS`, "depthwise" or "linear", or "ghost16" where the gate of a ghost
            module has 16-bit products.
        ops: the structs of the kernels, an array of `Op`.
        turns: int32 (count, 4), see `schedule`.
        arrays: what ops point to; kept alive here.
        beside: parts that read more than the map in front of them; it is set before every run.
    """

    parts: Sequence[Part]
    count: int
    kinds: Sequence[str]
    ops: Any
    turns: NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 4), np.int32))
    arrays: list[NDArray[Any]] = field(default_factory=list)
    beside: list[PointsPlan | GhostPlan] = field(default_factory=list)


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
    if (kh, kw) not in _WINOGRAD:
        return "direct"
    tiles = -(-conv.out_size[0] // _tile(kh)) * -(-conv.out_size[1] // _tile(kw))
    return "wino" if tiles >= MIN_TILES else "direct"


def peak_shape(conv: Conv, kind: str) -> tuple[int, ...]:
    """Return the form of what calibration measures of a convolution's input for 16-bit products.

    Args:
        conv: the convolution.
        kind: "wino" for (positions, padded C), of the transformed input; "head" or "flat" for (C,), of the input.
    """
    channels = conv.weight.shape[1]
    return (channels,) if kind in ("head", "flat") else (_positions(conv), padded(channels, 16))


def whole_head(stage: Conv, head: Conv) -> bool:
    """Whether a head can read 16-bit integers from the stage before it, which has such products, too."""
    outputs, _, _, kw = head.weight.shape
    taps = stage.weight.shape[2:]
    return (outputs, kw) == (3, 3) and (min(taps) > 1 or taps == (1, 1))


def _ending(parts: Sequence[Part], kinds: Sequence[str]) -> tuple[Conv, Conv] | None:
    """Return the head at the end of a chain and the stage that it reads, or None."""
    if len(parts) > 1 and kinds[-1] == "head":
        stage, head = parts[-2:]
        if isinstance(stage, Conv) and isinstance(head, Conv):
            return stage, head
    return None


def _with_pairs(parts: Sequence[Part], peaks: Mapping[Conv, Float]) -> tuple[list[Part], dict[Conv, Float]]:
    """Return a chain whose head with 16-bit products has pairs of channels: one more, of zeros, where they are odd."""
    made, known = list(parts), dict(peaks)
    *_, head = parts
    if not isinstance(head, Conv) or head not in peaks or head.weight.shape[1] % 2 == 0:
        return made, known
    stage = parts[-2]
    assert isinstance(stage, Conv)
    more = stage.shuffle**2
    wide = replace(
        stage,
        weight=np.concatenate([stage.weight, np.zeros_like(stage.weight[:more])]),
        bias=np.concatenate([stage.bias, np.zeros_like(stage.bias[:more])]),
    )
    even = replace(head, weight=np.concatenate([head.weight, np.zeros_like(head.weight[:, :1])], axis=1))
    made[-2:] = [wide, even]
    known |= {wide: peaks[stage], even: np.append(peaks[head], np.float32(0))}
    return made, known


def candidate_kind(kind: str) -> str:
    """Return what `peak_shape` wants to know of a convolution whose kernel in float32 this is."""
    return "flat" if kind == "direct" else kind


def is_candidate(conv: Conv, kind: str) -> bool:
    """Return whether a convolution with this kernel in float32, no head, could have 16-bit products."""
    return kind == "wino" or _is_flat(conv, kind)


def _is_flat(conv: Conv, kind: str) -> bool:
    """Whether a convolution in float32 is one of 1x1 that is worth 16-bit products."""
    one = kind == "direct" and conv.weight.shape[2:] == (1, 1) and not conv.rows
    return one and conv.weight.shape[1] <= MOST_CHANNELS and conv.multiplications >= _FLAT_WORK


def _plain_kinds(parts: Sequence[Part]) -> list[str]:
    """Return the kernel of each part of a chain in float32."""
    last = parts[-1]
    other = [kind_of(part, last=part is last) if isinstance(part, Conv) else None for part in parts]
    names = ("point" if isinstance(part, Points) else "ghost" for part in parts)
    return [kind or name for kind, name in zip(other, names, strict=True)]


def integer_candidates(chain: Sequence[Part]) -> dict[Conv, str]:
    """Return the convolutions of a chain that could have 16-bit products, in order, and their kernels in float32.

    Args:
        chain: each reads what the one before it makes.
    """
    kinds = _plain_kinds(chain)
    found: dict[Conv, str] = {}
    for part, kind in zip(chain, kinds, strict=True):
        if isinstance(part, Conv) and is_candidate(part, kind):
            found[part] = candidate_kind(kind)
    ending = _ending(chain, kinds)
    if ending and ending[0] in found and whole_head(*ending):
        found[ending[1]] = "head"
    return found


def _pack_integers(
    op: Op,
    weight: Float,
    kind: str,
    isa: Isa,
    *,
    peak: Float,
    norms: Float | None,
    ranges: Sequence[tuple[int, int]] | None,
) -> list[NDArray[Any]]:
    """Point an op at what 16-bit products after Winograd's transform need beside a bias; return it, weights first."""
    if kind == "wino16":
        op.pairs = ranges is None and _in_pairs(weight, isa)
        packed = pack_winograd16(weight, peak, isa.lanes, isa.panel, ranges, norms=norms, in_pairs=bool(op.pairs))
    else:
        packed = (pack_line16 if kind == "line16" else pack_line_pairs16)(weight, peak)
    # Of several sources each begins anywhere, and the vector behind the last channel is read.
    norm = np.append(packed.norm, np.zeros(isa.lanes, np.float32))
    op.scale, op.norm, op.axes = (part.ctypes.data for part in (packed.scale, norm, packed.axes))
    return [packed.weights, packed.scale, norm, packed.axes]


def _pack(op: Op, conv: Conv, kind: str, isa: Isa, *, peak: Float | None, norms: Float | None) -> list[NDArray[Any]]:
    """Point an op at its weights, and return them."""
    outputs = conv.weight.shape[0]
    order = shuffle_order(outputs, conv.shuffle)
    weight, bias = conv.weight[order], np.zeros(padded(outputs, isa.lanes), np.float32)
    bias[:outputs] = conv.bias[order]
    arrays: list[NDArray[Any]] = [bias]
    op.bias = bias.ctypes.data
    ranges = panel_ranges(weight, isa.lanes, isa.panel) if kind in ("wino", "wino16") else None
    if kind in ("wino16", "line16", "line_pairs16"):
        assert peak is not None
        arrays += _pack_integers(op, weight, kind, isa, peak=peak[: _positions(conv)], norms=norms, ranges=ranges)
    elif kind == "flat16":
        assert peak is not None
        flat = pack_flat16(weight[:, :, 0, 0], peak, isa.lanes, isa.panel, norms=norms)
        arrays += [flat.weights, flat.scale, np.append(flat.units, np.zeros(isa.lanes, np.float32))]
        op.scale, op.norm = (part.ctypes.data for part in arrays[2:])
    elif kind == "wino":
        arrays.append(pack_winograd(weight, isa.lanes, isa.panel, ranges))
    elif kind == "line":
        arrays.append(pack_line(weight))
    elif kind == "line_pairs":
        arrays += pack_line_pairs(weight)
        op.norm, op.scale = (part.ctypes.data for part in arrays[2:])
    elif kind == "direct":
        arrays.append(pack_direct(weight, isa.lanes, isa.panel))
    elif kind == "head":
        arrays.append(pack_head(weight, isa.lanes))
    elif kind == "depthwise":
        arrays.append(pack_depthwise(weight, isa.lanes))
    else:
        arrays.append(pack_linear(weight[:, :, 0, 0], isa.lanes))
    arrays[1] = aligned(arrays[1])
    op.weights = arrays[1].ctypes.data
    if ranges is not None:
        arrays.append(range_table(weight, ranges, isa.lanes, isa.panel, whole=kind == "wino16"))
        op.ranges = arrays[-1].ctypes.data
    return arrays


def _pieces(threads: int) -> int:
    """Return how many pieces a strip is to have."""
    return 1 if threads == 1 else SHARE * threads


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
    wanted = _pieces(threads)
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


def fill(
    op: Op, conv: Conv, kind: str, isa: Isa, *, threads: int, peak: Float | None, narrow: Float | None = None
) -> list[NDArray[Any]]:
    """Make an op compute a convolution, reading one map; return what it points to.

    Args:
        op: the struct, all zeros.
        conv: the convolution.
        kind: its kernel.
        isa: instruction set.
        threads: of the pool that will run it.
        peak: for 16-bit products, what calibration measured of the input (`peak_shape`, or that and more rows).
        narrow: float32 (C,), integers to 1 of channels that come from narrow maps (`narrow`), 0 for others; or None.
    """
    op.kind = KINDS.get(kind, 0)
    op.act, op.slope = ACTIVATIONS[conv.activation], conv.slope
    (op.height, op.width), (op.out_height, op.out_width) = conv.size, conv.out_size
    op.out_channels, op.channels, op.kh, op.kw = conv.weight.shape
    if conv.depthwise:
        op.channels = op.out_channels
    (op.top, op.left), op.shuffle = conv.padding, conv.shuffle
    _divide(op, conv, kind, isa, threads)
    norms = None if narrow is None else narrow / np.float32(NARROW_STEPS if kind == "wino16" else 1)
    return _pack(op, conv, kind, isa, peak=peak, norms=norms)


def plan_chain(parts: Sequence[Part], isa: Isa, threads: int, peaks: Mapping[Conv, Float] | None = None) -> Plan:
    """Return a chain ready to run.

    Args:
        parts: each reads what the one before it makes.
        isa: instruction set.
        threads: of the pool that will run it; changes speed only.
        peaks: for those that are to have 16-bit products, the largest magnitudes of their transformed input.
    """
    count = len(parts)
    whole = _whole_end(parts, isa, peaks or {})
    made, known = _with_pairs(parts, peaks or {}) if whole else (parts, peaks or {})
    kinds = _kinds(made, isa, known)
    plan = Plan(parts, count - fuses(made, kinds, isa), kinds, (Op * count)())
    for op, part, kind in zip(plan.ops, made, kinds, strict=True):
        op.kind = KINDS.get(kind, 0)
        if isinstance(part, Points):
            plan.beside.append(plan_points(op, part, _pieces(threads)))
        elif isinstance(part, Ghost):
            plan.beside.append(_ghost(op, part, isa, threads, known))
        else:
            plan.arrays.extend(fill(op, part, kind, isa, threads=threads, peak=known.get(part)))
    if whole:
        head = made[-1]
        assert isinstance(head, Conv)
        kinds[-1] = "head16"
        plan.arrays.extend(pack_whole_head(plan.ops[count - 2], plan.ops[count - 1], head, known[head], isa))
    if plan.count < count:
        plan.ops[count - 2].head, plan.ops[count - 2].groups = ctypes.addressof(plan.ops[count - 1]), 1
    return replace(plan, turns=order_chain(plan.ops[: plan.count], together=threads > 1))


def _ghost(op: Op, ghost: Ghost, isa: Isa, threads: int, peaks: Mapping[Conv, Float]) -> GhostPlan:
    """Return a ghost module ready to run, with what makes its gate."""
    plan, op.kind = plan_ghost(op, ghost, isa, _pieces(threads)), KINDS["ghost"]
    if ghost.made:
        gate, conv, kind = Op(), ghost.made.conv, _gate_kind(ghost, peaks)
        plan.arrays.extend(fill(gate, conv, kind, isa, threads=1, peak=peaks.get(conv)))
        plan_gate(plan, gate, isa)
    return plan


def _gate_kind(ghost: Ghost, peaks: Mapping[Conv, Float]) -> str:
    """Return the kernel of what makes the gate of a ghost module, "" where nothing does."""
    if ghost.made is None:
        return ""
    return "flat16" if ghost.made.conv in peaks else "direct"


def _whole_end(parts: Sequence[Part], isa: Isa, peaks: Mapping[Conv, Float]) -> bool:
    """Whether a chain ends with a head that is to have 16-bit products."""
    kinds = _kinds(parts, isa, peaks)
    ending = _ending(parts, kinds)
    return ending is not None and ending[1] in peaks and kinds[-2] in STORING and whole_head(*ending)


def _kinds(parts: Sequence[Part], isa: Isa, peaks: Mapping[Conv, Float]) -> list[str]:
    """Return the kernel of each part, but for heads with 16-bit products."""
    kinds = _plain_kinds(parts)
    ending = _ending(parts, kinds)
    if ending and fuses(parts, kinds, isa) and _in_line(ending[0], isa):
        enough = ending[0] not in peaks or ending[0].weight.shape[1] >= _PAIRS_CHANNELS
        pairs = isa.adds_apart and ending[0].activation == "silu" and enough
        kinds[-2] = "line_pairs" if pairs else "line"
    whole = [isinstance(part, Ghost) and _gate_kind(part, peaks) == "flat16" for part in parts]
    named = (WHOLE.get(kind, kind) if part in peaks else kind for part, kind in zip(parts, kinds, strict=True))
    return [f"{kind}16" if gate else kind for kind, gate in zip(named, whole, strict=True)]


def _in_pairs(weight: Float, isa: Isa) -> bool:
    """Whether `wino_pairs.h` computes a Winograd stage of integers; few channels want more bits than it leaves."""
    outputs, channels, _, _ = weight.shape
    return isa.adds_apart and isa.lanes == _PAIRS_LANES and outputs > isa.lanes and channels >= _PAIRS_CHANNELS


def _in_line(stage: Conv, isa: Isa) -> bool:
    """Whether `line.h` computes a stage that has a head inside."""
    outputs, channels, *taps = stage.weight.shape
    known = isa.lanes == _LINE_LANES and taps == [1, 3]
    return known and channels <= _LINE_CHANNELS and outputs % (TRIO * stage.shuffle**2) == 0


def pack_whole_head(stage: Op, head: Op, conv: Conv, peak: Float, isa: Isa) -> list[NDArray[Any]]:
    """Give a head 16-bit products, and the stage before it integers to store; return what they point to."""
    packed = pack_head16(conv.weight, peak, isa.lanes)
    units = np.zeros(padded(stage.out_channels, isa.lanes), np.float32)
    units[: stage.out_channels] = np.tile(packed.units, stage.shuffle**2)
    head.kind = KINDS["head16"]
    head.weights, head.scale = packed.weights.ctypes.data, packed.scale.ctypes.data
    stage.units, stage.most = units.ctypes.data, _WHOLE_MOST
    return [packed.weights, packed.scale, units]


def fuses(parts: Sequence[Part], kinds: Sequence[str], isa: Isa) -> bool:
    """Whether the last stage can compute the head behind it: see native/fused.h."""
    ending, before, last = _ending(parts, kinds), parts[-2] if len(parts) > 1 else None, parts[-1]
    if kinds[-1] == "head" and isinstance(last, Conv) and isinstance(before, Ghost):
        return last.weight.shape[2:] == (1, 1)
    if ending is None or not kinds[-2].startswith(("wino", "line")):
        return False
    head = ending[1].weight
    return (head.shape[0], *head.shape[2:]) == (3, 1, 1) and head.shape[1] % isa.lanes == 0
