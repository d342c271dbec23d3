"""Every kind of source opens, cut so that it can be compared; what cannot be opened says why."""

import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from app.core import hub
from app.core.slot import Alignment, OpenRequest
from app.core.sources import parse_source
from app.workers.opening import aligned, open_any
from ffmpeg_bridge import open_source
from models_hub import Hub
from nervplay.decode import PRECISIONS, open_decoder
from nervplay.errors import CapabilityError, MissingInputError, RemoteError, UsageError
from nervplay.video import ArraySource, VideoSpec


def request(text, **more) -> OpenRequest:
    return OpenRequest(parse_source(str(text)), **more)


def test_a_video(small_clip: Path) -> None:
    media = open_any(request(small_clip))
    facts = media.facts
    assert (facts.spec.frame_count, facts.sequential, facts.file_bytes) == (10, True, small_clip.stat().st_size)
    with open_source(small_clip) as source:
        assert np.array_equal(media.picture(3)[..., :3], source.frame(3))
    assert np.array_equal(media.picture(Fraction(7, 2)), media.picture(3))
    with pytest.raises(CapabilityError, match="no neural video"):
        media.switch("bf16", "cpu")
    assert not media.probe()
    assert media.time_stages() == ()
    media.close()
    media.close()
    assert facts.whole_size is None
    half = replace(facts.spec, width=facts.spec.width // 2, height=facts.spec.height // 2)
    media = open_any(request(small_clip, like=Alignment(half, {})))
    assert (media.facts.spec.width, media.facts.whole_size) == (half.width, (facts.spec.width, facts.spec.height))
    media.close()


def test_a_neural_video(small_nerv: Path) -> None:
    media = open_any(request(small_nerv, device="cpu"))
    facts = media.facts
    assert (facts.architecture, facts.precision, facts.device) == ("hnerv", "fp32", "cpu")
    assert facts.backend in ("native", "torch-fast")
    assert facts.has_audio
    assert sum(facts.stored_bits.values()) == facts.parameters
    assert 0 <= facts.pruned < 0.5
    with open_decoder(small_nerv, device="cpu") as decoder:
        assert np.array_equal(media.picture(5)[..., :3], decoder.frame(5))
    assert media.alignment.spec == facts.spec
    assert media.alignment.record["name"] == "small.mp4"
    media.close()


def test_precisions_of_a_neural_video(small_nerv: Path) -> None:
    media = open_any(request(small_nerv, device="cpu", precision="bf16"))
    assert media.facts.precision == "bf16"
    media.probe()
    assert not media.probe()
    assert media.facts.precision == "bf16"
    refused = [choice.name for choice in media.facts.precisions if choice.reason]
    for precision in PRECISIONS:
        if precision in refused:
            with pytest.raises(CapabilityError):
                media.switch(precision, "cpu")
        else:
            media.switch(precision, "cpu")
            assert media.facts.precision == precision
    with pytest.raises(CapabilityError):
        media.switch("fp32", "cuda:9")
    stages = media.time_stages()
    assert len(stages) >= 3
    assert all(value > 0 for _, value in stages)
    media.close()


def test_a_clip_is_cut_as_the_network_saw_it(clip: Path) -> None:
    neural = open_any(request(clip.parent / "bunny-320x180.nerv", device="cpu"))
    media = open_any(request(clip, like=neural.alignment))
    assert media.facts.spec.width == 320
    assert np.abs(media.picture(0)[..., :3].astype(int) - neural.picture(0)[..., :3]).mean() < 8
    neural.close()
    media.close()


def clip_of(width: int, height: int, count: int = 4) -> ArraySource:
    return ArraySource(np.zeros((count, height, width, 3), np.uint8))


def like(width: int, height: int, count: int = 4) -> Alignment:
    return Alignment(VideoSpec(width=width, height=height, frame_count=count, rate=Fraction(25)))


def test_alignment_without_a_record() -> None:
    same = clip_of(64, 36)
    assert aligned(same, None) is same
    assert aligned(same, like(64, 36)) is same
    assert aligned(clip_of(64, 36), like(32, 18)).spec.width == 32
    assert aligned(clip_of(64, 36, 9), like(32, 18)).spec.frame_count == 9
    other = clip_of(64, 36)
    assert aligned(other, like(36, 36)) is other, "another shape is not bent"


def test_an_official_checkpoint(official) -> None:
    with pytest.raises(UsageError, match="needs the command line"):
        open_any(request(official.path))
    media = open_any(request(f"{official.path} --official '{official.arguments}'", device="cpu"))
    assert media.facts.kind == "official"
    assert media.facts.architecture == ("nerv" if official.between else "hnerv")
    assert media.facts.continuous_time is official.between
    first, second = media.picture(1).astype(int), media.picture(2).astype(int)
    if official.between:
        middle = media.picture(Fraction(3, 2)).astype(int)
        assert np.any(middle != first)
        assert np.any(middle != second)
        assert np.array_equal(media.picture(Fraction(2)), second)
    else:
        with pytest.raises(CapabilityError, match="one embedding per frame"):
            media.picture(Fraction(3, 2))
    media.close()


def test_a_clip_is_cut_as_the_official_code_cuts_it(official, clip: Path) -> None:
    neural = open_any(request(f"{official.path} --official {official.arguments}", device="cpu"))
    spec = neural.facts.spec
    whole = ArraySource(np.zeros((spec.frame_count, spec.height + 8, spec.width + 8, 3), np.uint8))
    cut = aligned(whole, neural.alignment)
    assert (cut.spec.width, cut.spec.height) == (spec.width, spec.height)
    neural.close()


def test_the_hub_itself(server, small_nerv: Path, monkeypatch, tmp_path: Path) -> None:
    """Nobody set a way to fetch: the address goes to the Hub."""
    monkeypatch.setattr(hub, "_fetch", [])
    monkeypatch.setattr("models_hub.Hub", lambda **_: Hub(server.url, False, tmp_path / "cache"))
    server.add("alice/bunny", "model.safetensors", small_nerv.read_bytes())
    media = open_any(request("hf://alice/bunny", device="cpu"))
    assert media.facts.title == "hf://alice/bunny"
    assert media.facts.address == f"hf://alice/bunny@{server.repositories['alice/bunny'].head.sha}"
    media.close()
    with pytest.raises(RemoteError, match="there is no such video"):
        open_any(request("hf://alice/nothing"))


def test_the_hub(small_nerv: Path, monkeypatch) -> None:
    monkeypatch.setattr(hub, "_fetch", [])
    heard = []

    def fetch(address: str, cancelled: threading.Event, progress) -> hub.Fetched:
        heard.append((address, cancelled.is_set()))
        progress("half")
        return hub.Fetched(small_nerv, address)

    hub.set_fetch(fetch)
    media = open_any(request("hf://user/name@v1", device="cpu"), progress=heard.append)
    assert heard == [("hf://user/name@v1", False), "half"]
    assert (media.facts.title, media.facts.path) == ("hf://user/name@v1", str(small_nerv))
    media.close()


@pytest.mark.parametrize("text", ["none.mp4", "none.nerv", "none.pth"])
def test_missing(text: str) -> None:
    with pytest.raises(MissingInputError):
        open_any(request(text))


def test_a_re_encode_needs_both(small_clip: Path) -> None:
    with pytest.raises(UsageError, match="open both first"):
        open_any(request("x264@b"))
    media = open_any(request("x264@b", reference=parse_source(str(small_clip)), target_bytes=100_000))
    assert media.facts.spec.frame_count == 10
    assert media.facts.file_bytes <= 100_000
    media.close()
