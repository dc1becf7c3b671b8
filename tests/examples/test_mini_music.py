"""The music of mini: how scores are played, in which order, and which songs are held out."""

import io
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "mini"
MODULES = (
    "songs",
    "packages",
    "fonts",
    "rendering",
    "scores",
    "recordings",
    "wad",
    "credits",
    "fetch_music",
)

mido = pytest.importorskip("mido")


@pytest.fixture(scope="module")
def mini():
    """The script's modules, by name."""
    before = set(sys.modules)
    sys.path.insert(0, str(FOLDER))
    try:
        yield SimpleNamespace(**{name: __import__(name) for name in MODULES})
    finally:
        sys.path.remove(str(FOLDER))
        for name in set(sys.modules) - before:
            if name in MODULES:
                del sys.modules[name]


def song(*, bpm=120, notes=(60, 62, 64, 65) * 8, meter=(4, 4), rest=0, velocity=90, channel=0, program=None):
    """A MIDI file with a note on each beat and a drum on every other, `rest` beats after its beginning."""
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(bpm))])
    track.append(mido.MetaMessage("time_signature", numerator=meter[0], denominator=meter[1]))
    if program is not None:
        track.append(mido.Message("program_change", channel=channel, program=program))
    wait = rest * 480
    for number, note in enumerate(notes):
        track.append(mido.Message("note_on", channel=channel, note=note, velocity=velocity, time=wait))
        if number % 2 == 0:
            track.append(mido.Message("note_on", channel=9, note=38, velocity=80))
            track.append(mido.Message("note_off", channel=9, note=38, time=120))
        track.append(mido.Message("note_off", channel=channel, note=note, time=360 if number % 2 == 0 else 480))
        wait = 0
    return mido.MidiFile(type=0, ticks_per_beat=480, tracks=[track])


def starts(events, channel=None):
    return [
        (round(seconds, 4), message.note)
        for seconds, message in events
        if message.type == "note_on" and message.velocity and (channel is None or message.channel == channel)
    ]


def way(mini, **options):
    plain = {"arrangement": mini.scores.AS_WRITTEN, "font": "fluid", "transpose": 0, "speed": 1.0, "longest": 100.0}
    return mini.rendering.Performance(**plain | options)


def score(mini, **options):
    plain = {
        "collection": "mutopia",
        "file": "a.mid",
        "composer": "",
        "title": "A Tune",
        "genre": "",
        "seconds": 60.0,
        "bpm": 110.0,
        "licence": "CC0-1.0",
        "repository": "a/b",
        "commit": "c" * 40,
        "source": "a",
    }
    return mini.scores.Score(**plain | options)


@pytest.mark.parametrize(
    ("bpm", "speed", "played"), [(120, 1.2, 144), (2400, 1.0, 240), (20, 1.0, 30), (220, 1.2, 240), (32, 0.85, 30)]
)
def test_tempi_are_scaled_and_clipped(mini, bpm, speed, played):
    assert 60e6 / mini.rendering.clipped_tempo(round(60e6 / bpm), speed) == pytest.approx(played, rel=1e-4)


def test_notes_are_transposed_and_drums_are_not(mini):
    events = mini.rendering.in_seconds(mini.rendering.arranged(song(), way(mini, transpose=-5, speed=0.5)))
    assert starts(events, 0)[:3] == [(0.0, 55), (1.0, 57), (2.0, 59)]
    assert {note for _, note in starts(events, 9)} == {38}


def test_notes_that_leave_the_range_are_left_out(mini):
    events = mini.rendering.in_seconds(mini.rendering.arranged(song(notes=(126, 60)), way(mini, transpose=4)))
    assert [note for _, note in starts(events, 0)] == [64]


def test_the_instrument_of_a_voice_changes_and_the_piano_stays(mini):
    lead = mini.rendering.Arrangement(voice=73)
    for program, played in ((0, 0), (53, 73)):
        whole = mini.rendering.arranged(song(program=program), way(mini, arrangement=lead))
        assert mini.rendering.programs_of(whole) == [played]


def test_a_piano_arrangement_has_no_drums_and_one_instrument(mini):
    whole = mini.rendering.arranged(song(program=40), way(mini, arrangement=mini.scores.PIANO))
    assert mini.rendering.programs_of(whole) == [0]
    assert not starts(mini.rendering.in_seconds(whole), 9)


def test_an_excerpt_begins_with_the_instruments_and_lets_go_of_all_notes(mini):
    events = mini.rendering.in_seconds(mini.rendering.arranged(song(program=40), way(mini)))
    part = mini.rendering.excerpt(events, 3.9, 2.25)
    assert part[0][1].type == "program_change"
    assert starts(part, 0) == [(0.1, 60), (0.6, 62), (1.1, 64), (1.6, 65), (2.1, 60)]
    sounding = Counter()
    for _, message in part:
        if message.type in ("note_on", "note_off"):
            sounding[message.note, message.channel] += 1 if message.type == "note_on" else -1
    assert not +sounding
    assert max(seconds for seconds, _ in part) <= 2.25


def test_the_midi_file_that_is_written_has_the_same_times(mini):
    from jukectl.midi.notes import parse_midi

    events = mini.rendering.excerpt(
        mini.rendering.in_seconds(mini.rendering.arranged(song(bpm=97), way(mini))), 1.0, 9.0
    )
    notes = parse_midi(mini.rendering.midi_of(events), Path("excerpt.mid"))
    assert np.allclose(notes.starts, [seconds for seconds, _ in sorted(starts(events))], atol=1e-3)


def test_the_pickup_is_where_the_accents_say(mini):
    low, high = 40, 72
    notes = (high, low, high, high) * 8
    assert mini.rendering.find_pickup(song(notes=notes)) == 1.0
    assert mini.rendering.find_pickup(song(notes=(low, high, high, high) * 8)) == 0.0


def test_notes_off_the_grid_are_noticed(mini):
    from jukectl.midi.beats import BeatGrid

    events = mini.rendering.in_seconds(mini.rendering.arranged(song(), way(mini)))
    grid = BeatGrid.from_tempo(120, "4/4", 16)
    assert mini.rendering.is_steady(grid, events)
    assert not mini.rendering.is_steady(BeatGrid.from_tempo(131.7, "4/4", 16), events)


def test_silence_at_both_ends_is_cut(mini):
    rate = mini.rendering.SAMPLE_RATE
    wave = np.zeros(3 * rate, np.float32)
    wave[rate : 2 * rate] = np.sin(np.arange(rate) / 5)
    kept, cut = mini.rendering.trimmed(wave, 100)
    assert cut == pytest.approx(1 - mini.rendering.ATTACK, abs=2e-3)
    assert len(kept) / rate == pytest.approx(1 + mini.rendering.ATTACK + 0.05, abs=5e-3)
    assert len(mini.rendering.trimmed(wave, 0.5)[0]) == rate // 2
    assert len(mini.rendering.trimmed(wave * 0, 10)[0]) == 0


def test_loudness_is_that_of_what_sounds(mini):
    wave = np.concatenate([np.zeros(22_050), np.random.default_rng(0).normal(0, 0.01, 22_050)]).astype(np.float32)
    loud = mini.rendering.levelled(wave, -20)
    assert 20 * np.log10(np.sqrt(np.mean(loud[23_000:] ** 2))) == pytest.approx(-20, abs=0.3)


FONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")


@pytest.mark.skipif(
    not (shutil.which("fluidsynth") and FONT.exists()), reason="needs fluidsynth and fluid-soundfont-gm"
)
def test_audio_notes_and_beats_begin_together(mini, tmp_path):
    from jukectl.midi.beats import BeatGrid
    from jukectl.midi.notes import read_midi

    how = way(mini, speed=0.9, reverb=0.2)
    tags = mini.songs.Tags(artist="A", genres=("B", "C"), title="D", license="E", source="F")
    path = tmp_path / "song.flac"
    seconds = mini.rendering.save_performance(path, song(rest=3, program=115), how, FONT, tags)
    import soundfile

    wave, rate = soundfile.read(path)
    notes, grid = read_midi(path.with_suffix(".mid")), BeatGrid.load(path.with_suffix(".beats.json"))
    assert (rate, wave.ndim) == (22_050, 1)
    assert seconds == pytest.approx(len(wave) / rate)
    assert grid.tempo == pytest.approx(108, abs=0.01)
    position = grid.phase(notes.starts)
    assert np.allclose(position, np.round(position), atol=0.01)
    assert round(float(grid.bars(notes.starts[:1])[0] * 4)) % 4 == 3  # three beats of rest before it
    power = np.square(wave[: len(wave) // 64 * 64].reshape(-1, 64)).mean(axis=1)
    for start in notes.starts[2:20]:
        place = int(start * rate / 64)
        assert power[place + 2 : place + 8].max() > 3 * power[place - 6 : place - 1].max()
    again = tmp_path / "again.flac"
    mini.rendering.save_performance(again, song(rest=3, program=115), how, FONT, tags)
    assert again.read_bytes() == path.read_bytes()


def test_an_sf3_font_becomes_sf2(mini):
    import soundfile

    from_wave = np.round(np.sin(np.arange(4_000) / 9) * 9_000).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, from_wave, 22_050, format="OGG", subtype="VORBIS")
    stored = file.getvalue()
    fonts = mini.fonts
    header = fonts.HEADER.pack(b"sine", 0, len(stored), 100, 3_900, 22_050, 60, 0, 0, 0x11)
    header += fonts.HEADER.pack(b"EOS", *[0] * 9)
    body = b"sfbk" + fonts.chunk(b"LIST", b"INFO" + fonts.chunk(b"ifil", b"\3\0\1\0"))
    body += fonts.chunk(b"LIST", b"sdta" + fonts.chunk(b"smpl", stored))
    body += fonts.chunk(b"LIST", b"pdta" + fonts.chunk(b"shdr", header))
    plain = fonts.decompress(fonts.chunk(b"RIFF", body))
    lists = {content[:4]: dict(fonts.chunks(content[4:])) for name, content in fonts.chunks(plain[12:])}
    assert lists[b"INFO"][b"ifil"] == b"\2\0\4\0"
    first = fonts.HEADER.unpack_from(lists[b"pdta"][b"shdr"])
    assert first[1:5] == (0, 4_000, 100, 3_900)
    assert first[-1] == 1
    wave = np.frombuffer(lists[b"sdta"][b"smpl"], np.int16)
    assert len(wave) == 4_000 + fonts.GAP
    assert np.corrcoef(wave[:4_000], from_wave)[0, 1] > 0.99


def test_a_tune_is_the_same_in_all_collections(mini):
    cre = score(mini, collection="irish-cre", source="BlackbirdhornpipeThe.mid", file="BlackbirdhornpipeThe.mid")
    band = score(mini, collection="band-irish", source="cre_corpus/MIDI/BlackbirdhornpipeThe.mid")
    second = score(mini, collection="irish-cre", source="Blackbird2The.mid")
    assert mini.scores.tune_of(cre) == mini.scores.tune_of(band) == mini.scores.tune_of(second) == "blackbird"
    rag = score(mini, title="The Entertainer", composer="JoplinS")
    assert mini.scores.tune_of(rag) == mini.scores.tune_of(score(mini, collection="band-songs", title="Entertainer"))
    one, other = (score(mini, collection="openscore-lieder", title="Lied", composer=name) for name in ("A", "B"))
    assert mini.scores.tune_of(one) != mini.scores.tune_of(other)


def test_tunes_are_held_out_whole(mini):
    names = [f"Tune{chr(65 + one)}{chr(65 + other)}" for one in range(20) for other in range(20)]
    scores = [
        score(mini, collection=collection, source=f"{name}.mid", file=f"{name}.mid")
        for name in names
        for collection in ("irish-cre", "band-irish")
    ]
    held = mini.scores.held_out_tunes(scores)
    assert 8 < len(held) < 40
    assert held == mini.scores.held_out_tunes(scores[::-1])
    sides = defaultdict(set)
    for one in scores:
        for task in mini.scores.tasks_of(one):
            tune = mini.scores.tune_of(one)
            sides[one.source].add("held-out" in mini.scores.path_of(task, tune in held).parts)
    assert all(len(side) == 1 for side in sides.values())


def test_settings_of_one_melody_are_held_out_together(mini):
    random = np.random.default_rng(0)
    line = tuple(random.integers(-5, 6, 100).tolist())
    changed = (*line[:40], 1, -1, *line[45:])
    other = tuple(random.integers(-5, 6, 100).tolist())
    melodies = {score(mini, title=name): line for name, line in (("One", line), ("Two", changed), ("Three", other))}
    assert mini.scores.same_melody(melodies, {"one"}) == {"one", "two"}


def test_freedooms_held_out_songs_are_those_of_version_2(mini):
    for file, held in (("d_e3m1.mid", True), ("d_map14.mid", True), ("d_e1m1.mid", False)):
        one = score(mini, collection="freedoom", file=file)
        assert mini.scores.is_held_out(mini.scores.tune_of(one), [one]) is held


def many_tasks(mini):
    random = np.random.default_rng(0)
    scores = [
        score(
            mini,
            collection=name,
            file=f"{number}.mid",
            genre="rock" if name == "groove" else "Rock",
            seconds=seconds,
            bpm=bpm,
        )
        for name in mini.scores.SHARES
        for number, (seconds, bpm) in enumerate(
            zip(random.uniform(30, 200, 300), random.uniform(60, 200, 300), strict=True)
        )
    ]
    return [task for one in scores for task in mini.scores.tasks_of(one)]


@pytest.mark.parametrize("part", [0.2, 0.5, 1.0])
def test_every_beginning_of_the_order_has_the_same_mix(mini, part):
    tasks = mini.scores.balanced(many_tasks(mini), 10)
    seconds = Counter()
    for task in tasks[: round(len(tasks) * part)]:
        seconds[task.score.collection] += task.seconds
    total = sum(seconds.values())
    shares = sum(mini.scores.SHARES.values())
    for name, wanted in mini.scores.SHARES.items():
        assert seconds[name] / total == pytest.approx(wanted / shares, abs=0.04)


def test_the_order_does_not_depend_on_that_of_the_scores(mini):
    tasks = many_tasks(mini)
    assert mini.scores.balanced(tasks, 5) == mini.scores.balanced(tasks[::-1], 5)
    longer = mini.scores.balanced(tasks, 8)
    assert (
        longer[: len(mini.scores.balanced(tasks, 5)) // 2]
        == mini.scores.balanced(tasks, 5)[: len(mini.scores.balanced(tasks, 5)) // 2]
    )


def test_performances_depend_on_the_name_alone_and_stay_in_range(mini):
    tasks = many_tasks(mini)[:300]
    whole = song()
    all_ways = [mini.scores.performance(task, whole) for task in tasks]
    assert all_ways == [mini.scores.performance(task, whole) for task in tasks]
    assert {one.font for one in all_ways} == {"fluid", "musescore"}
    assert {one.transpose for one in all_ways} == set(range(-5, 7))
    assert all(0.85 <= one.speed <= 1.2 for one in all_ways)
    drums = [task for task in many_tasks(mini) if task.score.collection == "groove"]
    assert {mini.scores.performance(task, whole).transpose for task in drums} == {0}


def test_titles_are_read_off_file_names(mini):
    for stem, title in (
        ("ambient2_5", "Ambient 2.5"),
        ("nebu_battle1", "Nebu Battle 1"),
        ("@CrushedIceCocktail", "Crushed Ice Cocktail"),
    ):
        assert mini.recordings.readable(stem) == title


def test_held_out_globs_name_what_is_there(mini, tmp_path):
    for name in ("naev/Intro.flac", "naev/Automat.flac", "mutopia/held-out/a--1.flac"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert mini.fetch_music.held_out_globs(tmp_path) == ["naev/Intro.flac", "*/held-out/*.flac"]


def test_the_script_shows_help_with_its_options():
    done = subprocess.run(
        [sys.executable, FOLDER / "fetch_music.py", "--help"], capture_output=True, text=True, check=True
    )
    assert "--scores" in done.stdout


def test_credits_name_each_collection_once_for_each_licence(mini, tmp_path):
    import tomllib

    for name, licence in (("a--1", "CC0-1.0"), ("a--2", "CC0-1.0"), ("b--1", "Public Domain")):
        path = tmp_path / "mutopia" / f"{name}.flac"
        tags = mini.songs.Tags(artist="X", genres=("Y",), title=name, license=licence, source="mutopia r/r 12")
        mini.songs.save_song(path, np.zeros(22_050 * 36, np.float32), 22_050, tags)
    found = mini.credits.credits_of(tmp_path)
    assert [(one.licence, one.songs) for one in found[:2]] == [("CC0-1.0", 1), ("public domain", 1)]
    assert "| Mutopia Project | CC0-1.0 | r/r 12 | 1 | 0.0 |" in mini.credits.table(found)
    sources = tomllib.loads(mini.credits.card(found))["sources"]
    assert [source["licence"] for source in sources[:2]] == ["CC0-1.0", "public domain"]
