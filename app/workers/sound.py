"""Sound of the clip through PortAudio, as the master of the clock; silent where there is no device or no library.

It plays at normal speed, forward, in real time; everything else is silent, and the player's own clock goes on.
"""

import importlib
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

from PySide6.QtCore import QObject

from app.core.player import Player
from app.core.slot import Slot
from app.core.sound import RATE, Samples, SoundTrack

__all__ = ["Device", "SoundMaster", "open_device"]

_LONGEST = 1200
"""Seconds of sound that are kept in memory at most: 230 MB."""


class Device(Protocol):
    """A stream that asks for samples in a thread of its own."""

    latency: float
    """Seconds between `fill` and the ear."""

    def start(self) -> None:
        """Ask for samples from now on."""
        ...

    def close(self) -> None:
        """Stop and free the device."""
        ...


def open_device(fill: Callable[[Samples], None]) -> Device:
    """Return the usual sound device of this machine.

    Args:
        fill: writes samples, int16 (N, 2).

    Raises:
        ImportError: the library is not installed.
        OSError: PortAudio or a device is missing.
    """
    sounddevice = importlib.import_module("sounddevice")  # by name: it is optional and ships no types

    def callback(out: Any, _frames: int, _time: Any, _status: Any) -> None:
        fill(out)

    try:
        device: Device = sounddevice.OutputStream(samplerate=RATE, channels=2, dtype="int16", callback=callback)
    except sounddevice.PortAudioError as error:
        raise OSError(str(error)) from error
    return device


class SoundMaster(QObject):
    """Finds the sound of what is open, plays it with the pictures, and lets the clock follow it.

    Args:
        player: whose clock.
        post: runs a function on the player's thread, later.
        opener: `open_device`, or a test's.
    """

    def __init__(
        self,
        player: Player,
        post: Callable[[Callable[[], None] | None], None],
        opener: Callable[[Callable[[Samples], None]], Device] = open_device,
    ) -> None:
        super().__init__()
        self._player, self._post, self._opener = player, post, opener
        self._track: SoundTrack | None = None
        self._device: Device | None = None
        self._source: tuple[object, ...] = ()
        self._silent = False
        self._loader: threading.Thread | None = None
        player.events.on("clip", self._look)
        player.events.on("transport", self._follow_transport)
        player.events.on("options", self._follow_transport)

    def tick(self) -> None:
        """Let the clock follow what is heard."""
        if self._track is None or self._device is None or not self._track.running:
            return
        heard = self._track.position(Fraction(self._device.latency).limit_denominator(10_000))
        if heard is not None:
            self._player.transport.clock.follow(heard * self._player.transport.rate)

    def _wanted(self) -> tuple[str, ...]:
        """Return what the sound is to be read from: a .nerv with sound, else the video that belongs to it."""
        with_sound = [slot for slot in self._player.open_slots if slot.facts is not None and slot.facts.has_audio]
        neural = [slot for slot in with_sound if slot.facts is not None and slot.facts.architecture]
        first: Slot | None = next(iter([*neural, *with_sound]), None)
        if first is None or first.facts is None:
            return ()
        return (first.facts.path, "nerv" if first.facts.architecture else "video")

    def _look(self) -> None:
        """Load the sound of what is open now, in a thread, unless it is loaded already."""
        wanted = self._wanted()
        like = next((slot for slot in self._player.open_slots if slot.facts and slot.facts.architecture), None)
        record = dict(like.record) if like is not None else {}
        spec = like.facts.spec if like is not None and like.facts is not None else None
        # a clip alone is heard whole; beside a neural video, the part of it that this shows
        source = (*wanted, record, spec) if wanted else ()
        if source == self._source or self._silent:
            return
        self._source = source
        self._drop()
        if not wanted:
            return

        def load() -> None:
            from app.workers.sound_file import read_sound

            samples = read_sound(Path(wanted[0]), neural=wanted[1] == "nerv", record=record, like=spec)
            if samples is not None and 0 < len(samples) <= _LONGEST * RATE:
                self._post(lambda: self._loaded(source, samples))

        self._loader = threading.Thread(target=load, name="nervplay-sound")
        self._loader.start()

    def _loaded(self, source: tuple[object, ...], samples: Samples) -> None:
        """Open the device; say once that it is silent where there is none."""
        if source != self._source:
            return
        track = SoundTrack(samples, RATE)
        try:
            device = self._opener(track.fill)
            device.start()
        except (ImportError, OSError) as error:
            self._silent = True
            if "sound" not in self._player.settings.told:
                self._player.settings.told.append("sound")
                self._player.say(f"no sound: {error}; for sound install nervplay[sound] and PortAudio (libportaudio2)")
            return
        self._track, self._device = track, device
        self._follow_transport()

    def _follow_transport(self) -> None:
        """Play or be silent as the transport is."""
        track, transport = self._track, self._player.transport
        if track is None:
            return
        plain = transport.speed == 1 and transport.direction == 1 and not transport.every_frame
        if transport.playing and plain and self._player.settings.sound:
            first, last = transport.bounds
            loop = (Fraction(first) / transport.rate, Fraction(last + 1) / transport.rate) if transport.loop else None
            track.start(transport.frame / transport.rate, loop)
        else:
            track.stop()

    def _drop(self) -> None:
        if self._device is not None:
            self._device.close()
        self._track = self._device = None

    def shut_down(self) -> None:
        """Free the device and wait for what is being loaded."""
        self._silent = True
        if self._loader is not None:
            self._loader.join()
        self._drop()
