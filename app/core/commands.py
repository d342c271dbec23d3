"""Every action of the player, once: menu, keys, help overlay, command palette and key editor all read this table.

A command is carried out by the handler of the same name, a method of `app.views.handlers.Handlers` or of the player;
tests hold the two against each other. Keys are written as Qt writes them ("Ctrl+Shift+O"), several with commas between.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

__all__ = ["COMMANDS", "MENUS", "Command", "Needs", "find_command"]


class Needs(StrEnum):
    """What must be there for a command to make sense."""

    NOTHING = "nothing"
    CLIP = "a clip"
    PAIR = "A and B"
    NEURAL = "a neural video"
    METRICS = "measured frames"


class Command(NamedTuple):
    """One action.

    Args:
        name: what settings, sessions and tests call it.
        title: what menus and the palette show.
        menu: one of `MENUS`.
        keys: its usual keys, as Qt writes them, separated by ", "; empty for none.
        tip: one sentence more.
        needs: what must be there.
        checked: whether it is a switch that menus show as on or off.
    """

    name: str
    title: str
    menu: str
    keys: str = ""
    tip: str = ""
    needs: Needs = Needs.NOTHING
    checked: bool = False


MENUS = ("File", "View", "Playback", "Compare", "Tools", "Help")

_N, _C, _P, _M, _Q = Needs.NOTHING, Needs.CLIP, Needs.PAIR, Needs.NEURAL, Needs.METRICS

COMMANDS = (
    Command("open-a", "Open A (reference)…", "File", "Ctrl+O", "A video, a folder of pictures or a neural video."),
    Command("open-b", "Open B (neural video)…", "File", "Ctrl+Shift+O", "A .nerv file, a checkpoint or a video."),
    Command("open-c", "Open C…", "File", "", "A third clip for the grid."),
    Command("open-d", "Open D…", "File", "", "A fourth clip for the grid."),
    Command("open-address", "Open address…", "File", "Ctrl+L", "hf://user/name, or the path of a file, as B."),
    Command("browse-hub", "Browse the Hub…", "File", "Ctrl+B", "Find neural videos on the Hugging Face Hub."),
    Command("push-hub", "Publish on the Hub…", "File", "Ctrl+Shift+B", "Push the neural video with its page.", _M),
    Command("open-sample", "Open the sample", "File", "", "Big Buck Bunny and the neural video fitted to it."),
    Command("close-all", "Close all", "File", "Ctrl+Shift+W", "Empty all slots.", _C),
    Command("save-session", "Save session…", "File", "Ctrl+S", "What is open and how it is looked at.", _C),
    Command("load-session", "Load session…", "File", "Ctrl+Shift+S", "Go on where a session was saved."),
    Command("export", "Export video…", "File", "Ctrl+E", "Write B as MP4, alone or beside A.", _M),
    Command("snapshot", "Save the view as PNG…", "File", "Ctrl+P", "The canvas as it is on the screen.", _C),
    Command("save-frame", "Save frame of B as PNG…", "File", "Ctrl+Shift+F", "The decoded frame, pixel by pixel.", _C),
    Command("save-metrics", "Save metrics as CSV…", "File", "Ctrl+M", "One row per frame.", _Q),
    Command("copy-frame", "Copy the view", "File", "C", "To the clipboard, as a picture.", _C),
    Command("copy-time", "Copy frame and time", "File", "Ctrl+Shift+C", "To the clipboard, as text.", _C),
    Command("quit", "Quit", "File", "Ctrl+Q"),
    Command("mode-a", "A alone", "View", "1", "", _C, checked=True),
    Command("mode-b", "B alone", "View", "2", "", _C, checked=True),
    Command("mode-wipe", "Wipe", "View", "W", "A left of the handle, B right of it.", _P, checked=True),
    Command("mode-side", "Side by side", "View", "S", "", _P, checked=True),
    Command("mode-difference", "Difference", "View", "D", "|A - B| times the gain.", _P, checked=True),
    Command("mode-signed", "Signed difference", "View", "Shift+D", "Grey where A and B agree.", _P, checked=True),
    Command("mode-heat", "Heat map", "View", "H", "How far A and B are apart, as colours.", _P, checked=True),
    Command("mode-grid", "Grid", "View", "G", "All that is open, up to four.", _C, checked=True),
    Command("flip", "Flip A and B", "View", "Tab", "Show the other side while the key is held.", _P),
    Command("gain-up", "More gain", "View", "+, =", "Double the gain of differences.", _P),
    Command("gain-down", "Less gain", "View", "-", "Halve the gain of differences.", _P),
    Command("fit", "Fit", "View", "F", "The whole picture in the window.", _C),
    Command("one-to-one", "1:1", "View", "Z", "One picture pixel per screen pixel.", _C),
    Command("zoom-in", "Zoom in", "View", "Ctrl++, Ctrl+=", "", _C),
    Command("zoom-out", "Zoom out", "View", "Ctrl+-", "", _C),
    Command("pan-left", "Move left", "View", "Alt+Left", "", _C),
    Command("pan-right", "Move right", "View", "Alt+Right", "", _C),
    Command("pan-up", "Move up", "View", "Alt+Up", "", _C),
    Command("pan-down", "Move down", "View", "Alt+Down", "", _C),
    Command("wipe-left", "Wipe handle left", "View", "Ctrl+[", "", _P),
    Command("wipe-right", "Wipe handle right", "View", "Ctrl+]", "", _P),
    Command("inspector", "Inspector", "View", "F9", "Figures of quality, rate and speed.", checked=True),
    Command("full-screen", "Full screen", "View", "F11", "", checked=True),
    Command("theme-system", "Theme of the system", "View", "", "", checked=True),
    Command("theme-dark", "Dark theme", "View", "", "", checked=True),
    Command("theme-light", "Light theme", "View", "", "", checked=True),
    Command("play", "Play or pause", "Playback", "Space", "", _C, checked=True),
    Command("forward", "Forward, again: faster", "Playback", "L", "", _C),
    Command("pause", "Pause", "Playback", "K", "", _C),
    Command("backward", "Backward, again: faster", "Playback", "J", "Costs what forward costs.", _C),
    Command("step-on", "Next frame", "Playback", "., Right", "", _C),
    Command("step-back", "Previous frame", "Playback", ",, Left", "", _C),
    Command("jump-on", "10 frames on", "Playback", "Shift+Right", "", _C),
    Command("jump-back", "10 frames back", "Playback", "Shift+Left", "", _C),
    Command("first", "First frame", "Playback", "Home", "", _C),
    Command("last", "Last frame", "Playback", "End", "", _C),
    Command("time-zoom-in", "Zoom into time", "Playback", "Shift+Up", "The timeline around this frame.", _C),
    Command("time-zoom-out", "Zoom out of time", "Playback", "Shift+Down", "More of the timeline.", _C),
    Command("go-to", "Go to frame…", "Playback", "Ctrl+G", "", _C),
    Command("set-in", "Loop from here", "Playback", "I", "", _C),
    Command("set-out", "Loop until here", "Playback", "O", "", _C),
    Command("clear-range", "Loop the whole clip", "Playback", "Shift+P", "", _C),
    Command("loop", "Loop", "Playback", "P", "", _C, checked=True),
    Command("slower", "Slower", "Playback", "[", "", _C),
    Command("faster", "Faster", "Playback", "]", "", _C),
    Command("normal-speed", "Normal speed", "Playback", "Backspace", "", _C),
    Command("every-frame", "Every frame", "Playback", "E", "Show all frames, late if need be.", _C, checked=True),
    Command("between-on", "1/8 frame on", "Playback", "Ctrl+.", "A picture between frames, by the network.", _M),
    Command("between-back", "1/8 frame back", "Playback", "Ctrl+,", "A picture between frames, by the network.", _M),
    Command("sound", "Sound", "Playback", "", "Sound is the clock where it plays.", checked=True),
    Command("swap", "Swap A and B", "Compare", "X", "", _P),
    Command("exchange-ac", "Exchange A and C", "Compare", "Shift+X", "", _P),
    Command("nudge-on", "B one frame later", "Compare", "Alt+.", "Align clips that start apart.", _P),
    Command("nudge-back", "B one frame earlier", "Compare", "Alt+,", "Align clips that start apart.", _P),
    Command("nudge-reset", "B without offset", "Compare", "Alt+0", "", _P),
    Command("next-worst", "Next worst frame", "Compare", "Ctrl+Right", "By PSNR, worst first.", _Q),
    Command("previous-worst", "Previous worst frame", "Compare", "Ctrl+Left", "", _Q),
    Command("worst", "Worst frame", "Compare", "Ctrl+Home", "The frame of the lowest PSNR.", _Q),
    Command("metrics", "Measure in the background", "Compare", "M", "PSNR and MS-SSIM of all frames.", checked=True),
    Command("vmaf", "VMAF of the whole clip", "Compare", "V", "In a process of its own.", checked=True),
    Command("next-point", "Next point of the plot as B", "Compare", "N", "In rising rate.", _P),
    Command("previous-point", "Previous point of the plot as B", "Compare", "Shift+N", "In falling rate.", _P),
    Command("region", "Measure the visible part", "Compare", "R", "PSNR of what is on the canvas.", _P),
    Command("clear-region", "Forget the measured part", "Compare", "Shift+R", "", _P),
    Command("anchor-x264", "Encode A with x264, as large as B", "Compare", "", "Opened as C, in the grid.", _P),
    Command("anchor-x265", "Encode A with x265, as large as B", "Compare", "", "Opened as C, in the grid.", _P),
    Command("anchor-svtav1", "Encode A with AV1, as large as B", "Compare", "", "Opened as C, in the grid.", _P),
    Command("precision-flip", "Flip precision", "Tools", "Q", "FP32 and the last other one.", _M),
    Command("precision-next", "Next precision", "Tools", "Shift+Q", "FP32, BF16, INT8.", _M),
    Command("device-next", "Next device", "Tools", "U", "CPU and GPUs, while playing.", _M),
    Command("stages", "Time the stages", "Tools", "Y", "Milliseconds per stage of the network.", _M),
    Command("palette", "Command palette…", "Tools", "Ctrl+K, Ctrl+Shift+P", "Find a command by its name."),
    Command("keys", "Edit keys…", "Tools", "", "Every key can be changed."),
    Command("settings", "Settings…", "Tools", "Ctrl+;", "Memory, canvas, device."),
    Command("help", "Keys and mouse", "Help", "F1, ?", "All keys on one page."),
    Command("about", "About nervplay", "Help", "", "Version, canvas, licence."),
)

_BY_NAME: Mapping[str, Command] = {command.name: command for command in COMMANDS}


def find_command(name: str) -> Command:
    """Return the command called `name`.

    Raises:
        KeyError: no such command; a mistake of ours.
    """
    return _BY_NAME[name]
