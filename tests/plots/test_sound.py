from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from jukectl.errors import BadInput, CannotWrite
from jukectl.plots import sound
from jukectl.plots.sound import BANDS, CAPTION, CELL, DARK, FOOTER, HEADER, LEFT, LIGHT, STRIP, WIDTH, Panel

RATE = 8_000
AXES = WIDTH - LEFT - sound.RIGHT  # pixels of the whole time
FIRST = HEADER + CAPTION + sound.WAVE  # where the levels of a song begin, below the waveform


def panel(seconds: float, name: str = "Top", seed: int = 0) -> Panel:
    noise = np.random.default_rng(seed).standard_normal(int(seconds * RATE)) * 0.1
    return Panel(name=name, about=f"{seconds} s", samples=noise.astype(np.float32), sample_rate=RATE)


def pixels(figure, tmp_path: Path) -> np.ndarray:
    """The picture as it is saved, (height, width, 3)."""
    sound.save(figure, tmp_path / "a.png")
    return np.asarray(Image.open(tmp_path / "a.png").convert("RGB")).astype(int)


def colour(text: str) -> list[int]:
    return [int(text[place : place + 2], 16) for place in (1, 3, 5)]


def is_mark(picture: np.ndarray, mark: str) -> np.ndarray:
    """Where the line of the prompt's end is drawn."""
    return np.abs(picture - colour(mark)).max(axis=-1) < 12


@pytest.mark.parametrize("count", [1, 3])
def test_a_picture_of_levels_has_a_spectrogram_for_each_and_is_not_blank(tmp_path, count):
    picture = pixels(sound.draw_levels([panel(3, seed=seed) for seed in range(count)], title="a song"), tmp_path)
    step = CAPTION + CELL * BANDS
    assert picture.shape == (FIRST + count * step + FOOTER, WIDTH, 3)
    for number in range(count):
        top = FIRST + number * step + CAPTION
        spectrogram = picture[top + 2 : top + CELL * BANDS - 2, LEFT + 4 : LEFT + AXES - 4]
        assert len(np.unique(spectrogram.reshape(-1, 3), axis=0)) > 20
        assert spectrogram.std() > 10


def test_a_song_shows_the_waveform_of_its_finest_level(tmp_path):
    loud = Panel(name="Bottom", about="", samples=np.sin(np.arange(3 * RATE)).astype(np.float32), sample_rate=RATE)
    quiet = Panel(name="Top", about="", samples=loud.samples / 100, sample_rate=RATE)
    picture = pixels(sound.draw_levels([quiet, loud], title="a song"), tmp_path)
    wave = picture[HEADER + CAPTION : FIRST, LEFT : LEFT + AXES]
    inked = (np.abs(wave - colour(LIGHT.paper)).max(axis=-1) > 40).sum(axis=0)
    assert inked[10:-10].min() > sound.WAVE * 0.9


def test_below_the_levels_stands_how_each_uses_its_codes():
    codes = np.array([0, 0, 3, 3, 5, 5, 6, 6])
    used = replace(panel(1), uses=np.bincount(codes, minlength=8))
    figure = sound.draw_levels([used, panel(1, "Bottom")], title="a song")
    assert "4 of 8 used · 2.0 bits a code" in [text.get_text() for text in figure.texts]
    (line,) = [line for axes in figure.axes for line in axes.lines if axes.get_yscale() == "log"]
    assert line.get_ydata().tolist() == [25.0] * 4


def test_even_three_levels_of_noise_make_a_small_file(tmp_path):
    panels = [panel(20, name, seed) for seed, name in enumerate(("Top", "Middle", "Bottom"))]
    for theme in (LIGHT, DARK):
        sound.save(sound.draw_levels(panels, title="noise", prompt_seconds=7, theme=theme), tmp_path / "a.png")
        assert (tmp_path / "a.png").stat().st_size < 400_000


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_the_paper_has_the_colour_of_the_theme(tmp_path, theme):
    for figure in (sound.draw_levels([panel(1)], title="", theme=theme), sound.draw_recording(panel(1), theme=theme)):
        picture = pixels(figure, tmp_path)
        assert picture[2, 2].tolist() == picture[-2, -2].tolist() == colour(theme.paper)


@pytest.mark.parametrize(("theme", "prompt"), [(LIGHT, 0.5), (DARK, 3.9)])
def test_a_line_stands_where_the_prompt_ends_in_every_spectrogram(tmp_path, prompt, theme):
    figure = sound.draw_levels([panel(4), panel(4)], title="a", prompt_seconds=prompt, theme=theme)
    marked = is_mark(pixels(figure, tmp_path), theme.mark)
    for number in range(2):
        top = HEADER + STRIP + CELL + number * (CAPTION + CELL * BANDS) + CAPTION
        columns = marked[top : top + CELL * BANDS, LEFT : LEFT + AXES].sum(axis=0)
        assert int(columns.argmax()) == pytest.approx(AXES * prompt / 4, abs=1)
        assert columns.max() > CELL * BANDS / 2


@pytest.mark.parametrize("prompt", [0.0, 4.0])
def test_no_line_stands_where_all_is_new_or_all_is_prompt(tmp_path, prompt):
    figure = sound.draw_levels([panel(4)], title="a", prompt_seconds=prompt)
    assert not is_mark(pixels(figure, tmp_path), LIGHT.mark).any()


def test_a_level_that_is_not_finished_leaves_the_rest_of_the_time_empty(tmp_path):
    picture = pixels(sound.draw_levels([panel(4), panel(1, "Bottom")], title="a"), tmp_path)
    top = FIRST + 2 * CAPTION + CELL * BANDS
    row = picture[top + 20, LEFT : LEFT + AXES]
    blank = (row == colour(LIGHT.paper)).all(axis=-1)
    assert not blank[: AXES // 4 - 4].all()
    assert blank[AXES // 4 + 4 :].all()


def test_the_waveform_of_a_recording_is_as_high_as_it_is_loud(tmp_path):
    samples = np.concatenate([np.zeros(RATE), np.sin(np.arange(RATE))]).astype(np.float32)
    picture = pixels(sound.draw_recording(Panel(name="a", about="", samples=samples, sample_rate=RATE)), tmp_path)
    top = HEADER + CAPTION
    wave = picture[top : top + sound.WAVE, LEFT : LEFT + AXES]
    inked = (np.abs(wave - colour(LIGHT.paper)).max(axis=-1) > 40).sum(axis=0)
    assert inked[10 : AXES // 2 - 10].max() <= 2
    assert inked[AXES // 2 + 10 : -10].min() > sound.WAVE * 0.9


def test_the_envelope_holds_the_lowest_the_highest_and_the_root_mean_square_of_each_column():
    samples = np.random.default_rng(0).standard_normal(12).astype(np.float32)
    low, high, rms = sound._envelope(samples, 4)
    rows = samples.reshape(4, 3)
    assert low.tolist() == rows.min(axis=1).tolist()
    assert high.tolist() == rows.max(axis=1).tolist()
    assert np.allclose(rms, np.sqrt(np.square(rows).mean(axis=1)))
    assert len(sound._envelope(samples, 100)[0]) == 12


@pytest.mark.parametrize("samples", [np.zeros(1), np.ones(5), np.sin(np.arange(2_000_000))])
def test_silence_a_single_sample_and_minutes_of_music_can_be_drawn(tmp_path, samples):
    odd = Panel(name="odd", about="", samples=samples.astype(np.float32), sample_rate=RATE)
    sound.save(sound.draw_recording(odd), tmp_path / "a.png")
    sound.save(sound.draw_levels([odd], title="odd"), tmp_path / "b.png")


@pytest.mark.parametrize(
    ("title", "suffix"),
    [
        ("$\\frac{", ".png"),
        ("<b> & \"quotes' 日本語 🎵", ".svg"),
        ("line\nbreak 日本語", ".png"),
        ("long " * 100, ".svg"),
    ],
)
def test_titles_are_drawn_as_they_are(tmp_path, title, suffix):
    path = tmp_path / f"a{suffix}"
    sound.save(sound.draw_levels([panel(0.2)], title=title, about=title), path)
    if suffix == ".svg":
        assert ElementTree.parse(path).getroot().tag.endswith("svg")
    else:
        Image.open(path).verify()


@pytest.mark.parametrize("suffix", [".svg", ".PNG"])
def test_equal_pictures_are_equal_bytes(tmp_path, suffix):
    for name in ("a", "b"):
        figure = sound.draw_levels([panel(1)], title="a", prompt_seconds=0.5)
        sound.save(figure, tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@pytest.mark.parametrize("name", ["a.gif", "a", "a.svg.pdf"])
def test_other_formats_are_refused_and_nothing_is_written(tmp_path, name):
    with pytest.raises(BadInput, match=r"\.png or \.svg"):
        sound.save(sound.draw_recording(panel(0.1)), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(CannotWrite):
        sound.save(sound.draw_recording(panel(0.1)), tmp_path / "none" / "a.png")
