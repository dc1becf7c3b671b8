"""The index: what it says, what a browser may take for something else, and how much of it there may be."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jukectl.explorer.contract import COLUMNS, KINDS, STATES, SongSummary, as_script, index_json

HOSTILE = '</script><script>alert("1")</script> \u2028 שלום 🎵 "\'&'


def rows(text: str) -> list[dict[str, object]]:
    """Songs of an index, their places in lists looked up, as a reader of another program would."""
    index = json.loads(text)
    songs = [dict(zip(index["columns"], row, strict=True)) for row in index["songs"]]
    for song in songs:
        song["artist"] = None if song["artist"] == -1 else index["artists"][song["artist"]]
        song["genres"] = [index["genres"][genre] for genre in song["genres"]]
        for one, many in (("model", "models"), ("kind", "kinds"), ("state", "states")):
            song[one] = index[many][song[one]]
    return songs


def test_every_song_of_the_data_files_reads_back_unchanged():
    songs = [
        SongSummary(id="a-1", title="One", artist="Ada", genres=("jazz", "Ambient"), model="mini", seconds=31.987),
        SongSummary(id="b-2", title=HOSTILE, kind="tree", state="broken", lyrics=True, prompt=11.9),
        SongSummary(id="c-3", title="Three", artist="Ada", genres=("jazz",), model="mini", samples=2, levels="tmb"),
    ]
    found = rows(index_json(songs, title="Songs"))
    assert [song["title"] for song in found] == ["One", HOSTILE, "Three"]
    assert (found[0]["artist"], found[0]["genres"], found[0]["seconds"]) == ("Ada", ["jazz", "Ambient"], 31.99)
    assert (found[1]["artist"], found[1]["kind"], found[1]["state"], found[1]["lyrics"]) == (
        None,
        "tree",
        "broken",
        True,
    )
    assert (found[2]["samples"], found[2]["levels"]) == (2, "tmb")


def test_the_head_says_what_it_is():
    index = json.loads(index_json([], title="Our songs", made=datetime(2026, 11, 21, 19, 0, tzinfo=UTC)))
    assert (index["format"], index["title"], index["made"]) == (1, "Our songs", "2026-11-21T19:00:00Z")
    assert (index["columns"], index["kinds"], index["states"]) == (list(COLUMNS), list(KINDS), list(STATES))


@given(st.text(st.characters(), max_size=40))
def test_a_script_hands_over_the_same_text_and_nothing_of_it_is_html(text: str):
    script = as_script("take", json.dumps({"title": text}, ensure_ascii=False), "an id")
    assert not set(script) & set("<>&\u2028\u2029")
    assert script.startswith('take("an id",')
    assert json.loads(script[len('take("an id",') : -3])["title"] == text


def test_stray_bytes_of_a_file_name_become_question_marks():
    assert rows(index_json([SongSummary(id="a", title="caf\udce9")], title=""))[0]["title"] == "caf?"


LARGE = """
import time
from pathlib import Path
from jukectl.explorer.contract import KINDS, SongSummary, as_script, index_json
began = time.process_time()
songs = [
    SongSummary(id=f"song-{n:06}-0123456789", title=f"Song number {n} of many", artist=f"Artist {n % 5000}",
                genres=(f"Genre {n % 40}", "Ambient"), model="mini", kind=KINDS[n % 9], seconds=n % 400,
                samples=4, made="2026-11-21T19:00:00Z", levels="tmb", prompt=12.0)
    for n in range(100_000)
]
text = as_script("jukectlIndex", index_json(songs, title="Many"))
peak = next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(time.process_time() - began, int(peak) >> 10, len(text) >> 20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is in other units elsewhere")
def test_a_hundred_thousand_songs_take_seconds_and_little_memory():
    done = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, check=True, timeout=120)
    seconds, peak, size = map(float, done.stdout.split())
    assert seconds < 30
    assert peak < 500  # MB
    assert size < 25
