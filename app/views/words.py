"""Short texts about what the player shows: times, offsets, readouts."""

from fractions import Fraction

from app.core.pictures import Readout
from app.core.player import Player
from app.core.slot import SLOT_NAMES

__all__ = ["frame_words", "probe_words", "sizes_words", "time_words", "unmeasured_words"]


def time_words(frame: Fraction, rate: Fraction) -> str:
    """Return the time of a frame as m:ss.mmm.

    Args:
        frame: position in frames.
        rate: frames per second.
    """
    milliseconds = int(frame / rate * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes}:{rest // 1000:02}.{rest % 1000:03}"


def frame_words(player: Player) -> str:
    """Return frame, position between frames and time."""
    position = player.shown_frame + player.between
    between = f" + {player.between}" if player.between else ""
    last = player.transport.frame_count - 1
    return f"frame {player.shown_frame}{between} / {last}   {time_words(position, player.transport.rate)}"


def probe_words(readout: Readout) -> str:
    """Return the values of a pixel in all pictures, and B minus A."""
    words = [f"Pixel {readout.x}, {readout.y}"]
    words += [
        f"{name} {' '.join(map(str, values))}"
        for name, values in zip(SLOT_NAMES, readout.values, strict=True)
        if values is not None
    ]
    if readout.apart is not None:
        words.append("B - A " + " ".join(f"{value:+d}" for value in readout.apart))
    return "    ".join(words)


def sizes_words(player: Player) -> str:
    """Return the sizes of A and B, both of which are open."""
    sizes = (slot.facts.spec for slot in player.slots[:2] if slot.facts is not None)
    a, b = (f"{spec.width}x{spec.height}" for spec in sizes)
    return f"A has {a} pixels, B {b}"


def unmeasured_words(player: Player) -> str:
    """Return why there is no quality over time to be drawn; empty where nothing is open."""
    if not player.has_clip:
        return ""
    if not player.has_pair:
        return "PSNR over time appears here once A and B are open"
    if not player.comparable:
        return f"{sizes_words(player)}: they cannot be measured against each other"
    return "measuring goes on while playing rests" if player.quality.on else "measuring is off (menu Compare)"
