"""The table of commands is sound: unique names, menus that exist, no key twice, names that read well."""

from collections import Counter

import pytest

from app.core.commands import COMMANDS, MENUS, find_command
from app.core.keymap import split_keys


def test_names_and_menus() -> None:
    names = Counter(command.name for command in COMMANDS)
    assert names.most_common(1)[0][1] == 1
    assert {command.menu for command in COMMANDS} == set(MENUS)
    assert all(command.title[:1] == command.title[:1].upper() != "" for command in COMMANDS)
    titles = Counter(command.title for command in COMMANDS)
    assert titles.most_common(1)[0][1] == 1
    assert find_command("play").keys == "Space"
    with pytest.raises(KeyError):
        find_command("fly")


def test_no_key_twice() -> None:
    keys = Counter(key.lower() for command in COMMANDS for key in split_keys(command.keys))
    assert [key for key, count in keys.items() if count > 1] == []
