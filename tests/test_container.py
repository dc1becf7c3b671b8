"""The Dockerfile, without docker: its steps are those of the documents, and what it copies is there."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCKERFILE = ROOT / "Dockerfile"
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
INSTRUCTIONS = {"FROM", "ARG", "ENV", "RUN", "COPY", "WORKDIR", "USER", "ENTRYPOINT", "CMD"}


def instructions() -> list[tuple[str, str]]:
    """Each instruction and its text, with continued lines joined and comments left out."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    words = [line.split(maxsplit=1) for line in joined.splitlines() if line]
    return [(word, text) for word, text in words]


def commands() -> list[str]:
    return [command.strip() for word, text in instructions() if word == "RUN" for command in text.split("&&")]


def test_every_line_is_an_instruction_and_images_have_a_version():
    assert {word for word, _ in instructions()} <= INSTRUCTIONS
    images = [text.split()[0] for word, text in instructions() if word == "FROM"]
    assert images
    assert [image for image in images if not re.fullmatch(r"[\w./-]+:\d[\w.-]*", image)] == []


def test_jukectl_is_installed_by_the_command_of_the_documents():
    defaults = dict(text.split("=", 1) for word, text in instructions() if word == "ARG")
    (install,) = [command for command in commands() if command.startswith("uv tool install")]
    for name, value in defaults.items():
        install = install.replace(f'"${name}"', value)
    install = install.replace(" --no-cache", "")  # keeps the image small, and is of no use elsewhere
    assert defaults == {"TORCH_BACKEND": "cpu"}
    documented = [re.sub(r"\s*#.*", "", line) for path in DOCUMENTS for line in path.read_text().splitlines()]
    assert install in documented


def test_what_docker_builds_and_runs_in_the_documents_uses_arguments_and_folders_of_the_dockerfile():
    lines = [line for path in DOCUMENTS for line in path.read_text().splitlines() if line.startswith("docker ")]
    assert {line.split()[1] for line in lines} == {"build", "run"}
    text = DOCKERFILE.read_text()
    for line in lines:
        words = shlex.split(re.sub(r"\s+#.*", "", line))
        arguments = [words[at + 1].split("=")[0] for at, word in enumerate(words) if word == "--build-arg"]
        volumes = [words[at + 1].rsplit(":", 1)[1] for at, word in enumerate(words) if word == "-v"]
        assert [name for name in arguments if f"ARG {name}=" not in text] == []
        assert [folder for folder in volumes if folder not in ("/music", "/models")] == []


def test_the_image_is_built_without_what_git_ignores():
    ignored = (ROOT / ".dockerignore").read_text().split("\n")
    assert {".git", ".venv", "build", "dist", "**/node_modules"} <= set(ignored)


def test_the_container_does_not_run_as_root_and_starts_jukectl():
    last = dict(instructions())
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last["USER"])
    assert last["ENTRYPOINT"] == '["jukectl"]'


def test_hadolint_finds_nothing():
    linter = Path(sys.executable).with_name("hadolint")
    if not (found := shutil.which(linter) or shutil.which("hadolint")):
        pytest.skip("hadolint is not installed: there is no wheel of it for this system")
    done = subprocess.run(
        [found, "--config", ".hadolint.yaml", "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("", 0)
