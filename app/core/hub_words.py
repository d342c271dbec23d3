"""The Hub browser in words: what a search box means, what the list and the details say of a video."""

from app.core.facts import human_size
from app.core.hub_browser import Query, Row, Transfer
from models_hub.layout import LIBRARY, TAG

__all__ = ["SEARCH_HINT", "parse_query", "row_facts", "row_line", "transfer_words"]

SEARCH_HINT = "part of a name, #hnerv or #720p for tags, by:alice for a user"


def parse_query(text: str) -> Query:
    """Return what a search box asks for: "#tag" and "by:user" anywhere, all other words are part of the name.

    Args:
        text: as it was typed.
    """
    words = text.split()
    names = [word for word in words if not word.startswith("#") and not word.startswith("by:")]
    authors = [word.removeprefix("by:") for word in words if word.startswith("by:")]
    tags = tuple(word[1:] for word in words if word.startswith("#") and len(word) > 1)
    return Query(" ".join(names), tags, authors[-1] if authors else "")


def _shown_tags(row: Row) -> list[str]:
    """Return the tags that say something of the video, without those that every neural video carries."""
    ours = (LIBRARY, TAG, "safetensors")
    return [
        tag for tag in row.entry.tags if ":" not in tag and tag not in ours and not tag.startswith(f"{LIBRARY}-format-")
    ]


def row_line(row: Row) -> str:
    """Return the second line of a row: tags, the card's PSNR and rate, licence, who may have it."""
    psnr, bpp = row.entry.metric("psnr"), row.entry.metric("bpp")
    parts = _shown_tags(row)[:3]
    if psnr is not None:
        parts.append(f"{psnr:.2f} dB")
    if bpp is not None:
        parts.append(f"{bpp:.4f} bpp")
    if row.entry.license:
        parts.append(row.entry.license)
    if row.entry.private or row.entry.gated:
        parts.append("private" if row.entry.private else "on request")
    return "   ".join(_plain(part) for part in parts)


def transfer_words(transfer: Transfer | None) -> str:
    """Return how far a pull is; "" where there is none."""
    if transfer is None:
        return ""
    if transfer.clip is not None:
        return "on this computer"
    if transfer.error:
        return transfer.error
    if transfer.cancelled:
        return "stopped; nothing was kept"
    if not transfer.total:
        return "waiting for its turn, or for the Hub"
    return f"pulling {human_size(transfer.done)} of {human_size(transfer.total)}"


def row_facts(row: Row) -> list[tuple[str, str]]:
    """Return what is known of a video, by name; what its file says comes with `HubBrowser.look`, without a download."""
    entry, facts = row.entry, []
    if row.peek is not None:
        header, video = row.peek.header, row.peek.header.video
        facts += [
            ("Network", f"{header.architecture}, {header.weight_count:,} weights"),
            ("Picture", f"{video.width}x{video.height}, {video.frame_count} frames, {float(video.rate):g} frames/s"),
            ("Size", f"{human_size(header.file_bytes)} = {8 * header.file_bytes / video.pixels:.4f} bits per pixel"),
        ]
    else:
        waiting = row.problem or "asking the file …"
        facts += [("Network", waiting), ("Picture", "-"), ("Size", "-")]
    version = f"{(entry.revision or '')[:7]}{'   ' + entry.modified[:10] if entry.modified else ''}"
    if row.key != entry.repository:  # a file on this computer, whose card was not asked for
        return [*facts, ("Version", version)]
    psnr, ms_ssim = entry.metric("psnr"), entry.metric("ms_ssim")
    claims = [f"{psnr:.2f} dB PSNR"] if psnr is not None else []
    claims += [f"{ms_ssim:.4f} MS-SSIM"] if ms_ssim is not None else []
    facts += [
        ("Quality", f"{', '.join(claims)} (its author's figures)" if claims else "not told"),
        ("Licence", _plain(entry.license) or "not told"),
        ("Version", version),
        ("Liked", f"{entry.likes} likes, {entry.downloads} downloads"),
    ]
    return facts


def _plain(text: str) -> str:
    """Return text of strangers as one short printable line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:80]
