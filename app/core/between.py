"""Positions between two frames: when there are pictures at them, why not, and steps by a part of a frame."""

from fractions import Fraction

from app.core.player import Player

__all__ = ["between_obstacle", "step_between"]


def between_obstacle(player: Player) -> str:
    """Return why there are no pictures between frames, in a sentence for the user; empty where there are.

    Args:
        player: whose open sources are asked; one network that is continuous in time is enough.
    """
    neural = [slot.facts for slot in player.open_slots if slot.facts is not None and slot.facts.architecture]
    if not neural:
        return "no neural video is open, and a clip has nothing between its frames"
    if not any(facts.continuous_time for facts in neural):
        names = " and ".join(dict.fromkeys(facts.architecture for facts in neural))
        return f"{names} has nothing between frames: it stores one embedding per frame, and reads no time"
    return ""


def step_between(player: Player, step: Fraction) -> None:
    """Pause, and go a part of a frame on or back; say why where that cannot be.

    Args:
        player: what is moved.
        step: in frames; negative goes back.
    """
    obstacle = between_obstacle(player)
    if obstacle:
        player.say(obstacle)
        return
    player.transport.pause()
    position = player.transport.frame + player.between + step
    position = min(Fraction(player.transport.frame_count - 1), max(Fraction(0), position))
    player.seek(int(position), position % 1)
