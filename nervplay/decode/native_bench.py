"""What calibration asks of the native kernels: how large inputs get, and frames with some products in integers."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nervplay.decode.carried import every_convolution, from_powers, to_powers
from nervplay.decode.graph import Graph
from nervplay.decode.lowering import Conv, Lowered, lower
from nervplay.decode.native.library import MAX_CHAIN, Isa, Pool, load
from nervplay.decode.native.narrow import held, is_square
from nervplay.decode.native.plan import integer_candidates, peak_shape, plan_chain
from nervplay.decode.native.plan_net import net_candidates
from nervplay.decode.native.plan_stream import StreamPlan
from nervplay.decode.nets import Net, Netted
from nervplay.decode.program import Program, Watch
from nervplay.decode.streams import Mix, Stream, Streamed, join
from nervplay.decode.tiles import Tiles
from nervplay.decode.weave import weave

__all__ = ["Workbench"]

Float = NDArray[np.float32]

_PEAK_BITS, _PEAKS_PER_OCTAVE = 8, 2


class Workbench:
    """Runs a network with each convolution by itself, to look at what goes in (`calibration.Bench`).

    Of a step of a stream the expanding layer stands for both; what is known of it is how large the inputs of both get.

    Args:
        graph: the network.
        lowered: the same, as steps.
        streamed: the same, with its streams joined.
        netted: the same, with its nets.
        isa: instruction set.
        threads: processor cores to use.
        tiles: the rectangles that frames are made in.
        maps: whether to find out, for narrow maps, how large inputs are before Winograd's transform, too.
    """

    def __init__(
        self,
        graph: Graph,
        lowered: Lowered,
        streamed: Streamed,
        netted: Netted,
        *,
        isa: Isa,
        threads: int,
        tiles: Tiles,
        maps: bool = False,
    ) -> None:
        self._tiles, self._maps = tiles, maps
        self._graph, self._isa, self._threads = graph, isa, threads
        self._every, self._whole = every_convolution(lowered), netted
        self._apart = join(graph, lower(graph, 1, volumes=True), MAX_CHAIN)
        self._pool = Pool(threads)
        self._peaks: dict[Conv, Float] = {}
        self._candidates: dict[Conv, str] = {}
        self._hidden: dict[Conv, int] = {}
        for step in streamed.steps:
            if isinstance(step, Stream):
                self._hidden |= {mix.expand: len(mix.expand.weight) for mix in step.parts if isinstance(mix, Mix)}
        for each in netted.steps:
            if isinstance(each, Net):
                self._candidates |= net_candidates(each)
            elif isinstance(each, list):
                self._candidates |= integer_candidates(each)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self._pool.close()

    def convolutions(self) -> Sequence[Conv]:
        """Return the convolutions that could have 16-bit products, in order of execution."""
        return [conv for conv in self._every if conv in self._candidates or conv in self._hidden]

    def numbered(self) -> Sequence[Conv]:
        """Return all convolutions of the network, in order of execution."""
        return self._every

    def rests(self) -> Sequence[str]:
        """Return what the rest is computed in."""
        return ("float32",)

    def sizes(self, conv: Conv) -> Sequence[tuple[int, int]]:
        """Return (count, bits) of what a file carries of a convolution: its peaks, channel by channel."""
        return [(int(np.prod(self._shape(conv)[:-1])) * self._channels(conv), _PEAK_BITS)]

    def to_codes(self, conv: Conv, found: Float) -> Sequence[NDArray[Any]]:
        """Return peaks as powers of the root of 2, each the next above."""
        channels = self._channels(conv)
        by_channel = found[..., :channels].reshape(-1, channels).T
        return [to_powers(by_channel.ravel(), _PEAKS_PER_OCTAVE, _PEAK_BITS)]

    def from_codes(self, conv: Conv, codes: Sequence[NDArray[Any]]) -> Float:
        """Return peaks, float32 (positions, padded channels)."""
        peak, channels = np.zeros(self._shape(conv), np.float32), self._channels(conv)
        values = from_powers(codes[0], _PEAKS_PER_OCTAVE, _PEAK_BITS).reshape(channels, -1).T
        peak[..., :channels] = values.reshape(*peak.shape[:-1], channels)
        return peak

    def _shape(self, conv: Conv) -> tuple[int, ...]:
        """Return the shape of the peaks of a convolution, channels last."""
        if conv in self._hidden:
            return (self._channels(conv),)
        *rows, channels = peak_shape(conv, self._candidates.get(conv, "wino"))  # a file may name any
        return (*(count + self._has_map(conv) for count in rows), channels)

    def _has_map(self, conv: Conv) -> bool:
        """Return whether peaks of a convolution have a row of the input itself, behind those of the transformed one."""
        return self._maps and self._candidates.get(conv, "wino") == "wino" and is_square(conv)

    def _channels(self, conv: Conv) -> int:
        """Return how many channels a convolution has peaks of; of a step, how many both layers read."""
        channels: int = conv.weight.shape[1]
        return channels + self._hidden.get(conv, 0)

    def measure(self, index: int) -> None:
        """Run a frame and raise the peaks of each of these convolutions."""
        places = {conv.target: conv for conv in self._candidates}  # two convolutions may read one map
        steps = {conv.source: conv for conv in self._hidden}

        def watch(conv: Conv, maps: Tensor) -> None:
            wanted = places.get(conv.target)
            if wanted is None:
                return
            peak = self._peaks.setdefault(wanted, np.zeros(self._shape(wanted), np.float32))
            largest = maps.abs().amax(dim=(0, 1, 2)).numpy()
            if self._candidates[wanted] != "wino":
                np.maximum(peak, largest, out=peak)
                return
            if self._has_map(wanted):
                np.maximum(peak[-1, : len(largest)], held(maps, conv), out=peak[-1, : len(largest)])
            ops = plan_chain([conv], self._isa, 1).ops
            for picture in maps:
                load().nk_peak(self._isa.number, ops, picture.data_ptr(), peak.ctypes.data)

        program = self._program(self._apart, None, watch)
        for item in self._tiles.items(index):
            program.run(item)
        for plan in program.plans:
            for conv, peak in plan.peaks.items() if isinstance(plan, StreamPlan) else ():
                known = self._peaks.setdefault(steps[conv.source], np.zeros_like(peak))
                np.maximum(known, peak, out=known)

    def found(self, conv: Conv) -> Float:
        """Return the largest magnitudes of a convolution's input, as its products need and a file would carry them."""
        return self.from_codes(conv, self.to_codes(conv, self._peaks[conv]))

    def without_maps(self, peaks: Mapping[Conv, Float]) -> dict[Conv, Float]:
        """Return the same peaks as of inputs of which only their transform is known, so that no map is narrow."""
        made = {conv: peak.copy() for conv, peak in peaks.items()}
        for conv, peak in made.items():
            if self._has_map(conv):
                peak[-1] = 0
        return made

    def frame(self, index: int, peaks: Mapping[Conv, Float], rest: str = "float32") -> Tensor:  # noqa: ARG002 - one
        """Return a frame, (1, 3, H, W), in which the convolutions of `peaks` have 16-bit products."""
        return self._tiles.join(map(self._program(self._whole, peaks, None).run, self._tiles.items(index)))

    def _program(self, streamed: Streamed | Netted, peaks: Mapping[Conv, Float] | None, watch: Watch | None) -> Program:
        """Return a program of this network; with `watch` one that measures."""
        woven = weave(self._graph, streamed, 1 if watch else MAX_CHAIN)
        return Program(
            self._graph, woven, isa=self._isa, pool=self._pool, threads=self._threads, peaks=peaks, watch=watch,
            measure=watch is not None,
        )  # fmt: skip
