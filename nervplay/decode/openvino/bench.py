"""Calibration of eight-bit products (W8A8): `calibration.calibrate` asks, this measures.

Of each convolution it keeps pixels of its float32 inputs, spread over map and frames, and the extremes of whole maps.
From them come the unit of its inputs and the correction of its bias (`quantise`). Cached per convolution:

    float32 [scale, zero, correction of output 0, 1, ...]

Loss against float32: an error of `ENOUGH_DB` raises the squared error of a video of 34 dB by 2.3 %, that is 0.10 dB;
one of `WORST_DB` by 7.2 %, that is 0.30 dB. What goes back to floats goes to bfloat16 where the processor has it: that
is nearly as fast as integers and adds 0.01 dB.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nervplay.decode.graph import Graph
from nervplay.decode.lowering import Conv, Lowered
from nervplay.decode.openvino.program import OpenvinoProgram
from nervplay.decode.openvino.translate import Quantised, write
from nervplay.decode.quantise import Range, best_range, correction
from nervplay.decode.tiles import Tiles

__all__ = ["ENOUGH_DB", "KIND", "WORST_DB", "OpenvinoBench", "candidates", "quantised_from"]

Float = NDArray[np.float32]

ENOUGH_DB = 50.3
"""Least PSNR of the mean squared error of all frames against float32, in dB; peak 1."""
WORST_DB = 45.5
"""Least PSNR of the worst frame."""
KIND = "w8a8 openvino 1"
"""What this measures, for the cache; another number when it changes."""
_PIXELS = 1024
"""Pixels of a map that are kept per frame, with all channels."""
_VALUES = 1 << 15
"""Values that a range is fitted to, at most."""
_LEAST_SHARE = 200
"""Convolutions with less than one in so many of the products stay in float32: nothing is to be won."""


def candidates(lowered: Lowered) -> list[Conv]:
    """Return the convolutions that could be integers, in order of execution."""
    convs = [conv for step in lowered.steps if isinstance(step, list) for conv in step]
    total = sum(conv.multiplications for conv in convs)
    return [conv for conv in convs if conv.multiplications * _LEAST_SHARE >= total]


def quantised_from(found: Mapping[Conv, Float]) -> dict[Conv, Quantised]:
    """Return what `translate.write` needs, from what calibration gave."""
    return {
        conv: Quantised(Range(float(values[0]), int(values[1])), conv.bias + values[2:])
        for conv, values in found.items()
    }


class OpenvinoBench:
    """Runs a network to look at what goes into its convolutions (`calibration.Bench`).

    Args:
        graph: the network.
        lowered: the same, each convolution by itself.
        threads: processor cores to use.
        tiles: the rectangles that frames are made in.
        bfloat16: whether the other operations of a frame with integer products are computed in bfloat16.
    """

    def __init__(self, graph: Graph, lowered: Lowered, threads: int, tiles: Tiles, *, bfloat16: bool = False) -> None:
        self._bfloat16 = bfloat16
        self._graph, self._lowered, self._threads, self._tiles = graph, lowered, threads, tiles
        self._convs = candidates(lowered)
        self._pixels: dict[Conv, list[Float]] = {}
        self._extremes: dict[Conv, tuple[float, float]] = {}
        self._looking: OpenvinoProgram | None = None
        self._latest: tuple[frozenset[Conv], OpenvinoProgram] | None = None

    def convolutions(self) -> Sequence[Conv]:
        """Return the convolutions that could have integer products, in order of execution."""
        return self._convs

    def measure(self, index: int, peaks: dict[Conv, Float]) -> None:
        """Run a frame in float32 and bring what is known of the inputs of these convolutions up to date."""
        if self._looking is None:
            written = write(self._graph, self._lowered, watched=self._convs)
            self._looking = OpenvinoProgram(self._graph, written, self._threads)
        for item in self._tiles.items(index):
            for conv, maps in zip(self._convs, self._looking.maps(item), strict=True):
                self._keep(conv, maps)
        for conv in self._convs:
            pixels = np.concatenate(self._pixels[conv])
            values = pixels.ravel()
            unit = best_range(values[:: -(-values.size // _VALUES) | 1], *self._extremes[conv])
            added = correction(conv.weight, pixels, unit, depthwise=conv.depthwise)
            peaks[conv] = np.concatenate([np.array([unit.scale, unit.zero], np.float32), added])

    def _keep(self, conv: Conv, maps: Float) -> None:
        """Keep pixels of an input, and its extremes."""
        channels = conv.source.shape[1]
        planes = maps.T[None] if conv.rows else maps.reshape(len(maps), channels, -1)
        # an odd step meets all columns of a map
        step = -(-planes.shape[0] * planes.shape[2] * self._tiles.count // _PIXELS) | 1
        self._pixels.setdefault(conv, []).append(planes[..., ::step].transpose(0, 2, 1).reshape(-1, channels))
        low, high = self._extremes.get(conv, (0.0, 0.0))
        self._extremes[conv] = (min(low, float(maps.min())), max(high, float(maps.max())))

    def frame(self, index: int, peaks: Mapping[Conv, Float]) -> Tensor:
        """Return a frame, (1, 3, H, W), with integer products in the convolutions of `peaks`; float32 for none."""
        self._looking = None
        if self._latest is None or self._latest[0] != peaks.keys():
            self._latest = frozenset(peaks), self.program(peaks)
        return self._tiles.join(map(self._latest[1].run, self._tiles.items(index)))

    def program(self, peaks: Mapping[Conv, Float]) -> OpenvinoProgram:
        """Return what makes frames with integer products in the convolutions of `peaks`; in float32 for none."""
        written = write(self._graph, self._lowered, quantised=quantised_from(peaks))
        return OpenvinoProgram(self._graph, written, self._threads, bfloat16=self._bfloat16 and bool(peaks))
