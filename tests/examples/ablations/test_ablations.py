"""The ablations: every recipe is valid, and the report shows the figures of the logs."""

import csv
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from jukectl.codes.level import Level
from jukectl.tables import build
from jukectl.training.config import VQVAERecipe, load_recipe
from jukectl.vqvae.config import VQVAEConfig

ROOT = Path(__file__).parents[3]
VARIANTS = tomllib.loads((ROOT / "examples/ablations/variants.toml").read_text())


@pytest.fixture
def train(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("train")


@pytest.fixture
def report(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("report")


@pytest.mark.parametrize("name", VARIANTS)
def test_every_ablation_has_a_valid_recipe_and_its_own_folder(train, name):
    recipe = load_recipe(train.BASE, VQVAERecipe, train.overrides(name))
    config = build(VQVAEConfig, recipe.model, name)
    assert recipe.out == Path("build/ablations/runs") / name
    assert recipe.train.steps == 2_000
    assert [config.hop(level) for level in Level] == [8, 32, 128]  # the paper's

    if config.codebook_size:  # thresholds are a quarter of the mean usage of the level with the fewest codes
        top = Level.parse(recipe.levels[-1])
        uses = recipe.train.batch * recipe.data.clip_samples / config.hop(top) / config.codebook_size
        assert recipe.codebook.threshold in (0, uses / 4)


def test_only_the_hierarchical_run_has_a_separate_trainer(train):
    own = {name for name in VARIANTS if "hierarchical_task.py" in " ".join(train.command(name))}
    assert own == {"hierarchical"}
    assert all("train vqvae" in " ".join(train.command(name)) for name in set(VARIANTS) - own)


def test_ablations_hold_out_the_same_songs_as_mini(train):
    held_out = load_recipe(train.BASE, VQVAERecipe, train.overrides("top")).data.held_out
    lines = (ROOT / "examples/mini/held_out.txt").read_text().splitlines()
    assert list(held_out) == [line for line in lines if line.startswith(("naev/", "sectoid/"))]


def test_the_ablation_report_lists_exactly_the_trained_runs(report):
    rows = [row for group in (report.GROUPS | report.BESIDE).values() for row in group]
    assert {row.run for row in rows} == set(VARIANTS)


def write_logs(runs: Path, report: ModuleType) -> None:
    """Logs as two evaluations leave them, with figures that tell the runs apart."""
    for number, (name, variant) in enumerate(VARIANTS.items()):
        levels = variant.get("levels", report.LEVELS)
        has_codes = variant.get("model", {}).get("codebook_size") != 0
        evaluations, steps = [], []
        for step in (1_000, 2_000):
            evaluation: dict[str, float] = {"step": step}
            logged: dict[str, float] = {"step": step, "loss": 1.0}
            for level in levels:
                evaluation[f"{level}_convergence_db"] = -number - step / 10_000
                logged[f"{level}_used"] = 100 + number if has_codes else 0
                if has_codes:
                    evaluation |= {
                        f"{level}_held_out_entropy": 5 + number / 4,
                        f"{level}_held_out_codes": 1_000 + number,
                    }
            evaluations.append(evaluation)
            steps.append(logged)
        (runs / name).mkdir(parents=True)
        for file, rows in (("validation.csv", evaluations), ("train.csv", steps)):
            with (runs / name / file).open("w", newline="") as out:
                writer = csv.DictWriter(out, rows[0])
                writer.writeheader()
                writer.writerows(rows)


def test_the_ablation_table_shows_last_figures_beside_the_papers(report, tmp_path):
    write_logs(tmp_path, report)
    lines = report.table(report.read_all(tmp_path)).splitlines()
    number = list(VARIANTS).index("top-no-spectral")
    assert (
        f"| no spectral loss | -{number}.20 | -6.3 | {5 + number / 4:.2f} | 1,{number:03} | {100 + number} |" in lines
    )
    number = list(VARIANTS).index("bottom-no-codebook")
    assert f"| no codebook | -{number}.20 | -40.5 |  |  |  |" in lines
    assert {line.count("|") for line in lines} == {7}


def test_ablation_plots_show_the_logged_figures(report, tmp_path):
    write_logs(tmp_path, report)
    logs = report.read_all(tmp_path)
    bars = report.draw_reconstruction(logs).axes
    assert [len(axes.patches) for axes in bars] == [2 * len(group) for group in report.GROUPS.values()]
    entropy, used = report.draw_codebooks(logs).axes
    for axes, log in ((entropy, "entropies"), (used, "different")):
        drawn = [tuple(line.get_ydata()) for line in axes.lines if len(line.get_ydata()) == 2]
        for row in report.GROUPS["Hop, with and without restarts"]:
            assert getattr(logs[row], log) in drawn


def test_figures_of_the_paper_agree_between_report_and_results_page(report):
    results = (ROOT / "docs/RESULTS.md").read_text()
    for row in (row for group in report.GROUPS.values() for row in group):
        line = rf"^\| {re.escape(row.what)} \| -?[\d.]+ \| {row.paper:.1f} \|"
        assert re.search(line, results, re.MULTILINE), row.what
