"""Build hook: compile the decoding step in C into the package, if there is a compiler.

Without one the package is pure Python, and torch does the decoding.
"""

import re
import runpy
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COMPILING = Path(__file__).parent / "src/jukectl/native/compiling.py"


class NativeStep(BuildHookInterface):
    """Adds the compiled step to the package, and the tag of the platform to the wheel that contains it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the step before a wheel is built, editable ones included."""
        if built := runpy.run_path(str(COMPILING))["build"]():
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{re.sub(r'[-.]', '_', sysconfig.get_platform())}"  # for any Python there
            build_data["artifacts"] += [f"src/jukectl/native/{path.name}" for path in built]
