"""The compiled step, built and found."""

import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from jukectl.native import compiling, library
from jukectl.native.packing import PANEL

SOURCE = Path(compiling.__file__).parent


def test_python_and_c_agree_on_the_panel():
    assert f"#define PANEL {PANEL} " in (SOURCE / "step.c").read_text()


def test_every_compiled_variant_is_one_that_is_loaded():
    assert tuple(compiling.VARIANTS) == library.VARIANTS


def test_without_a_compiler_nothing_is_built(monkeypatch, tmp_path):
    monkeypatch.setattr(compiling, "FOLDER", tmp_path)
    monkeypatch.setenv("CC", str(tmp_path / "no-such-compiler"))
    assert compiling.build() == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("tag", "architectures", "variants"),
    [
        ("macosx-11.0-arm64", ["arm64"], ["plain"]),
        ("macosx-10.13-x86_64", ["x86_64"], list(library.VARIANTS)),
        ("macosx-10.13-universal2", ["arm64", "x86_64"], ["plain"]),  # Python's installer: the tag promises both
    ],
)
def test_on_macos_the_step_is_compiled_for_what_the_tag_of_the_wheel_names(tag, architectures, variants, monkeypatch):
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr("sysconfig.get_platform", lambda: tag)
    flags = compiling.target_flags()
    assert [after for flag, after in pairwise(flags) if flag == "-arch"] == architectures
    assert f"-mmacosx-version-min={tag.split('-')[1]}" in flags
    assert list(compiling.variants()) == variants


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no compiler")
def test_a_failed_compilation_leaves_no_file(monkeypatch, tmp_path):
    (tmp_path / "step.c").write_text("int main( {")
    monkeypatch.setattr(compiling, "FOLDER", tmp_path)
    assert compiling.build() == []
    assert [path.name for path in tmp_path.iterdir()] == ["step.c"]


@pytest.mark.skipif(library.library() is None, reason="there was no compiler when jukectl was installed")
@pytest.mark.parametrize("answer", ["0", "library.INTERFACE - 1", "library.INTERFACE + 1"])
def test_a_library_of_another_version_leaves_decoding_to_torch(answer):
    code = f"""
from jukectl.native import library
library.INTERFACE = {answer}
assert library.library() is None
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("content", [None, b"", b"no library"])
def test_a_missing_or_invalid_library_leaves_decoding_to_torch(content, tmp_path):
    code = f"""
from pathlib import Path
from jukectl.native import library
library.path_of = lambda variant: Path({str(tmp_path)!r}) / variant
assert library.library() is None
"""
    for variant in library.VARIANTS:
        if content is not None:
            (tmp_path / variant).write_bytes(content)
    subprocess.run([sys.executable, "-c", code], check=True)
