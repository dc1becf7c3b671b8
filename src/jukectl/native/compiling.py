"""Compiler calls for step.c, one per instruction set. Run it to build in place: python src/jukectl/native/compiling.py

It imports nothing of jukectl, so that the build hook (hatch_build.py) can run it before jukectl is installed.
"""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent

# not -ffast-math: it would also let the compiler reorder sums, whose order keeps a row's bits the same in every batch.
# These flags drop errno and traps, which nothing here reads, and allow fused multiply-adds.
FLAGS = ("-O3", "-std=gnu11", "-fPIC", "-shared", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast")
VARIANTS = {
    "plain": (),  # the baseline of the architecture: runs everywhere
    "avx2": ("-march=x86-64-v3",),
    "avx512": ("-march=x86-64-v4", "-mavx512vnni", "-mprefer-vector-width=512"),  # GCC prefers 256 bits by default
}
"""Additional flags of each variant; the names are those in library.py."""


def build() -> list[Path]:
    """Compile every variant that the compiler supports on this machine; return the libraries' paths."""
    compiler = os.environ.get("CC") or next(filter(shutil.which, ("cc", "gcc", "clang")), None)
    if compiler is None or sys.platform == "win32":
        return []
    names = VARIANTS if platform.machine().lower() in ("x86_64", "amd64") else ("plain",)
    return [path for name in names if (path := _compiled(compiler, name))]


def _compiled(compiler: str, name: str) -> Path | None:
    path = FOLDER / f"_step_{name}.so"
    part = path.with_suffix(".part")  # renamed when complete: a process may load the library at any moment
    command = [*compiler.split(), *FLAGS, *VARIANTS[name], str(FOLDER / "step.c"), "-o", str(part), "-lm"]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=300)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode:  # an old compiler without the instruction set: the other variants remain
        part.unlink(missing_ok=True)
        return None
    part.replace(path)
    return path


if __name__ == "__main__":
    sys.stdout.write("".join(f"{path}\n" for path in build()))
