"""VMAF by a real program with libvmaf; pairing, failures, and nothing left behind."""

import importlib.util
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from ffmpeg_bridge import vmaf
from ffmpeg_bridge.vmaf import VmafMeter, find_vmaf
from nervplay.errors import CapabilityError
from nervplay.video import VideoSpec


@pytest.fixture(scope="module")
def program():
    """An ffmpeg with libvmaf."""
    find_vmaf.cache_clear()
    try:
        return find_vmaf()
    except CapabilityError as error:
        if importlib.util.find_spec("imageio_ffmpeg") is None:
            pytest.skip(str(error))
        raise


def pictures(count, width=96, height=64):
    """Soft moving shapes: VMAF is made for pictures, not for noise."""
    y, x = np.mgrid[:height, :width]
    return [
        np.stack([128 + 90 * np.sin((x + 3 * i) / 7 + part) * np.cos((y + i) / 9) for part in range(3)], axis=2).astype(
            np.uint8
        )
        for i in range(count)
    ]


def spec(width=96, height=64):
    return VideoSpec(width=width, height=height, frame_count=6, rate=Fraction(24000, 1001))


@pytest.mark.parametrize("size", [(96, 64), (95, 63)])
def test_pairs_are_in_their_places(program, size):
    frames, noise = pictures(6, *size), np.random.default_rng(0)
    with VmafMeter(spec(*size), program) as meter:
        for index, frame in enumerate(frames):
            bad = frame.astype(int) + (index in (1, 4)) * noise.normal(0, 40, frame.shape)
            meter.add(np.clip(bad, 0, 255).astype(np.uint8), frame)
        values = meter.values()
    assert len(values) == 6
    assert {i for i, value in enumerate(values) if value < 80} == {1, 4}
    assert min(value for i, value in enumerate(values) if i not in (1, 4)) > 90


def test_which_is_which(program):
    """VMAF rewards contrast: a sharpened frame against its original scores more than the reverse."""
    frames = pictures(3)
    flat = [(frame // 2 + 64) for frame in frames]
    scores = []
    for shown, original in ((frames, flat), (flat, frames)):
        with VmafMeter(spec(), program) as meter:
            for pair in zip(shown, original, strict=True):
                meter.add(*pair)
            scores.append(np.mean(meter.values()))
    assert scores[0] > scores[1] + 5


def test_a_program_that_fails(tmp_path):
    broken = tmp_path / "ffmpeg"
    broken.write_text("#!/bin/sh\necho 'No such filter: libvmaf' >&2\nexit 8\n")
    broken.chmod(0o755)
    frame = pictures(1)[0]

    def measure():
        with VmafMeter(spec(), broken) as meter:
            for _ in range(300):
                meter.add(frame, frame)
            meter.values()

    with pytest.raises(CapabilityError, match=r"No such filter: libvmaf.*leave vmaf out"):
        measure()


def test_closed_early_nothing_is_left(program):
    meter = VmafMeter(spec(), program)
    meter.add(pictures(1)[0], pictures(1)[0])
    folder, process = Path(meter._folder.name), meter._process
    meter.close()
    meter.close()
    assert not folder.exists()
    assert process.returncode is not None


def test_no_program(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(vmaf.importlib, "import_module", lambda _name: (_ for _ in ()).throw(ImportError))
    find_vmaf.cache_clear()
    with pytest.raises(CapabilityError, match=r"no ffmpeg program is installed.*nervplay\[vmaf\]"):
        find_vmaf()
    weak = tmp_path / "ffmpeg"
    weak.write_text("#!/bin/sh\nexit 1\n")
    weak.chmod(0o755)
    find_vmaf.cache_clear()
    with pytest.raises(CapabilityError, match="ffmpeg cannot compute VMAF"):
        find_vmaf()
    find_vmaf.cache_clear()
