"""Compiles step.c, once for each instruction set, beside itself: python src/jukectl/native/compiling.py"""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
FLAGS = ("-O3", "-std=gnu11", "-fPIC", "-shared", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast")
VARIANTS = {
    "plain": (),
    "avx2": ("-march=x86-64-v3",),
    "avx512": ("-march=x86-64-v4", "-mavx512vnni", "-mprefer-vector-width=512"),
}
"""What each is compiled with, as library.py knows them."""


def build() -> list[Path]:
    """Every variant that the compiler can make for this machine."""
    compiler = os.environ.get("CC") or next(filter(shutil.which, ("cc", "gcc", "clang")), None)
    if compiler is None or sys.platform == "win32":
        return []
    names = VARIANTS if platform.machine().lower() in ("x86_64", "amd64") else ("plain",)
    return [path for name in names if (path := _compiled(compiler, name))]


def _compiled(compiler: str, name: str) -> Path | None:
    path = FOLDER / f"_step_{name}.so"
    part = path.with_suffix(".part")
    command = [*compiler.split(), *FLAGS, *VARIANTS[name], str(FOLDER / "step.c"), "-o", str(part), "-lm"]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=300)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode:
        part.unlink(missing_ok=True)
        return None
    part.replace(path)
    return path


if __name__ == "__main__":
    sys.stdout.write("".join(f"{path}\n" for path in build()))
