"""Plots as PNG: every series in its colour."""

import numpy as np
import pytest
from PIL import Image, ImageColor

from app.rd.bitmap import PALETTE, write_png
from app.rd.page import panels
from nervplay.errors import OutputExistsError


def test_png(study, tmp_path):
    names = {curve.name: curve.neural for curve in study.curves}
    target = tmp_path / "plots.png"
    write_png(target, panels(study), names, title="a clip", overwrite=False)
    with Image.open(target) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert pixels.shape[1] > 1000
    assert (pixels[0, 0] == 255).all()
    for series in range(3):
        colour = ImageColor.getrgb(PALETTE[series])
        near = np.abs(pixels - colour).max(-1) < 12
        columns = np.where(near.any(0))[0]
        assert near.sum() > 100
        assert columns.max() > pixels.shape[1] // 2, "in the second plot, too"
    with pytest.raises(OutputExistsError):
        write_png(target, panels(study), names, title="a clip", overwrite=False)
