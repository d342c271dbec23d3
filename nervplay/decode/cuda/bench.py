"""Calibration of eight-bit products (W8A8) on a device: `calibration.calibrate` asks, this measures."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nervplay.decode.carried import every_convolution
from nervplay.decode.cuda.engines import Engine
from nervplay.decode.cuda.lanes import allow_tf32
from nervplay.decode.cuda.packing import takes
from nervplay.decode.cuda.program import DeviceProgram
from nervplay.decode.graph import Graph
from nervplay.decode.lowering import Conv, Lowered
from nervplay.decode.w8a8 import Observer, PortableBench, integers_from

__all__ = ["DeviceBench"]

Found = NDArray[np.uint8]


class DeviceBench(PortableBench):
    """Runs a network on a device to look at what goes into its convolutions (`calibration.Bench`).

    Args:
        graph: the network.
        lowered: the same, as steps.
        device: where it runs.
        engine: computes packed convolutions.
        portable: whether a file is to carry what is found; see `w8a8.Observer`.
    """

    def __init__(
        self, graph: Graph, lowered: Lowered, device: torch.device, engine: Engine, *, portable: bool = False
    ) -> None:
        self._graph, self._lowered, self._device, self._engine = graph, lowered, device, engine
        super().__init__(lowered, [conv for conv in every_convolution(lowered) if takes(conv)])
        self._observer = Observer(self._convs, portable=portable)
        self._exact = DeviceProgram(graph, lowered, device=device, watch=self._look)

    def rests(self) -> Sequence[str]:
        """Return what the rest is computed in: convolutions in bfloat16, which counts as the engine's own."""
        return ("float32",)

    @torch.inference_mode()
    def measure(self, index: int) -> None:
        """Run a frame in float32 and look at the inputs of these convolutions."""
        with allow_tf32(allowed=False):  # not for the whole calibration: frames are decoded meanwhile
            self._exact(torch.tensor([index], device=self._device))

    def _look(self, conv: Conv, x: Tensor) -> None:
        if takes(conv):
            self._observer.look(conv, x)

    def found(self, conv: Conv) -> Found:
        """Return the integers of a convolution, `Integers.to_bytes`."""
        return self._observer.settle(conv)

    @torch.inference_mode()
    def frame(self, index: int, peaks: Mapping[Conv, Found], rest: str = "float32") -> Tensor:  # noqa: ARG002 - there is one
        """Return a frame, (1, 3, H, W), with integer products in the convolutions of `peaks`; float32 for none."""
        position = torch.tensor([index], device=self._device)
        if peaks:
            engine, found = self._engine, integers_from(peaks)
            program = DeviceProgram(self._graph, self._lowered, device=self._device, engine=engine, quantised=found)
        else:
            program = DeviceProgram(self._graph, self._lowered, device=self._device)
        with allow_tf32(allowed=False):
            return program(position).cpu()
