"""A short clip, and the parts that it is cut into."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.encoding.parts import Part, fingerprint_of
from nervplay.codec import Precision
from nervplay.models import resolve_preset
from nervplay.training import Recipe
from nervplay.video import FrameTransform, VideoSpec
from nervplay.video.spans import even_spans

FRAMES = 8


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small pictures that move."""
    folder = tmp_path_factory.mktemp("pictures")
    rows, columns = np.mgrid[:16, :32]
    for index in range(FRAMES):
        picture = np.stack([rows * 9 + index * 5, columns * 7, (rows + columns) * 4], axis=2).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"{index:03}.png")
    return folder


@pytest.fixture(scope="session")
def spec() -> VideoSpec:
    return VideoSpec(width=32, height=16, frame_count=FRAMES, rate=Fraction(25))


@pytest.fixture(scope="session")
def parts(pictures: Path) -> list[Part]:
    """Three parts that overlap by a frame, a few epochs each."""
    entry, preset = resolve_preset("hnerv-tiny")
    made = []
    for number, span in enumerate(even_spans(FRAMES, 3, overlap=1)):
        first, end = span.known
        made.append(
            Part(
                number=number,
                span=span,
                source=str(pictures),
                fingerprint=fingerprint_of(pictures),
                transform=FrameTransform(frames=(first, end)),
                architecture=entry.name,
                config=preset.configure(32, 16, end - first),
                recipe=Recipe.from_json({**preset.recipe, "epochs": 3, "batch_size": 1, "loss": "L2"}),
                precision=Precision(),
                device="cpu",
                save_every=0.0,
            )
        )
    return made
