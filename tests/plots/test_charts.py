import numpy as np
import pytest

from jukectl.plots import style
from jukectl.plots.charts import chart, label_panel, spread_dots


def names(count: int) -> list[tuple[str, str]]:
    return [(f"a thing that is compared, number {number}", style.colour(number)) for number in range(count)]


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (3, 1), (9, 3)])
def test_a_long_key_takes_more_rows_and_covers_no_panel(count, rows):
    with chart("title", "about", rows=1, columns=2, key=names(count)) as (figure, panels):
        for axes in panels:
            label_panel(axes, "name", "remark", x="x", y="y")
    (legend,) = figure.subfigs[1].legends
    box = legend.get_window_extent()
    assert len({round(text.get_window_extent().y0) for text in legend.get_texts()}) == rows
    assert box.x1 <= figure.bbox.x1
    assert all(axes.get_tightbbox().y1 < box.y0 for axes in panels)


def test_panels_with_wide_tick_labels_stay_inside_the_picture():
    with chart("title", "about", rows=2, columns=2) as (figure, panels):
        for axes in panels:
            axes.plot([0, 1], [0, 12_345.678])
            label_panel(axes, "name", x="x", y="bits per code")
    boxes = [axes.get_tightbbox() for axes in panels]
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert not [(a, b) for n, a in enumerate(boxes) for b in boxes[n + 1 :] if a.overlaps(b)]


def test_a_picture_keeps_its_style_when_it_is_saved_later(tmp_path):
    with chart("title", "about", rows=1, columns=1) as (figure, (axes,)):
        axes.plot([0, 1], [0, 15])
    before = [(label.get_text(), label.get_fontsize(), label.get_color()) for label in axes.get_yticklabels()]
    style.save(figure, tmp_path / "a.png")
    after = [(label.get_text(), label.get_fontsize(), label.get_color()) for label in axes.get_yticklabels()]
    assert before == after
    assert {(size, shade) for _, size, shade in after} == {(8.5, style.LIGHT.pale)}


def test_dots_are_spread_evenly_around_their_place():
    assert spread_dots(2.0, 3, 0.5).tolist() == [1.75, 2.0, 2.25]
    assert spread_dots(2.0, 1, 0.5).tolist() == [2.0]
    assert not np.size(spread_dots(2.0, 0, 0.5))
