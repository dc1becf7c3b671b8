"""Figures of one stretch of music, and of new music beside its prompt."""

from typing import Any

import numpy as np
import pytest
from music_signals import RATE, clicks, melody

from jukectl.evaluation.traits import Comparison, Stretch, Traits, facts_of, medians, note_density, rest_share
from jukectl.midi.notes import Notes

NOTES = Notes.of([(0.0, 1.0, 60, 90, False), (0.5, 0.8, 64, 90, False), (2.0, 9.0, 67, 90, False)])


def measured(samples, **options):
    return Stretch.measure(samples.astype(np.float32), RATE, code_rate=RATE / 16, **options)


def band(bpm, seed=0, seconds=10):
    """A melody with clicks at a tempo."""
    return melody(seconds + 1, seed)[: seconds * RATE] + clicks(bpm, seconds)


def noise(seconds=10):
    return 0.2 * np.random.default_rng(0).standard_normal(seconds * RATE)


def test_notes_a_second_and_rests_are_those_of_the_notes():
    assert note_density(NOTES, 4) == 0.75
    assert rest_share(NOTES, 4) == pytest.approx(1 / 4)  # from 1 to 2 s
    assert (note_density(Notes.of([]), 4), rest_share(Notes.of([]), 4)) == (0, 1)


def test_traits_are_measured_with_and_without_a_transcription():
    lengths = []

    def transcriber(samples):
        lengths.append(len(samples))
        return NOTES

    with_notes = measured(band(120, seconds=12), transcriber=transcriber).traits
    assert (lengths, with_notes.notes_per_second, with_notes.nearly_silent) == ([12 * RATE], 3 / 12, False)
    assert with_notes.beat > 0.3
    facts = facts_of(measured(clicks(120)).traits)
    assert (facts["notes_per_second"], facts["rests"]) == (None, None)


def test_two_seconds_have_no_beat_and_no_attacks_but_all_other_traits():
    facts = facts_of(Traits.of(melody(2, 0), RATE, code_rate=RATE / 16))
    assert {name for name, value in facts.items() if value is None} == {
        *("beat", "attack_contrast", "notes_per_second", "rests")
    }


@pytest.mark.parametrize(
    ("bpm", "kept"), [(100, True), (102, True), (50, True), (200, True), (112, False), (140, False)]
)
def test_a_tempo_within_4_percent_is_kept_and_so_are_half_and_double(bpm, kept):
    assert Comparison.between(measured(clicks(100)), measured(clicks(bpm))).tempo_kept is kept


def test_music_without_a_beat_has_no_tempo_to_keep_and_silence_keeps_nothing():
    silence = measured(np.zeros(10 * RATE))
    assert Comparison.between(measured(noise()), measured(clicks(100))).tempo_kept is None
    assert Comparison.between(silence, measured(band(100))).key_kept is None
    compared = Comparison.between(measured(band(100)), silence, 0.6)
    assert (compared.tempo_kept, compared.key_kept) == (False, False)
    assert (compared.beat_of_original, compared.attack_of_prompt, compared.range_of_prompt) == (0, 0, 0)


def test_music_that_goes_on_is_nearer_to_its_prompt_than_noise_in_each_measure():
    notes = {"prompt": NOTES, "own": NOTES, "noise": Notes.of([])}
    prompt, own, other = (
        measured(samples, transcriber=lambda _, name=name: notes[name])
        for name, samples in (("prompt", band(100)), ("own", band(100)), ("noise", noise()))
    )
    music, chance = (Comparison.between(prompt, new, own.traits.beat) for new in (own, other))
    assert (music.beat_of_original, music.attack_of_prompt, music.range_of_prompt, music.notes_of_prompt) == (1,) * 4
    assert (music.tempo_kept, music.key_kept, music.rests, music.seam) == (True, True, 0, pytest.approx(0, abs=3))
    assert chance.beat_of_original < 0.3
    assert chance.attack_of_prompt < 0.3
    assert chance.range_of_prompt < 0.3
    assert (chance.notes_of_prompt, chance.rests) == (0, pytest.approx(1 - rest_share(NOTES, 10)))


def test_a_beat_counts_only_if_the_original_has_one():
    prompt, new = measured(clicks(100)), measured(clicks(100))
    assert np.isnan(Comparison.between(prompt, new).beat_of_original)
    assert np.isnan(Comparison.between(prompt, new, 0.19).beat_of_original)
    assert Comparison.between(prompt, new, 0.2).beat_of_original == pytest.approx(new.traits.beat / 0.2)


def test_medians_are_of_numbers_that_are_defined_and_shares_of_truth_values():
    rows: list[dict[str, Any]] = [
        {"beat": 1.0, "kept": True, "recognised": "Piano", "rests": None},
        {"beat": 5.0, "kept": False, "recognised": "Game", "rests": None},
        {"beat": None, "kept": None, "recognised": None, "rests": None},
        {"beat": 2.0, "kept": True, "recognised": "Game", "rests": None},
    ]
    assert medians(rows) == {"beat": 2.0, "kept": pytest.approx(2 / 3, abs=1e-4), "rests": None}
