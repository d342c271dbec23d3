"""A network that OpenVINO runs, the look-ups of its index in PyTorch before it."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nervplay.decode.graph import Graph
from nervplay.decode.openvino.runtime import compiled, openvino
from nervplay.decode.openvino.translate import Written
from nervplay.decode.program import TorchCall

__all__ = ["OpenvinoProgram"]

_PRODUCTS = {"Convolution", "FullyConnected", "MatMul"}
_INTEGERS = {"i8", "u8"}


class OpenvinoProgram:
    """Runs a network; one thread at a time.

    Args:
        graph: the network.
        written: the same in OpenVINO's operations.
        threads: processor cores to use.
        bfloat16: whether what is float32 in the model may be computed in bfloat16.
    """

    def __init__(self, graph: Graph, written: Written, threads: int, *, bfloat16: bool = False) -> None:
        self._index, self._inputs = graph.index, written.inputs
        self._lookups = [TorchCall(node) for node in written.lookups]
        self._compiled = compiled(written.model, threads, bfloat16=bfloat16)
        self._request = self._compiled.create_infer_request()
        self._shape = tuple(self._compiled.output(0).shape)
        self._tensor = openvino().Tensor

    def run(self, index: int) -> Tensor:
        """Return frame `index`, float32 (1, 3, H, W)."""
        frame = torch.empty(self._shape)
        self._request.set_output_tensor(0, self._tensor(frame.numpy(), shared_memory=True))
        self._infer(index)
        return frame

    def maps(self, index: int) -> list[NDArray[np.float32]]:
        """Return all outputs for frame `index`, which the next call overwrites."""
        self._infer(index)
        return [self._request.get_output_tensor(i).data for i in range(len(self._compiled.outputs))]

    @torch.inference_mode()
    def _infer(self, index: int) -> None:
        """Fill the outputs."""
        values = {self._index: torch.tensor([index])}
        for lookup in self._lookups:
            lookup(values)
        self._request.infer([values[value].contiguous().numpy() for value in self._inputs])

    def integer_products(self) -> int:
        """Return how many convolutions and products of matrices OpenVINO computes with 8-bit integers."""
        return sum(
            _fact(node, "layerType") in _PRODUCTS and _fact(node, "runtimePrecision") in _INTEGERS
            for node in self._compiled.get_runtime_model().get_ops()
        )


def _fact(node: Any, name: str) -> str:
    """Return what OpenVINO says of an operation that it runs, or nothing."""
    facts = node.get_rt_info()
    return str(facts[name].astype(str)) if name in facts else ""
