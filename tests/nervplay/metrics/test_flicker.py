"""Flicker is 1 for a true copy, more where frames jump, and LPIPS is what the paper's formula says."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from nervplay.errors import CheckpointError, MissingInputError, UsageError
from nervplay.metrics.flicker import AlexLpips, flicker, load_lpips, lpips_flicker
from nervplay.video.source import ArraySource


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    """Weights of the right shapes, drawn from a fixed seed."""
    generator = torch.Generator().manual_seed(3)
    made, channels = {}, 3
    for place, (number, kernel, width) in enumerate([(0, 11, 64), (3, 5, 192), (6, 3, 384), (8, 3, 256), (10, 3, 256)]):
        scale = (2 / (channels * kernel**2)) ** 0.5
        made[f"features.{number}.weight"] = scale * torch.randn(width, channels, kernel, kernel, generator=generator)
        made[f"features.{number}.bias"] = 0.1 * torch.randn(width, generator=generator)
        made[f"lin{place}.model.1.weight"] = torch.rand(1, width, 1, 1, generator=generator)
        channels = width
    return made


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    y, x = np.mgrid[:64, :80]
    return np.stack([np.stack([2 * x + 6 * t, 3 * y, x + y], -1) % 256 for t in range(4)]).astype(np.uint8)


def reference(weights: dict[str, Tensor], one: np.ndarray, other: np.ndarray) -> float:
    """LPIPS by torch.nn modules, put together as torchvision's AlexNet and the LPIPS paper have it."""
    net = nn.Sequential(
        *(nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, 1, 2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, 1, 1), nn.ReLU(), nn.Conv2d(384, 256, 3, 1, 1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, 1, 1), nn.ReLU()),
    )
    net.load_state_dict({n.removeprefix("features."): v for n, v in weights.items() if n.startswith("features.")})
    total = 0.0
    pictures = []
    for frame in (one, other):
        x = torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 255 * 2 - 1
        mean, deviation = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
        pictures.append((x - mean.view(1, 3, 1, 1)) / deviation.view(1, 3, 1, 1))
    place = 0
    with torch.no_grad():
        for layer in net:
            pictures = [layer(x) for x in pictures]
            if isinstance(layer, nn.ReLU):
                a, b = (nn.functional.normalize(x, dim=1) for x in pictures)
                total += float(((a - b) ** 2 * weights[f"lin{place}.model.1.weight"]).sum(1).mean())
                place += 1
    return total


def test_lpips_is_the_papers(weights: dict[str, Tensor], clip: np.ndarray) -> None:
    measure = AlexLpips(weights)
    assert measure(clip[0], clip[0]) == 0.0
    assert measure(clip[0], clip[2]) == pytest.approx(reference(weights, clip[0], clip[2]), rel=1e-4)


def test_a_copy_does_not_flicker(weights: dict[str, Tensor], clip: np.ndarray) -> None:
    found = flicker(ArraySource(clip), ArraySource(clip))
    assert (found.ratio, found.error) == (1.0, 0.0)
    ratio = lpips_flicker(ArraySource(clip), ArraySource(clip), AlexLpips(weights))
    assert (ratio.of_means, ratio.mean_of_pairs) == (1.0, 1.0)


def test_a_clip_that_jumps_flickers_and_a_still_one_does_not(weights: dict[str, Tensor], clip: np.ndarray) -> None:
    jumping = clip.copy()
    jumping[1::2] //= 2
    found = flicker(ArraySource(jumping), ArraySource(clip))
    assert found.ratio > 1.5
    assert found.error > 20
    assert lpips_flicker(ArraySource(jumping), ArraySource(clip), AlexLpips(weights)).of_means > 1.0
    still = np.repeat(clip[:1], 4, axis=0)
    assert flicker(ArraySource(still), ArraySource(clip)).ratio == 0.0
    assert flicker(ArraySource(clip), ArraySource(still)).ratio == np.inf
    assert flicker(ArraySource(still), ArraySource(still)).ratio == 1.0


def test_weights_come_from_files(weights: dict[str, Tensor], clip: np.ndarray, tmp_path: Path) -> None:
    save_file({n: v for n, v in weights.items() if n.startswith("f")}, tmp_path / "alex.safetensors")
    torch.save({n: v for n, v in weights.items() if n.startswith("l")}, tmp_path / "lins.pth")
    measure = load_lpips(tmp_path / "alex.safetensors", tmp_path / "lins.pth")
    assert measure(clip[0], clip[1]) == AlexLpips(weights)(clip[0], clip[1])


def test_what_cannot_be_is_refused(weights: dict[str, Tensor], clip: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="does not exist"):
        load_lpips(tmp_path / "none.pth")
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="holds no weights"):
        load_lpips(tmp_path / "bad.safetensors")
    torch.save({"a": Path("x")}, tmp_path / "object.pth")
    with pytest.raises(CheckpointError, match="is refused: it holds more than tensors"):
        load_lpips(tmp_path / "object.pth")
    with pytest.raises(CheckpointError, match=r"needs 'lin2\.model\.1\.weight' of shape .*lack it"):
        AlexLpips({n: v for n, v in weights.items() if n != "lin2.model.1.weight"})
    with pytest.raises(UsageError, match="64 pixels a side"):
        AlexLpips(weights)(clip[0, :40], clip[1, :40])
    with pytest.raises(UsageError, match="two clips of one length"):
        flicker(ArraySource(clip[:2]), ArraySource(clip))
    with pytest.raises(UsageError, match="of 2 frames or more"):
        flicker(ArraySource(clip[:1]), ArraySource(clip[:1]))
