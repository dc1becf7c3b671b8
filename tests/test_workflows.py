"""The workflows of .github: valid by the schema, and made of targets and versions that exist."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def jobs(path: Path) -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    found: dict[str, Any] = yaml.safe_load(path.read_text())["jobs"]
    return found


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in jobs(path).values() for step in job["steps"]]


def test_every_workflow_is_valid():
    pytest.importorskip("check_jsonschema")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*command, *map(str, WORKFLOWS)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_commands_are_targets_of_the_makefile_and_actions_have_a_version(workflow):
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {step["run"].split()[1] for step in steps(workflow) if step.get("run", "").startswith("make ")}
    assert named <= targets
    assert [step["uses"] for step in steps(workflow) if not re.search(r"@v\d", step.get("uses", "@v1"))] == []


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_jobs_wait_for_jobs_and_values_of_a_matrix_that_exist(workflow):
    for job in jobs(workflow).values():
        needed = job.get("needs", [])
        assert {needed} if isinstance(needed, str) else set(needed) <= set(jobs(workflow))
        used = set(re.findall(r"matrix\.(\w+)", str(job)))
        assert used <= set(job.get("strategy", {}).get("matrix", {}))


def test_tests_run_on_the_versions_of_python_that_the_package_names():
    classifiers = " ".join(PYPROJECT["project"]["classifiers"])
    named = re.findall(r"Python :: (3\.\d+)", classifiers)
    tested = jobs(ROOT / ".github/workflows/checks.yml")["tests"]["strategy"]["matrix"]["python"]
    assert tested == named
    assert PYPROJECT["project"]["requires-python"] == f">={named[0]}"


@pytest.mark.parametrize(
    ("platform", "wheels"),
    {
        "linux": ["cp311-manylinux_x86_64", "cp311-manylinux_aarch64"],
        "macos": ["cp311-macosx_arm64"],
    }.items(),
)
def test_cibuildwheel_builds_one_wheel_for_each_platform_of_torch(platform, wheels):
    pytest.importorskip("cibuildwheel")
    command = [sys.executable, "-m", "cibuildwheel", "--print-build-identifiers", "--archs", "all"]
    done = subprocess.run(
        [*command, "--platform", platform], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == wheels
