"""How long a song takes, and what is left of it: arithmetic, with a clock that is moved by hand."""

from itertools import pairwise

import pytest

from jukectl.codes.level import TOP_DOWN, Level
from jukectl.plan.eta import Eta, Forecast, LevelWork, Round, Speed, duration, plainly
from jukectl.sampling.windows import Window, plan_windows

SAVING = 0.01
SPEEDS = {
    Level.TOP: Speed(load=1, setup=0.5, window=0.1, prefix=0.001, new=0.02),
    Level.MIDDLE: Speed(load=1, setup=0.5, window=0.2, prefix=0.001, new=0.01),
    Level.BOTTOM: Speed(load=1, setup=0.5, window=0.2, prefix=0.001, new=0.01),
}


def work(level, total, *, samples=1, at_a_time=1, done=0, parameters=100):
    windows = plan_windows(total, context=100, advance=50, done=done)
    return LevelWork(level, tuple(map(Round.of, windows)), samples, at_a_time, SAVING, parameters)


def song(**options):
    return tuple(work(level, total, **options) for level, total in zip(TOP_DOWN, (150, 600, 2400), strict=True))


def test_a_window_costs_what_it_reads_and_what_it_adds():
    speed = Speed(load=9, setup=0, window=0.5, prefix=0.01, new=0.1)
    assert speed.seconds(Round.of(Window(50, 50, 150))) == pytest.approx(0.5 + 0.5 + 5)
    level = work(Level.TOP, 150)
    assert (level.new, level.prefix, len(level.rounds)) == (150, 50, 2)
    assert level.seconds(speed) == pytest.approx(2 * 0.5 + 50 * 0.01 + 150 * 0.1 + 2 * SAVING)


def test_samples_are_made_in_as_many_passes_as_it_takes():
    speed = SPEEDS[Level.TOP]
    once, thrice = work(Level.TOP, 150, samples=5, at_a_time=5), work(Level.TOP, 150, samples=5, at_a_time=2)
    assert thrice.new == once.new == 750
    besides = speed.setup + 2 * SAVING
    assert thrice.seconds(speed) - besides == pytest.approx(3 * (once.seconds(speed) - besides))


def test_the_estimated_time_of_codes_grows_linearly():
    level, speed = work(Level.TOP, 300), SPEEDS[Level.TOP]
    seconds = [level.seconds(speed, done) for done in range(301)]
    steps = [after - before for before, after in pairwise(seconds)]
    assert min(steps) == pytest.approx(speed.new)
    assert seconds[-1] == pytest.approx(level.seconds(speed))
    assert seconds[0] == speed.setup


@pytest.mark.parametrize(("done", "number"), [(0, 0), (99, 0), (100, 1), (149, 1), (150, 2), (200, 2)])
def test_the_window_that_is_at_work(done, number):
    assert work(Level.TOP, 200).round_at(done) == number


def run(eta, forecast, slower, clock):
    """Make a song on a machine that is so many times slower than foreseen; the time left as told, and as it was."""
    told = []
    for one in forecast.work:
        speed = SPEEDS[one.level].times(slower[one.level])
        clock[0] += speed.load
        eta.event(one.level, one.rounds[0].begin, one.rounds[-1].stop)
        clock[0] += speed.setup
        for number, window in enumerate(one.rounds):
            clock[0] += one.passes * speed.seconds(window) + SAVING
            event = eta.event(one.level, window.stop, one.rounds[-1].stop, saved=1.0)
            assert (event.window, event.windows) == (number + 1, len(one.rounds))
            told.append((clock[0], event.seconds_left))
    clock[0] += forecast.after * slower[Level.BOTTOM]
    return [(left, clock[0] - at) for at, left in told]


@pytest.mark.parametrize("slower", [0.5, 1, 3])
@pytest.mark.parametrize(("samples", "at_a_time"), [(1, 1), (5, 2)])
def test_after_the_first_window_the_time_left_is_right_within_a_fifth(slower, samples, at_a_time):
    clock = [1000.0]
    forecast = Forecast(song(samples=samples, at_a_time=at_a_time), SPEEDS, after=2)
    eta = Eta(forecast, lambda: clock[0])
    for told, was in run(eta, forecast, dict.fromkeys(TOP_DOWN, slower), clock):
        assert told == pytest.approx(was, rel=0.2)


def test_a_level_that_is_slower_than_foreseen_is_found_out_in_its_first_window():
    clock = [0.0]
    forecast = Forecast(song(), SPEEDS)
    left = run(Eta(forecast, lambda: clock[0]), forecast, {**dict.fromkeys(TOP_DOWN, 1), Level.BOTTOM: 2}, clock)
    bottom = left[-len(forecast.work[-1].rounds) :]
    assert all(told == pytest.approx(was, rel=0.2, abs=0.5) for told, was in bottom)


def test_before_anything_is_measured_the_calibration_speaks():
    forecast = Forecast(song(), SPEEDS, after=2)
    event = Eta(forecast, lambda: 5.0).event(Level.TOP, 0, 200)
    assert (event.window, event.windows, event.codes_per_second) == (1, 2, None)
    assert event.seconds_left == pytest.approx(forecast.seconds - SPEEDS[Level.TOP].load)


def test_codes_a_second_are_those_of_this_run():
    clock = [0.0]
    eta = Eta(Forecast((work(Level.TOP, 1000, done=900),), SPEEDS), lambda: clock[0])
    eta.event(Level.TOP, 900, 1000)
    clock[0] = 5.0
    assert eta.event(Level.TOP, 950, 1000).codes_per_second == 10


def test_a_level_of_unknown_speed_is_taken_for_as_fast_as_another_for_its_size():
    levels = (work(Level.TOP, 150, parameters=300), work(Level.MIDDLE, 600, parameters=100), work(Level.BOTTOM, 2400))
    assert Forecast(levels, {}).seconds is None
    assert Eta(Forecast(levels, {}), lambda: 0.0).event(Level.TOP, 0, 150).seconds_left is None
    top = Forecast(levels, {Level.TOP: SPEEDS[Level.TOP].times(3)})
    assert top.speed(levels[1]).new == pytest.approx(SPEEDS[Level.TOP].new)
    eta = Eta(top, lambda: 0.0)
    assert not eta.has_speed(Level.BOTTOM)
    eta.learn(Level.BOTTOM, SPEEDS[Level.BOTTOM])
    assert eta.has_speed(Level.BOTTOM)
    assert eta.forecast.speed(levels[1]) == SPEEDS[Level.TOP].times(3).times(1 / 3)


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0.1 s"), (0.42, "0.42 s"), (21.4, "21 s"), (318, "5.3 min"), (32_400, "9 h")]
)
def test_durations_are_as_exact_as_estimates_are(seconds, said):
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "memory", "device", "said"),
    [
        (12.4, 500_000_000, "cpu", "about 12 s on this CPU, 0.5 GB of memory"),
        (0.42, 1_000, "cpu", "about 0.42 s on this CPU, 0.1 GB of memory"),
        (7_200, 11_600_000_000, "cuda:1", "about 2 h on this GPU, 11.6 GB of memory"),
        (3, 0, "mps", "about 3 s on this GPU"),
    ],
)
def test_an_estimate_is_one_plain_line(seconds, memory, device, said):
    assert plainly(seconds, memory, device) == said
