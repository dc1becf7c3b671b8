"""`--plots` and `jukectl plot` of a song with lyrics: the times of its words."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from foreign_models import ENCODED, MERGED, random_model, write_huggingface
from model_cards import forget_fingerprints
from PIL import Image
from safetensors.torch import load_file, save_file

from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import Level
from jukectl.codes.song import Song
from jukectl.lyrics import lrc
from jukectl.prior.config import EncoderConfig, LyricsConfig
from jukectl.prior.model import Prior
from jukectl.prior.surgery import add_lyrics
from jukectl.render import karaoke
from jukectl.sampling.attention import SongAttention, song_attention

WORDS = "La la,\nover & out\n"
FILES = ("lyrics-alignment-0.png", "lyrics-0.lrc", "lyrics-0.vtt")


@pytest.fixture
def sing(style, singing_model, tmp_path):
    """Arguments that make a draft with lyrics, with the model that sings."""
    (tmp_path / "words.txt").write_text(WORDS)
    options = [str(singing_model) if option == style[1] else option for option in style]
    return ["sample", "--out", tmp_path / "song", *options, "--levels", "top", "--lyrics", tmp_path / "words.txt"]


@pytest.fixture(params=["encoder", "apart"])
def grown(request, tiny_model, tmp_path):
    """The tiny model with lyrics conditioning added to its top prior, and random weights there."""
    path = tmp_path / "grown"
    shutil.copytree(tiny_model, path)
    card = ModelFolder(path).card
    prior = Prior(card.priors[Level.TOP])
    prior.load_state_dict(load_file(path / "top.safetensors"))
    torch.manual_seed(5)
    encoder = EncoderConfig(width=16, depth=1, heads=2, blocks=4) if request.param == "encoder" else None
    add_lyrics(prior, LyricsConfig(characters=16, alphabet=79, encoder=encoder, apart=encoder is None), blocks=2)
    for name, weight in prior.named_parameters():
        if name.startswith("transformer.blocks") and name.endswith(("attention.out.weight", "mlp_out.weight")):
            torch.nn.init.normal_(weight, std=0.3)
    save_file(prior.state_dict(), path / "top.safetensors")
    card = replace(card, priors={**card.priors, Level.TOP: prior.config})
    (path / "model.toml").write_text(card.to_toml(), encoding="utf-8")
    return forget_fingerprints(path)


@pytest.fixture
def followed(monkeypatch):
    """Attention that moves from the first character to the last at a constant speed."""

    def steady(job, codes, sample, *, layer, head):
        characters, rows = len(job.conditioning.lyrics.ids), 100
        weights = np.zeros((rows, characters), dtype=np.float32)
        weights[np.arange(rows), np.arange(rows) * characters // rows] = 1
        seconds = len(codes) * job.prior.config.hop / job.prior.config.sample_rate
        return SongAttention(weights, seconds / rows)

    monkeypatch.setattr(karaoke, "song_attention", steady)


def test_plots_writes_karaoke_files_with_the_time_of_each_word(jukectl, sing, followed, tmp_path):
    answer = jukectl("--json", *sing, "--plots").json
    assert answer["plots"] == [str(tmp_path / "song/plots" / name) for name in FILES]
    read = lrc.parse((tmp_path / "song/plots/lyrics-0.lrc").read_text(encoding="utf-8"))
    assert read.text == WORDS.strip()
    seconds = Song(tmp_path / "song").codes(Level.TOP).seconds
    assert [word.text for word in read.words] == ["La", "la,", "over", "&", "out"]
    onsets = [place / len(WORDS) * seconds for place in (0, 3, 7, 12, 14)]
    assert [word.start for word in read.words] == pytest.approx(onsets, abs=0.01)
    cues = (tmp_path / "song/plots/lyrics-0.vtt").read_text(encoding="utf-8")
    assert cues.startswith("WEBVTT\n") and "&amp;" in cues


def test_every_sample_is_aligned_once(jukectl, sing, tmp_path):
    jukectl(*sing, "--plots", "--samples", 2)
    plots = tmp_path / "song/plots"
    files = sorted(path.name for path in plots.iterdir())
    assert files == sorted(name.replace("0", str(sample)) for name in FILES for sample in (0, 1))
    with Image.open(plots / "lyrics-alignment-1.png") as picture:
        assert picture.size[0] == 1_200
        assert np.asarray(picture.convert("L")).std() > 10
    before = {path: path.stat().st_mtime_ns for path in plots.iterdir()}
    jukectl(*sing, "--plots", "--samples", 2)
    assert {path: path.stat().st_mtime_ns for path in plots.iterdir()} == before
    (plots / "lyrics-1.lrc").unlink()
    jukectl(*sing, "--plots", "--samples", 2)
    assert (plots / "lyrics-1.lrc").exists()


def test_a_model_with_added_lyrics_conditioning_follows_lyrics(jukectl, style, grown, tmp_path):
    options = [str(grown) if option == style[1] else option for option in style]
    command = ["sample", *options, "--levels", "top"]
    for words, out in (("La la", "one"), ("Over and out, all over", "other")):
        (tmp_path / "words.txt").write_text(words)
        jukectl(*command, "--lyrics", tmp_path / "words.txt", "--out", tmp_path / out, "--plots")
        assert sorted(path.name for path in (tmp_path / out / "plots").iterdir()) == sorted(FILES)
    one, other = (Song(tmp_path / name).codes(Level.TOP).array for name in ("one", "other"))
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("top", [ENCODED, MERGED])
def test_a_published_layout_is_aligned_by_its_own_attention_head(jukectl, top, tmp_path, monkeypatch):
    folder = write_huggingface(random_model(top), tmp_path / "published")
    (tmp_path / "words.txt").write_text("ABC AB")  # its few characters
    looked = []
    honest = song_attention
    monkeypatch.setattr(
        karaoke, "song_attention", lambda *given, **place: looked.append(place) or honest(*given, **place)
    )
    options = ["--model", folder, "--levels", "top", "--seconds", "0.1", "--seed", "1"]
    jukectl("sample", "--out", tmp_path / "song", *options, "--lyrics", tmp_path / "words.txt", "--plots")
    assert looked == [{"layer": top.lyrics.alignment_layer, "head": top.lyrics.alignment_head}]
    assert sorted(path.name for path in (tmp_path / "song/plots").iterdir()) == sorted(FILES)


def test_newer_codes_are_aligned_again(jukectl, sing, tmp_path):
    jukectl(*sing, "--plots")
    old = tmp_path / "song/plots/lyrics-0.lrc"
    os.utime(old, (1, 1))
    jukectl(*sing, "--plots")
    assert old.stat().st_mtime > 1


def test_plot_draws_the_alignment_of_lyrics_and_the_spectrogram(jukectl, sing, tmp_path):
    jukectl(*sing)
    printed = jukectl("plot", tmp_path / "song", "--dark").out.split()
    assert printed == [str(tmp_path / "song/plots" / name) for name in ("spectrogram.png", *FILES)]
    with Image.open(tmp_path / "song/plots/lyrics-alignment-0.png") as picture:
        assert np.asarray(picture.convert("L"))[2, 2] < 60


def test_plots_without_lyrics_prints_a_remark_and_writes_nothing(jukectl, style, tmp_path):
    answer = jukectl("sample", "--out", tmp_path / "song", *style, "--levels", "top", "--plots")
    assert "nothing is sung" in answer.err
    assert not (tmp_path / "song/plots").exists()
    assert jukectl("plot", tmp_path / "song").out.split() == [str(tmp_path / "song/plots/spectrogram.png")]


def test_overwrite_removes_the_plots_of_the_old_song(jukectl, sing, style, tmp_path):
    jukectl(*sing, "--plots")
    jukectl("sample", "--out", tmp_path / "song", *style, "--levels", "top", "--overwrite")
    assert list((tmp_path / "song/plots").iterdir()) == []
