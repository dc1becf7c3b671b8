"""`import jukectl`: the whole API at hand, and none of it loaded before it is used."""

import subprocess
import sys

import pytest


def run(code: str) -> str:
    """Return what a fresh interpreter prints: this one has imported most of the package already."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("line", ["from jukectl import api", "import jukectl; api = jukectl.api"])
def test_a_fresh_interpreter_can_import_the_api(line: str) -> None:
    assert run(f"{line}\nprint(api.__name__)") == "jukectl.api"


def test_every_function_of_the_api_is_an_attribute_of_the_package() -> None:
    code = "import jukectl\nprint(all(hasattr(jukectl, name) for name in jukectl.api.__all__), jukectl.sample.__name__)"
    assert run(code) == "True sample"


def test_the_api_is_listed_by_dir() -> None:
    assert run("import jukectl\nprint({'sample', 'continue_', 'Request'} <= set(dir(jukectl)))") == "True"


def test_importing_a_light_module_from_the_package_does_not_load_torch() -> None:
    assert run("import sys\nfrom jukectl import errors, files\nprint('torch' in sys.modules)") == "False"


def test_an_unknown_name_is_an_attribute_error() -> None:
    import jukectl

    with pytest.raises(AttributeError, match="no attribute 'smaple'"):
        jukectl.smaple  # noqa: B018
