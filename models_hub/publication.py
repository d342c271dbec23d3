"""What a user hands over to be published: files, pictures and claims, gathered before any request."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from models_hub.layout import MAX_POSTER_BYTES, MAX_PREVIEW_BYTES, variant_path
from nervplay.errors import UsageError

__all__ = ["Publication"]


@dataclass(frozen=True, kw_only=True)
class Publication:
    """A neural video with all that its page on the Hub shows.

    Args:
        video: the .nerv file.
        title: heading of the page.
        license: licence of the clip as the Hub names it ("cc-by-4.0"), "" where it is not told.
        credit: whose clip it is and where it comes from, in the author's words; "" for nothing.
        psnr: mean over the frames against the source in dB, None where it was not measured.
        ms_ssim: mean over the frames, None where it was not measured.
        poster: a WebP still of at most 200 kB, or None.
        preview: a short H.264 MP4 of at most 2 MB, or None.
        variants: .nerv files of the same clip at other rates, by name ("low").

    Raises:
        UsageError: a picture that is too large, or a variant's name that cannot be.
    """

    video: Path
    title: str
    license: str = ""
    credit: str = ""
    psnr: float | None = None
    ms_ssim: float | None = None
    poster: bytes | None = None
    preview: bytes | None = None
    variants: Mapping[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for what, data, limit in (
            ("poster", self.poster, MAX_POSTER_BYTES),
            ("preview", self.preview, MAX_PREVIEW_BYTES),
        ):
            if data is not None and len(data) > limit:
                raise UsageError(f"the {what} has {len(data)} bytes; at most {limit} are published, make it smaller")
        for name in self.variants:
            variant_path(name)
