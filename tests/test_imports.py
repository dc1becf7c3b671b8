"""The direction of imports, and what stays unloaded until it is needed."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "jukectl"

LAYERS = (
    {"__main__"},
    {"cli"},
    {"studio"},
    {"api", "explorer", "evaluation"},
    {"training", "inspect", "batch"},
    {"data", "variations"},
    {"render", "alignment"},
    {"plan"},
    {"sampling", "checkpoints"},
    {"prior", "vqvae", "plots"},
    {"nn", "native"},
    {"codes"},
    {"lyrics", "midi", "audio"},
    {"examples"},
    {"folders", "settings", "truncation"},
    {"tables"},
    {"files"},
    {"errors", "progress", "librosa"},
    {"jukectl"},  # the version, and the API by name
)
"""A package may import itself and what stands below it, not its neighbours."""

HEIGHT = {package: len(LAYERS) - number for number, layer in enumerate(LAYERS) for package in layer}
HEAVY = {"torch", "librosa", "soundfile", "matplotlib", "scipy", "pydub", "huggingface_hub"}


def modules() -> list[tuple[Path, str]]:
    """Every module of the package: its file, and the package under jukectl that it is in."""
    paths = sorted(SOURCE.rglob("*.py"))
    first = [path.relative_to(SOURCE).parts[0].removesuffix(".py") for path in paths]
    return [(path, "jukectl" if name == "__init__" else name) for path, name in zip(paths, first, strict=True)]


def imported(source: str) -> Iterator[str]:
    """The full names that a module imports, at its top and inside its functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where they point"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def package_of(name: str) -> str:
    """The package under jukectl that a name like jukectl.codes.level.Level is in."""
    part = name.split(".")[1] if "." in name else ""
    return part if (SOURCE / part).is_dir() or (SOURCE / f"{part}.py").is_file() else "jukectl"


def wrong_imports(package: str, source: str) -> list[str]:
    """What a module of `package` imports that does not stand below it."""
    ours = [name for name in imported(source) if name.split(".")[0] == "jukectl"]
    lazy = {"jukectl.api.*"} if package == "jukectl" else set()  # for type checkers; loaded on first use
    return [
        name
        for name in ours
        if package_of(name) != package and HEIGHT[package_of(name)] >= HEIGHT[package] and name not in lazy
    ]


def test_imports_point_down():
    found = [(path, package, wrong_imports(package, path.read_text())) for path, package in modules()]
    assert {package for _, package, _ in found} == set(HEIGHT)
    assert {path: wrong for path, _, wrong in found if wrong} == {}


def test_every_package_has_its_place():
    assert {package for _, package in modules()} == set(HEIGHT)


@pytest.mark.parametrize(
    ("package", "source"),
    {
        "codes": "from jukectl.plan.request import Request",
        "vqvae": "def late():\n    from jukectl import cli",
        "prior": "import jukectl.vqvae.model",
        "sampling": "import jukectl.checkpoints.store",
        "files": "from jukectl import codes",
    }.items(),
)
def test_an_import_that_points_up_or_sideways_is_found(package, source):
    assert len(wrong_imports(package, source)) == 1


def test_the_model_core_uses_no_files_and_no_console():
    core = [path for path, package in modules() if package in ("prior", "vqvae", "nn")]
    names = {(path.name, name) for path in core for name in imported(path.read_text())}
    forbidden = ("jukectl.files", "pathlib", "os", "rich", "typer", "logging")
    assert not [pair for pair in names if pair[1].startswith(tuple(f"{name}." for name in forbidden))]


def test_rich_and_typer_are_in_cli_alone():
    elsewhere = [path for path, package in modules() if package != "cli"]
    roots = {name.split(".")[0] for path in elsewhere for name in imported(path.read_text())}
    assert not roots & {"rich", "typer"}


def loaded_after(code: str) -> set[str]:
    """The heavy packages that a fresh interpreter has loaded after `code`."""
    script = f"import sys\n{code}\nprint('loaded:', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return HEAVY & set(done.stdout.rpartition("loaded:")[2].split())


def test_the_command_line_codes_errors_and_files_load_without_torch_and_its_like():
    light = [path for path, package in modules() if package in ("cli", "codes", "errors", "files", "progress")]
    names = [".".join(path.relative_to(SOURCE.parent).with_suffix("").parts) for path in light]
    assert loaded_after("\n".join(f"import {name}" for name in names)) == set()


@pytest.mark.parametrize("arguments", [["--help"], ["continue", "--help"], ["--version"]], ids=" ".join)
def test_help_loads_nothing_heavy(arguments):
    assert loaded_after(f"from jukectl.cli.main import main\nassert main({arguments}) == 0") == set()
