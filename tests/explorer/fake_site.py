"""Sites as `jukectl explore` makes them, but of tones and made-up songs, for the tests of the page.

Run as a program it writes one to look at: python tests/explorer/fake_site.py FOLDER [SONGS]
"""

import json
import shutil
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

PAGE = Path(__file__).parents[2] / "src" / "jukectl" / "explorer" / "page"
KINDS = ["new", "continuation", "re-rendition", "tree", "duet", "novel style", "novel voice", "novel lyrics", "riff"]
STATES = ["whole", "in progress", "broken", "newer"]
LEVELS = {"top": 220.0, "middle": 330.0, "bottom": 440.0}
COLUMNS = "id title artist genres model kind state seconds samples made levels lyrics prompt".split()
SAMPLE_RATE = 16_000
LETTERS = {"t": "top", "m": "middle", "b": "bottom"}

SCRIPT = "<script>window.broken = true</script><img src=x onerror='window.broken = true'>"
HOSTILE = (
    SCRIPT,
    "\"'></bdi></div><h1>Title</h1>",
    "\u202eright to left \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "\U0001f3b7\U0001f469\u200d\U0001f3a4 e\u0301 \U0001f3b6",
    "W" * 10_000,
    "long words " * 900,
)

WORDS = "Little lamp \U0001f3ee upon the hill,\nkeep the evening calm and still.\n\nRivers sing and mountains stay,\nnight will carry us away."


@dataclass(frozen=True)
class Fake:
    """A site on disk, and what stands in its files by id."""

    path: Path
    index: dict[str, Any]
    songs: dict[str, dict[str, Any]]


def fake_site(folder: Path, songs: int = 500, *, seconds: float = 12.0, detailed: int = 12) -> Fake:
    """A site of so many songs: the first few of every sort, the others plain and like one another.

    Songs beyond `detailed` share their recordings, so that hundreds are quickly made.
    """
    random = np.random.default_rng(7)
    for part in ("data/songs", "media"):
        (folder / part).mkdir(parents=True)
    for file in PAGE.iterdir():
        shutil.copy(file, folder / file.name)
    artists = ["Ada Lovelace", "Zoë Ångström", "The Quiet Engines", HOSTILE[0], HOSTILE[2]]
    genres = ["Electronic", "Metal", "Jazz", "Folk", "Ambient"]
    models = ["mini", "mini-singing"]
    first, second = ("Quiet Slow Electric Paper Northern Golden Hollow Late".split(), "River Engine Garden Letters Winter Harbour Signal Room".split())
    shared = _samples(folder, "shared", 1, seconds, random)
    rows: list[list[Any]] = []
    written: dict[str, dict[str, Any]] = {}
    made = datetime(2026, 11, 1, tzinfo=UTC)
    for number in range(songs):
        title = f"{first[number % 8]} {second[(number // 8) % 8]} {number}"
        state, kind = STATES[0], KINDS[number % 3]
        prompt = 0.0 if kind == "new" else 4.0
        if number < len(HOSTILE):
            title = HOSTILE[number]
        elif number == 6:
            state = STATES[1]
        elif number == 7:
            state = STATES[2]
        elif number == 8:
            state = STATES[3]
        elif number == 9:
            kind = "tree"
        elif number == 10:
            kind, title, prompt = "novel lyrics", "Little Lamp", 0.0
        elif number == 11:
            kind, title = "duet", "Duet for Two"
        name = f"song-{number:05d}"
        artist = -1 if number == 12 else (number % 3 if number > len(HOSTILE) else number % len(artists))
        playable = state not in ("broken", "newer")
        samples = _samples(folder, name, 2, seconds, random) if playable and number < detailed and kind != "tree" else shared
        if state == "in progress":
            samples = [{"number": 0, "levels": {"top": samples[0]["levels"]["top"]}}]
        detail: dict[str, Any] = {
            "format": 1,
            "id": name,
            "title": title,
            "artist": None if artist < 0 else artists[artist],
            "genres": [genres[number % 5]] if number % 4 else [genres[number % 5], genres[(number + 2) % 5]],
            "model": models[number % 7 == 0],
            "kind": kind,
            "state": state,
            "problem": {
                "broken": f"song.toml cannot be read: line 3 {SCRIPT}",
                "newer": "song.toml has format 9, and this jukectl reads 1. Update jukectl",
            }.get(state),
            "made": (made + timedelta(hours=7 * number)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "seconds": seconds if playable else 0.0,
            "prompt": prompt if playable else 0.0,
            "seed": number,
            "command": f"jukectl continue riff.wav --artist 'Ada' --seconds 20 --seed {number} --out songs/{name}",
            "recipe": f'format = 1\nkind = "continue"\nseed = {number}\nsamples = 2\n\n[model]\nname = "mini"\n',
            "samples": samples if playable else [],
            "lyrics": None,
            "alignment": [],
            "changes": [],
            "downloads": [],
            "tree": None,
        }
        if number == 9:
            detail |= {"title": "A tree", "samples": [], "tree": _tree(folder, name, random), "prompt": 0.0, "seconds": 12.0}
        if number == 10:
            detail["lyrics"] = {"text": WORDS, "words": _times(WORDS, seconds)}
            detail["alignment"] = [{"sample": n, "image": _picture(folder, f"media/{name}/align-{n}.png", random, 60)} for n in (0, 1)]
        if number == 11:
            detail["changes"] = [{"at": 6.0, "label": "Zoë Ångström, Metal"}, {"at": 9.5, "label": SCRIPT}]
        if number == 0:
            detail["lyrics"] = {"text": SCRIPT + "\n" + "\n".join(HOSTILE[1:]), "words": []}
        if playable:
            detail["downloads"] = _downloads(folder, name) + [
                {"label": "outside", "url": "../outside.npz", "bytes": 1},
                {"label": "elsewhere", "url": "https://example.org/x", "bytes": 1},
                {"label": "script", "url": "javascript:window.broken=true", "bytes": 1},
            ]
        if playable:
            heard = "".join(letter for letter, level in LETTERS.items() if number == 9 or level in samples[0]["levels"])
        else:
            heard = ""
        rows.append([
            name, detail["title"], artist, [genres.index(one) for one in detail["genres"]], models.index(detail["model"]),
            KINDS.index(kind), STATES.index(state), detail["seconds"], len(detail["samples"]), detail["made"], heard,
            detail["lyrics"] is not None, detail["prompt"],
        ])  # fmt: skip
        written[name] = detail
        _write(folder, f"data/songs/{name}", "jukectlSong", detail, name)
    index = index_of(rows, artists, genres, models)
    _write(folder, "data/index", "jukectlIndex", index)
    return Fake(folder, index, written)


def large_index(folder: Path, songs: int, artists: int = 5000) -> None:
    """A site with a long list of songs that cannot be opened."""
    (folder / "data").mkdir(parents=True)
    for file in PAGE.iterdir():
        shutil.copy(file, folder / file.name)
    random = np.random.default_rng(3)
    words = ["".join(random.choice(list("aeioubcdlmnrstvéå"), size)) for size in random.integers(3, 9, 3000)]
    chosen = random.integers(0, len(words), (songs, 3))
    numbers = random.integers(0, 1 << 30, (songs, 5))
    rows = [
        [
            f"s-{number:06d}", " ".join(words[word] for word in three), int(a % artists), [int(g % 40)], int(m % 6), int(k % 9),
            0, float(t % 4000) / 10, 2, f"2026-{1 + number % 12:02d}-{1 + number % 28:02d}T10:00:00Z", "tmb", False, 0.0,
        ]
        for number, (three, (a, g, m, k, t)) in enumerate(zip(chosen, numbers, strict=True))
    ]  # fmt: skip
    names = [f"{words[n % 3000].title()} {words[(7 * n) % 3000].title()} {n}" for n in range(artists)]
    index = index_of(rows, names, [f"Genre {n}" for n in range(40)], [f"model-{n}" for n in range(6)])
    _write(folder, "data/index", "jukectlIndex", index)


def index_of(rows: list[list[Any]], artists: list[str], genres: list[str], models: list[str]) -> dict[str, Any]:
    return {
        "format": 1, "jukectl": "0.1.0", "made": "2026-11-21T19:00:00Z", "title": "Songs", "artists": artists, "genres": genres,
        "models": models, "kinds": KINDS, "states": STATES, "columns": COLUMNS, "songs": rows,
    }  # fmt: skip


def _write(folder: Path, name: str, call: str, value: Any, *arguments: str) -> None:
    text = json.dumps(value, ensure_ascii=False)
    escaped = text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    given = ", ".join([*(json.dumps(one) for one in arguments), escaped])
    (folder / f"{name}.js").write_text(f"window.{call}({given});\n", "utf-8")


def _samples(folder: Path, name: str, count: int, seconds: float, random: np.random.Generator) -> list[dict[str, Any]]:
    return [
        {
            "number": number,
            "levels": {
                level: _hearing(folder, f"media/{name}/{level}-{number}", seconds, pitch * (1 + number / 4), random)
                for level, pitch in LEVELS.items()
            },
        }
        for number in range(count)
    ]


def _hearing(folder: Path, name: str, seconds: float, pitch: float, random: np.random.Generator) -> dict[str, Any]:
    """A tone that swells four times, quietly noisy, as Ogg Vorbis; its peaks and its picture."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    swell = 0.15 + 0.85 * np.abs(np.sin(np.pi * time * 4 / seconds)) * (0.7 + 0.3 * np.sin(2 * np.pi * 2 * time))
    wave = 0.5 * swell * (np.sin(2 * np.pi * pitch * time) + 0.4 * random.standard_normal(len(time)))
    wave = np.clip(wave, -1, 1).astype(np.float32)
    path = folder / f"{name}.ogg"
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, SAMPLE_RATE)
    parts = wave[: len(wave) // 500 * 500].reshape(500, -1)
    peaks = np.stack((parts.min(1), parts.max(1)), 1)
    picture = _picture(folder, f"{name}.png", random, 128, swell)
    return {"audio": f"{name}.ogg", "type": "audio/ogg", "seconds": seconds, "peaks": (127 * peaks).round().astype(int).tolist(), "spectrogram": picture}


def _picture(folder: Path, name: str, random: np.random.Generator, height: int, swell: np.ndarray | None = None) -> str:
    """A picture of 600 columns that looks somewhat like a spectrogram."""
    from matplotlib import colormaps
    from matplotlib.image import imsave

    tones = np.exp(-np.linspace(0, 4, height))[:, None] * (0.6 + 0.4 * np.cos(np.arange(height) / 2.5))[:, None]
    envelope = np.ones(600) if swell is None else swell[np.linspace(0, len(swell) - 1, 600).astype(int)]
    grid = np.clip(tones * envelope + 0.06 * random.standard_normal((height, 600)), 0, 1)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    imsave(path, colormaps["magma"](grid[::-1])[:, :, :3])
    return name


def _times(text: str, seconds: float) -> list[dict[str, Any]]:
    """Words of a text and when they are sung, evenly from the first second on; places count characters."""
    found, at = [], 0
    for word in text.split():
        start = text.index(word, at)
        at = start + len(word)
        found.append((word, start, at))
    step = (seconds - 2) / len(found)
    return [
        {"text": word, "from": first, "to": last, "start": 1 + step * place, "end": 1 + step * (place + 0.9)}
        for place, (word, first, last) in enumerate(found)
    ]


def _tree(folder: Path, name: str, random: np.random.Generator) -> dict[str, Any]:
    """Three steps of four seconds: a root, two branches, and two of each, the last one not yet made."""
    nodes = []
    for path in ("", "0", "1", "0.0", "0.1", "1.0", "1.1"):
        depth = 0 if path == "" else path.count(".") + 1
        levels = {}
        if path != "1.1":
            file = f"media/{name}/node-{path or 'root'}"
            levels = {
                level: _hearing(folder, f"{file}-{level}", 4.0, pitch * (1 + depth / 3), random)
                for level, pitch in LEVELS.items()
                if level != "middle"
            }
        parent = None if path == "" else path.rpartition(".")[0]
        state = "whole" if levels else "in progress"
        nodes.append(
            {"path": path, "parent": parent, "start": 4.0 * depth, "stop": 4.0 * (depth + 1), "state": state, "levels": levels}
        )
    return {"every": 4.0, "nodes": nodes}


def _downloads(folder: Path, name: str) -> list[dict[str, Any]]:
    path = folder / "media" / name / "bottom.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"codes" * 100)
    return [{"label": "bottom.npz", "url": f"media/{name}/bottom.npz", "bytes": 500}]


if __name__ == "__main__":
    fake_site(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 500)
