"""The one list of commands and the one list of exit codes; help texts, documentation and the program read them here."""

from typing import NamedTuple

__all__ = ["COMMANDS", "EXIT_CODES", "CommandRow", "find_row"]


class CommandRow(NamedTuple):
    """A command: its name, the module that has it as `command`, and one line for lists."""

    name: str
    module: str
    summary: str


COMMANDS = (
    CommandRow("demo", "app.cli.demo", "Try the bundled sample: neural beside source, pictures, metrics."),
    CommandRow("play", "app.cli.play", "Look at a neural video beside its source, live."),
    CommandRow("encode", "app.cli.encode", "Fit a network to a clip and write it as a .nerv file."),
    CommandRow("compress", "app.cli.compress", "Make a .nerv file smaller, at given settings or under a limit."),
    CommandRow("sweep", "app.cli.sweep", "Fit one clip at several sizes: a ladder of rate and quality."),
    CommandRow("info", "app.cli.info", "Show what a .nerv file holds: clip, network, rate, sections."),
    CommandRow("models", "app.cli.models", "List architectures and presets with parameters and cost."),
    CommandRow("eval", "app.cli.evaluate", "Measure a .nerv file against its source: PSNR, SSIM, VMAF, bpp."),
    CommandRow("bench", "app.cli.bench", "Measure how fast this machine decodes, by backend and precision."),
    CommandRow("rd", "app.cli.rd", "Compare files with x264, x265, SVT-AV1: a page of rate and quality."),
    CommandRow("decode", "app.cli.decode", "Decode frames to a folder of PNG files or to a .npy array."),
    CommandRow("export", "app.cli.export", "Write an MP4, alone or side by side with the source."),
    CommandRow("import", "app.cli.import_official", "Turn a checkpoint of the official code into a .nerv file."),
    CommandRow("search", "app.cli.search", "Find neural videos on the Hugging Face Hub."),
    CommandRow("pull", "app.cli.pull", "Fetch a neural video from the Hub into the cache, or to a file."),
    CommandRow("push", "app.cli.push", "Publish a .nerv file on the Hub, with card, poster and preview."),
    CommandRow("hub", "app.cli.hub", "Look at, list, verify and remove videos of the Hub; log in and out."),
    CommandRow("desktop", "app.cli.desktop", "Put the player into the desktop's menu; .nerv files open in it."),
    CommandRow("completion", "app.cli.completion", "Let bash, zsh or fish complete what you type."),
    CommandRow("pipe", "app.cli.pipe", "Write frames to standard output, for FFmpeg and other programs."),
    CommandRow("serve", "app.cli.serve", "Serve frames at a URL that players of this machine open."),
    CommandRow("ffmpeg", "app.cli.ffmpeg", "Run the stock ffmpeg with .nerv inputs; doctor: what works."),
    CommandRow("frei0r", "app.cli.frei0r", "Build the FFmpeg plug-in, print filter graphs for it."),
    CommandRow("mpv", "app.cli.mpv", "Play .nerv files in the stock mpv."),
)

EXIT_CODES = {
    0: "done",
    1: "internal error (a mistake of nervplay; --debug shows where)",
    2: "wrong call: option, value, name or combination",
    3: "input file missing or unusable",
    4: "target cannot be written, or exists already",
    5: "network or Hub",
    6: "missing capability: GPU, encoder, optional package",
    130: "interrupted; what was done is saved where the command says so",
}


def find_row(name: str) -> CommandRow | None:
    """Return the row of command `name`, or None."""
    return next((row for row in COMMANDS if row.name == name), None)
