from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from jukectl.errors import BadInput, CannotWrite
from jukectl.plots import sound, style
from jukectl.plots.sound import Panel
from jukectl.plots.style import DARK, LIGHT

RATE = 8_000
WIDTH = round(style.WIDTH * style.DPI)  # pixels


def panel(seconds: float, name: str = "Top", seed: int = 0) -> Panel:
    noise = np.random.default_rng(seed).standard_normal(int(seconds * RATE)) * 0.1
    return Panel(name=name, about=f"{seconds} s", samples=noise.astype(np.float32), sample_rate=RATE)


def pixels(figure, tmp_path: Path) -> np.ndarray:
    """The picture as it is saved, (height, width, 3)."""
    style.save(figure, tmp_path / "a.png")
    return np.asarray(Image.open(tmp_path / "a.png").convert("RGB")).astype(int)


def part(picture: np.ndarray, axes) -> np.ndarray:
    """The pixels inside axes."""
    box = axes.get_window_extent()
    height = len(picture)
    return picture[round(height - box.y1) : round(height - box.y0), round(box.x0) : round(box.x1)]


def axes_of(figure, name: str):
    """The axes with that caption."""
    (found,) = [axes for axes in figure.axes if axes.get_title("left") == name]
    return found


def colour(text: str) -> list[int]:
    return [int(text[place : place + 2], 16) for place in (1, 3, 5)]


def is_mark(picture: np.ndarray, mark: str) -> np.ndarray:
    """The pixels of the line at the prompt's end."""
    return np.abs(picture - colour(mark)).max(axis=-1) < 12


@pytest.mark.parametrize("count", [1, 3])
def test_a_picture_of_levels_has_a_spectrogram_for_each_and_is_not_blank(tmp_path, count):
    figure = sound.draw_levels([panel(3, f"level {seed}", seed) for seed in range(count)], title="a song")
    picture = pixels(figure, tmp_path)
    assert picture.shape[1] == WIDTH
    for number in range(count):
        spectrogram = part(picture, axes_of(figure, f"level {number}"))
        assert spectrogram.shape[0] > 150 and spectrogram.shape[1] > 900
        assert len(np.unique(spectrogram.reshape(-1, 3), axis=0)) > 20
        assert spectrogram.std() > 10


def test_all_panels_of_a_song_share_one_time_axis():
    figure = sound.draw_levels([panel(3), panel(2, "Bottom")], title="a song", prompt_seconds=1)
    boxes = [axes_of(figure, name).get_window_extent() for name in ("Waveform", "Top", "Bottom")]
    assert len({(round(box.x0), round(box.x1)) for box in boxes}) == 1
    assert {axes_of(figure, name).get_xlim() for name in ("Waveform", "Top", "Bottom")} == {(0, 3)}


def test_captions_and_axes_do_not_cover_each_other():
    uses = np.bincount([0, 1, 1], minlength=8)
    panels = [replace(panel(3, name), uses=uses) for name in ("Top", "Bottom")]
    figure = sound.draw_levels(panels, title="a song", prompt_seconds=1)
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    overlaps = [(a, b) for n, a in enumerate(boxes) for b in boxes[n + 1 :] if a.overlaps(b)]
    assert not overlaps
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)


def test_a_song_shows_the_waveform_of_its_finest_level(tmp_path):
    loud = Panel(name="Bottom", about="", samples=np.sin(np.arange(3 * RATE)).astype(np.float32), sample_rate=RATE)
    quiet = Panel(name="Top", about="", samples=loud.samples / np.float32(100), sample_rate=RATE)
    figure = sound.draw_levels([quiet, loud], title="a song")
    wave = part(pixels(figure, tmp_path), axes_of(figure, "Waveform"))
    inked = (np.abs(wave - colour(LIGHT.paper)).max(axis=-1) > 40).sum(axis=0)
    assert inked[10:-10].min() > len(wave) * 0.9


def test_below_the_levels_is_the_use_of_the_codes_of_each():
    codes = np.array([0, 0, 3, 3, 5, 5, 6, 6])
    used = replace(panel(1), uses=np.bincount(codes, minlength=8))
    figure = sound.draw_levels([used, panel(1, "Bottom")], title="a song")
    (axes,) = [axes for axes in figure.axes if axes.get_yscale() == "log"]
    assert "4 of 8 used · 2.0 bits per code" in [text.get_text() for text in axes.texts]
    assert axes.lines[0].get_ydata().tolist() == [25.0] * 4


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_even_three_levels_of_noise_make_a_small_file(tmp_path, theme):
    panels = [panel(20, name, seed) for seed, name in enumerate(("Top", "Middle", "Bottom"))]
    style.save(sound.draw_levels(panels, title="noise", prompt_seconds=7, theme=theme), tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size < 450_000


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_the_paper_has_the_colour_of_the_theme_up_to_all_edges(tmp_path, theme):
    for figure in (sound.draw_levels([panel(1)], title="", theme=theme), sound.draw_recording(panel(1), theme=theme)):
        picture = pixels(figure, tmp_path)
        edges = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
        assert (edges == colour(theme.paper)).all()


@pytest.mark.parametrize(("theme", "prompt"), [(LIGHT, 0.5), (DARK, 3.9)])
def test_a_line_marks_the_end_of_the_prompt_in_every_spectrogram(tmp_path, prompt, theme):
    figure = sound.draw_levels([panel(4), panel(4, "Bottom")], title="a", prompt_seconds=prompt, theme=theme)
    picture = pixels(figure, tmp_path)
    for name in ("Waveform", "Top", "Bottom"):
        inside = part(picture, axes_of(figure, name))
        columns = is_mark(inside, theme.mark).sum(axis=0)
        assert int(columns.argmax()) == pytest.approx(inside.shape[1] * prompt / 4, abs=1.5)
        assert columns.max() > len(inside) / 2


@pytest.mark.parametrize("prompt", [0.0, 4.0])
def test_no_line_is_drawn_if_all_is_new_or_all_is_prompt(tmp_path, prompt):
    figure = sound.draw_levels([panel(4)], title="a", prompt_seconds=prompt)
    assert not is_mark(pixels(figure, tmp_path), LIGHT.mark).any()


def test_a_level_that_is_not_finished_leaves_the_rest_of_the_time_empty(tmp_path):
    figure = sound.draw_levels([panel(4), panel(1, "Bottom")], title="a")
    inside = part(pixels(figure, tmp_path), axes_of(figure, "Bottom"))
    row, quarter = inside[20], inside.shape[1] // 4
    blank = (row == colour(LIGHT.paper)).all(axis=-1)
    assert not blank[: quarter - 4].all()
    assert blank[quarter + 4 : -2].all()


def test_the_waveform_of_a_recording_is_as_high_as_it_is_loud(tmp_path):
    samples = np.concatenate([np.zeros(RATE), np.sin(np.arange(RATE))]).astype(np.float32)
    figure = sound.draw_recording(Panel(name="a", about="", samples=samples, sample_rate=RATE))
    wave = part(pixels(figure, tmp_path), axes_of(figure, "Waveform"))
    inked = (np.abs(wave - colour(LIGHT.paper)).max(axis=-1) > 40).sum(axis=0)
    half = wave.shape[1] // 2
    assert inked[10 : half - 10].max() <= 2
    assert inked[half + 10 : -10].min() > len(wave) * 0.9


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
    style.save(sound.draw_recording(odd), tmp_path / "a.png")
    style.save(sound.draw_levels([odd], title="odd"), tmp_path / "b.png")


@pytest.mark.parametrize(
    ("title", "suffix"),
    [
        ("$\\frac{", ".png"),
        ("<b> & \"quotes' 日本語 🎵", ".svg"),
        ("line\nbreak 日本語", ".png"),
        ("long " * 100, ".svg"),
    ],
)
def test_titles_are_drawn_literally(tmp_path, title, suffix):
    path = tmp_path / f"a{suffix}"
    style.save(sound.draw_levels([panel(0.2)], title=title, about=title), path)
    if suffix == ".svg":
        assert ElementTree.parse(path).getroot().tag.endswith("svg")
    else:
        Image.open(path).verify()


@pytest.mark.parametrize("suffix", [".svg", ".PNG"])
def test_equal_pictures_are_equal_bytes(tmp_path, suffix):
    for name in ("a", "b"):
        figure = sound.draw_levels([panel(1)], title="a", prompt_seconds=0.5)
        style.save(figure, tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@pytest.mark.parametrize("name", ["a.gif", "a", "a.svg.pdf"])
def test_other_formats_are_refused_and_nothing_is_written(tmp_path, name):
    with pytest.raises(BadInput, match=r"\.png or \.svg"):
        style.save(sound.draw_recording(panel(0.1)), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(CannotWrite):
        style.save(sound.draw_recording(panel(0.1)), tmp_path / "none" / "a.png")
