"""How a net runs: its ops, its maps, and the turns in which strips are computed."""

import ctypes
from collections.abc import Hashable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nervplay.decode.graph import Value
from nervplay.decode.lowering import Conv
from nervplay.decode.native.library import Isa, Node, Op, Place
from nervplay.decode.native.narrow import NARROW_MOST, narrow_maps, narrow_units
from nervplay.decode.native.packing import padded
from nervplay.decode.native.plan import (
    STORING,
    WHOLE,
    candidate_kind,
    fill,
    fuses,
    is_candidate,
    kind_of,
    pack_whole_head,
    whole_head,
)
from nervplay.decode.native.schedule import Reading, Rows, schedule
from nervplay.decode.nets import Net, Slice, Unit, map_channels

__all__ = ["NetPlan", "narrow_between", "net_candidates", "plan_net"]

Float = NDArray[np.float32]


class _Ends(NamedTuple):
    """What each op that runs writes, in order, and what structs point to."""

    targets: dict[Unit, Slice]
    arrays: list[Any]


@dataclass(frozen=True)
class NetPlan:
    """A net, ready to run.

    Args:
        net: what it computes.
        kinds: the kernel of each unit.
        maps: all maps, in the order of `places`.
        places: where they are; those of `net.inputs()` and `net.outputs` are filled in for each frame.
        planes: maps that are planes instead, written by heads.
        nodes: ops and what they read and write.
        turns: int32 (count, 4), see `schedule`.
        arrays: what structs point to; kept alive here.
    """

    net: Net
    kinds: Sequence[str]
    maps: Sequence[Value]
    places: Any
    planes: frozenset[Value]
    nodes: Any
    turns: NDArray[np.int32]
    arrays: list[Any] = field(default_factory=list)


def _readers(net: Net) -> dict[Value, list[Unit]]:
    found: dict[Value, list[Unit]] = {}
    for unit in net.units:
        for value in unit.inputs():
            found.setdefault(value, []).append(unit)
    return found


def _pairs(net: Net) -> dict[Unit, Unit]:
    """Return the heads that alone read what another unit makes, and that unit."""
    readers, writers = _readers(net), dict[Value, list[Unit]]()
    for unit in net.units:
        writers.setdefault(unit.target.value, []).append(unit)
    found = {}
    for unit in net.units:
        value = unit.sources[0].value
        alone = len(readers[value]) == len(writers.get(value, ())) == 1 and value not in net.outputs
        if alone and unit.conv.is_head and unit.target.value not in readers and not writers[value][0].added:
            found[unit] = writers[value][0]
    return found


def _kinds(net: Net) -> dict[Unit, str]:
    """Return the kernel of each unit in float32."""
    readers = _readers(net)
    found = {}
    for unit in net.units:
        source = unit.sources[0]
        whole = len(unit.sources) == 1 and source.channels == map_channels(source.value)
        found[unit] = kind_of(unit.conv, last=whole and unit.target.value not in readers)
    return found


def net_candidates(net: Net) -> dict[Conv, str]:
    """Return the convolutions of a net that could have 16-bit products, and their kernels in float32."""
    kinds, pairs = _kinds(net), _pairs(net)
    found = {unit.conv: candidate_kind(kind) for unit, kind in kinds.items() if is_candidate(unit.conv, kind)}
    for head, stage in pairs.items():
        if kinds[head] == "head" and stage.conv in found and _whole(stage, head):
            found[head.conv] = "head"
    return found


def _whole(stage: Unit, head: Unit) -> bool:
    """Whether a head can read pairs of 16-bit integers from the unit before it."""
    return head.conv.weight.shape[1] % 2 == 0 and whole_head(stage.conv, head.conv)


def _rows(op: Op, unit: Unit, target: Slice) -> Rows:
    readings = [Reading(part.value, op.top, op.kh) for part in unit.sources]
    if unit.added:
        readings.append(Reading(unit.added.value, 0, 1))
    return Rows(op.out_height, op.strip, op.shuffle, readings, target.value)


def _targets(net: Net, of: Mapping[Unit, Op], kinds: dict[Unit, str], known: Mapping[Conv, Float], isa: Isa) -> _Ends:
    """Join heads to the units in front of them; return what each op that runs writes, and what structs point to.

    A head of 1x1 is computed inside the unit in front of it; one with 16-bit products reads integers from there.
    """
    targets, arrays = {unit: unit.target for unit in net.units}, list[Any]()
    for head, stage in _pairs(net).items():
        if kinds[head] != "head":
            continue
        if kinds[stage] in STORING and head.conv in known and _whole(stage, head):
            kinds[head] = "head16"
            arrays += pack_whole_head(of[stage], of[head], head.conv, known[head.conv], isa)
        elif fuses([stage.conv, head.conv], [kinds[stage], kinds[head]], isa):
            of[stage].head, of[stage].groups = ctypes.addressof(of[head]), 1
            targets[stage] = targets.pop(head)
    return _Ends(targets, arrays)


def _kinds_with(net: Net, peaks: Mapping[Conv, Float]) -> dict[Unit, str]:
    """Return the kernel of each unit, but for heads with 16-bit products."""
    return {unit: WHOLE.get(kind, kind) if unit.conv in peaks else kind for unit, kind in _kinds(net).items()}


def narrow_between(
    nets: Iterable[Net], elsewhere: AbstractSet[Value], peaks: Mapping[Conv, Float] | None = None
) -> dict[Value, Float]:
    """Return the narrow maps of nets and, float32 (C,), integers to 1 of their channels.

    Args:
        nets: all of a network.
        elsewhere: maps that others read.
        peaks: for convolutions that are to have 16-bit products, what calibration measured of their inputs.
    """
    kinds = {unit: kind for net in nets for unit, kind in _kinds_with(net, peaks or {}).items()}
    return narrow_maps(kinds, peaks or {}, elsewhere)


def plan_net(
    net: Net,
    isa: Isa,
    threads: int,
    peaks: Mapping[Conv, Float] | None = None,
    narrow: Mapping[Value, Float] | None = None,
) -> NetPlan:
    """Return a net ready to run.

    Args:
        net: the net.
        isa: instruction set.
        threads: of the pool that will run it; changes speed only.
        peaks: for convolutions that are to have 16-bit products, what calibration measured of their inputs.
        narrow: what `narrow_between` gave, or some of it.
    """
    known, narrow = peaks or {}, narrow or {}
    kinds, ops, arrays = _kinds_with(net, known), (Op * len(net.units))(), list[Any]()
    of = dict(zip(net.units, ops, strict=True))
    for unit, op in of.items():
        read = narrow_units(unit.sources, narrow)
        arrays += fill(op, unit.conv, kinds[unit], isa, threads=threads, peak=known.get(unit.conv), narrow=read)
        arrays += _narrowed(op, unit, narrow, isa)
        op.sources, op.added = len(unit.sources), unit.added is not None
        whole = map_channels(unit.target.value)
        op.out_step = whole if whole != unit.target.channels else 0
    targets, more = _targets(net, of, kinds, known, isa)
    planes = frozenset(unit.target.value for unit in net.units if kinds[unit].startswith("head"))
    maps = [*net.inputs(), *dict.fromkeys(part.value for part in targets.values())]
    heights: dict[Hashable, int] = {value: value.shape[-2] for value in maps}
    rows = [_rows(of[unit], unit, target) for unit, target in targets.items()]
    turns, kept = schedule(rows, heights, together=threads > 1)
    places = (Place * len(maps))()
    for place, value in zip(places, maps, strict=True):
        place.width, place.channels, place.ring = value.shape[-1], map_channels(value), heights[value]
        place.narrow = value in narrow
        if value in kept and value not in net.outputs and value not in planes:
            place.ring = min(kept[value], heights[value])
    nodes = _nodes(targets, of, {value: i for i, value in enumerate(maps)})
    return NetPlan(net, [kinds[unit] for unit in net.units], maps, places, planes, nodes, turns, [ops, *arrays, *more])


def _narrowed(op: Op, unit: Unit, narrow: Mapping[Value, Float], isa: Isa) -> list[Any]:
    """Tell an op of the narrow maps that it writes to and adds; return what structs point to."""
    arrays, room = list[Any](), padded(op.out_channels, isa.lanes)
    written = narrow_units((unit.target,), narrow)
    if written is not None:
        arrays.append(np.resize(np.tile(written, op.shuffle**2), room))
        op.units, op.most = arrays[-1].ctypes.data, NARROW_MOST
    added = narrow_units((unit.added,), narrow) if unit.added else None
    if added is not None:
        arrays.append(np.resize(1 / added, room).astype(np.float32))
        op.added_units = arrays[-1].ctypes.data
    return arrays


def _nodes(targets: Mapping[Unit, Slice], of: Mapping[Unit, Op], number: Mapping[Value, int]) -> Any:
    """Return the structs of units that run."""
    nodes = (Node * len(targets))()
    for node, (unit, target) in zip(nodes, targets.items(), strict=True):
        node.op = ctypes.pointer(of[unit])
        parts = [*zip(node.source, unit.sources, strict=False), (node.target, target)]
        if unit.added:
            parts.append((node.added, unit.added))
        for part, (value, first, channels) in parts:
            part.map, part.first, part.channels = number[value], first, channels
    return nodes
