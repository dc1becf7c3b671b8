"""Fine-tuning: runs that start from a trained model learn new names, and result in models and adapters."""

import csv
import shutil
import signal
import subprocess
import tomllib

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from jukectl.checkpoints.adapters import AdaptedModel, AdapterFile, AppliedAdapter
from jukectl.checkpoints.assemble import Run, assemble
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.archive import Codes
from jukectl.codes.level import Level
from jukectl.data.manifest import Manifest, Track
from jukectl.errors import BadModel, BadRecipe, WrongCodec
from jukectl.prior.labels import LabelBatch
from jukectl.progress import WarningsOnly, ignore
from jukectl.training.config import PriorRecipe, load_recipe
from jukectl.training.prior_task import PriorTask
from jukectl.training.runs import train_prior, train_vqvae
from jukectl.training.starting import agreed_model, find_prior

CPU = torch.device("cpu")
HOPS = {Level.TOP: 256, Level.MIDDLE: 64}
LABELS = LabelBatch.repeat(1, artist=2, genres=(1,), slots=2, total_length=40_000, sample_length=64 * 256)


@pytest.fixture
def model(tiny_model):
    return ModelFolder(tiny_model)


@pytest.fixture
def codes(tmp_path, model):
    """Songs of a new artist in codes of the tiny model: each goes up and down between a few codes, at its own pace."""
    folder = tmp_path / "codes"
    tracks = []
    for number, artist in enumerate(("Zoë", "ADA", "Zoë")):
        track = Track(
            path=f"{number}.wav", seconds=4.8, sample_rate=8_000, channels=1, artist=artist, genres=("Tango", "jazz")
        )
        tracks.append(track)
        for level, hop in HOPS.items():
            frames = np.arange(150 * 256 // hop)[None]
            song = Codes(
                level=level, array=(frames * (number + 1) % 7 + frames % 3).astype(np.uint16), prompt=0, hop=hop,
                sample_rate=8_000, codebook_size=32, vqvae=model.fingerprint("vqvae"),
            )  # fmt: skip
            (folder / track.name).mkdir(parents=True, exist_ok=True)
            song.save(folder / track.name / f"{level.label}.npz")
    Manifest(folder, tuple(tracks)).save(folder / "manifest.jsonl")
    return folder


@pytest.fixture
def recipe(tmp_path, codes, tiny_model):
    path = tmp_path / "my.toml"
    path.write_text(f"""
out = "{(tmp_path / "run").as_posix()}"
start = "{tiny_model.as_posix()}"
label_dropout = 0.0
[copying]
samples = 2
codes = 16
[data]
codes = "{codes.as_posix()}"
held_out = ["2.wav"]
validation_segments = 4
[train]
steps = 12
batch = 2
learning_rate = 0.01
warmup = 2
threads = 1
evaluate_every = 4
checkpoint_every = 5
""")
    return path


def figures(path):
    with (path.parent / "run" / "validation.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def logits(prior, labels=LABELS):
    with torch.no_grad():
        return prior(torch.arange(64)[None] % 32, labels)


# The model that is started from


def test_known_names_keep_their_ids_and_new_ones_come_after(recipe, model):
    task = PriorTask(load_recipe(recipe, PriorRecipe), find_prior(str(model.path), Level.TOP))
    assert task.vocabulary.artists == ("unlabelled", "Ada", "Björk B.", "Zoë")
    assert task.vocabulary.genres == ("unlabelled", "Jazz", "Ambient", "Tango")
    assert {song.conditioning.segments[0].artist.ids for song in task.training.songs} == {(3,), (1,)}
    assert (task.config.artists, task.config.genres) == (4, 4)
    assert torch.equal(logits(task.prior), logits(model.prior(Level.TOP, CPU)))


def test_the_architecture_of_the_start_model_is_kept_and_must_fit_the_recipe(recipe, model):
    start = find_prior(str(model.path), Level.TOP)
    agreeing = load_recipe(recipe, PriorRecipe, ["model.width=32", "model.timing.bins=16"])
    assert PriorTask(agreeing, start).config.width == 32
    for override, message in (
        ("model.width=64", "model.width is 64, but 32"),
        ("model.timing.bins=9", "timing.bins is 9"),
    ):
        with pytest.raises(BadRecipe, match=message):
            train_prior(recipe, [override], ignore)
    assert agreed_model({}, {"width": 3}, "it") == {"width": 3}


def test_codes_of_another_codec_are_refused_unless_forced(recipe, model, codes, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(model.path, other)
    run = Run(tmp_path, {"vqvae": tomllib.loads((model.path / "model.toml").read_text())["vqvae"]}, {
        name: tensor.float() * 1.5 for name, tensor in load_file(model.part("vqvae")).items()
    })  # fmt: skip
    shutil.rmtree(other)
    parts = [run, *(as_run(model, level, tmp_path) for level in (Level.TOP,))]
    changed = assemble(other, parts, {"name": "other"})
    with pytest.raises(WrongCodec) as caught:
        train_prior(recipe, [f"start={other}"], ignore)
    both = (model.fingerprint("vqvae")[:12], changed.fingerprint("vqvae")[:12], "--model", "--force")
    assert all(text in str(caught.value) for text in both)
    warnings = []
    train_prior(recipe, [f"start={other}", "other_codec=true", "train.steps=1"], WarningsOnly(warnings.append))
    assert len(warnings) == 1
    assert changed.fingerprint("vqvae")[:12] in warnings[0]


def as_run(model, level, folder):
    card = tomllib.loads((model.path / "model.toml").read_text(encoding="utf-8"))
    about = {"prior": card["priors"][level.label], "vocabulary": card["vocabulary"]}
    return Run(folder, about, load_file(model.part(level.label)))


def test_a_missing_start_model_or_one_of_another_level_is_refused(recipe, tmp_path):
    with pytest.raises(BadModel, match="nowhere"):
        train_prior(recipe, ["start=nowhere"], ignore)
    train_prior(recipe, ["train.steps=1"], ignore)
    with pytest.raises(BadModel, match="not of a middle prior"):
        train_prior(recipe, [f"start={tmp_path / 'run'}", "level=middle", f"out={tmp_path / 'two'}"], ignore)


# The whole model


def test_a_fine_tuned_prior_improves_on_the_new_artist_and_can_be_assembled(recipe, model, tmp_path):
    weights = train_prior(recipe, ["train.steps=40"], ignore)
    rows = figures(recipe)
    assert [row["step"] for row in rows][:2] == ["0", "4"]
    assert float(rows[-1]["bits"]) < 0.8 * float(rows[0]["bits"])
    tuned = assemble(tmp_path / "tuned", [Run.load(weights.parent)], {"name": "tuned"}, base=model)
    parts = ("vqvae", "top", "middle", "bottom")
    assert [part for part in parts if tuned.fingerprint(part) != model.fingerprint(part)] == ["top"]
    assert tuned.card.labels(Level.TOP, "Zoë", ("Tango",)) == (3, (3,))
    assert tuned.card.labels(Level.MIDDLE, "Zoë", ("Tango", "Jazz")) == (0, (1,))
    assert tuned.card.unknown_at(Level.MIDDLE, "Zoë", ("Tango",)) == ("Zoë", "Tango")
    assert tuned.card.sampling == model.card.sampling
    assert (tuned.card.licence, tuned.card.sources) == ("", model.card.sources)


def test_a_run_can_start_from_another_run(recipe, tmp_path):
    first = train_prior(recipe, [], ignore)
    second = train_prior(recipe, [f"start={first.parent}", f"out={tmp_path / 'two'}", "train.steps=1"], ignore)
    about = tomllib.loads((second.parent / "model.toml").read_text(encoding="utf-8"))
    assert about["vocabulary"]["artists"] == ["unlabelled", "Ada", "Björk B.", "Zoë"]
    before = float(figures(recipe)[-1]["bits"])
    with (second.parent / "validation.csv").open(newline="") as file:
        assert float(next(csv.DictReader(file))["bits"]) <= before + 1e-4


def test_an_upsampler_can_be_fine_tuned(recipe, tmp_path):
    train_prior(recipe, ["level=middle", "train.steps=4"], ignore)
    about = tomllib.loads((tmp_path / "run" / "model.toml").read_text(encoding="utf-8"))
    assert about["prior"]["conditioner"]["codebook_size"] == 32
    assert about["vocabulary"]["artists"][-1] == "Zoë"


# Adapters


def test_an_adapter_lowers_bits_and_can_be_applied_to_the_model(recipe, model):
    path = train_prior(recipe, ["adapter.rank=4", "train.steps=40"], ignore)
    rows = figures(recipe)
    assert float(rows[-1]["bits"]) < 0.95 * float(rows[0]["bits"])
    adapter = AdapterFile.load(path)
    assert adapter.card.artists == ("Zoë",)
    assert adapter.card.genres == ("Tango",)
    assert path.stat().st_size < model.part("top").stat().st_size
    adapted = AdaptedModel.with_adapters(model, [AppliedAdapter(adapter)])
    task = PriorTask(load_recipe(recipe, PriorRecipe), find_prior(str(model.path), Level.TOP))
    prior = adapted.prior(Level.TOP, CPU)
    with torch.no_grad():
        bits = np.mean([float(prior.loss(one.codes, one.labels)) for one in task.validation])
    assert bits == pytest.approx(min(float(row["bits"]) for row in rows), rel=1e-3)


def test_a_checkpoint_of_an_adapter_run_holds_only_the_adapter(recipe, tmp_path):
    train_prior(recipe, ["adapter.rank=1"], ignore)
    state = torch.load(max((tmp_path / "run").glob("checkpoint-*.pt")), weights_only=True)
    assert {name.rsplit(".", 1)[1] for name in state if name.startswith("model.")} == {"down", "up", "rows"}


def test_a_killed_adapter_run_resumes_to_the_same_file(recipe, warm_python, tmp_path):
    whole = train_prior(recipe, ["adapter.rank=2", f"out={tmp_path / 'whole'}"], ignore)
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from jukectl.training.runs import train_prior\n"
        "def report(progress):\n"
        "    if progress.stage == 'training' and progress.done >= 8: os.kill(os.getpid(), signal.SIGKILL)\n"
        "train_prior(Path(sys.argv[1]), ['adapter.rank=2'], report)\n"
    )
    killed = subprocess.run([*warm_python, "-c", script, str(recipe)], check=False, timeout=500)
    assert killed.returncode == -signal.SIGKILL
    again = train_prior(recipe, ["adapter.rank=2"], ignore)
    assert again.read_bytes() == whole.read_bytes()


def test_adapter_checkpoints_of_another_base_are_refused(recipe, model, tmp_path):
    train_prior(recipe, ["adapter.rank=2"], ignore)
    tuned = train_prior(recipe, [f"out={tmp_path / 'other'}"], ignore)
    other = assemble(tmp_path / "tuned", [Run.load(tuned.parent)], {"name": "tuned"}, base=model)
    with pytest.raises(BadRecipe, match="checkpoints of another model"):
        train_prior(recipe, ["adapter.rank=2", f"start={other.path}"], ignore)


def test_an_adapter_needs_a_model_rather_than_a_run(recipe, tmp_path):
    run = train_prior(recipe, ["train.steps=1"], ignore).parent
    with pytest.raises(BadRecipe, match="models assemble"):
        train_prior(recipe, [f"start={run}", "adapter.rank=2", f"out={tmp_path / 'two'}"], ignore)
    text = recipe.read_text(encoding="utf-8")
    recipe.write_text("\n".join(line for line in text.splitlines() if not line.startswith("start")), encoding="utf-8")
    with pytest.raises(BadRecipe, match="adapter needs a model"):
        train_prior(recipe, ["adapter.rank=2"], ignore)


def test_an_adapter_run_cannot_be_assembled_into_a_model(recipe):
    path = train_prior(recipe, ["adapter.rank=2", "train.steps=1"], ignore)
    with pytest.raises(BadModel, match="models merge"):
        Run.load(path.parent)


# Codecs


def test_a_codec_starts_from_a_trained_one(codec_recipe, tmp_path):
    first = train_vqvae(codec_recipe, [], ignore)
    start = [f"start={first.parent}", f"out={tmp_path / 'two'}", "model.widths=[8, 8, 8]", "train.steps=4"]
    second = train_vqvae(codec_recipe, start, ignore)
    with (second.parent / "validation.csv").open(newline="") as file:
        begun = next(csv.DictReader(file))
    with (first.parent / "validation.csv").open(newline="") as file:
        best = min(float(row["convergence_db"]) for row in csv.DictReader(file))
    assert begun["step"] == "0"
    assert float(begun["convergence_db"]) == pytest.approx(best, abs=1e-3)
    with pytest.raises(BadRecipe, match=r"model\.codebook_size is 8, but 16"):
        train_vqvae(codec_recipe, [*start, "model.codebook_size=8"], ignore)


def test_a_codec_cannot_start_from_a_prior_run(recipe, codec_recipe):
    with pytest.raises(BadModel, match="not of a codec"):
        train_vqvae(codec_recipe, [f"start={train_prior(recipe, ['train.steps=1'], ignore).parent}"], ignore)
