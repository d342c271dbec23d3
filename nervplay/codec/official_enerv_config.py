"""The YAML configuration of the official E-NeRV code becomes our configuration."""

from collections.abc import Mapping
from math import prod
from typing import Any

from nervplay.blocks.activation import ActivationName
from nervplay.blocks.conv_block import NormName
from nervplay.blocks.up_conv import Upsampling
from nervplay.errors import UsageError
from nervplay.models.base import checked
from nervplay.models.enerv_config import ENeRVConfig

__all__ = ["enerv_config"]


class _Model:
    """The section "model" of a file.

    Raises:
        UsageError: there is none.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        values = settings.get("model")
        if not isinstance(values, dict):
            raise UsageError(
                "the official configuration has no section 'model'; give the cfg.yaml of the official code"
            )
        self._values: dict[str, Any] = values

    def get(self, key: str, hint: Any) -> Any:
        """Return a setting of the type `hint`, as `checked` knows types.

        Raises:
            UsageError: it is missing, or has another type.
        """
        if key not in self._values:
            raise UsageError(f"the official configuration lacks model.{key}; give the cfg.yaml of the official code")
        return checked(self._values[key], hint, f"model.{key} of the official configuration")

    def joined(self, key: str) -> tuple[int, ...]:
        """Return the numbers of a setting such as "9_16_196".

        Raises:
            UsageError: it is missing, or is something else.
        """
        text = str(self.get(key, str | int))
        try:
            return tuple(map(int, text.split("_")))
        except ValueError:
            raise UsageError(
                f"model.{key} of the official configuration is {text}; it must be whole numbers joined by '_'"
            ) from None


def enerv_config(settings: Mapping[str, Any], frame_count: int) -> ENeRVConfig:
    """Return the configuration that an official file describes.

    Args:
        settings: the whole file, as `plain_yaml.read_yaml` gives it.
        frame_count: T.

    Raises:
        UsageError: a setting that is missing, or a value that no network here can have.
    """
    model = _Model(settings)
    if (name := model.get("model_name", str)) != "E_NeRV":
        raise UsageError(f"model.model_name of the official configuration is {name}; only E_NeRV is known here")
    if not model.get("bias", bool):
        raise UsageError("model.bias of the official configuration is false; layers without bias are not known here")
    strides = model.get("stride_list", tuple[int, ...])
    grid = model.joined("fc_hw_dim")
    if len(grid) != 3:
        raise UsageError(f"model.fc_hw_dim of the official configuration has {len(grid)} numbers; it must be h_w_C")
    rows, columns, channels = grid
    return ENeRVConfig(
        width=columns * prod(strides),
        height=rows * prod(strides),
        frame_count=frame_count,
        grid=(rows, columns),
        channels=channels,
        strides=strides,
        expansion=model.get("expansion", float),
        reduction=model.get("reduction", int),
        lower_width=model.get("lower_width", int),
        time_base=model.get("pos_b", float),
        time_levels=model.get("pos_l", int),
        place_base=model.get("xypos_b", float),
        place_levels=model.get("xypos_l", int),
        modulation_base=model.get("pos_b_tm", float),
        modulation_levels=model.get("pos_l_tm", int),
        stem_widths=model.joined("stem_dim_num"),
        block_width=model.get("block_dim", int),
        hidden_width=model.get("mlp_dim", int),
        upsampling=model.get("conv_type", Upsampling),
        norm=model.get("norm", NormName),
        activation=model.get("act", ActivationName),
        single_resolution=model.get("sin_res", bool),
        output="sigmoid" if model.get("sigmoid", bool) else "tanh",
    )
