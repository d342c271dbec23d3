"""Names in a repository, and its tags."""

import pytest
from loopback_hub.videos import make_nerv

from models_hub.layout import is_video_name, repository_tags, variant_path
from nervplay.bitstream import peek_nerv
from nervplay.errors import UsageError


def test_tags_say_kind_format_architecture_and_lines() -> None:
    header = peek_nerv(make_nerv(weights=100))
    assert repository_tags(header) == ["nerv-video", "nervplay-format-1", "hnerv", "36p"]


@pytest.mark.parametrize("name", ["", "..", "a/b", "-x", "a b", "x" * 70, "a..b"])
def test_names_of_variants(name: str) -> None:
    with pytest.raises(UsageError, match="variant name"):
        variant_path(name)


def test_names_of_videos() -> None:
    assert is_video_name("model.safetensors")
    assert is_video_name(variant_path("low.rate-2"))
    assert is_video_name("clip.nerv")
    for name in ("README.md", "adapter.safetensors", "pytorch_model.bin", "variants/x.pth"):
        assert not is_video_name(name)
