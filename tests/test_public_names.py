"""Public names are a decision: every module lists them, and what it lists exists and is documented."""

import importlib
import inspect
import pkgutil
from types import ModuleType

import pytest

import app
import ffmpeg_bridge
import models_hub
import nervplay

NEEDS = {"nervplay.decode.cuda.kernels": "triton"}
"""Optional packages without which a module cannot be imported."""


def modules() -> list[str]:
    found = []
    for package in (nervplay, ffmpeg_bridge, models_hub, app):
        found.append(package.__name__)
        found += [info.name for info in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
    return [name for name in found if not name.endswith("__main__")]


@pytest.mark.parametrize("name", modules())
def test_all_is_complete_and_true(name: str) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason=f"{NEEDS[name]} is not installed here")
    module: ModuleType = importlib.import_module(name)
    listed = set(module.__all__)
    assert listed <= set(dir(module)), "listed, but not there"
    assert len(module.__all__) == len(listed), "listed twice"
    assert (module.__doc__ or "").strip(), "a module says what it is for"
    for key in listed:
        value = getattr(module, key)
        if inspect.isclass(value) or inspect.isroutine(value):
            assert (inspect.getdoc(value) or "").strip(), f"{key} has no docstring"
