"""The memory of a frame's maps, by hand and against what PyTorch allocates."""

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from nervplay.decode.footprint import peak_bytes
from nervplay.decode.graph import trace
from nervplay.models import build_model, resolve_preset

KIB = 1024


def test_a_chain_of_maps() -> None:
    def network(index: Tensor) -> Tensor:
        x = index.float().expand(256).clone()  # 4 bytes and a view of them, then 1 KiB
        y = torch.cat([x, x, x])  # 3 KiB beside x
        y = y.view(3, 256).t()  # nothing
        return y.reshape(-1)[:128] + 1  # a copy of 3 KiB beside y; then 1/2 KiB, when y is gone

    assert peak_bytes(trace(network)) == 6 * KIB


def test_what_is_read_again_stays() -> None:
    def network(index: Tensor) -> Tensor:
        x = index.float().repeat(256)
        y = torch.cat([x, x])
        z = torch.cat([y, y])  # x, y and z: 1 + 2 + 4
        return torch.cat([z, x])  # x, z and 5, for y is gone

    assert peak_bytes(trace(network)) == 10 * KIB


class Meter(TorchDispatchMode):
    """Most bytes of tensors that are alive at once."""

    def __init__(self) -> None:
        super().__init__()
        self.living: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                self.living[storage._cdata] = (
                    StorageWeakRef(storage),
                    storage.nbytes(),
                )
        self.living = {key: item for key, item in self.living.items() if not item[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self.living.values()))
        return result


def test_about_what_pytorch_takes() -> None:
    for preset in ("hnerv-tiny", "hinerv-tiny", "nerv-tiny", "snerv-tiny"):
        entry, found = resolve_preset(preset)
        model = build_model(entry.name, found.configure(320, 192, 6)).eval()
        weights = sum(p.numel() * 4 for p in model.parameters())
        with torch.no_grad(), Meter() as meter:
            model(torch.tensor([2]))
        told = peak_bytes(trace(model))
        assert meter.peak / 1.6 - weights < told < 1.6 * meter.peak, preset
