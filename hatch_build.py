"""Builds the decoding step in C into the package, where there is a compiler for it.

Without one the package is as it is everywhere: torch does the decoding.
"""

import re
import runpy
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COMPILING = Path(__file__).parent / "src/jukectl/native/compiling.py"


class NativeStep(BuildHookInterface):
    """Puts the compiled step beside its source, and its platform's tag on a wheel that has it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before a wheel, an editable one among them, is put together."""
        if built := runpy.run_path(str(COMPILING))["build"]():
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{re.sub(r'[-.]', '_', sysconfig.get_platform())}"  # for any Python there
            build_data["artifacts"] += [f"src/jukectl/native/{path.name}" for path in built]
