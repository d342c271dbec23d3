"""pack and unpack: what goes into a file comes out of it, and nothing that does not fit does."""

import dataclasses
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from nervplay.bitstream import NervFile, QuantisedTensor, encode_nerv, read_nerv, write_nerv
from nervplay.codec import Precision, open_nerv, pack, unpack
from nervplay.errors import BitstreamError, UsageError, VersionError
from nervplay.models import VideoModel, build_model, preset_names, resolve_preset
from nervplay.video.spec import VideoSpec

SPEC = VideoSpec(width=64, height=32, frame_count=5, rate=Fraction(30000, 1001))
TINY = [name for name in preset_names() if name.endswith("-tiny")]


def small(preset: str) -> VideoModel:
    entry, choice = resolve_preset(preset)
    torch.manual_seed(0)
    model = build_model(entry.name, choice.configure(SPEC.width, SPEC.height, SPEC.frame_count))
    model.load_stored_state(
        {k: torch.randn_like(v) * 0.2 if v.is_floating_point() else v for k, v in model.stored_state().items()}
    )
    return model.eval()


@pytest.mark.parametrize("preset", TINY)
def test_a_file_decodes_to_its_integers(preset: str, tmp_path: Path) -> None:
    model = small(preset)
    path = tmp_path / "clip.nerv"
    size = write_nerv(path, pack(model, SPEC))
    video = open_nerv(path)
    assert video.file_bytes == size == path.stat().st_size
    assert video.bits_per_pixel == 8 * size / (64 * 32 * 5)
    assert (video.spec, video.architecture) == (SPEC, model.architecture)
    assert video.model.config == model.config
    state = video.model.stored_state()
    for name, tensor in video.file.segments[0].tensors.items():
        assert isinstance(tensor, QuantisedTensor)
        assert tensor.bits == model.stored_bits.get(name, 6 if name in model.embedding_names else 8)
        np.testing.assert_array_equal(state[name].numpy(), tensor.dequantise())
    index = torch.arange(5)
    with torch.no_grad():
        reference = model(index)
        assert (video.model(index) - reference).abs().mean() < 0.2 * reference.std()


@pytest.mark.parametrize("bits", [8, 32])
def test_values_that_are_not_finite_are_refused(bits: int) -> None:
    model = small("nerv-tiny")
    model.get_parameter("head.bias").data[0] = torch.nan
    with pytest.raises(UsageError, match=r"'head\.bias' has values that are not finite"):
        pack(model, SPEC, precision=Precision(bits=bits))


@pytest.mark.parametrize("preset", TINY)
def test_float32_is_lossless(preset: str) -> None:
    model = small(preset)
    data = encode_nerv(pack(model, SPEC, precision=Precision(bits=32, embed_bits=32)))
    again = unpack(read_nerv(data))
    index = torch.arange(5)
    with torch.no_grad():
        torch.testing.assert_close(again(index), model(index), rtol=0, atol=0)


def test_more_bits_are_closer_and_larger() -> None:
    model = small("hnerv-tiny")
    index = torch.arange(5)
    sizes, errors = [], []
    for bits in (3, 5, 8, 12):
        data = encode_nerv(pack(model, SPEC, precision=Precision(bits=bits, embed_bits=bits)))
        sizes.append(len(data))
        with torch.no_grad():
            errors.append((unpack(read_nerv(data))(index) - model(index)).square().mean().item())
    assert sizes == sorted(sizes)
    assert errors == sorted(errors, reverse=True)


def test_opening_does_not_touch_the_callers_random_numbers(tmp_path: Path) -> None:
    write_nerv(tmp_path / "clip.nerv", pack(small("nerv-tiny"), SPEC))
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    open_nerv(tmp_path / "clip.nerv")
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)


def changed(**changes: object) -> NervFile:
    return dataclasses.replace(pack(small("hnerv-tiny"), SPEC), **changes)


def test_files_that_do_not_fit_are_refused() -> None:
    good = changed()
    with pytest.raises(VersionError, match="'mynerv' is not known"):
        unpack(changed(architecture="mynerv"))
    with pytest.raises(VersionError, match="version 99 of hnerv"):
        unpack(changed(config_version=99))
    with pytest.raises(BitstreamError, match=r"not sound.*colour"):
        unpack(changed(config={**good.config, "colour": 1}))
    with pytest.raises(BitstreamError, match="announces 5 frames of 128x32"):
        unpack(changed(video=dataclasses.replace(SPEC, width=128)))
    segment = good.segments[0]
    short = dict(segment.tensors)
    name, _ = short.popitem()
    with pytest.raises(BitstreamError, match=f"lack the tensor '{name}'"):
        unpack(changed(segments=(dataclasses.replace(segment, tensors=short),)))
    with pytest.raises(BitstreamError, match="'spare' that this hnerv does not know"):
        unpack(
            changed(
                segments=(dataclasses.replace(segment, tensors={**segment.tensors, "spare": np.zeros(3, np.float32)}),)
            )
        )


@pytest.mark.parametrize("bits", [0, 1, 17, 31, -8])
def test_bits_out_of_range(bits: int) -> None:
    with pytest.raises(UsageError, match=f"{bits}; it must be 2 to 16"):
        Precision(bits=bits)


def test_the_clip_must_be_the_networks() -> None:
    with pytest.raises(UsageError, match="not to 7 of 64x32"):
        pack(small("hnerv-tiny"), dataclasses.replace(SPEC, frame_count=7))
