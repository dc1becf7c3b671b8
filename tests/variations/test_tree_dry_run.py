"""Estimates of trees: what is counted beforehand is what is made, and nothing is written."""

from dataclasses import replace
from pathlib import Path

import pytest

from jukectl.api import Beginning, Growth, Request, TreeEstimate, estimate_regrow, estimate_tree, regrow, sample, tree
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.tree import Tree
from jukectl.errors import BadInput, RecipeDiffers

GROWTH = Growth(every=0.4, branches=3, depth=2)
NODES, STEP = 3 + 9, 12  # of it; and top codes a step


@pytest.fixture(scope="module")
def draft(tiny_model, tmp_path_factory) -> Path:
    """Two samples of half a second, at the top alone. Not to be changed."""
    path = tmp_path_factory.mktemp("songs") / "draft"
    sample(path, Request(model=str(tiny_model), artist="Ada", seconds=0.5, seed=3, samples=2, levels=(Level.TOP,)))
    return path


def listing(path: Path) -> dict[Path, object]:
    return {file: (file.is_dir() or file.read_bytes(), file.stat().st_mtime_ns) for file in Path(path).rglob("*")}


def codes(estimate: TreeEstimate) -> dict[Level, int]:
    counts = dict.fromkeys(TOP_DOWN, 0)
    for step in estimate.steps:
        for level, one in step.levels.items():
            counts[level] += one.codes
    return counts


@pytest.mark.parametrize("levels", [(Level.TOP,), TOP_DOWN], ids=["draft", "all"])
@pytest.mark.parametrize("growth", [GROWTH, replace(GROWTH, leaf=(2, 1))], ids=["tree", "leaf"])
def test_the_estimate_of_a_songs_tree_equals_the_work_done(draft, drawn, tmp_path, levels, growth):
    before = listing(draft)
    foretold = estimate_tree(draft, tmp_path / "tree", growth, Beginning(sample=1), Request(levels=levels))
    assert listing(draft) == before
    assert not list(tmp_path.iterdir())
    counted = codes(foretold)
    assert foretold.nodes == (2 if growth.leaf else NODES)
    assert counted[Level.TOP] == foretold.nodes * STEP
    drawn.update(dict.fromkeys(TOP_DOWN, 0))
    tree(draft, tmp_path / "tree", growth, Beginning(sample=1), Request(levels=levels))
    assert drawn == counted  # the root's lower levels too
    assert foretold.seconds > 0
    again = estimate_tree(draft, tmp_path / "tree", growth, Beginning(sample=1), Request(levels=levels))
    assert (again.steps, again.seconds) == ((), 0.0)


def test_the_estimate_of_a_recordings_tree_equals_the_work_done(riff, tiny_model, drawn, tmp_path):
    request = Request(model=str(tiny_model), artist="Ada")
    foretold = estimate_tree(riff, tmp_path / "tree", GROWTH, Beginning(start=0.5), request)
    assert not list(tmp_path.iterdir())
    assert foretold.encoding_seconds > 0
    assert [(one.step, one.nodes) for one in foretold.steps] == [(1, 3), (2, 9)]
    drawn.update(dict.fromkeys(TOP_DOWN, 0))
    tree(riff, tmp_path / "tree", GROWTH, Beginning(start=0.5), request)
    assert drawn == codes(foretold)


def test_of_a_tree_that_is_there_only_what_it_lacks_counts(draft, tmp_path):
    path = tmp_path / "tree"
    tree(draft, path, replace(GROWTH, depth=1), Beginning(), Request(levels=(Level.TOP,)))
    before = listing(path)
    deeper = estimate_regrow(path, Request(), depth=2)
    assert [(one.step, one.nodes) for one in deeper.steps] == [(2, 9)]
    assert estimate_tree(draft, path, GROWTH, Beginning(), Request(levels=(Level.TOP,))).nodes == 9
    assert estimate_regrow(path, Request()).steps == ()
    with pytest.raises(RecipeDiffers, match="grown from something else"):
        estimate_tree(draft, path, GROWTH, Beginning(sample=1), Request(levels=(Level.TOP,)))
    assert listing(path) == before
    regrow(path, Request(), depth=2)
    Tree(path).node_path((1, 2), Level.TOP).unlink()
    (lost,) = estimate_regrow(path, Request()).steps
    assert (lost.step, lost.nodes, lost.levels[Level.TOP].codes) == (2, 1, STEP)


def test_nodes_in_progress_count_with_their_missing_codes(draft, tmp_path, monkeypatch):
    class Killed(Exception): ...

    def killed(job, *rest):
        if job.song.path.name == "growing" and job.codes[Level.TOP].done > job.codes[Level.TOP].prompt:
            raise Killed
        return fill(job, *rest)

    from jukectl.render import song as rendering
    from jukectl.render.level import fill_level as fill

    path = tmp_path / "tree"
    monkeypatch.setattr(rendering, "fill_level", killed)
    with pytest.raises(Killed):
        tree(draft, path, GROWTH, Beginning(), Request(levels=TOP_DOWN))
    foretold = estimate_regrow(path, Request())
    assert [(one.step, one.nodes) for one in foretold.steps] == [(1, 3), (2, 9)]
    assert Level.TOP not in foretold.steps[0].levels
    assert foretold.steps[0].levels[Level.MIDDLE].codes == 3 * STEP * 4


def test_a_dry_run_of_a_tree_has_the_errors_of_the_command(draft, tmp_path):
    with pytest.raises(BadInput, match="1 to 6 steps deep"):
        estimate_tree(draft, None, replace(GROWTH, depth=7), Beginning(), Request())
    with pytest.raises(BadInput, match="is too short"):
        estimate_tree(draft, None, replace(GROWTH, every=4.0), Beginning(), Request(song_seconds=1.0))
