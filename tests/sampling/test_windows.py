"""Windows: their starts, prefixes and new codes, and the upper codes that condition them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jukectl.sampling.windows import Window, advance_codes, cut_window, plan_windows, upper_span


def plan(total, context, advance, done=0, ratio=1):
    return list(plan_windows(total, context=context, advance=advance, done=done, ratio=ratio))


def starts(total, context, advance):
    return [window.start for window in plan(total, context, advance)]


@st.composite
def plans(draw):
    """Draw arguments of plan_windows, with starts at multiples of the ratio."""
    ratio = draw(st.sampled_from([1, 2, 4]))
    context = ratio * draw(st.integers(1, 24))
    advance = ratio * draw(st.integers(1, context // ratio))
    total = ratio * draw(st.integers(0, 100))
    return total, context, advance, draw(st.integers(0, total)), ratio


def test_windows_start_every_advance_and_the_last_one_moves_left():
    assert plan(total=22, context=8, advance=4) == [
        Window(start=0, prefix=0, stop=8),
        Window(start=4, prefix=4, stop=12),
        Window(start=8, prefix=4, stop=16),
        Window(start=12, prefix=4, stop=20),
        Window(start=14, prefix=6, stop=22),  # 22 - 8; its prefix is longer
    ]


def test_a_level_of_one_context_is_one_window():
    assert plan(total=8, context=8, advance=2) == [Window(0, 0, 8)]


@pytest.mark.parametrize("count", range(5))
def test_a_whole_number_of_advances_has_no_moved_or_repeated_window(count):
    assert starts(8 + 4 * count, context=8, advance=4) == [4 * index for index in range(count + 1)]


def test_the_published_top_level_is_sampled_in_the_windows_of_the_original():
    # a minute at 44.1 kHz: 2,646,000 // 128 codes, context 8192, an eighth of it new each time
    assert starts(20_671, context=8192, advance=1024) == [*range(0, 12_288 + 1, 1024), 20_671 - 8192]


@pytest.mark.parametrize("total", range(1, 8))
def test_a_level_below_one_context_is_one_window_of_its_length(total):
    assert plan(total, context=8, advance=4) == [Window(0, 0, total)]


@pytest.mark.parametrize(("total", "done"), [(0, 0), (16, 16), (16, 20), (5, 5)])
def test_a_complete_level_has_no_windows(total, done):
    assert plan(total, context=8, advance=4, done=done) == []


def test_prefixes_are_the_context_less_the_advance_except_in_first_and_last_windows():
    first, *others, last = plan(total=1000, context=64, advance=24)
    assert first.prefix == 0
    assert {window.prefix for window in others} == {64 - 24}
    assert last.prefix >= 64 - 24


def test_resuming_adds_every_missing_code_once():
    for done in range(17):
        added = [i for w in plan(16, context=8, advance=4, done=done) for i in range(w.start + w.prefix, w.stop)]
        assert added == list(range(done, 16))


def test_a_prompt_does_not_shift_the_window_starts():
    assert plan(total=22, context=8, advance=4, done=10) == [
        Window(start=4, prefix=6, stop=12),  # 0..8 is full: skipped
        Window(start=8, prefix=4, stop=16),
        Window(start=12, prefix=4, stop=20),
        Window(start=14, prefix=6, stop=22),
    ]


def reference(asked, context, hop, have):
    """Return (start, prefix, new) of each window by the loop of the published sampler."""
    calls = []
    grid = []
    start = 0
    while start + context < asked:
        grid.append(start)
        start += hop
    grid.append(max(asked - context, 0))
    for start in grid:
        prefix = have - start
        new = min(context, asked) - prefix  # what a window adds is the context minus the codes there from start on
        if new > 0:
            calls.append((start, prefix, new))
            have += new
    return calls


@given(plans())
def test_planned_windows_equal_the_loop_of_the_published_sampler(arguments):
    total, context, advance, done, _ = arguments
    planned = [(window.start, window.prefix, window.new) for window in plan(total, context, advance, done)]
    assert planned == (reference(total, context, advance, done) if total else [])


@given(plans())
def test_every_missing_code_is_added_once_within_one_context(arguments):
    total, context, advance, done, ratio = arguments
    there = done
    for window in plan(total, context, advance, done, ratio):
        assert window.start >= 0
        assert window.prefix >= 0
        assert window.start + window.prefix == there  # starts exactly where the codes end
        assert window.new >= 1
        assert window.stop - window.start == min(context, total)
        there = window.stop
    assert there == total


@given(plans(), st.data())
def test_a_plan_resumed_after_any_window_has_the_remaining_windows(arguments, data):
    total, context, advance, done, _ = arguments
    whole = plan(total, context, advance, done)
    finished = data.draw(st.integers(0, len(whole)))
    there = whole[finished - 1].stop if finished else done
    assert plan(total, context, advance, there) == whole[finished:]


@given(plans())
def test_window_starts_depend_on_the_total_alone(arguments):
    total, context, advance, done, _ = arguments
    grid = starts(total, context, advance)
    assert {window.start for window in plan(total, context, advance, done)} <= set(grid)


@pytest.mark.parametrize("advance", [0, -4, 9])
def test_an_advance_outside_1_to_the_context_is_refused(advance):
    with pytest.raises(ValueError, match="advance is 1 to the context of 8 codes"):
        plan_windows(16, context=8, advance=advance)


@pytest.mark.parametrize(("total", "done"), [(-1, 0), (8, -1)])
def test_negative_numbers_of_codes_are_refused(total, done):
    with pytest.raises(ValueError, match="count codes"):
        plan_windows(total, context=8, advance=4, done=done)


@pytest.mark.parametrize(("total", "advance"), [(22, 4), (24, 6)])
def test_a_start_between_two_upper_codes_is_refused_at_once(total, advance):
    with pytest.raises(ValueError, match="no multiple of 4"):
        plan_windows(total, context=8, advance=advance, ratio=4)


def test_a_length_under_one_context_needs_no_alignment():
    assert plan(total=7, context=8, advance=4, ratio=4) == [Window(0, 0, 7)]


def test_upper_codes_of_a_window_are_those_of_its_context_from_its_start():
    assert upper_span(Window(start=16, prefix=8, stop=48), context=32, ratio=4, have=100) == (4, 12)


def test_a_short_window_has_upper_codes_of_a_whole_context():
    assert upper_span(Window(start=0, prefix=0, stop=12), context=32, ratio=4, have=100) == (0, 8)


def test_surplus_upper_codes_are_not_used():
    window = Window(start=16, prefix=8, stop=48)
    assert upper_span(window, context=32, ratio=4, have=12) == upper_span(window, context=32, ratio=4, have=1000)


def test_upper_codes_end_with_the_level_above():
    assert upper_span(Window(start=0, prefix=0, stop=12), context=32, ratio=4, have=3) == (0, 3)


@given(plans(), st.integers(0, 10))
def test_upper_codes_cover_every_new_code_within_one_context(arguments, surplus):
    total, context, advance, done, ratio = arguments
    have = total // ratio + surplus
    for window in plan(total, context, advance, done, ratio):
        start, stop = upper_span(window, context, ratio, have)
        assert start * ratio == window.start
        assert stop - start <= context // ratio
        assert stop * ratio >= window.stop
        assert stop <= have


@pytest.mark.parametrize(
    ("window", "context", "ratio", "have", "reason"),
    [
        (Window(2, 0, 10), 8, 4, 100, "between two upper codes"),
        (Window(0, 0, 6), 6, 4, 100, "no multiple of 4"),
        (Window(8, 0, 16), 8, 4, 3, "reach to 12"),
        (Window(8, 0, 16), 8, 0, 3, "no multiple of 0"),
    ],
)
def test_invalid_spans_of_upper_codes_are_refused(window, context, ratio, have, reason):
    with pytest.raises(ValueError, match=reason):
        upper_span(window, context, ratio, have)


@given(plans(), st.data())
def test_no_window_adds_codes_on_both_sides_of_a_cut(arguments, data):
    total, context, advance, done, ratio = arguments
    cuts = data.draw(st.lists(st.integers(0, 110).map(lambda cut: cut * ratio), max_size=5))
    windows = list(plan_windows(total, context=context, advance=advance, done=done, ratio=ratio, cuts=cuts))
    added = [range(window.start + window.prefix, window.stop) for window in windows]
    assert [code for codes in added for code in codes] == list(range(done, total))
    assert all(len(codes) for codes in added)
    assert not [(codes, cut) for codes in added for cut in cuts if codes[0] < cut <= codes[-1]]
    # and what is left of the grid when the pieces are put together is the grid without cuts
    assert list(dict.fromkeys(window.start for window in windows)) == [
        window.start for window in plan(total, context, advance, done, ratio)
    ]


@given(plans(), st.data())
def test_a_plan_with_cuts_resumed_after_any_window_has_the_remaining_windows(arguments, data):
    total, context, advance, done, ratio = arguments
    cuts = data.draw(st.lists(st.integers(0, 110).map(lambda cut: cut * ratio), max_size=5))
    windows = list(plan_windows(total, context=context, advance=advance, done=done, ratio=ratio, cuts=cuts))
    stopped = data.draw(st.integers(0, len(windows)))
    made = windows[stopped - 1].stop if stopped else done
    left = plan_windows(total, context=context, advance=advance, done=made, ratio=ratio, cuts=cuts)
    assert list(left) == windows[stopped:]


def test_pieces_of_a_cut_window_have_its_start():
    pieces = list(cut_window(Window(start=4, prefix=4, stop=12), cuts=[4, 8, 9, 11, 12, 9]))
    assert pieces == [Window(4, 4, 9), Window(4, 5, 11), Window(4, 7, 12)]


def test_a_cut_between_two_upper_codes_is_refused_at_once():
    with pytest.raises(ValueError, match="a cut at 6 is no multiple of 4"):
        plan_windows(16, context=8, advance=4, ratio=4, cuts=[4, 6])


@pytest.mark.parametrize(("fraction", "codes"), [(0.125, 1024), (0.5, 4096), (1.0, 8192)])
def test_the_advance_is_a_fraction_of_the_context(fraction, codes):
    assert advance_codes(8192, fraction, 4) == advance_codes(8192, fraction, 1) == codes


@pytest.mark.parametrize(("fraction", "ratio", "codes"), [(0.3, 1, 19), (0.3, 4, 16), (0.01, 4, 4), (0.01, 1, 1)])
def test_the_advance_is_rounded_down_to_whole_upper_codes_at_least_one(fraction, ratio, codes):
    assert advance_codes(64, fraction, ratio) == codes


@given(st.sampled_from([1, 4]), st.integers(1, 3000), st.floats(0, 1, exclude_min=True))
def test_any_fraction_gives_a_valid_advance(ratio, upper, fraction):
    context = ratio * upper
    advance = advance_codes(context, fraction, ratio)
    assert advance % ratio == 0
    assert 1 <= advance <= context
    assert advance <= max(fraction * context, ratio)


@pytest.mark.parametrize("fraction", [0.0, -0.5, 1.01, float("nan"), float("inf")])
def test_an_advance_fraction_outside_0_to_1_is_refused(fraction):
    with pytest.raises(ValueError, match="fraction of the context"):
        advance_codes(64, fraction, 4)


@pytest.mark.parametrize(("context", "ratio"), [(6, 4), (0, 1), (8, 0)])
def test_a_context_without_a_whole_number_of_upper_codes_is_refused(context, ratio):
    with pytest.raises(ValueError, match="no multiple"):
        advance_codes(context, 0.5, ratio)
