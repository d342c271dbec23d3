"""Checkpoints of the official E-NeRV code become our networks.

    checkpoint.pth    {"model", "optimizer", "epoch", "config", ...}: weights, and the frozen coordinates `xy_coord`
    cfg.yaml          written beside it: the configuration

The command line (`main.py`, github.com/kyleleey/E-NeRV at 9f3529a) only says where the configuration lies. Where it
names none, `cfg.yaml` beside the checkpoint is read. The copy inside the checkpoint is not: nothing but tensors is
taken out of a pickle. One flag is ours: `--frames N`, the number of frames, which neither file holds.
"""

import argparse
from pathlib import Path

import numpy as np
from torch import Tensor

from nervplay.codec.official_enerv_config import enerv_config
from nervplay.codec.official_load import load_tensors
from nervplay.codec.official_network import fill_network, frame_count, plain_state
from nervplay.codec.official_words import OfficialParser, parse_words
from nervplay.codec.plain_yaml import read_yaml
from nervplay.errors import CheckpointError, MissingInputError
from nervplay.models.base import VideoModel
from nervplay.models.enerv import place_coordinates, rename_upstream_keys
from nervplay.models.enerv_config import ENeRVConfig
from nervplay.video.source import FrameSource

__all__ = ["open_enerv", "parse_enerv"]

_MAX_CONFIG = 1 << 16
_TOLERANCE = 1e-6


def parse_enerv(arguments: str) -> argparse.Namespace:
    """Return the flags of a command line of the E-NeRV repository; "python main.py" before them is skipped.

    Args:
        arguments: the command line, as one string.

    Raises:
        UsageError: a flag or a value that the official parser does not take.
    """
    parser = OfficialParser(one="--output_dir --time_str --device --port")
    parser.add_argument("--cfg_path", default="")
    parser.add_argument("--frames", type=int)
    return parse_words(parser, arguments)


def _configuration(named: str, checkpoint: Path) -> str:
    """Return the text of the official configuration.

    Raises:
        MissingInputError: no such file.
        CheckpointError: one that cannot be text of a configuration.
    """
    path = Path(named) if named else checkpoint.with_name("cfg.yaml")
    if not path.is_file():
        raise MissingInputError(
            f"{path} does not exist or is no file; name the official configuration (--cfg_path), or lay it as cfg.yaml "
            "beside the checkpoint"
        )
    if path.stat().st_size > _MAX_CONFIG:
        raise CheckpointError(f"{path} has over {_MAX_CONFIG} bytes; it is no configuration of the official code")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} is no text ({error}); give the official configuration") from None


def _check_places(coordinates: Tensor | None, config: ENeRVConfig) -> None:
    """Raise `CheckpointError` unless the file's coordinates are those that we compute, or it has none."""
    expected = place_coordinates(config.grid)
    if coordinates is None:
        return
    if tuple(coordinates.shape) != expected.shape or not np.allclose(coordinates.float(), expected, 0, _TOLERANCE):
        raise CheckpointError(
            f"the checkpoint's tensor 'xy_coord' of shape {tuple(coordinates.shape)} is not the corners of a grid of "
            f"{config.grid}: they are computed here, not stored; take the file before its weights were quantised"
        )


def open_enerv(path: str | Path, arguments: str, source: FrameSource | None = None) -> VideoModel:
    """Open a checkpoint of the official E-NeRV code.

    Args:
        path: `checkpoint.pth`.
        arguments: the official command line it was made with, as one string; "--frames N" may be added.
        source: the clip it was fitted to; only its number of frames is used.

    Returns:
        The network in eval mode on the CPU.

    Raises:
        MissingInputError: no such file, or no configuration.
        CheckpointError: a file that cannot be read, or does not fit the configuration.
        UsageError: arguments or settings that the official code or this one does not take.
    """
    path = Path(path)
    flags = parse_enerv(arguments)
    settings = read_yaml(_configuration(flags.cfg_path, path))
    config = enerv_config(settings, frame_count(flags.frames, source))
    state = plain_state(load_tensors(path))
    _check_places(state.get("xy_coord"), config)
    return fill_network("e-nerv", config, rename_upstream_keys(state))
