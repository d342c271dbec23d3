"""Calibration of eight-bit products (W8A8) on a device: `calibration.calibrate` asks, this measures.

Of each convolution it keeps pixels of its float32 inputs, spread over map and frames, and the extremes of whole maps.
From them come the unit of its int8 inputs and the correction of its bias (`quantise`). Cached per convolution:

    float32 [scale, zero, correction of output 0, 1, ...]

Loss against float32: an error of `ENOUGH_DB` raises the squared error of a video of 34 dB by 2.2 %, that is 0.1 dB.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nervplay.decode.cuda.engines import Engine
from nervplay.decode.cuda.packing import takes
from nervplay.decode.cuda.program import DeviceProgram, Quantised
from nervplay.decode.graph import Graph
from nervplay.decode.lowering import Conv, Lowered
from nervplay.decode.quantise import Range, best_range, correction

__all__ = ["ENOUGH_DB", "KIND", "DeviceBench", "quantised_from"]

Float = NDArray[np.float32]

ENOUGH_DB = 50.5
"""Least PSNR of a frame against float32, in dB; peak 1."""
KIND = " w8a8 1"
"""What this measures, for the cache; another number when it changes."""
_PIXELS = 1024
"""Pixels of a map that are kept per frame, with all channels."""
_VALUES = 1 << 16
"""Values that a range is fitted to, at most."""


def quantised_from(found: Mapping[Conv, Float]) -> dict[Conv, Quantised]:
    """Return what a program needs, from what calibration gave."""
    return {
        conv: Quantised(Range(float(values[0]), int(values[1])), conv.bias + values[2:])
        for conv, values in found.items()
    }


class DeviceBench:
    """Runs a network on a device to look at what goes into its convolutions (`calibration.Bench`).

    Args:
        graph: the network.
        lowered: the same, as steps.
        device: where it runs.
        engine: computes packed convolutions.
    """

    def __init__(self, graph: Graph, lowered: Lowered, device: torch.device, engine: Engine) -> None:
        self._graph, self._lowered, self._device, self._engine = graph, lowered, device, engine
        self._pixels: dict[Conv, list[Float]] = {}
        self._extremes: dict[Conv, tuple[float, float]] = {}
        self._exact = DeviceProgram(graph, lowered, device=device, watch=self._look)

    def convolutions(self) -> Sequence[Conv]:
        """Return the convolutions that could have integer products, in order of execution."""
        return [conv for step in self._lowered.steps if isinstance(step, list) for conv in step if takes(conv)]

    @torch.inference_mode()
    def measure(self, index: int, peaks: dict[Conv, Float]) -> None:
        """Run a frame in float32 and bring what is known of the inputs of these convolutions up to date."""
        self._exact(torch.tensor([index], device=self._device))
        for conv in self.convolutions():
            pixels = np.concatenate(self._pixels[conv])
            values = pixels.ravel()
            unit = best_range(values[:: -(-values.size // _VALUES)], *self._extremes[conv])
            head = np.array([unit.scale, unit.zero], np.float32)
            peaks[conv] = np.concatenate([head, correction(conv.weight, pixels, unit)])

    def _look(self, conv: Conv, x: Tensor) -> None:
        """Keep pixels of an input."""
        if not takes(conv):
            return
        flat = x if conv.rows else x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
        # an odd step meets all columns of a map
        step = -(-len(flat) // _PIXELS) | 1
        self._pixels.setdefault(conv, []).append(flat[::step].float().cpu().numpy())
        low, high = self._extremes.get(conv, (0.0, 0.0))
        self._extremes[conv] = (min(low, float(x.min())), max(high, float(x.max())))

    @torch.inference_mode()
    def frame(self, index: int, peaks: Mapping[Conv, Float]) -> Tensor:
        """Return a frame, (1, 3, H, W), with integer products in the convolutions of `peaks`; float32 for none."""
        position = torch.tensor([index], device=self._device)
        if not peaks:
            return DeviceProgram(self._graph, self._lowered, device=self._device)(position).cpu()
        found = quantised_from(peaks)
        program = DeviceProgram(self._graph, self._lowered, device=self._device, engine=self._engine, quantised=found)
        return program(position).cpu()
