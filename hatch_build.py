"""Build hook: a wheel carries the C kernels compiled, where a compiler is at hand; else it is a wheel for any machine.

An editable install and an installed sdist need nothing here: the kernels are compiled on first use, into the user's
cache (`nervplay/decode/native/library.py`).
"""

import runpy
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

__all__ = ["KernelHook"]


class KernelHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the library to the wheel and names the platform in the wheel's tag."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the kernels.

        Args:
            version: "standard", or "editable", which runs from the sources.
            build_data: what goes into the wheel; changed.
        """
        if version == "editable":
            return
        build = runpy.run_path(str(Path(self.root) / "nervplay" / "decode" / "native" / "build.py"))
        try:
            library = build["build"](Path(self.directory) / "kernels")
        except build["BuildError"] as error:
            self.app.display_warning(f"the wheel has no compiled kernels: {error}")
            return
        build_data["force_include"][str(library)] = f"nervplay/decode/native/{library.name}"
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"
