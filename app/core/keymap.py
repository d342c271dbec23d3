"""Keys of commands: those of the table, changed by the user's; conflicts are found before they are taken.

Sequences are written as Qt writes them. A list is separated by ", ", so that the comma key can be written ",".
"""

from collections.abc import Mapping

from app.core.commands import COMMANDS, find_command

__all__ = ["Keymap", "join_keys", "split_keys"]


def split_keys(text: str) -> tuple[str, ...]:
    """Return the keys of a list such as "., Right" or ",, Left"; a comma that stands for itself stays."""
    return tuple(dict.fromkeys(key.strip() for key in text.split(", ") if key.strip()))


def join_keys(keys: tuple[str, ...]) -> str:
    """Return the list that `split_keys` reads."""
    return ", ".join(keys)


class Keymap:
    """Which keys call which command.

    Args:
        changed: keys by command name that differ from the table's, as settings keep them. Unknown names are ignored.
    """

    def __init__(self, changed: Mapping[str, str] | None = None) -> None:
        self._usual = {command.name: split_keys(command.keys) for command in COMMANDS}
        self._keys = dict(self._usual)
        for name, keys in (changed or {}).items():
            if name in self._keys:
                self._keys[name] = split_keys(keys)

    def keys(self, name: str) -> tuple[str, ...]:
        """Return the keys of a command."""
        return self._keys[name]

    def owner(self, key: str, *, besides: str = "") -> str | None:
        """Return the command that has `key`, without regard to case, or None.

        Args:
            key: one key sequence.
            besides: a command that does not count.
        """
        for name, keys in self._keys.items():
            if name != besides and key.lower() in (other.lower() for other in keys):
                return name
        return None

    def assign(self, name: str, keys: tuple[str, ...], *, take: bool = False) -> list[str]:
        """Give a command its keys.

        Args:
            name: the command.
            keys: its keys from now on.
            take: take them from other commands that have them.

        Returns:
            One line per conflict; nothing is changed where there is one and `take` is off.
        """
        owners = {key: owner for key in keys if (owner := self.owner(key, besides=name))}
        if owners and not take:
            return [f"{key} belongs to '{find_command(owner).title}'" for key, owner in owners.items()]
        for key, owner in owners.items():
            self._keys[owner] = tuple(other for other in self._keys[owner] if other.lower() != key.lower())
        self._keys[name] = keys
        return []

    def reset(self, name: str) -> list[str]:
        """Give a command its usual keys; the conflicts where others have them now."""
        return self.assign(name, self._usual[name])

    def changed(self) -> dict[str, str]:
        """Return what differs from the table, for the settings."""
        return {name: join_keys(keys) for name, keys in self._keys.items() if keys != self._usual[name]}
