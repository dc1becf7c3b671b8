"""Train the runs of variants.toml, or those named, one after another; a run that was stopped resumes.

python examples/ablations/train.py
python examples/ablations/train.py top top-no-restarts
"""

import argparse
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
BASE = HERE / "base.toml"
RUNS = Path(tomllib.loads(BASE.read_text())["out"])  # with a folder for each run
VARIANTS: dict[str, dict[str, Any]] = tomllib.loads((HERE / "variants.toml").read_text())


def overrides(name: str) -> list[str]:
    """Return a run's changes to base.toml, in the form of `jukectl train vqvae --set`."""
    return [*flat(VARIANTS[name]), f"out={json.dumps(str(RUNS / name))}"]


def flat(table: Mapping[str, Any], within: str = "") -> Iterator[str]:
    """Yield the values of a TOML table as lines like "codebook.threshold=0.5"."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{within}{key}.")
        else:
            yield f"{within}{key}={json.dumps(value)}"


def command(name: str) -> list[str]:
    """Return the command that trains a run."""
    if VARIANTS[name].get("architecture") == "hierarchical":  # which the package cannot train: no model comes of it
        return [sys.executable, str(HERE / "hierarchical_task.py"), str(BASE), *overrides(name)]
    settings = [word for override in overrides(name) for word in ("--set", override)]
    return [sys.executable, "-m", "jukectl", "train", "vqvae", str(BASE), *settings]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all by default, of {', '.join(VARIANTS)}")
    names: list[str] = parser.parse_args().names or list(VARIANTS)
    if unknown := set(names) - set(VARIANTS):
        parser.error(f"no such run: {', '.join(sorted(unknown))}; there are {', '.join(VARIANTS)}")
    for name in names:
        if status := subprocess.run(command(name), check=False).returncode:
            sys.exit(status)


if __name__ == "__main__":
    main()
