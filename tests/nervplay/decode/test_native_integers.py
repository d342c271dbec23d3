"""Every architecture with 16-bit products, calibrated on itself."""

from pathlib import Path

import numpy as np
import pytest
import torch
from decoder_networks import SPEC, TINY, network

from nervplay.decode import NativeDecoder, TorchDecoder


@pytest.mark.parametrize("preset", TINY)
def test_every_architecture(preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # nobody else's calibration, and none for others
    model = network(preset)
    with TorchDecoder(model, SPEC, device=torch.device("cpu")) as exact:
        expected = exact.float_frame(4)
    with NativeDecoder(model, SPEC, precision="int8", threads=1) as one:
        values = one.float_frame(4)
        assert np.abs(values - expected).max() < 0.05
        assert ("INT16" in one.arithmetic) == ("in 0 of" not in one.backend_note)
    with NativeDecoder(model, SPEC, precision="int8", threads=3) as three:
        assert three.float_frame(4).tobytes() == values.tobytes()


@pytest.mark.parametrize(("video_db", "arithmetic"), [(40.0, "INT16"), (80.0, "FP32")])
def test_arithmetic_is_that_of_most_products(video_db: float, arithmetic: str) -> None:
    with NativeDecoder(network("pnerv-tiny"), SPEC, precision="int8", threads=1, video_db=video_db) as decoder:
        assert " in 0 of " not in decoder.backend_note
        assert decoder.arithmetic == arithmetic
