"""Songs rendered, drafted, primed, resumed and begun anew: the same recipe is the same song, however it came about."""

import shutil
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
import soundfile
from model_cards import forget_fingerprints

from jukectl.api import Request, continue_, decode, encode, resume, sample, upsample
from jukectl.audio import io
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.song import Song
from jukectl.errors import BadAudio, BadInput, BadModel, NotASong, NotCodes, RecipeDiffers, SongBusy, UnknownName
from jukectl.progress import WarningsOnly

RATE = 8_000  # Hz
HOPS = {Level.TOP: 256, Level.MIDDLE: 64, Level.BOTTOM: 16}
CONTEXT = 64  # codes, at every level


def times(path):
    """When each file of a song was last written, the lock apart."""
    return {
        file: file.stat().st_mtime_ns for file in sorted(path.rglob("*")) if file.is_file() and file.name != ".lock"
    }


@pytest.fixture
def recording(riff, tmp_path):
    """The riff three times over: six seconds."""
    audio = io.load(riff)
    path = tmp_path / "long riff.wav"
    io.save(path, np.tile(audio.samples, 3), audio.sample_rate)
    return path


# From nothing


def test_a_song_from_nothing_goes_all_the_way_to_audio(ask, tmp_path):
    result = sample(tmp_path / "new" / "song", ask(samples=2))
    assert result.new
    assert result.audio == tuple(tmp_path / "new" / "song" / "audio" / f"{number}.wav" for number in range(2))
    song = Song.open(result.song)
    # 0.608 s are 19 top codes
    assert {level: song.codes(level).array.shape for level in TOP_DOWN} == {
        Level.TOP: (2, 19),
        Level.MIDDLE: (2, 76),
        Level.BOTTOM: (2, 304),
    }
    for path in result.audio:
        samples, rate = soundfile.read(path)
        assert (len(samples), rate) == (19 * 256, RATE)
        assert np.abs(samples).max() > 0.01


@pytest.mark.parametrize(
    ("seconds", "top"),
    [(0.1, 3), (0.001, 1), (63 * 0.032, 63), (64 * 0.032, 64), (65 * 0.032 - 0.001, 64), (99 * 0.032, 99)],
)
def test_any_length_is_its_whole_codes_or_one_below_at_and_above_one_context(ask, tmp_path, seconds, top):
    sample(tmp_path / "song", ask(seconds=seconds, levels=(Level.TOP,)))
    assert Song(tmp_path / "song").codes(Level.TOP).done == top


@pytest.mark.parametrize(("seconds", "bottom"), [(0.032, 16), (0.096, 48), (0.128, 64), (0.16, 80)])
def test_so_will_it_at_the_lower_levels(ask, tmp_path, seconds, bottom):
    sample(tmp_path / "song", ask(seconds=seconds))
    assert Song(tmp_path / "song").codes(Level.BOTTOM).done == bottom


def test_the_recipe_is_written_before_the_first_code(ask, tmp_path):
    def stop(progress):
        if progress.stage == "top codes":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sample(tmp_path / "song", ask(), listener=stop)
    song = Song(tmp_path / "song")
    assert song.recipe().seed == 3
    assert song.codes(Level.TOP) is None


@pytest.mark.parametrize("count", [1, 3])
def test_a_sample_does_not_depend_on_the_number_of_samples(ask, song, tmp_path, count):
    sample(tmp_path / "other", ask(samples=count))
    shared = min(count, 2)
    for level in TOP_DOWN:
        here, there = song.codes(level).array, Song(tmp_path / "other").codes(level).array
        assert np.array_equal(here[:shared], there[:shared])
    assert not np.array_equal(song.codes(Level.TOP).array[0], song.codes(Level.TOP).array[1])


def test_another_seed_is_another_song(ask, song, tmp_path):
    sample(tmp_path / "other", ask(seed=4, levels=(Level.TOP,)))
    assert not np.array_equal(Song(tmp_path / "other").codes(Level.TOP).array[0], song.codes(Level.TOP).array[0])


def test_without_a_seed_each_run_chooses_one_and_keeps_it(ask, tmp_path):
    draft = ask(seed=None, levels=(Level.TOP,), seconds=0.1)
    seeds = [sample(tmp_path / name, draft) and Song(tmp_path / name).recipe().seed for name in "ab"]
    assert seeds[0] != seeds[1]


def test_a_preview_is_written_after_every_window(ask, tmp_path):
    path = Song(tmp_path / "song").preview_path(Level.TOP, 0)
    lengths = set()

    def look(progress):
        if path.exists():
            lengths.add(soundfile.info(path).frames)

    sample(tmp_path / "song", ask(seconds=3.2, levels=(Level.TOP,), preview=(Level.TOP,)), listener=look)
    assert lengths == {64 * 256, 96 * 256, 100 * 256}
    assert soundfile.info(path).frames == 100 * 256


def test_a_preview_asked_for_afterwards_is_made(song):
    resume(song.path, Request(preview=(Level.MIDDLE,)))
    assert soundfile.info(song.preview_path(Level.MIDDLE, 1)).frames == 304 * 16


def test_the_model_is_conditioned_on_the_song_length(ask, tmp_path):
    told = [None, 30.0]
    for seconds in told:
        sample(tmp_path / str(seconds), ask(song_seconds=seconds, seconds=1, levels=(Level.TOP,)))
    songs = [Song(tmp_path / str(seconds)) for seconds in told]
    assert [song.recipe().song_seconds for song in songs] == [1.0, 30.0]
    one, other = (song.codes(Level.TOP).array for song in songs)
    assert not np.array_equal(one, other)


def test_a_song_length_out_of_range_is_clamped_and_reported(ask, tmp_path):
    warnings = []
    for seconds in (61, 1000):
        request = ask(song_seconds=seconds, levels=(Level.TOP,), seconds=0.2)
        sample(tmp_path / str(seconds), request, listener=WarningsOnly(warnings.append))
    assert len(warnings) == 2
    assert "songs shorter than 60 s" in warnings[0]
    one, other = (Song(tmp_path / name).codes(Level.TOP).array for name in ("61", "1000"))
    assert np.array_equal(one, other)


def test_loudness_is_that_of_the_audio(ask, tmp_path):
    quiet, loud = (
        io.load(sample(tmp_path / str(lufs), ask(loudness=lufs, levels=(Level.TOP,))).audio[0]).samples
        for lufs in (-40, -30)
    )
    assert np.sqrt(np.mean(loud**2)) / np.sqrt(np.mean(quiet**2)) == pytest.approx(10 ** (10 / 20), rel=0.01)


def test_new_music_begins_as_loud_as_its_prompt_and_has_the_same_codes(ask, recording, tmp_path, codes_in, monkeypatch):
    measured = cycle([-30.0, -36.0])  # LUFS before a seam and after it; the tiny codec makes all sounds alike
    monkeypatch.setattr("jukectl.audio.mix.loudness", lambda samples, rate: next(measured))
    made = {}
    for match in (True, False):
        asked = ask(seconds=2.0, match_loudness=match)
        made[match] = continue_(recording, tmp_path / str(match), asked, prompt_seconds=2.0)
    assert codes_in(tmp_path / "True") == codes_in(tmp_path / "False")
    matched, plain = (io.load(made[match].audio[0]).samples[0] for match in (True, False))
    seam = Song(tmp_path / "True").recipe().prompt.samples
    assert np.array_equal(matched[:seam], plain[:seam])
    first = slice(seam + RATE // 20, seam + RATE // 10)
    louder = np.sqrt(np.mean(matched[first] ** 2) / np.mean(plain[first] ** 2))
    assert 20 * np.log10(louder) == pytest.approx(6, abs=0.2)
    (again,) = decode(tmp_path / "True")  # decoded later, it is the same file
    assert np.array_equal(io.load(again).samples[0], matched)
    (again,) = decode(tmp_path / "True", Request(match_loudness=False))
    assert np.array_equal(io.load(again).samples[0], plain)


# Run again


def test_run_again_it_does_nothing_and_says_so(ask, song):
    before = times(song.path)
    result = sample(song.path, ask(samples=2))
    assert not result.new
    assert result.audio == (song.audio_path(0), song.audio_path(1))
    assert times(song.path) == before


def test_run_again_without_its_seed_or_with_names_in_other_case_it_is_the_same_song(ask, song):
    assert not sample(song.path, ask(samples=2, seed=None, artist="ADA", genres=("Jazz",))).new
    assert not upsample(song.path, ask(seed=None, artist="ADA", genres=("Jazz",))).new


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 4}, "seed: 3 here, 4 asked"),
        ({"seconds": 0.7}, "seconds: 0.608 here, 0.7 asked"),
        ({"samples": 3}, "samples: 2 here, 3 asked"),
        ({"artist": "Björk B."}, "labels.artist: 'Ada' here, 'Björk B.' asked"),
        ({"genres": ()}, "labels.genres: jazz here, none asked"),
        ({"settings": {"temperature": {Level.MIDDLE: 0.5}}}, "sampling.middle.temperature: 0.98 here, 0.5 asked"),
    ],
)
def test_another_recipe_in_the_same_folder_is_an_error_that_names_what_differs(ask, song, change, named):
    before = times(song.path)
    with pytest.raises(RecipeDiffers) as error:
        sample(song.path, ask(**{"samples": 2, **change}))
    assert named in str(error.value)
    assert times(song.path) == before


def test_overwrite_starts_over(ask, song, codes_in):
    old = codes_in(song.path)
    assert sample(song.path, ask(samples=2, seed=4, overwrite=True)).new
    assert song.recipe().seed == 4
    assert codes_in(song.path).keys() == old.keys()
    assert all(codes_in(song.path)[name] != old[name] for name in old)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"artist": "nobody"}, UnknownName),
        ({"settings": {"top_p": {Level.TOP: 2.0}}}, BadInput),
        ({"device": "tpu"}, BadInput),
        ({"model": "no such model"}, BadModel),
        ({"song_seconds": float("nan")}, BadInput),
    ],
)
def test_an_error_in_the_request_is_found_before_anything_is_overwritten_or_made(ask, song, tmp_path, change, error):
    before = times(song.path)
    with pytest.raises(error):
        sample(song.path, ask(samples=2, overwrite=True, **change))
    assert times(song.path) == before
    with pytest.raises(error):
        sample(tmp_path / "new", ask(**change))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("lost", [*range(8)])
def test_any_missing_part_of_a_song_is_reproduced(song, codes_in, lost):
    """Of the three levels, any that were lost; `lost` says in bits which."""
    whole = codes_in(song.path)
    for level in Level:
        if lost >> level & 1:
            song.codes_path(level).unlink()
    assert resume(song.path).new == bool(lost)
    assert codes_in(song.path) == whole


def test_a_level_cut_short_at_any_code_is_finished_alike(song, codes_in):
    whole = codes_in(song.path)
    for level, frames in ((Level.TOP, 7), (Level.MIDDLE, 33), (Level.BOTTOM, 64), (Level.BOTTOM, 201)):
        song.save(song.codes(level).cut(frames))
        if level is Level.TOP:
            resume(song.path)
        else:
            assert resume(song.path).new
        assert codes_in(song.path) == whole


def test_audio_that_is_missing_is_made_again(song):
    before = song.audio_path(0).read_bytes()
    written = song.audio_path(1).stat().st_mtime_ns
    song.audio_path(0).unlink()
    assert resume(song.path).new
    assert song.audio_path(0).read_bytes() == before
    assert song.audio_path(1).stat().st_mtime_ns == written


def test_audio_of_codes_that_are_made_again_does_not_outlive_them(song):
    """Or a run that is stopped between the last window and the audio would take the old one for its own."""

    def stop(progress):
        if progress.stage == "decoding bottom":
            raise KeyboardInterrupt

    decode(song.path, format="flac")
    before = song.audio_path(0).read_bytes()
    cooler = Request(settings={"temperature": {Level.BOTTOM: 0.5}}, overwrite=True)
    with pytest.raises(KeyboardInterrupt):
        upsample(song.path, cooler, listener=stop)
    assert list((song.path / "audio").iterdir()) == []
    assert resume(song.path).new
    assert song.audio_path(0).read_bytes() != before


def test_a_damaged_level_is_named_and_nothing_is_written_over_it(song, codes_in):
    whole = codes_in(song.path)
    path = song.codes_path(Level.MIDDLE)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(NotCodes, match=str(path)):
        resume(song.path)
    assert len(path.read_bytes()) == 300
    path.unlink()  # as the message says
    resume(song.path)
    assert codes_in(song.path) == whole


def test_one_process_at_a_time(ask, song):
    with song.lock():
        for work in (
            lambda: sample(song.path, ask(samples=2)),
            lambda: resume(song.path),
            lambda: upsample(song.path, ask()),
        ):
            with pytest.raises(SongBusy, match=str(song.path)):
                work()


# A draft first


def test_a_draft_filled_in_later_is_the_song_made_at_once(ask, song, tmp_path, codes_in):
    draft = sample(tmp_path / "draft", ask(samples=2, levels=(Level.TOP,)))
    assert draft.audio == (tmp_path / "draft/previews/top-0.wav", tmp_path / "draft/previews/top-1.wav")
    assert not (tmp_path / "draft" / "middle.npz").exists()
    assert upsample(draft.song, Request()).audio[0] == draft.song / "audio/0.wav"
    assert codes_in(draft.song) == codes_in(song.path)


def test_a_draft_with_other_settings_is_upsampled_to_the_whole_song(ask, tmp_path, codes_in):
    settings = {"temperature": dict.fromkeys(Level, 0.7), "top_k": {Level.BOTTOM: 5}, "advance": {Level.MIDDLE: 0.25}}
    sample(tmp_path / "whole", ask(settings=settings))
    sample(tmp_path / "draft", ask(settings=settings, levels=(Level.TOP, Level.MIDDLE)))
    upsample(tmp_path / "draft", Request())
    assert codes_in(tmp_path / "draft") == codes_in(tmp_path / "whole")


def test_the_command_of_the_draft_does_nothing_once_the_song_is_finished(ask, tmp_path):
    """So a script of both commands can be run again."""
    draft = ask(levels=(Level.TOP,))
    sample(tmp_path / "song", draft)
    upsample(tmp_path / "song", Request(settings={"temperature": dict.fromkeys(Level, 0.98)}))
    before = times(tmp_path / "song")
    again = sample(tmp_path / "song", draft)
    assert not again.new
    assert again.audio == (tmp_path / "song/audio/0.wav",)
    assert times(tmp_path / "song") == before


def test_repeating_a_draft_with_more_levels_continues_it(ask, song, tmp_path, codes_in):
    sample(tmp_path / "draft", ask(samples=2, levels=(Level.TOP,)))
    sample(tmp_path / "draft", ask(samples=2))
    assert codes_in(tmp_path / "draft") == codes_in(song.path)


def test_upsample_takes_settings_for_levels_that_are_not_begun(ask, song, tmp_path, codes_in):
    sample(tmp_path / "draft", ask(samples=2, levels=(Level.TOP,)))
    upsample(tmp_path / "draft", Request(settings={"temperature": {Level.BOTTOM: 0.5}}))
    draft = Song(tmp_path / "draft")
    assert draft.recipe().sampling[Level.BOTTOM].temperature == 0.5
    assert codes_in(draft.path)["middle.npz"] == codes_in(song.path)["middle.npz"]
    assert codes_in(draft.path)["bottom.npz"] != codes_in(song.path)["bottom.npz"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 5}, "seed: 3 here, 5 asked"),
        ({"artist": "Björk B.", "genres": ("jazz",)}, "labels.artist"),
        ({"settings": {"temperature": {Level.TOP: 0.5}}}, "sampling.top.temperature: 0.98 here, 0.5 asked"),
        ({"settings": {"top_k": dict.fromkeys(Level, 9.0)}}, "sampling.top.top_k"),
    ],
)
def test_settings_of_a_draft_cannot_be_changed_afterwards(ask, tmp_path, change, named):
    sample(tmp_path / "draft", ask(levels=(Level.TOP,)))
    before = times(tmp_path / "draft")
    with pytest.raises(RecipeDiffers, match=named):
        upsample(tmp_path / "draft", Request(**change))
    assert times(tmp_path / "draft") == before


def test_upsample_again_with_other_settings_needs_overwrite(song, codes_in):
    cooler = {"temperature": {Level.MIDDLE: 0.5}}
    whole = codes_in(song.path)
    with pytest.raises(RecipeDiffers, match=r"sampling.middle.temperature: 0.98 here, 0.5 asked"):
        upsample(song.path, Request(settings=cooler))
    assert codes_in(song.path) == whole
    assert upsample(song.path, Request(settings=cooler, overwrite=True)).new
    again = codes_in(song.path)
    assert again["top.npz"] == whole["top.npz"]
    assert again["middle.npz"] != whole["middle.npz"]
    assert song.recipe().sampling[Level.MIDDLE].temperature == 0.5
    assert not upsample(song.path, Request(settings=cooler)).new


# A level swapped for another


def test_a_top_level_copied_into_an_empty_folder_is_upsampled_there(ask, song, tmp_path, codes_in):
    (tmp_path / "other").mkdir()
    shutil.copy(song.codes_path(Level.TOP), tmp_path / "other")
    assert upsample(tmp_path / "other", ask()).new
    assert codes_in(tmp_path / "other") == codes_in(song.path)  # same seed, same labels
    assert len(list((tmp_path / "other/audio").iterdir())) == 2


def test_codes_copied_to_a_new_folder_get_a_recipe_and_resume(ask, song, tmp_path, codes_in):
    other = Song.create(tmp_path / "other")
    shutil.copy(song.codes_path(Level.TOP), other.path)
    upsample(other.path, ask(seed=None))
    whole = codes_in(other.path)
    other.codes_path(Level.BOTTOM).unlink()
    assert upsample(other.path, ask(seed=None)).new
    assert codes_in(other.path) == whole
    other.codes_path(Level.MIDDLE).unlink()
    assert resume(other.path).new
    assert codes_in(other.path) == whole
    assert not resume(other.path).new


def test_copied_top_codes_cannot_be_made_again(ask, song, tmp_path):
    other = Song.create(tmp_path / "other")
    shutil.copy(song.codes_path(Level.TOP), other.path)
    upsample(other.path, ask())
    other.codes_path(Level.TOP).unlink()
    other.codes_path(Level.MIDDLE).unlink()
    with pytest.raises(NotASong, match=r"top\.npz"):
        resume(other.path)


def test_a_folder_with_a_recipe_takes_another_songs_top_level(ask, song, tmp_path, codes_in):
    draft = Song(sample(tmp_path / "draft", ask(seed=8, levels=(Level.TOP,))).song)
    shutil.copy(song.codes_path(Level.TOP), draft.path)  # of two samples, where the draft has one
    result = upsample(draft.path, Request())
    assert len(result.audio) == 2
    assert codes_in(draft.path)["top.npz"] == codes_in(song.path)["top.npz"]
    assert draft.codes(Level.BOTTOM).array.shape == (2, 304)
    assert not upsample(draft.path, Request()).new


def test_lower_levels_of_another_top_level_are_noticed_and_made_again_on_request(ask, song, tmp_path, codes_in):
    whole = codes_in(song.path)
    other = sample(tmp_path / "other", ask(samples=2, seed=9, levels=(Level.TOP,)))
    shutil.copy(other.song / "top.npz", song.path)
    for work in (resume, lambda path: upsample(path, Request()), lambda path: sample(path, ask(samples=2))):
        with pytest.raises(RecipeDiffers, match=r"upsample .* --overwrite"):
            work(song.path)
    assert codes_in(song.path) == {**whole, "top.npz": codes_in(other.song)["top.npz"]}
    assert upsample(song.path, Request(overwrite=True)).new
    assert codes_in(song.path)["middle.npz"] != whole["middle.npz"]
    assert not resume(song.path).new


def test_an_unfinished_level_resumes_only_under_its_own_top_codes(ask, song, tmp_path):
    song.save(song.codes(Level.MIDDLE).cut(40))
    other = sample(tmp_path / "other", ask(samples=2, seed=9, levels=(Level.TOP,)))
    shutil.copy(other.song / "top.npz", song.path)
    with pytest.raises(RecipeDiffers, match=r"middle\.npz was made from other top codes"):
        upsample(song.path, Request())


def test_levels_of_another_program_are_as_good_as_ours(ask, song, tmp_path, codes_in):
    """A folder of codes without a recipe: all but the bottom level, and that one begun."""
    other = Song.create(tmp_path / "other")
    for level in (Level.TOP, Level.MIDDLE):
        shutil.copy(song.codes_path(level), other.path)
    other.save(song.codes(Level.BOTTOM).cut(100))
    upsample(other.path, ask())
    assert codes_in(other.path) == codes_in(song.path)


def test_a_level_of_another_codec_is_refused_unless_forced_and_nothing_is_written(ask, song, other_model, tmp_path):
    other = Song.create(tmp_path / "other")
    shutil.copy(song.codes_path(Level.TOP), other.path)
    with pytest.raises(BadInput, match=r"VQ-VAE \w{12}.*--force"):
        upsample(other.path, ask(model=str(other_model)))
    assert [path.name for path in other.path.glob("[!.]*")] == ["top.npz"]
    assert upsample(other.path, ask(model=str(other_model), force=True)).new
    with pytest.raises(BadInput, match="VQ-VAE"):
        resume(other.path)
    assert not resume(other.path, Request(force=True)).new


def test_codes_that_a_codebook_does_not_have_cannot_be_forced_upon_it(ask, song, tmp_path):
    other = Song.create(tmp_path / "other")
    top = song.codes(Level.TOP)
    other.save(replace(top, codebook_size=64, array=top.array + 32, vqvae="f" * 64))
    with pytest.raises(BadInput, match="up to code 63"):
        upsample(other.path, ask(force=True))


def test_upsampling_nothing_is_an_error(ask, tmp_path, song):
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotASong, match="no song folder"):
        upsample(tmp_path / "empty", ask())
    (tmp_path / "lower").mkdir()
    shutil.copy(song.codes_path(Level.MIDDLE), tmp_path / "lower")
    with pytest.raises(NotASong, match=r"top\.npz"):
        upsample(tmp_path / "lower", ask())
    none = Song.create(tmp_path / "none")
    none.save(song.codes(Level.TOP).cut(0))
    with pytest.raises(NotASong, match=r"top\.npz"):
        upsample(none.path, ask())


# Primed with a recording


@pytest.mark.parametrize("prompt_seconds", [0.032, 1.0, 2.048, 3.5, 12.0])
def test_a_prompt_of_any_length_stays_untouched_at_every_level(ask, recording, tiny_model, tmp_path, prompt_seconds):
    """Shorter than a context of the top level (2.048 s), as long, longer, and longer than the recording."""
    result = continue_(recording, tmp_path / "song", ask(seconds=0.3), prompt_seconds=prompt_seconds)
    encode(recording, tmp_path / "prompt", Request(model=str(tiny_model)), seconds=prompt_seconds)
    heard = min(prompt_seconds, 6.0)
    for level in TOP_DOWN:
        codes, prompt = (Song(tmp_path / name).codes(level) for name in ("song", "prompt"))
        assert codes.prompt == prompt.done == int(heard * RATE / 256) * 256 // HOPS[level]
        assert np.array_equal(codes.array[:, : prompt.done], prompt.array)
        assert codes.done == (int(heard * RATE / 256) + 9) * 256 // HOPS[level]  # 0.3 s are 9.4 top codes
    assert soundfile.info(result.audio[0]).frames == codes.done * 16


def test_prompt_wav_holds_the_encoded_prompt(ask, recording, tmp_path):
    continue_(recording, tmp_path / "song", ask(levels=(Level.TOP,)), start=0.5, prompt_seconds=1.0)
    song = Song(tmp_path / "song")
    audio, source = io.load(song.prompt_path), io.load(recording)
    assert audio.sample_rate == RATE
    assert np.allclose(audio.samples[0], source.samples[:, 4000 : 4000 + 31 * 256].mean(axis=0), atol=1e-6)
    assert song.recipe().prompt.samples == 31 * 256
    assert song.recipe().song_seconds == pytest.approx(31 * 256 / RATE + 0.608)


def test_all_samples_begin_with_the_same_prompt_and_go_their_own_ways(ask, riff, tmp_path):
    continue_(riff, tmp_path / "song", ask(samples=3, levels=(Level.TOP,)))
    array = Song(tmp_path / "song").codes(Level.TOP).array
    assert len({bytes(row[:62]) for row in array}) == 1
    assert len({bytes(row[62:]) for row in array}) == 3


def test_a_primed_draft_filled_in_later_is_the_song_made_at_once(ask, riff, tmp_path, codes_in):
    continue_(riff, tmp_path / "whole", ask())
    continue_(riff, tmp_path / "draft", ask(levels=(Level.TOP,)))
    upsample(tmp_path / "draft", Request())
    assert codes_in(tmp_path / "draft") == codes_in(tmp_path / "whole")


def test_a_primed_song_run_again_does_nothing_wherever_its_recording_lies(ask, riff, tmp_path):
    continue_(riff, tmp_path / "song", ask(levels=(Level.TOP,)))
    moved = shutil.copy(riff, tmp_path / "moved.wav")
    assert not continue_(moved, tmp_path / "song", ask(levels=(Level.TOP,))).new
    with pytest.raises(RecipeDiffers, match="prompt"):
        continue_(riff, tmp_path / "song", ask(levels=(Level.TOP,)), prompt_seconds=1.0)
    with pytest.raises(RecipeDiffers, match=r"kind.*prompt\.source"):
        sample(tmp_path / "song", ask(levels=(Level.TOP,)))


def test_a_prompted_level_lost_before_sampling_is_resumed(ask, riff, tmp_path, codes_in):
    continue_(riff, tmp_path / "song", ask())
    whole = codes_in(tmp_path / "song")
    song = Song(tmp_path / "song")
    song.save(song.codes(Level.BOTTOM).cut(62 * 16))
    assert resume(song.path).new
    assert codes_in(song.path) == whole


@pytest.mark.parametrize("primed", [True, False])
def test_below_another_songs_top_level_no_prompt_of_ours_is_put(ask, riff, tmp_path, primed):
    """Neither below one without a prompt, nor below one with another prompt of the same length."""
    song = Song(continue_(riff, tmp_path / "song", ask(), prompt_seconds=0.7).song)
    if primed:
        other = continue_(riff, tmp_path / "other", ask(levels=(Level.TOP,)), start=0.25, prompt_seconds=0.7).song
    else:
        other = sample(tmp_path / "other", ask(levels=(Level.TOP,), seconds=1.5)).song
    shutil.copy(other / "top.npz", song.path)
    with pytest.raises(RecipeDiffers, match=r"upsample .* --overwrite"):
        upsample(song.path, Request())
    upsample(song.path, Request(overwrite=True))  # as the message says
    assert song.codes(Level.BOTTOM).done == song.codes(Level.TOP).done * 16
    assert song.codes(Level.MIDDLE).prompt == song.codes(Level.BOTTOM).prompt == 0
    assert not resume(song.path).new


def test_a_changed_prompt_is_noticed_before_it_is_used(ask, riff, recording, tmp_path, codes_in):
    song = Song(continue_(riff, tmp_path / "song", ask()).song)
    whole = codes_in(song.path)
    audio = io.load(song.prompt_path)
    io.save(song.prompt_path, audio.samples * 0.5, audio.sample_rate, subtype="float")
    song.codes_path(Level.BOTTOM).unlink()
    with pytest.raises(RecipeDiffers, match=r"prompt\.wav is not the prompt"):
        resume(song.path)
    assert codes_in(song.path).keys() == {"top.npz", "middle.npz"}
    song.prompt_path.unlink()  # as the message says
    resume(song.path)
    assert codes_in(song.path) == whole
    assert np.array_equal(io.load(song.prompt_path).samples, audio.samples)


# song.toml alone


def test_the_recipe_alone_renders_the_song_again(song, tmp_path, codes_in):
    copy = Song.create(tmp_path / "copy")
    shutil.copy(song.toml_path, copy.path)
    assert resume(copy.path).new
    assert codes_in(copy.path) == codes_in(song.path)
    assert [path.read_bytes() for path in sorted((copy.path / "audio").iterdir())] == [
        path.read_bytes() for path in sorted((song.path / "audio").iterdir())
    ]


@pytest.mark.parametrize(("rate", "start", "seconds"), [(8_000, 0.0, None), (44_100, 0.25, 1.0), (11_025, 0.1, 12.0)])
def test_so_does_that_of_a_primed_one_while_its_recording_is_there(
    ask, riff, tmp_path, codes_in, rate, start, seconds, monkeypatch
):
    """Resampled or not: the very same span of the recording is heard again."""
    samples, _ = soundfile.read(riff)
    monkeypatch.chdir(tmp_path)
    soundfile.write("riff.wav", samples, rate)
    continue_(Path("riff.wav"), Path("song"), ask(seconds=0.2), start=start, prompt_seconds=seconds)
    copy = Song.create(tmp_path / "elsewhere" / "copy")
    shutil.copy(tmp_path / "song" / "song.toml", copy.path)
    monkeypatch.chdir(copy.path)  # the recording was named from another folder
    resume(copy.path)
    assert codes_in(copy.path) == codes_in(tmp_path / "song")
    assert copy.prompt_path.read_bytes() == (tmp_path / "song/prompt.wav").read_bytes()


def test_a_recording_that_is_gone_or_another_one_is_said_to_be(ask, riff, tmp_path):
    source = Path(shutil.copy(riff, tmp_path / "source.wav"))
    song = Song(continue_(source, tmp_path / "song", ask(levels=(Level.TOP,))).song)
    copy = Song.create(tmp_path / "copy")
    shutil.copy(song.toml_path, copy.path)
    io.save(source, io.load(source).samples[:, ::-1], RATE)
    with pytest.raises(RecipeDiffers, match=r"source\.wav is not the prompt"):
        resume(copy.path)
    source.unlink()
    with pytest.raises(BadAudio, match=r"copy has no prompt\.wav.*source\.wav"):
        resume(copy.path)
    shutil.copy(song.prompt_path, copy.path)
    assert resume(copy.path).new


# Encoded first


def test_levels_that_were_not_encoded_are_sampled_from_those_that_were(ask, riff, tiny_model, tmp_path, codes_in):
    encode(riff, tmp_path / "song", Request(model=str(tiny_model)), levels=(Level.TOP,))
    encoded = codes_in(tmp_path / "song")["top.npz"]
    result = upsample(tmp_path / "song", ask(model=None))
    song = Song(tmp_path / "song")
    assert result.audio == (song.audio_path(0),)
    assert codes_in(song.path)["top.npz"] == encoded
    assert song.codes(Level.BOTTOM).array.shape == (1, 62 * 16)
    assert song.codes(Level.BOTTOM).prompt == 0
    assert song.recipe().labels.artist == "Ada"

    assert not encode(riff, song.path, Request(model=str(tiny_model)), levels=(Level.TOP,)).new
    assert not upsample(song.path, ask(model=None)).new
    copy = Song.create(tmp_path / "copy")
    shutil.copy(song.toml_path, copy.path)
    resume(copy.path)
    assert codes_in(copy.path) == codes_in(song.path)


def test_a_recording_encoded_at_all_levels_is_only_decoded(ask, riff, tiny_model, tmp_path, codes_in):
    encode(riff, tmp_path / "song", Request(model=str(tiny_model)))
    whole = codes_in(tmp_path / "song")
    assert upsample(tmp_path / "song", ask()).audio == (tmp_path / "song/audio/0.wav",)
    assert codes_in(tmp_path / "song") == whole


def test_its_lower_levels_are_sampled_on_request(ask, riff, tiny_model, tmp_path, codes_in):
    encode(riff, tmp_path / "song", Request(model=str(tiny_model)))
    whole = codes_in(tmp_path / "song")
    upsample(tmp_path / "song", ask(overwrite=True))
    again = codes_in(tmp_path / "song")
    assert again["top.npz"] == whole["top.npz"]
    assert again["middle.npz"] != whole["middle.npz"]
    with pytest.raises(RecipeDiffers, match=r"sampling\.middle"):
        encode(riff, tmp_path / "song", Request(model=str(tiny_model)))


def test_encoded_codes_are_resumed_to_codes_alone(riff, tiny_model, tmp_path, codes_in):
    encode(riff, tmp_path / "song", Request(model=str(tiny_model)))
    whole = codes_in(tmp_path / "song")
    (tmp_path / "song/middle.npz").unlink()
    assert resume(tmp_path / "song").new
    assert codes_in(tmp_path / "song") == whole
    assert not (tmp_path / "song/audio").exists()
    assert not resume(tmp_path / "song").new


# Models and machines


def test_a_model_that_moved_is_found_where_the_user_says(ask, tiny_model, tmp_path, codes_in, song):
    moving = shutil.copytree(tiny_model, tmp_path / "moving")
    draft = sample(tmp_path / "draft", ask(model=str(moving), samples=2, levels=(Level.TOP,))).song
    shutil.rmtree(moving)
    with pytest.raises(BadModel, match=r"moving.*--model"):
        resume(draft)
    upsample(draft, Request(model=str(tiny_model)))
    assert codes_in(draft) == codes_in(song.path)
    assert not sample(draft, ask(samples=2)).new  # the same weights are the same model


def test_a_model_that_changed_would_make_another_song(ask, tiny_model, tmp_path):
    from safetensors.numpy import load_file, save_file

    changing = forget_fingerprints(shutil.copytree(tiny_model, tmp_path / "changing"))
    draft = sample(tmp_path / "draft", ask(model=str(changing), levels=(Level.TOP,))).song
    tensors = load_file(changing / "top.safetensors")
    save_file({name: tensor * 2 for name, tensor in tensors.items()}, changing / "top.safetensors")
    for work in (resume, lambda path: upsample(path, Request())):
        with pytest.raises(BadModel, match=r"the top part of tiny is not the one .* --force"):
            work(draft)
    with pytest.raises(RecipeDiffers, match=r"model\.fingerprints\.top"):
        sample(draft, ask(model=str(changing), levels=(Level.TOP,)))
    assert upsample(draft, Request(force=True)).new


def test_a_draft_may_be_upsampled_by_a_model_that_shares_codec_and_top_prior(ask, tiny_model, tmp_path, codes_in):
    from safetensors.numpy import load_file, save_file

    better = forget_fingerprints(shutil.copytree(tiny_model, tmp_path / "better"))
    tensors = load_file(better / "middle.safetensors")
    save_file({name: tensor * 2 for name, tensor in tensors.items()}, better / "middle.safetensors")
    draft = Song(sample(tmp_path / "draft", ask(levels=(Level.TOP,))).song)
    upsample(draft.path, Request(model=str(better)))
    copy = Song.create(tmp_path / "copy")
    shutil.copy(draft.toml_path, copy.path)
    resume(copy.path)  # with the model that the recipe now names
    assert codes_in(copy.path) == codes_in(draft.path)


def test_going_on_in_another_precision_is_allowed_with_a_warning(song):
    song.save(song.codes(Level.BOTTOM).cut(100))
    warnings = []
    resume(song.path, Request(precision="bf16"), listener=WarningsOnly(warnings.append))
    assert len(warnings) == 1
    assert "bottom level was sampled on cpu in fp32 so far: on cpu in bf16" in warnings[0]
    assert song.codes(Level.BOTTOM).done == 304
    assert song.recipe().made[Level.BOTTOM].precision == "bf16"


def test_a_song_without_a_recipe_cannot_be_resumed(song):
    song.toml_path.unlink()
    with pytest.raises(NotASong, match="jukectl upsample"):
        resume(song.path)


def test_codes_without_a_recipe_are_not_sampled_over(ask, song):
    song.toml_path.unlink()
    with pytest.raises(RecipeDiffers, match="jukectl upsample"):
        sample(song.path, ask(samples=2))
