"""`jukectl bench`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import Level
from jukectl.sampling.floor import step_bytes
from jukectl.sampling.timing import Rounds


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure once, and memory on a few megabytes: reads beyond real caches take seconds a level."""
    monkeypatch.setattr("jukectl.inspect.bench.REPEATS", 1)
    for module in ("jukectl.sampling.timing", "jukectl.inspect.bench"):
        monkeypatch.setattr(f"{module}.last_cache", lambda: 2**21)


def test_bench_measures_every_level(jukectl: Callable, tiny_model: Path) -> None:
    answer = jukectl("--quiet", "--json", "bench", "--model", tiny_model, "--codes", "3", "--samples", "2")
    facts = answer.json
    assert (facts["model"], facts["device"][:3], facts["samples"]) == ("tiny", "cpu", 2)
    assert list(facts["levels"]) == ["top", "middle", "bottom"]
    for level in facts["levels"].values():
        for name in ("decode_ms", "floor_ms", "naive_ms", "against_floor", "against_naive"):
            assert level[name]["median"] > 0
        assert 0 < level["decode_ms"]["least"] <= level["decode_ms"]["median"]
        assert level["against_naive"]["median"] == pytest.approx(
            level["naive_ms"]["median"] / level["decode_ms"]["median"]
        )
        read = level["prefill"]
        assert [read[part]["codes"] for part in ("none", "half", "full")] == [0, 32, 63]
        assert read["half"]["ms_a_code"] == pytest.approx(read["half"]["ms"] / 32)
        assert level["codec"]["seconds_a_second"] > 0
    minute = facts["minute_seconds"]
    assert minute["all"] == pytest.approx(sum(value for name, value in minute.items() if name != "all"))
    rates = {name: level["minute"]["codes"] for name, level in facts["levels"].items()}
    assert rates == {"top": 1_875, "middle": 7_500, "bottom": 30_000}  # at 8 kHz


def test_bench_counts_half_the_bytes_of_weights_in_bf16(jukectl: Callable, tiny_model: Path) -> None:
    command = ("--quiet", "--json", "bench", "--model", tiny_model, "--levels", "top", "--codes", "1")
    half = jukectl(*command, "--precision", "bf16").json["levels"]["top"]["bytes_a_step"]
    config = ModelFolder(tiny_model).card.priors[Level.TOP]
    full = step_bytes(config, "fp32", Rounds.plan(config.context, codes=1).places, samples=1)
    assert full.weights == 2 * half["weights"]
    assert full.cache == pytest.approx(2 * half["cache"], abs=1)


def test_bench_prints_a_markdown_table_for_each_level(jukectl: Callable, tiny_model: Path) -> None:
    lines = jukectl("bench", "--model", tiny_model, "--levels", "middle,bottom", "--codes", "1").out.splitlines()
    assert [line.split("|")[1].strip() for line in lines if "tiny" in line] == [
        "tiny, middle: fp32 on cpu, samples: 1",
        "tiny, bottom: fp32 on cpu, samples: 1",
    ]
    assert sum(line.startswith("| time per code / floor") for line in lines) == 2
    assert lines[-1].startswith("a minute of music would take ")


def test_bench_refuses_wrong_options_with_one_line(fails: Callable, tiny_model: Path) -> None:
    assert "--samples" in fails("bench", "--model", tiny_model, "--samples", "0")
    assert "--codes" in fails("bench", "--model", tiny_model, "--codes", "-1")
    assert "'roof'" in fails("bench", "--model", tiny_model, "--levels", "roof")
    assert "no prior" in fails("bench", "--model", tiny_model, "--levels", "")
