"""What each command does, by name: the other half of the table in `app.core.commands`."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import partial

from app.core.between import step_between
from app.core.commands import COMMANDS
from app.core.geometry import pan, zoom_at
from app.core.player import Player
from app.core.sources import Kind, SourceRef
from app.core.view import Mode
from app.views.canvas import Canvas
from app.views.file_handlers import FileHandlers
from app.views.shell import Shell

__all__ = ["Handlers"]

_JUMP = 10
_PAN = 40
_WIPE = 0.02
_BETWEEN = Fraction(1, 8)


class Handlers(FileHandlers):
    """Carries commands out. A command "step-on" is the method `step_on`.

    Args:
        player: what is changed.
        shell: the window, as far as commands need it.
    """

    def __init__(self, player: Player, shell: Shell) -> None:
        super().__init__(player, shell)
        self._other_precision = ""

    def table(self) -> Mapping[str, Callable[[], None]]:
        """Return what carries out each command, by name."""
        special: dict[str, Callable[[], None]] = {}
        for mode in Mode:
            special[f"mode-{mode}"] = partial(self._set_mode, mode)
        for theme in ("system", "dark", "light"):
            special[f"theme-{theme}"] = partial(self.shell.set_theme, theme)
        for encoder in ("x264", "x265", "svtav1"):
            special[f"anchor-{encoder}"] = partial(self._anchor, encoder)
        for number, letter in enumerate("abcd"):
            special[f"open-{letter}"] = partial(self.ask_source, number)
        return {
            command.name: special.get(command.name) or getattr(self, command.name.replace("-", "_"))
            for command in COMMANDS
        }

    def checked(self, name: str) -> bool:
        """Return whether a switch is on."""
        player = self.player
        if name.startswith("mode-"):
            return name == f"mode-{player.view.mode}"
        if name.startswith("theme-"):
            return name == f"theme-{player.settings.theme}"
        return {
            "play": player.transport.playing,
            "loop": player.transport.loop,
            "every-frame": player.transport.every_frame,
            "metrics": player.quality.on,
            "vmaf": player.settings.vmaf,
            "sound": player.settings.sound,
            "inspector": self.shell.inspector_shown,
            "full-screen": self.shell.full_screen_on,
        }[name]

    # View

    def _set_mode(self, mode: Mode) -> None:
        self.player.view.mode = mode
        self.player.events.emit("view")

    def flip(self) -> None:
        """Change between A and B, or between left and right; from menus it lasts."""
        view = self.player.view
        view.mode = Mode.A if view.mode is Mode.B else Mode.B
        self.player.events.emit("view")

    def gain_up(self) -> None:
        """Double the gain."""
        self._change_gain(1)

    def gain_down(self) -> None:
        """Halve the gain."""
        self._change_gain(-1)

    def _change_gain(self, steps: int) -> None:
        self.player.view.change_gain(steps)
        self.player.events.emit("view")

    def fit(self) -> None:
        """Show the whole picture."""
        self.player.view.fit()
        self.player.events.emit("view")

    def one_to_one(self) -> None:
        """Show picture pixels as screen pixels."""
        self.player.view.one_to_one()
        self.player.events.emit("view")

    def zoom_in(self) -> None:
        """Zoom in around the middle."""
        self._zoom(1.25)

    def zoom_out(self) -> None:
        """Zoom out around the middle."""
        self._zoom(0.8)

    def _zoom(self, factor: float) -> None:
        canvas: Canvas = self.shell.canvas
        laid = canvas.geometry_now()
        clip = laid.panes[0].clip
        if len(laid.panes) > 1 and laid.panes[0][2:] == laid.panes[1][2:]:
            middle = (laid.canvas[0] / 2, laid.canvas[1] / 2)
        else:
            middle = (clip.x + clip.width / 2, clip.y + clip.height / 2)
        zoom_at(self.player.view, laid, *middle, factor)
        self.player.events.emit("view")

    def _pan(self, dx: int, dy: int) -> None:
        pan(self.player.view, self.shell.canvas.geometry_now(), dx, dy)
        self.player.events.emit("view")

    def pan_left(self) -> None:
        """Look further left."""
        self._pan(_PAN, 0)

    def pan_right(self) -> None:
        """Look further right."""
        self._pan(-_PAN, 0)

    def pan_up(self) -> None:
        """Look further up."""
        self._pan(0, _PAN)

    def pan_down(self) -> None:
        """Look further down."""
        self._pan(0, -_PAN)

    def wipe_left(self) -> None:
        """Move the handle left."""
        self._wipe(-_WIPE)

    def wipe_right(self) -> None:
        """Move the handle right."""
        self._wipe(_WIPE)

    def _wipe(self, step: float) -> None:
        self.player.view.set_split(self.player.view.split + step)
        self.player.events.emit("view")

    def inspector(self) -> None:
        """Show or hide the inspector."""
        self.shell.toggle_inspector()

    def full_screen(self) -> None:
        """Enter or leave full screen."""
        self.shell.toggle_full_screen()

    # Playback

    def _transport(self, change: Callable[[], None]) -> None:
        """Change the transport, tell, and look at the clock."""
        change()
        self.player.events.emit("transport")
        self.player.tick()

    def play(self) -> None:
        """Play or pause."""
        self._transport(self.player.transport.toggle)

    def pause(self) -> None:
        """Pause."""
        self._transport(self.player.transport.pause)

    def forward(self) -> None:
        """Play forward, again: faster."""
        self._transport(lambda: self.player.transport.shuttle(1))

    def backward(self) -> None:
        """Play backward, again: faster."""
        self._transport(lambda: self.player.transport.shuttle(-1))

    def _step(self, frames: int) -> None:
        """Pause, and go some frames on or back from what is on the screen."""
        self.player.transport.pause()
        self.player.seek(self.player.transport.frame + frames)

    def step_on(self) -> None:
        """One frame on."""
        self._step(1)

    def step_back(self) -> None:
        """One frame back."""
        self._step(-1)

    def jump_on(self) -> None:
        """Ten frames on."""
        self._step(_JUMP)

    def jump_back(self) -> None:
        """Ten frames back."""
        self._step(-_JUMP)

    def first(self) -> None:
        """Go to the first frame of the loop."""
        self.player.seek(self.player.transport.bounds[0])

    def last(self) -> None:
        """Go to the last frame of the loop."""
        self.player.seek(self.player.transport.bounds[1])

    def time_zoom_in(self) -> None:
        """Show a shorter part of the clip on the timeline."""
        self._time_zoom(0.8)

    def time_zoom_out(self) -> None:
        """Show a longer part of the clip on the timeline."""
        self._time_zoom(1.25)

    def _time_zoom(self, factor: float) -> None:
        transport = self.player.transport
        self.player.span.zoom(transport.frame, factor, transport.frame_count)
        self.player.events.emit("transport")

    def go_to(self) -> None:
        """Ask for a frame and go there."""
        transport = self.player.transport
        highest = transport.frame_count - 1
        answer = self.shell.asker.number(self.shell.widget, "Go to frame", "Frame:", transport.frame, highest)
        if answer is not None:
            self.player.seek(answer)

    def set_in(self) -> None:
        """Begin the loop here."""
        self._transport(self.player.transport.set_in)

    def set_out(self) -> None:
        """End the loop here."""
        self._transport(self.player.transport.set_out)

    def clear_range(self) -> None:
        """Loop the whole clip."""
        self._transport(self.player.transport.clear_range)

    def loop(self) -> None:
        """Loop or stop at the end."""
        transport = self.player.transport
        transport.loop = not transport.loop
        self._transport(lambda: transport.set_speed(transport.speed))

    def slower(self) -> None:
        """Play slower."""
        self._transport(lambda: self.player.transport.change_speed(-1))

    def faster(self) -> None:
        """Play faster."""
        self._transport(lambda: self.player.transport.change_speed(1))

    def normal_speed(self) -> None:
        """Play at the clip's own speed."""
        self._transport(lambda: self.player.transport.set_speed(Fraction(1)))

    def every_frame(self) -> None:
        """Show every frame, or keep to real time."""
        transport = self.player.transport
        self._transport(lambda: transport.set_every_frame(not transport.every_frame))
        self.player.settings.every_frame = transport.every_frame

    def between_on(self) -> None:
        """Go a part of a frame on."""
        step_between(self.player, _BETWEEN)

    def between_back(self) -> None:
        """Go a part of a frame back."""
        step_between(self.player, -_BETWEEN)

    def sound(self) -> None:
        """Play sound or not."""
        self.player.settings.sound = not self.player.settings.sound
        self.player.events.emit("options")

    # Compare

    def swap(self) -> None:
        """Exchange A and B."""
        self.player.swap()

    def exchange_ac(self) -> None:
        """Exchange A and C."""
        if self.player.slots[2].is_open:
            self.player.swap(0, 2)
        else:
            self.player.say("nothing is open as C; open a third clip from the File menu first")

    def nudge_on(self) -> None:
        """Shift B by one frame."""
        self.player.nudge(-1)

    def nudge_back(self) -> None:
        """Shift B by one frame the other way."""
        self.player.nudge(1)

    def nudge_reset(self) -> None:
        """Take the shift of B back."""
        self.player.nudge(0)

    def next_worst(self) -> None:
        """Go to the next worst frame."""
        self.player.go_to_worst(1)

    def previous_worst(self) -> None:
        """Go to the worst frame before."""
        self.player.go_to_worst(-1)

    def worst(self) -> None:
        """Go to the worst frame of all."""
        self.player.go_to_worst(0)

    def metrics(self) -> None:
        """Measure in the background or not."""
        quality = self.player.quality
        quality.on = not quality.on
        self.player.settings.metrics = quality.on
        self.player.events.emit("options")
        self.player.tick()

    def vmaf(self) -> None:
        """Measure VMAF of the whole clip or not."""
        self.player.settings.vmaf = not self.player.settings.vmaf
        self.player.events.emit("options")

    def next_point(self) -> None:
        """Load the next point of the plot of rate and distortion as B."""
        self._point(1)

    def previous_point(self) -> None:
        """Load the point before as B."""
        self._point(-1)

    def _point(self, steps: int) -> None:
        b = self.player.slots[1]
        point = self.player.rd.neighbour(b.ref, b.facts.precision if b.facts is not None else "", steps)
        if point is None:
            self.player.say("the plot has no point yet; open A and B, and let measuring in the background run (M)")
        elif point.ref != b.ref:
            self.player.open(b, point.ref, precision=point.precision)
        else:
            self.player.set_precision(point.precision, b)

    def region(self) -> None:
        """Measure what is visible of the picture."""
        laid = self.shell.canvas.geometry_now()
        pane = laid.panes[0]
        clip = laid.canvas if laid.dividers and len({other.left for other in laid.panes}) == 1 else pane.clip[2:]
        u0, v0 = (max(0, round(-edge / scale)) for edge, scale in zip(pane[2:], laid.scale, strict=True))
        u1 = min(laid.picture.width, round((clip[0] + pane.clip.x - pane.left) / laid.scale[0]))
        v1 = min(laid.picture.height, round((clip[1] + pane.clip.y - pane.top) / laid.scale[1]))
        if u1 > u0 and v1 > v0:
            self.player.set_region((u0, v0, u1 - u0, v1 - v0))

    def clear_region(self) -> None:
        """Measure the whole picture only."""
        self.player.set_region(None)

    def _anchor(self, encoder: str) -> None:
        """Encode A as large as B, and show it as C."""
        reference = any(slot.ref is not None and slot.ref.kind is Kind.VIDEO for slot in self.player.slots)
        if self.player.neural is None or not reference:
            self.player.say("a re-encode needs a video as A and a neural video as B; open both first")
            return
        self.player.open(self.player.slots[2], SourceRef(Kind.ANCHOR, encoder))
        self._set_mode(Mode.GRID)

    # Tools

    def precision_flip(self) -> None:
        """Change between FP32 and the precision used last besides it."""
        neural = self.player.neural
        if neural is None or neural.facts is None:
            return
        choices = [choice.name for choice in neural.facts.precisions if not choice.reason]
        others = [name for name in choices if name != "fp32"]
        if neural.facts.precision != "fp32":
            self._other_precision = neural.facts.precision
            self.player.set_precision("fp32")
        elif others:
            self.player.set_precision(self._other_precision if self._other_precision in others else others[-1])
        else:
            self.player.say("this network runs in FP32 only; the list of precisions says why")

    def precision_next(self) -> None:
        """Take the next precision that is there."""
        neural = self.player.neural
        if neural is not None and neural.facts is not None:
            choices = [choice.name for choice in neural.facts.precisions if not choice.reason]
            self.player.set_precision(choices[(choices.index(neural.facts.precision) + 1) % len(choices)])

    def device_next(self) -> None:
        """Take the next device that is there."""
        neural = self.player.neural
        if neural is not None and neural.facts is not None:
            choices = [choice.name for choice in neural.facts.devices if not choice.reason]
            if len(choices) < 2:
                self.player.say("; ".join(choice.reason for choice in neural.facts.devices if choice.reason))
                return
            place = choices.index(neural.facts.device) if neural.facts.device in choices else -1
            self.player.set_device(choices[(place + 1) % len(choices)])

    def stages(self) -> None:
        """Time the stages of the network."""
        self.player.time_stages()

    def palette(self) -> None:
        """Open the command palette."""
        self.shell.open_dialog("palette")

    def keys(self) -> None:
        """Open the key editor."""
        self.shell.open_dialog("keys")

    def settings(self) -> None:
        """Open the settings."""
        self.shell.open_dialog("settings")

    def help(self) -> None:
        """Show all keys."""
        self.shell.open_dialog("help")

    def about(self) -> None:
        """Say what this is."""
        self.shell.open_dialog("about")
