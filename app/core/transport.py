"""Transport: which frame is to be shown now. Play, pause, shuttle, steps, loop, speed; real time or every frame.

Backward costs what forward costs: a frame of a neural video depends on its index alone. Nothing here knows of threads;
the player asks `advance` on every tick and says which frames are ready.
"""

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice

from app.core.clock import Clock

__all__ = ["SPEEDS", "Transport"]

SPEEDS = tuple(Fraction(value) for value in ("1/8", "1/4", "1/2", "3/4", "1", "3/2", "2", "4", "8"))
"""Speeds that keys and menus offer; shuttling doubles within them."""


class Transport:
    """The state of playing one clip.

    Args:
        frame_count: frames of the clip, at least 1.
        rate: frames per second.
        clock: where time comes from.
    """

    def __init__(self, frame_count: int = 1, rate: Fraction = Fraction(25), clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.frame_count, self.rate = frame_count, rate
        self.frame = 0
        self.speed = Fraction(1)
        self.direction = 1
        self.playing = False
        self.loop = True
        self.range: tuple[int, int] | None = None
        self.every_frame = False
        self.shown = 0
        self.skipped = 0
        self.lost: Callable[[int], bool] = lambda _frame: False
        """Whether a frame cannot be decoded: nobody waits for it."""
        self._from = Fraction(0)

    def set_clip(self, frame_count: int, rate: Fraction) -> None:
        """Take another clip; the position stays where it can."""
        self.pause()
        self.frame_count, self.rate = frame_count, rate
        self.frame = min(self.frame, frame_count - 1)
        if self.range is not None and self.range[1] >= frame_count:
            self.range = None

    @property
    def bounds(self) -> tuple[int, int]:
        """First and last frame of what is played."""
        return self.range or (0, self.frame_count - 1)

    @property
    def signed_rate(self) -> Fraction:
        """Frames per second as they pass now, negative backward."""
        return self.rate * self.speed * self.direction

    def play(self, direction: int = 1) -> None:
        """Play from the present frame, 1 forward or -1 backward; from the other end where nothing is left."""
        self.direction = direction
        first, last = self.bounds
        at_end = self.frame >= last if direction > 0 else self.frame <= first
        if at_end or not first <= self.frame <= last:
            self.frame = first if direction > 0 else last
        self.playing = True
        self._restart()

    def pause(self) -> None:
        """Stand still on the frame that is shown."""
        self.playing = False
        self.clock.stop()

    def toggle(self) -> None:
        """Play or pause."""
        if self.playing:
            self.pause()
        else:
            self.play()

    def shuttle(self, direction: int) -> None:
        """Play in a direction; pressed again, twice as fast (J and L of editing desks)."""
        if self.playing and self.direction == direction:
            self.set_speed(min(SPEEDS[-1], self.speed * 2))
        else:
            self.speed = Fraction(1)
            self.play(direction)

    def set_speed(self, speed: Fraction) -> None:
        """Play at `speed` times the clip's rate from here on."""
        self.speed = speed
        if self.playing:
            self._restart()

    def change_speed(self, steps: int) -> None:
        """Take the next faster (1) or slower (-1) of `SPEEDS`."""
        near = min(range(len(SPEEDS)), key=lambda place: abs(SPEEDS[place] - self.speed))
        self.set_speed(SPEEDS[min(len(SPEEDS) - 1, max(0, near + steps))])

    def seek(self, frame: int) -> None:
        """Go to a frame; outside the clip, to its nearest end. Playing goes on from there."""
        self.frame = min(self.frame_count - 1, max(0, frame))
        if self.playing:
            self._restart()

    def step(self, frames: int) -> None:
        """Pause, and go `frames` on or back."""
        self.pause()
        self.seek(self.frame + frames)

    def set_in(self) -> None:
        """Begin the loop here; a loop that would end before it goes to the end of the clip."""
        last = self.range[1] if self.range and self.range[1] > self.frame else self.frame_count - 1
        self.range = (self.frame, last)

    def set_out(self) -> None:
        """End the loop here; a loop that would begin behind it begins with the clip."""
        first = self.range[0] if self.range and self.range[0] < self.frame else 0
        self.range = (first, self.frame)

    def set_range(self, first: int, last: int) -> None:
        """Loop over first .. last, in either order, cut to the clip."""
        low, high = (min(self.frame_count - 1, max(0, frame)) for frame in sorted((first, last)))
        self.range = (low, high)

    def clear_range(self) -> None:
        """Play the whole clip again."""
        self.range = None

    def set_every_frame(self, on: bool) -> None:
        """Show every frame, late if need be; or keep to real time and skip."""
        self.every_frame = on
        if self.playing:
            self._restart()

    def due(self) -> int:
        """Return the frame that the clock says; runs past the bounds when playing does not loop."""
        position = self.clock.position()
        frame = int(position // 1)
        first, last = self.bounds
        if self.loop and self.playing:
            return first + (frame - first) % (last - first + 1)
        return min(last, max(first, frame))

    def until_next(self) -> float:
        """Return the seconds until the next frame is due, at least 0; for timers."""
        if self.every_frame:
            left = 1 - abs(self.clock.position() - self._from)
        else:
            rest = self.clock.position() % 1
            left = 1 - rest if self.direction > 0 else rest
        return max(0.0, float(left / abs(self.signed_rate)))

    def ahead(self, count: int, lead: int = 0) -> list[int]:
        """Return the frames that will be wanted, soonest first.

        Args:
            count: how many at most.
            lead: leave out as many coming frames, for they cannot be ready in time.
        """
        frames: list[int] = []
        seen: set[int] = set()
        for frame in self._path(self.due() if self.playing else self.frame):
            if lead > 0:
                lead -= 1
                continue
            if frame in seen or len(frames) == count:
                break
            frames.append(frame)
            seen.add(frame)
        return frames

    def coming(self, count: int) -> list[int]:
        """Return the frames after the one on the screen, in playing order, at most `count`; lost ones are left out."""
        return list(islice(dict.fromkeys(self._to_come()), count))

    def advance(self, ready: Callable[[int], bool]) -> bool:
        """Move to the frame that should be on the screen now, as far as frames are ready.

        Args:
            ready: whether a frame could be shown at once.

        Returns:
            Whether the frame changed. Playing stops by itself at the end of a clip that does not loop.
        """
        if not self.playing:
            return False
        return self._next_in_turn(ready) if self.every_frame else self._newest(ready)

    def _next_in_turn(self, ready: Callable[[int], bool]) -> bool:
        """Show the next frame once it is due and ready; the clock waits for it."""
        following = next(self._to_come(), None)
        if following is None:
            self.pause()
            return False
        elapsed = abs(self.clock.position() - self._from)
        if elapsed < 1 or not ready(following):
            return False
        self.frame = following
        self.shown += 1
        late = elapsed - 1
        # a frame that came in time keeps the beat; after a late one the beat starts anew
        start = Fraction(following) + (late * self.direction if late < 1 else 0)
        self._from = Fraction(following)
        self.clock.start(start, self.signed_rate)
        return True

    def _newest(self, ready: Callable[[int], bool]) -> bool:
        """Show the newest ready frame between the one on the screen and the one that is due."""
        due = self.due()
        passed: list[int] = []
        for frame in self._path(self.frame, skip_first=True):
            if self.frame == due or len(passed) > self.frame_count:
                break
            passed.append(frame)
            if frame == due:
                break
        for place in range(len(passed) - 1, -1, -1):
            if ready(passed[place]):
                self.skipped += place
                self.shown += 1
                self.frame = passed[place]
                return True
        if not self.loop and self._past_end():
            self.pause()
        return False

    def _past_end(self) -> bool:
        """Whether the clock has left the bounds and the last frame that there is is on the screen."""
        first, last = self.bounds
        position = self.clock.position()
        over = position >= last + 1 if self.direction > 0 else position < first
        return over and next(self._to_come(), None) is None

    def _to_come(self) -> Iterator[int]:
        """Yield the frames after the one on the screen that are not lost, in playing order; once round at most."""
        path = islice(self._path(self.frame, skip_first=True), self.frame_count)
        return (frame for frame in path if not self.lost(frame))

    def _path(self, frame: int, *, skip_first: bool = False) -> Iterator[int]:
        """Yield frames in playing order from `frame` on; endless in a loop."""
        first, last = self.bounds
        frame = min(last, max(first, frame)) if self.playing else frame
        if not skip_first:
            yield frame
        while True:
            frame += self.direction
            if not first <= frame <= last:
                if not self.loop:
                    return
                frame = first if self.direction > 0 else last
            yield frame

    def _restart(self) -> None:
        """Let the clock run from the present frame; backward, a frame lasts until the position falls below it."""
        self._from = Fraction(self.frame)
        start = self._from if self.direction > 0 or self.every_frame else self._from + 1 - Fraction(1, 10**6)
        self.clock.start(start, self.signed_rate)
