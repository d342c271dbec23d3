"""The Hub as commands use it: opened with a voice, and an address made into a file."""

from app.cli.output import byte_progress, note
from app.cli.words import human_bytes
from models_hub import Address, Clip, Hub, parse_address

__all__ = ["fetch", "open_hub"]


def open_hub() -> Hub:
    """Return the Hub of HF_ENDPOINT with the login that is kept on this computer; another than the official is named.

    Raises:
        CapabilityError: huggingface_hub is not installed.
        UsageError: HF_ENDPOINT does not begin with https.
    """
    hub = Hub(notice=note)
    if not hub.is_official:
        note(f"the Hub is {hub.endpoint}, not huggingface.co")
    return hub


def fetch(address: Address | str, *, offline: bool) -> Clip:
    """Return the video at an address as a file in the cache, with a bar while it is downloaded.

    Args:
        address: in any form that `parse_address` reads.
        offline: take it from the cache or not at all.

    Raises:
        UsageError: not an address.
        CapabilityError: huggingface_hub is not installed.
        RemoteError: it cannot be fetched.
        BitstreamError: it is no neural video.
    """
    wanted = parse_address(address) if isinstance(address, str) else address
    hub = open_hub()
    with byte_progress(f"pulling {wanted.repository}") as show:
        clip = hub.pull(wanted, progress=show, offline=offline)
    came = "from the cache" if clip.from_cache else "downloaded"
    note(f"{clip.address}: {human_bytes(clip.header.file_bytes)}, {came}")
    return clip
