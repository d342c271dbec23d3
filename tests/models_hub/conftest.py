"""Hubs, videos and caches for the tests of transfers; the server stands in tests/support/loopback_hub."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import huggingface_hub
import pytest
from huggingface_hub import file_download
from loopback_hub import LoopbackHub
from loopback_hub.checks import no_threads
from loopback_hub.videos import make_nerv

from models_hub import Hub, Publication, running


class Hubs(NamedTuple):
    """Makes `Hub`s for one server; `said` is what they told their users."""

    make: Callable[..., Hub]
    said: list[str]

    def __call__(self, token: str | bool = False, cache: Path | None = None) -> Hub:
        return self.make(token, cache)


@pytest.fixture(scope="session")
def nerv() -> bytes:
    """A sound .nerv file of about 600 kB, which is five steps of a download."""
    return make_nerv()


@pytest.fixture
def nerv_path(nerv: bytes, tmp_path: Path) -> Path:
    """The same as a file."""
    path = tmp_path / "clip.nerv"
    path.write_bytes(nerv)
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache that does not exist yet."""
    return tmp_path / "cache" / "hub"


@pytest.fixture
def hubs(server: LoopbackHub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hubs]:
    """Hubs of the loopback server with an empty cache; pauses before another try are short."""
    monkeypatch.setattr(running, "_PAUSES", (0.01, 0.01, 0.01))
    said: list[str] = []
    yield Hubs(lambda token, folder: Hub(server.url, token, folder or cache, notice=said.append), said)
    no_threads()
    huggingface_hub.close_session()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library does not sleep a second before it goes on with a download."""
    monkeypatch.setattr(file_download, "time", SimpleNamespace(sleep=lambda _seconds: None))


@pytest.fixture
def video(server: LoopbackHub, nerv: bytes) -> str:
    """The address of alice's public video; the log is empty again."""
    server.add("alice/bunny", "model.safetensors", nerv)
    server.add("alice/bunny", "README.md", b"---\nlibrary_name: nervplay\ntags: [nerv-video]\n---\n", large=False)
    server.forget()
    return "hf://alice/bunny"


@pytest.fixture
def publication(nerv_path: Path) -> Publication:
    """The video with all that a page can show."""
    return Publication(
        video=nerv_path,
        title="Bunny",
        license="cc-by-3.0",
        credit="(c) Blender Foundation",
        psnr=32.25,
        ms_ssim=0.9612,
        poster=b"RIFF\x10\x00\x00\x00WEBPVP8 " + b"p" * 4000,
        preview=b"\x00\x00\x00\x18ftypmp42" + b"v" * 300_000,
    )
