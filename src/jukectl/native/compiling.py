"""Compiler calls for step.c, one per instruction set. Run it to build in place: python src/jukectl/native/compiling.py

It imports nothing of jukectl, so that the build hook (hatch_build.py) can run it before jukectl is installed.
"""

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

FOLDER = Path(__file__).parent

# not -ffast-math: it would also let the compiler reorder sums, whose order keeps a row's bits the same in every batch.
# These flags drop errno and traps, which nothing here reads, and allow fused multiply-adds.
FLAGS = (
    "-O3",
    "-std=gnu11",
    "-fPIC",
    "-shared",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=fast",
    "-pthread",
)
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
    return [path for name in variants() if (path := _compiled(compiler, name))]


def variants() -> tuple[str, ...]:
    """Return the names of the variants that exist for the platform that the wheel is built for."""
    architecture = _mac_platform()[1] if platform.system() == "Darwin" else platform.machine().lower()
    return tuple(VARIANTS) if architecture in ("x86_64", "amd64") else ("plain",)


def _mac_platform() -> tuple[str, str]:
    """Return the oldest macOS and the architecture that the tag of a wheel names: 11.0 and arm64, or universal2.

    The tag is that of the Python that builds, or what cibuildwheel sets, and not of the machine.
    """
    _, version, architecture = sysconfig.get_platform().split("-")
    return version, architecture


def target_flags() -> tuple[str, ...]:
    """Return the flags with which the compiler of macOS builds for what the wheel's tag names; elsewhere none."""
    if platform.system() != "Darwin":
        return ()
    version, architecture = _mac_platform()
    names = ("arm64", "x86_64") if architecture == "universal2" else (architecture,)
    return (f"-mmacosx-version-min={version}", *(word for name in names for word in ("-arch", name)))


def _compiled(compiler: str, name: str) -> Path | None:
    path = FOLDER / f"_step_{name}.so"
    part = path.with_suffix(".part")  # renamed when complete: a process may load the library at any moment
    command = [
        *compiler.split(),
        *FLAGS,
        *target_flags(),
        *VARIANTS[name],
        str(FOLDER / "step.c"),
        "-o",
        str(part),
        "-lm",
    ]
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
