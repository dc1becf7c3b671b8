"""The script that measures seams runs on any model, and tells pieces from spans."""

import importlib.util
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts/seams.py"


def test_tables_of_spans_and_pieces_are_printed(tiny_model, riff, tmp_path, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("seams", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    options = ["--work", tmp_path, "--model", tiny_model, "--seconds", 2, "--prompt-seconds", 0.5, "--samples", 1]
    arguments = [SCRIPT, riff, *options, "--spans", 1, 4, "own", "cut"]
    monkeypatch.setattr(sys, "argv", list(map(str, arguments)))
    script.main()
    sound, codes = (table.splitlines()[2:] for table in capsys.readouterr().out.strip().split("\n\n"))
    rows = {line.split(" | ")[0].strip("| "): line for line in sound}
    assert list(rows) == ["1", "4", "own", "cut"]
    assert rows["4"].split(" | ")[1] == "3"
    agreed = {tuple(cell.strip(" |") for cell in line.split(" | ")[:2]): line.split(" | ")[-1] for line in codes}
    assert len(codes) == 8
    assert "%" in agreed["4", "bottom"]
    assert "%" not in agreed["cut", "bottom"]
    assert len({(tmp_path / name / "bottom.npz").read_bytes() for name in rows}) == 4
    assert len({(tmp_path / name / "top.npz").read_bytes() for name in rows}) == 1
