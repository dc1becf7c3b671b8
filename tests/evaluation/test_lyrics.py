"""`jukectl eval lyrics` against the same figures by hand, on a run with random weights."""

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import tomlkit
import torch
from safetensors.torch import save_file

from jukectl.codes.archive import Codes
from jukectl.codes.level import Level
from jukectl.data.encoded import CodeFolder
from jukectl.data.manifest import Manifest, Track
from jukectl.evaluation.lyrics import LyricsScore, even_onsets
from jukectl.lyrics.tokens import TokenWord
from jukectl.prior.config import AttentionKind, LyricsConfig, PriorConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.lyric_attention import attention_of, word_onsets
from jukectl.prior.model import Prior

RATE, HOP, CONTEXT, CHARACTERS = 1_000, 10, 32, 12
WORDS = {  # onsets of words of two letters in seconds, and the end of the last
    "ab cd": (0.03, 0.17, 0.29),
    "ef gh ij": (0.05, 0.11, 0.19, 0.25),
    "ka lb": (0.10, 0.15, 0.31),
    "mc nd": (0.01, 0.04, 0.15),
}
ALPHABET = "abcdefghijklmn "


def lrc(text):
    times = WORDS[text]
    words = [f"<00:00.{round(1000 * start):03}>{word}" for word, start in zip(text.split(), times, strict=False)]
    return f"[00:00.{round(1000 * times[0]):03}]{' '.join(words)}<00:00.{round(1000 * times[-1]):03}>\n"


@pytest.fixture
def sung(tmp_path):
    """A code folder of four songs, each a context long; the last two are for validation."""
    folder, generator, tracks = CodeFolder(tmp_path / "codes"), np.random.default_rng(0), []
    for number, text in enumerate(WORDS):
        track = Track(path=f"{number}.flac", seconds=CONTEXT * HOP / RATE, sample_rate=RATE, channels=1)
        track = replace(track, lyrics=f"{number}.lrc", split="validation" if number > 1 else "train")
        (tmp_path / track.lyrics).write_text(lrc(text))
        folder.keep_lyrics(track, tmp_path / track.lyrics)
        array = generator.integers(20, size=(1, CONTEXT)).astype(np.uint16)
        about: dict[str, Any] = {"prompt": 0, "hop": HOP, "sample_rate": RATE, "codebook_size": 20, "vqvae": "c0dec"}
        folder.write(track.name, Codes(level=Level.TOP, array=array, **about))
        tracks.append(track)
    Manifest(folder.path, tuple(tracks)).save(folder.path / "manifest.jsonl")
    return folder


@pytest.fixture
def run_folder(tmp_path):
    """A training run of a prior with lyrics, with random weights, and the prior."""
    lyrics = LyricsConfig(characters=CHARACTERS, alphabet=len(ALPHABET) + 1, apart=True)
    return save_run(tmp_path / "run", lyrics, (AttentionKind.ROW, AttentionKind.ENCODER, AttentionKind.ENCODER))


def save_run(folder, lyrics, pattern):
    torch.manual_seed(3)
    shape: dict[str, Any] = {"context": CONTEXT, "width": 16, "depth": 3, "heads": 2, "blocks": 4, "codebook_size": 20}
    config = PriorConfig(
        level=Level.TOP, hop=HOP, sample_rate=RATE, pattern=pattern, lyrics=lyrics, init_scale=30.0, **shape
    )
    prior = Prior(config)
    folder.mkdir()
    save_file(prior.state_dict(), folder / "best.safetensors")
    names = {"artists": ["unlabelled"], "genres": ["unlabelled"], "characters": ALPHABET}
    about = {"prior": config.to_dict(), "vocabulary": names, "codec": "c0dec"}
    (folder / "model.toml").write_text(tomlkit.dumps(about))
    return folder, prior.eval()


def window(text):
    ids = [ALPHABET.index(character) + 1 for character in text]
    return torch.tensor([[0] * (CHARACTERS - len(ids)) + ids])


def labels(lyrics):
    whole = CONTEXT * HOP
    return replace(LabelBatch.repeat(1, total_length=whole, sample_length=whole), lyrics=lyrics)


def bits(prior, codes, text):
    return float(prior.bits(codes, labels(window(text))).mean())


def errors(prior, codes, text, layer, head):
    """Return the errors of the onsets of a song's words by attention."""
    attention = attention_of(prior, codes, labels(window(text)), layer, head)[0].numpy()
    first = CHARACTERS - len(text)
    words = [(first + place, first + place + 1) for place in range(0, len(text), 3)]
    found = word_onsets(attention, words, HOP / RATE)
    return [abs(one.start - start) for one, start in zip(found, WORDS[text], strict=False)]


@torch.inference_mode()
def test_bits_head_and_onset_errors_agree_with_those_found_by_hand(run, sung, run_folder, tmp_path):
    folder, prior = run_folder
    facts = json.loads(
        run("--json", "eval", "lyrics", folder, "--codes", sung.path, "--segments", "2", "--plots", tmp_path / "plots")
    )
    codes = {
        text: torch.from_numpy(sung.find(f"{number}.flac", Level.TOP)[:].astype(np.int64))[None]
        for number, text in enumerate(WORDS)
    }
    trained, held = list(WORDS)[:2], list(WORDS)[2:]
    right = [bits(prior, codes[text], text) for text in held]
    other = [bits(prior, codes[text], text_of_other) for text, text_of_other in zip(held, held[::-1], strict=True)]
    none = [bits(prior, codes[text], "") for text in held]
    assert facts["bits"]["right"] == pytest.approx(np.mean(right), abs=1e-4)
    assert facts["bits"]["other"] == pytest.approx(np.mean(other), abs=1e-4)
    assert facts["bits"]["none"] == pytest.approx(np.mean(none), abs=1e-4)
    for name, costs in (("other", other), ("none", none)):
        saved = facts["bits"]["saved"][name]
        assert saved["bits"] == pytest.approx(np.mean(costs) - np.mean(right), abs=1e-4)
        assert saved["low"] <= saved["bits"] <= saved["high"]

    heads = [(layer, head) for layer in (1, 2) for head in (0, 1)]

    def mass(text, place):
        """Return the weights at most three characters away from the one sung, or sung last."""
        attention = attention_of(prior, codes[text], labels(window(text)), *place)[0].numpy()
        first, begin = CHARACTERS - len(text), []
        *starts, end = WORDS[text]
        for word, (start, stop) in enumerate(pairwise([*starts, end])):  # a word lasts until the next, at most 0.75 s
            over = end if word == len(starts) - 1 else min(start + 0.75, stop)
            begin += [start, start + (over - start) / 2, over]
        sung = [
            max(sum(code * HOP + HOP // 2 >= round(1000 * one) for one in begin[:-1]) - 1, 0) for code in range(CONTEXT)
        ]
        return np.mean(
            [sum(attention[code, max(first + place - 3, 0) : first + place + 4]) for code, place in enumerate(sung)]
        )

    best = max(heads, key=lambda place: np.mean([mass(text, place) for text in trained]))
    found = facts["alignment"]
    assert (found["layer"], found["head"]) == best
    assert found["words"] == 4
    assert found["attention"]["mean"] == pytest.approx(
        np.mean([error for text in held for error in errors(prior, codes[text], text, *best)]), abs=6e-4
    )
    # five characters over 0.32 s, or from the first onset to the last end; a word begins with the 1st and the 4th
    song, part = [], []
    for text in held:
        first, second, end = WORDS[text]
        song += [abs(0 - first), abs(0.32 * 3 / 5 - second)]
        part += [0, abs(first + (end - first) * 3 / 5 - second)]
    # the line feed at the end of the file is not sung
    assert found["even_song"]["mean"] == pytest.approx(np.mean(song), abs=6e-4)
    assert found["even_sung"]["mean"] == pytest.approx(np.mean(part), abs=6e-4)
    assert (tmp_path / "plots/lyrics.png").stat().st_size > 10_000


def test_lyrics_without_times_give_bits_and_no_alignment(run, sung, run_folder):
    tracks = [replace(track, lyrics=track.lyrics.replace("lrc", "txt")) for track in sung.manifest().tracks]
    Manifest(sung.path, tuple(tracks)).save(sung.path / "manifest.jsonl")
    for track, text in zip(tracks, WORDS, strict=True):
        sung.lyrics_file(track).write_text(text)
    facts = json.loads(run("--json", "--quiet", "eval", "lyrics", run_folder[0], "--codes", sung.path))
    assert facts["alignment"] is None and facts["bits"]["saved"]["other"]


def test_eval_lyrics_prints_a_table_with_all_compared_lyrics_and_estimates(run, sung, run_folder):
    text = run("eval", "lyrics", run_folder[0], "--codes", sung.path, "--segments", "2")
    for words in ("another song's", "no lyrics", "from the attention", "spread evenly over the song"):
        assert words in text


@pytest.mark.parametrize("missing", ["lyrics", "held out"])
def test_eval_lyrics_refuses_songs_without_lyrics_or_without_held_out_songs(run, sung, run_folder, missing):
    tracks = [
        replace(track, **({"lyrics": ""} if missing == "lyrics" else {"split": "train"}))
        for track in sung.manifest().tracks
    ]
    Manifest(sung.path, tuple(tracks)).save(sung.path / "manifest.jsonl")
    message = run("--quiet", "eval", "lyrics", run_folder[0], "--codes", sung.path, status=2)
    assert ("have no lyrics" if missing == "lyrics" else "--held-out is needed") in message


def test_a_model_without_lyrics_is_refused_with_the_command_that_adds_them(run, sung, tmp_path):
    folder, _ = save_run(tmp_path / "plain", None, (AttentionKind.ROW,))
    message = run("--quiet", "eval", "lyrics", folder, "--codes", sung.path, status=2)
    assert f"--from {folder} --add-lyrics" in message


def test_saved_bits_are_paired_by_code():
    """Each song's codes cost half a bit less with the right lyrics, so the interval has no width."""
    right = np.array([[1.0, 3.0], [7.0, 9.0], [2.0, 2.0]])
    score = LyricsScore(right=right, other=None, none=right + 0.5, songs=np.array([0, 1, 2]))
    gain = score.saved(score.none)
    assert (gain.bits, gain.low, gain.high) == (0.5, 0.5, 0.5)


def test_an_even_spread_gives_each_character_the_same_time():
    words = [TokenWord(4, 5, 0, 0), TokenWord(7, 8, 0, 0), TokenWord(12, 13, 0, 0)]
    onsets = even_onsets(words, slice(4, 14), 10.0, 20.0)
    assert onsets.tolist() == [10.0, 13.0, 18.0]
    assert all(one < other for one, other in pairwise(onsets))
