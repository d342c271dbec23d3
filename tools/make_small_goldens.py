"""Cut the official golden vectors down to tests/golden/decoders: `python tools/make_small_goldens.py FULL`.

FULL is the folder of checkpoints and outputs that the official code made. Every checkpoint is opened and decoded as
`nervplay import` does it; a network whose frames miss the official ones by more than 1e-5 is not written. A folder:

    config.json   architecture, configuration, and mean and deviation behind every layer for the first frame
    state.npz     what decoding needs (`VideoModel.stored_state`), with the tables that were official where ours differ
    io.npz        index (B,), and out: the official frames at every eighth pixel, float32 (B, 3, h, w)
"""

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nervplay.codec.official import open_official
from nervplay.models import VideoModel
from nervplay.video.source import ArraySource

__all__ = ["CASES", "layer_figures"]

TARGET = Path(__file__).resolve().parent.parent / "tests" / "golden" / "decoders"
STEP = 8
_HINERV = "checkpoints/checkpoint_0/pytorch_model.bin"


class Case(NamedTuple):
    """One golden folder: its checkpoint, where the arguments stand, and the arrays of `io.npz` that are read.

    Args:
        checkpoint: file.
        arguments: key of `config.json`; "cfg" for a configuration file.
        clip: key of the source frames, uint8 (T, H, W, 3) or (T, 3, H, W); empty for none.
        index: key of the frame indices; empty for 0, 1, ...
        out: key of the official frames, float32 (B, 3, H, W) or (B, 3, 1, H, W).
        frames: how many of them to keep.
        tables: official values of our tables, where a power function of the official code missed by one unit.
    """

    checkpoint: str = "checkpoint.pth"
    arguments: str = "argv"
    clip: str = ""
    index: str = ""
    out: str = "out"
    frames: int = 2
    tables: tuple[tuple[str, str], ...] = ()


CASES = {
    "nerv_a_90x160_readme_like": Case(arguments="eval_flags", index="frame_index"),
    "enerv_a_90x160": Case(arguments="cfg", index="frame_index"),
    "snerv_b_tiny": Case(checkpoint="quant_vid.pth", out="out_quant"),
    "snerv_t_tiny": Case(checkpoint="quant_vid.pth", out="out_quant"),
    "hnerv_boost_a": Case(clip="input_u8", tables=(("time_code", "pe"),)),
    "dnerv_tiny": Case(arguments="cfg", clip="frames_u8", out="out_trainmode"),
    "pnerv_tiny2": Case(arguments="cfg", clip="frames_u8", out="out_trainmode"),
    "tiny_b": Case(checkpoint=_HINERV, arguments="model_flags", index="frames", out="out_frame"),
}


def _words(folder: Path, case: Case) -> str:
    """Return the official arguments of a golden folder."""
    about = json.loads((folder / "config.json").read_text())
    if case.arguments == "cfg":
        frames = f" --frames {about['n_frames']}" if "n_frames" in about else ""
        return f"--cfg_path {folder / 'cfg.yaml'}{frames}"
    words = about[case.arguments]
    words = words if isinstance(words, str) else " ".join(words)
    if "video_size" in about:
        _, height, width = about["video_size"]
        words += f" --input-size {height} {width}"
    return f"{words} --frames {about['n_frames']}" if "n_frames" in about else words


def _clip(frames: NDArray[np.uint8]) -> ArraySource:
    """Return frames, uint8 (T, H, W, 3) or (T, 3, H, W), as a source."""
    return ArraySource(np.ascontiguousarray(frames if frames.shape[3] == 3 else frames.transpose(0, 2, 3, 1)))


@torch.no_grad()
def layer_figures(model: VideoModel, index: int) -> dict[str, list[float]]:
    """Return mean and deviation behind every layer for one frame, by name, in the order of the computation."""
    seen: dict[str, list[float]] = {}

    def keep(name: str) -> Any:
        def hook(_layer: nn.Module, _inputs: object, output: object) -> None:
            if isinstance(output, Tensor) and name not in seen:
                seen[name] = [output.double().mean().item(), output.double().std(correction=0).item()]

        return hook

    hooks = [layer.register_forward_hook(keep(name)) for name, layer in model.named_modules() if name]
    model(torch.tensor([index]))
    for hook in hooks:
        hook.remove()
    return seen


@torch.no_grad()
def _cut(folder: Path, case: Case, target: Path) -> float:
    """Write one small golden; return its largest difference to the official frames."""
    io = np.load(folder / "io.npz")
    source = _clip(io[case.clip]) if case.clip else None
    model = open_official(folder / case.checkpoint, _words(folder, case), source)
    tables = {ours: torch.from_numpy(io[theirs]) for ours, theirs in case.tables}
    for name, table in tables.items():
        model.get_buffer(name).copy_(table)
    expected = io[case.out][: case.frames].reshape(case.frames, 3, *io[case.out].shape[-2:]).astype(np.float32)
    index = (io[case.index] if case.index else np.arange(len(expected)))[: case.frames].astype(np.int64)
    error = float(np.abs(model(torch.from_numpy(index)).numpy() - expected).max())
    if error > 1e-5:
        raise SystemExit(f"{folder.name}: frames miss the official ones by {error:g}; nothing written")
    target.mkdir(parents=True, exist_ok=True)
    about = {
        "architecture": model.architecture,
        "config": model.config.to_config(),
        "layers": layer_figures(model, int(index[0])),
    }
    (target / "config.json").write_text(json.dumps(about, indent=1) + "\n")
    state = {name: value.numpy() for name, value in (model.stored_state() | tables).items()}
    np.savez_compressed(target / "state.npz", **state)
    np.savez_compressed(target / "io.npz", index=index, out=expected[:, :, ::STEP, ::STEP])
    return error


if __name__ == "__main__":
    for name, case in CASES.items():
        print(f"{name}: {_cut(Path(sys.argv[1]) / name, case, TARGET / name):.2g}")
