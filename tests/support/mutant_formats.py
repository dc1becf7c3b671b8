"""Every format that jukectl reads: a whole file in a workplace, and how commands read it.

A reader may refuse a mutant. What it accepts is compared with something independent: checksums, a round trip, the
model, or another reader.
"""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import tomlkit
import torch
from fault_cases import prepared
from foreign_models import original_state, random_model, save_original, write_huggingface
from mutants import ARCHIVE, BYTES, TENSORS, TEXT, Mutate

from jukectl import api
from jukectl.audio import io
from jukectl.checkpoints.adapters import AdaptedModel, AdapterCard, AdapterFile, AppliedAdapter, save_adapter
from jukectl.checkpoints.assemble import read_card
from jukectl.checkpoints.card import ModelCard, vqvae_config
from jukectl.checkpoints.layout import shapes_of
from jukectl.checkpoints.store import ModelFolder
from jukectl.checkpoints.torchfile import TorchFile
from jukectl.codes import recipe_toml
from jukectl.codes.level import Level
from jukectl.codes.schedule import parse_schedule
from jukectl.codes.shard import read_shard, song_archive, write_shard
from jukectl.codes.song import Song
from jukectl.codes.tree import Tree, TreeRecipe
from jukectl.data.manifest import Manifest
from jukectl.data.scan import scan
from jukectl.errors import BadRecipe
from jukectl.explorer.build import explore
from jukectl.explorer.site import song_id
from jukectl.explorer.update import MediaOptions
from jukectl.inspect.info import describe_model, describe_path
from jukectl.lyrics.value import Lyrics
from jukectl.midi.beats import BeatGrid
from jukectl.midi.notes import Notes, read_midi, write_midi
from jukectl.plan.models import check_codec
from jukectl.plan.request import Request
from jukectl.prior.adapters import attach
from jukectl.prior.config import AdapterConfig, PriorConfig
from jukectl.progress import ignore
from jukectl.tables import read_text
from jukectl.training.checkpointing import damage, load_checkpoint
from jukectl.training.config import PriorRecipe, VQVAERecipe, load_recipe

CPU = torch.device("cpu")
HERE = Path()  # the workplace is the working folder
TOOLS = os.environ["PATH"]
SECONDS = 0.1  # that a recording may lack without a remark


@dataclass(frozen=True)
class Format:
    """A format, a file of it, and a function that reads that file."""

    name: str
    file: str
    kinds: Sequence[Mutate]
    read: Callable[[], None]


def _song() -> None:
    recipe = Song.open(HERE / "song").recipe()
    assert recipe is not None
    assert recipe_toml.loads(recipe_toml.dumps(recipe), "again") == recipe
    describe_path(HERE / "song")


def _resumed_song() -> None:
    api.estimate_resume(HERE / "song", Request(model="tiny"))


def _tree() -> None:
    recipe = Tree.open(HERE / "tree").recipe()
    assert recipe is not None
    assert TreeRecipe.from_toml(recipe.to_toml(), HERE) == recipe
    describe_path(HERE / "tree")


def _model() -> None:
    describe_model("./tiny")
    folder = ModelFolder(HERE / "tiny")
    assert ModelCard.parse(folder.card.to_toml(), HERE) == folder.card
    folder.vqvae(CPU, (Level.TOP,))
    for level in folder.card.priors:
        folder.prior(level, CPU)


def _card() -> None:
    ModelCard.from_dict({**_described(), **read_card(HERE / "card.toml")}, HERE / "card.toml").to_toml()


@cache
def _described() -> dict[str, Any]:
    return read_card(HERE / "tiny" / "model.toml")


def _codec_recipe() -> None:
    recipe = load_recipe(HERE / "codec.toml", VQVAERecipe)
    try:
        shapes_of(vqvae_config(recipe.model))
    except ValueError as error:  # as `runs` does
        raise BadRecipe(str(error)) from error


def _prior_recipe() -> None:
    recipe = load_recipe(HERE / "prior.toml", PriorRecipe)
    try:
        shapes_of(PriorConfig.from_dict({"level": "top", "hop": 256, "sample_rate": 8_000, **recipe.model}))
    except (ValueError, TypeError, AttributeError) as error:
        raise BadRecipe(str(error)) from error


def _schedule() -> None:
    for change in parse_schedule(read_text(HERE / "schedule.toml", BadRecipe), "schedule.toml"):
        assert np.isfinite(change.at)
        assert change.at >= 0


def _site() -> None:
    made = explore([HERE / "shown"], HERE / "site", options=MediaOptions(decode=False), device="cpu")
    assert made.songs == 1
    index = json.loads((HERE / "site" / "data" / "index.json").read_text())
    assert len(index["songs"]) == 1
    assert len(index["songs"][0]) == len(index["columns"])


def _manifest() -> None:
    manifest = Manifest.load(HERE / "music" / "manifest.jsonl")
    manifest.save(HERE / "music" / "again.jsonl")
    again = Manifest.load(HERE / "music" / "again.jsonl")
    assert list(map(asdict, again.tracks)) == list(map(asdict, manifest.tracks))
    assert all(np.isfinite(track.seconds) for track in manifest.tracks)


def _beats() -> None:
    grid = BeatGrid.load(HERE / "beats.json")
    assert np.isfinite(grid.beats).all()
    assert (np.diff(grid.beats) > 0).all()
    grid.save(HERE / "again.json")
    assert np.allclose(BeatGrid.load(HERE / "again.json").beats, grid.beats, rtol=0, atol=1e-4)  # as they are rounded


def _port() -> None:
    folder = ModelFolder(HERE / "port")
    card = folder.card
    folder.parameters()
    for level in card.priors:
        card.vocabulary_at(level)


def _codes() -> None:
    song = Song(HERE / "song")
    codes = song.codes(Level.TOP)
    assert codes is not None
    model = ModelFolder(HERE / "tiny")
    check_codec(song, codes, model, force=False)
    config = model.card.vqvae
    assert codes.level is Level.TOP
    assert (codes.hop, codes.sample_rate) == (config.hop(Level.TOP), config.sample_rate)
    assert int(codes.array.max(initial=0)) < config.codebook_size


def _shard() -> None:
    songs = read_shard(HERE / "shard.npz")
    for codes in songs.values():
        assert int(codes.load().array.max(initial=0)) < codes.archive.codebook_size


@cache
def _fingerprint() -> str:
    """Of the top prior, by its card, which is whole."""
    return ModelFolder(HERE / "tiny").layout.card.fingerprints["top"]


def _weights() -> None:
    folder = ModelFolder(HERE / "tiny")
    prior = folder.prior(Level.TOP, CPU)
    assert folder.fingerprint("top") == _fingerprint()
    assert all(bool(one.isfinite().all()) for one in prior.parameters())


def _adapter() -> None:
    adapter = AdapterFile.load(HERE / "adapter.safetensors")
    model = AdaptedModel.with_adapters(ModelFolder(HERE / "tiny"), [AppliedAdapter(adapter)])
    prior = model.prior(adapter.card.level, CPU)
    assert all(bool(one.isfinite().all()) for one in prior.parameters())


@cache
def _state() -> dict[str, torch.Tensor]:
    return torch.load(HERE / "whole.pt", weights_only=True)  # type: ignore[no-any-return]


def _checkpoint() -> None:
    path = HERE / "checkpoint-00000001.pt"
    if (reason := damage(path)) is not None:
        raise BadRecipe(reason)
    state = {name: torch.zeros_like(one) for name, one in _state().items()}
    try:
        load_checkpoint(path, state)
    except Exception as error:  # torch raises many types, which the training loop reports in one line
        raise BadRecipe(str(error)) from error
    assert all(torch.equal(one, _state()[name]) for name, one in state.items()) or _was_packed_again(path)


def _was_packed_again(path: Path) -> bool:
    """Return True for an archive with checksums that fit: then its numbers are as they were written."""
    return not path.read_bytes().startswith((HERE / "whole.pt").read_bytes()[:64])


def _originals(name: str) -> Callable[[], None]:
    def read() -> None:
        file = TorchFile(HERE / name)
        described = file.describe()
        size = (HERE / name).stat().st_size
        assert sum(8 for _ in described) < size
        with file.opened() as tensor:
            for one, about in described.items():
                assert tuple(tensor(one).shape) == about.shape
                tensor(one).clone()

    return read


def _midi() -> None:
    notes = read_midi(HERE / "notes.mid")
    assert np.isfinite(notes.starts).all()
    assert np.isfinite(notes.stops).all()
    assert (notes.starts >= 0).all()
    assert (notes.stops > notes.starts).all()
    assert (notes.pitches < 128).all()


def _lyrics() -> None:
    timed = Lyrics.read(HERE / "words.lrc").timed
    assert timed is not None
    starts = [word.start for word in timed.words]
    assert np.isfinite(starts).all()
    assert starts == sorted(starts)


@cache
def _size(name: str) -> int:
    """Return the size of a whole recording of two seconds."""
    return (HERE / f"whole-{name}").stat().st_size


def _audio(name: str) -> Callable[[], None]:
    def read() -> None:
        path = HERE / name
        # ffmpeg, which takes what libsndfile refuses, starts slowly: it reads an eighth of the mutants
        os.environ["PATH"] = TOOLS if crc32(path.read_bytes()) % 8 == 0 else ""
        audio, about = io.load(path), io.info(path)
        assert np.isfinite(audio.samples).all()
        assert (audio.channels, audio.sample_rate) == (about.channels, about.sample_rate)
        assert audio.remarks or abs(audio.seconds - about.seconds) <= SECONDS, "load and info disagree"
        assert audio.remarks[: len(about.remarks)] == about.remarks
        seconds = audio.seconds * audio.sample_rate / 8_000  # a mutant may state another rate
        left = min(1.0, path.stat().st_size / _size(name))  # of the bytes
        assert audio.remarks or seconds > 2 * left - 0.25 or audio.channels != 2, f"{seconds} s without a remark"

    return read


FORMATS = (
    Format("song.toml", "song/song.toml", TEXT, _song),
    Format("song.toml, resumed", "song/song.toml", TEXT, _resumed_song),
    Format("tree.toml", "tree/tree.toml", TEXT, _tree),
    Format("model.toml", "tiny/model.toml", TEXT, _model),
    Format("card.toml", "card.toml", TEXT, _card),
    Format("codec recipe", "codec.toml", TEXT, _codec_recipe),
    Format("prior recipe", "prior.toml", TEXT, _prior_recipe),
    Format("schedule.toml", "schedule.toml", TEXT, _schedule),
    Format("about.toml", "shown/about.toml", TEXT, _site),
    Format("site's song.json", f"site/data/songs/{song_id('shown', 'shown')}.json", TEXT, _site),
    Format("manifest.jsonl", "music/manifest.jsonl", TEXT, _manifest),
    Format("beats.json", "beats.json", TEXT, _beats),
    Format("config.json", "port/config.json", TEXT, _port),
    Format("artists.json", "port/artists.json", TEXT, _port),
    Format("index.json", "port/model.safetensors.index.json", TEXT, _port),
    Format("codes .npz", "song/top.npz", ARCHIVE, _codes),
    Format("shard .npz", "shard.npz", ARCHIVE, _shard),
    Format("weights", "tiny/top.safetensors", TENSORS, _weights),
    Format("adapter", "adapter.safetensors", TENSORS, _adapter),
    Format("checkpoint", "checkpoint-00000001.pt", ARCHIVE, _checkpoint),
    Format("original weights", "new.pth.tar", ARCHIVE, _originals("new.pth.tar")),
    Format("original weights, old", "old.pth.tar", BYTES, _originals("old.pth.tar")),
    Format("MIDI", "notes.mid", BYTES, _midi),
    Format("LRC", "words.lrc", (*TEXT, *BYTES), _lyrics),
    Format("wav", "riff.wav", BYTES, _audio("riff.wav")),
    Format("flac", "riff.flac", BYTES, _audio("riff.flac")),
    Format("ogg", "riff.ogg", BYTES, _audio("riff.ogg")),
    Format("mp3", "riff.mp3", BYTES, _audio("riff.mp3")),
)

LRC = "[ti:A [Live]]\n[offset:+50]\n[00:00.10]la <00:00.20>la <00:00.30>la\n[00:01.00][00:01.60]oh no\n[00:01.90]\n"
SCHEDULE = '[[change]]\nat = 0.2\nartist = "Ada"\n\n[[change]]\nat = 0.3\ntemperature = 0.9\n'
ABOUT = 'title = "A song"\nkind = "riff"\nnotes = "made by hand"\n'
CARD = """
name = "mine"
version = "1"
licence = "CC0-1.0"
summary = "A model."
[sampling.top]
temperature = 0.9
top_p = 0.95
advance = 0.5
[[sources]]
artist = "Ada"
title = "Sines"
"""


def workplace(place: Path, tiny: Path, riff: Path) -> Path:
    """Write a whole file of every format into a folder."""
    prepared(place, riff)
    for suffix in ("flac", "ogg", "mp3"):
        sound = io.load(riff)
        io.save(place / f"riff.{suffix}", sound.samples, sound.sample_rate)
    for recording in list(place.glob("riff.*")):
        shutil.copy(recording, place / f"whole-{recording.name}")
    shutil.copytree(tiny, place / "tiny")
    texts = {"card.toml": CARD, "schedule.toml": SCHEDULE, "words.lrc": LRC}
    _write_songs(place)
    for name, text in {**texts, "shown/about.toml": ABOUT}.items():
        (place / name).write_text(text)
    _write_models(place)
    manifest = place / "music" / "manifest.jsonl"
    scan(place / "music", manifest, ignore).manifest.save(manifest)
    write_midi(place / "notes.mid", Notes.of([(0.1 * n, 0.1 * n + 0.09, 60 + n, 80, n == 3) for n in range(8)]))
    BeatGrid(np.arange(20) / 2, 4, 1).save(place / "beats.json")
    return place


def _write_songs(place: Path) -> None:
    request = Request(model=str(place / "tiny"), artist="ada", genres=("jazz",), seconds=0.6, seed=1)
    api.sample(place / "song", request)
    growth = api.Growth(every=0.3, branches=2, depth=1)
    api.tree(place / "song", place / "tree", growth, api.Beginning(), replace(request, levels=(Level.TOP,)))
    archive = song_archive(place / "song" / "top.npz")
    write_shard(place / "shard.npz", [("a", archive), ("b", archive)])
    api.sample(place / "shown", replace(request, seconds=0.3, levels=(Level.TOP,)))
    for media in ("audio", "previews"):  # whose pictures would take most of the time
        shutil.rmtree(place / "shown" / media, ignore_errors=True)
    explore([place / "shown"], place / "site", options=MediaOptions(decode=False), device="cpu")


def _write_models(place: Path) -> None:
    """Write a model in other layouts, an adapter, a checkpoint and a recipe of training."""
    model = random_model()
    port = write_huggingface(model, place / "port", shards=2)
    (port / "artists.json").write_text('{"unknown": 0, "ada": 1}')
    (port / "genres.json").write_text('{"unknown": 0, "jazz": 1}')
    save_original(original_state(model, "top"), place / "new.pth.tar")
    save_original(original_state(model, "top"), place / "old.pth.tar", old=True)

    folder = ModelFolder(place / "tiny")
    prior = folder.prior(Level.TOP, CPU)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        adapter = attach(prior, AdapterConfig(rank=2))
    card = AdapterCard(model="tiny", level=Level.TOP, base=folder.fingerprint("top"), rank=2, alpha=4.0)
    save_adapter(place / "adapter.safetensors", card, adapter.state_dict())
    torch.save({"a": torch.arange(300.0), "step": torch.tensor(3), "b": torch.ones(3, 5)}, place / "whole.pt")
    shutil.copy(place / "whole.pt", place / "checkpoint-00000001.pt")

    about = {key: value for key, value in prior.config.to_dict().items() if key not in ("level", "hop", "sample_rate")}
    recipe = {
        "out": "run",
        "level": "top",
        "model": about,
        "data": {"codes": "codes", "held_out": ["a*"]},
        "train": {"steps": 4, "batch": 2, "betas": [0.9, 0.99]},
    }
    (place / "prior.toml").write_text(tomlkit.dumps(recipe))
