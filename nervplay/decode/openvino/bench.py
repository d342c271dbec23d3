"""Calibration of eight-bit products (W8A8): `calibration.calibrate` asks, this measures.

What has no integer products is computed in bfloat16, where the processor has it and the video can bear it: of an
E-NeRV, whose norms multiply small differences, bfloat16 alone is 41 dB from float32.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nervplay.decode.carried import every_convolution
from nervplay.decode.graph import Graph
from nervplay.decode.lowering import Conv, Lowered
from nervplay.decode.openvino.program import OpenvinoProgram
from nervplay.decode.openvino.translate import write
from nervplay.decode.tiles import Tiles
from nervplay.decode.w8a8 import Observer, PortableBench, integers_from

__all__ = ["OpenvinoBench", "candidates"]

Found = NDArray[np.uint8]

_LEAST_SHARE = 200
"""Convolutions with less than one in so many of the products stay in float32: nothing is to be won."""


def candidates(lowered: Lowered) -> list[Conv]:
    """Return the convolutions that could be integers, in order of execution."""
    convs = every_convolution(lowered)
    total = sum(conv.multiplications for conv in convs)
    return [conv for conv in convs if conv.multiplications * _LEAST_SHARE >= total]


class OpenvinoBench(PortableBench):
    """Runs a network to look at what goes into its convolutions (`calibration.Bench`).

    Args:
        graph: the network.
        lowered: the same, each convolution by itself.
        threads: processor cores to use.
        tiles: the rectangles that frames are made in.
        bfloat16: whether the processor has it.
        portable: whether a file is to carry what is found; see `w8a8.Observer`.
        paired: whether two weights have to fit together, as `runtime.sums_in_16_bits` says.
    """

    def __init__(
        self,
        graph: Graph,
        lowered: Lowered,
        threads: int,
        tiles: Tiles,
        *,
        bfloat16: bool = False,
        portable: bool = False,
        paired: bool = False,
    ) -> None:
        super().__init__(lowered, candidates(lowered), paired=paired)
        self._bfloat16 = bfloat16
        self._graph, self._lowered, self._threads, self._tiles = graph, lowered, threads, tiles
        self._observer = Observer(self._convs, portable=portable, paired=paired)
        self._looking: OpenvinoProgram | None = None
        self._latest: tuple[tuple[frozenset[Conv], str], OpenvinoProgram] | None = None

    def rests(self) -> Sequence[str]:
        """Return what the rest may be computed in, the fastest first."""
        return ("bfloat16", "float32") if self._bfloat16 else ("float32",)

    def measure(self, index: int) -> None:
        """Run a frame in float32 and look at the inputs of these convolutions."""
        if self._looking is None:
            written = write(self._graph, self._lowered, watched=self._convs)
            self._looking = OpenvinoProgram(self._graph, written, self._threads)
        for item in self._tiles.items(index):
            for conv, maps in zip(self._convs, self._looking.maps(item), strict=True):
                self._observer.look(conv, torch.from_numpy(maps))

    def found(self, conv: Conv) -> Found:
        """Return the integers of a convolution, `Integers.to_bytes`."""
        self._looking = None
        return self._observer.settle(conv)

    def frame(self, index: int, peaks: Mapping[Conv, Found], rest: str = "float32") -> Tensor:
        """Return a frame, (1, 3, H, W), with integer products in the convolutions of `peaks`."""
        wanted = frozenset(peaks), rest
        if self._latest is None or self._latest[0] != wanted:
            self._latest = wanted, self.program(peaks, rest)
        return self._tiles.join(map(self._latest[1].run, self._tiles.items(index)))

    def program(self, peaks: Mapping[Conv, Found], rest: str = "float32") -> OpenvinoProgram:
        """Return what makes frames with integer products in the convolutions of `peaks`."""
        written = write(self._graph, self._lowered, quantised=integers_from(peaks))
        return OpenvinoProgram(self._graph, written, self._threads, bfloat16=rest == "bfloat16")
