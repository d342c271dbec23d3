"""Arguments that are addresses on the Hub and nothing else."""

from typing import Any

import click

from models_hub import Address, parse_address

__all__ = ["ADDRESS", "LOCAL_ADDRESS", "HubAddress", "LocalAddress"]


class HubAddress(click.ParamType[Address]):
    """An address on the Hub, the bare form user/name included."""

    name = "address"
    remote = True
    """Commands with such an argument take --offline."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Address:  # noqa: ARG002 - click's signature
        """Return the address.

        Raises:
            UsageError: not an address.
        """
        return value if isinstance(value, Address) else parse_address(value)


class LocalAddress(HubAddress):
    """The address of something that is looked for on this computer only."""

    remote = False


ADDRESS = HubAddress()
LOCAL_ADDRESS = LocalAddress()
