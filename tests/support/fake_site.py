"""Sites as `jukectl explore` makes them, but of tones and made-up songs, for the tests of the page.

Run as a program it writes one to look at: python tests/support/fake_site.py FOLDER [SONGS]
"""

import json
import shutil
import struct
import sys
import zlib
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
COLUMNS = ["id", "title", "artist", "genres", "model", "kind", "state", "seconds"]
COLUMNS += ["samples", "made", "levels", "lyrics", "prompt", "outline", "star", "quiet"]
SAMPLE_RATE = 16_000
OUTLINE = "".join(chr(ord("A") + (5 * column) % 26) for column in range(48))
FIRST_SONG = "song-00010"

SCRIPT = "<script>window.broken = true</script><img src=x onerror='window.broken = true'>"
HOSTILE = (
    SCRIPT,
    "\"'></bdi></div><h1>Title</h1>",
    "\u202eright to left \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "\U0001f3b7\U0001f469\u200d\U0001f3a4 e\u0301 \U0001f3b6",
    "W" * 10_000,
    "long words " * 900,
)

WORDS = (
    "Little lamp \U0001f3ee upon the hill,\nkeep the evening calm and still.\n\n"
    "Rivers sing and mountains stay,\nnight will carry us away."
)
ARTISTS = ["Ada Lovelace", "Zoë Ångström", "The Quiet Engines", HOSTILE[0], HOSTILE[2]]
GENRES = ["Electronic", "Metal", "Jazz", "Folk", "Ambient"]
MODELS = ["mini", "mini-singing"]
FIRST = ["Quiet", "Slow", "Electric", "Paper", "Northern", "Golden", "Hollow", "Late"]
SECOND = ["River", "Engine", "Garden", "Letters", "Winter", "Harbour", "Signal", "Room"]
ELSEWHERE = (
    "../outside.npz",
    "/etc/hosts",
    "https://example.org/x",
    "javascript:window.broken=true",
    "media/..%2f..%2fx",
)


@dataclass(frozen=True)
class Fake:
    """A site on disk, and what stands in its files by id."""

    path: Path
    index: dict[str, Any]
    songs: dict[str, dict[str, Any]]


def fake_site(folder: Path, songs: int = 500, *, seconds: float = 12.0) -> Fake:
    """A site of so many songs: the first few of every sort, the others plain and like one another.

    All but the tree share their recordings, so that hundreds are quickly made.
    """
    random = np.random.default_rng(7)
    for part in ("data/songs", "media"):
        (folder / part).mkdir(parents=True)
    for file in PAGE.iterdir():
        shutil.copy(file, folder / file.name)
    samples = _samples(folder, "shared", 2, seconds, random)
    special = _special(folder, seconds, samples, random)
    written: dict[str, dict[str, Any]] = {}
    for number in range(songs):
        plain = _plain(number, seconds, samples if number < len(special) else samples[:1])
        if number == len(special) - 1 or number == len(HOSTILE) - 1:
            plain["downloads"] = _downloads(folder, plain["id"])
        detail = plain | special.get(number, {})
        written[detail["id"]] = detail
        _write(folder, f"data/songs/{detail['id']}", "jukectlSong", detail, detail["id"])
    index = index_of([_row(detail) for detail in written.values()], ARTISTS, GENRES, MODELS)
    _write(folder, "data/index", "jukectlIndex", index)
    return Fake(folder, index, written)


def _plain(number: int, seconds: float, samples: list[dict[str, Any]]) -> dict[str, Any]:
    """A song like many others."""
    name, kind = f"song-{number:05d}", KINDS[number // 3 % 3]
    made = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(hours=7 * number)
    genres = [GENRES[number % 5]] if number % 4 else [GENRES[number % 5], GENRES[(number + 2) % 5]]
    return {
        "format": 1,
        "id": name,
        "title": f"{FIRST[number % 8]} {SECOND[(number // 8) % 8]} {number}",
        "artist": ARTISTS[number % 3],
        "genres": genres,
        "model": MODELS[number % 7 == 0],
        "kind": kind,
        "state": "whole",
        "problem": None,
        "made": made.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "seconds": seconds,
        "prompt": 0.0 if kind == "new" else seconds / 3,
        "seed": number,
        "command": f"jukectl continue riff.wav --artist 'Ada' --seconds 20 --seed {number} --out songs/{name}",
        "recipe": f'format = 1\nkind = "continue"\nseed = {number}\nsamples = 2\n\n[model]\nname = "mini"\n',
        "samples": samples,
        "lyrics": None,
        "alignment": [],
        "changes": [],
        "downloads": [],
        "tree": None,
        "star": False,
        "notes": "",
        "quiet": False,
    }


def _special(
    folder: Path, seconds: float, samples: list[dict[str, Any]], random: np.random.Generator
) -> dict[int, dict[str, Any]]:
    """What is out of the ordinary in the first songs, by their number."""
    silent = {"samples": [], "seconds": 0.0, "prompt": 0.0}
    special: dict[int, dict[str, Any]] = {number: {"title": title} for number, title in enumerate(HOSTILE)}
    special[0] |= {"artist": ARTISTS[3], "lyrics": {"text": "\n".join(HOSTILE), "words": []}}
    special[2] |= {"artist": ARTISTS[4]}
    first = {"number": 0, "levels": {"top": samples[0]["levels"]["top"]}}
    special[6] = {"state": "in progress", "samples": [first]}
    special[7] = silent | {"state": "broken", "problem": f"song.toml cannot be read: line 3 {SCRIPT}"}
    special[8] = silent | {
        "state": "newer",
        "problem": "song.toml has format 9, and this jukectl reads 1. Update jukectl",
    }
    special[9] = silent | {"kind": "tree", "title": "A tree", "seconds": 12.0, "tree": _tree(folder, "tree", random)}
    special[9]["downloads"] = [{"label": "tree.toml", "url": "media/tree/tree.toml", "bytes": 12}]
    pictures = [_picture(folder, f"media/lamp/alignment-{number}.png", random, 60) for number in (0, 1)]
    special[10] = {
        "kind": "novel lyrics",
        "title": "Little Lamp",
        "prompt": 0.0,
        "lyrics": {"text": WORDS, "words": _times(WORDS, seconds)},
        "alignment": [{"sample": number, "image": picture} for number, picture in enumerate(pictures)],
        "downloads": _downloads(folder, "song-00010"),
        "command": "jukectl sample --out 'Little Lamp' --artist 'Zoë Ångström' --lyrics lyrics.txt --seed 10",
    }
    changes = [{"at": seconds / 2, "label": "Zoë Ångström, Metal"}, {"at": seconds * 0.8, "label": SCRIPT}]
    special[11] = {"kind": "duet", "title": "Duet for Two", "prompt": seconds / 3, "changes": changes}
    special[12] = {"artist": None}
    faint = {level: one | {"quiet": True} for level, one in samples[0]["levels"].items()}
    special[13] = {"title": "Hardly There", "quiet": True, "samples": [{"number": 0, "levels": faint}, samples[1]]}
    own = _samples(folder, "own", 1, seconds, random)
    special[15] = {"title": "Another Sound", "samples": own}
    special[14] = {"title": "With a Star", "star": True, "notes": "The best one\nso far"}
    return special


def _row(detail: dict[str, Any]) -> list[Any]:
    """A song's row of the index."""
    nodes = detail["tree"]["nodes"] if detail["tree"] else []
    heard = {level for one in (*detail["samples"], *nodes) for level in one["levels"]}
    return [
        detail["id"],
        detail["title"],
        -1 if detail["artist"] is None else ARTISTS.index(detail["artist"]),
        [GENRES.index(genre) for genre in detail["genres"]],
        MODELS.index(detail["model"]),
        KINDS.index(detail["kind"]),
        STATES.index(detail["state"]),
        detail["seconds"],
        len(detail["samples"]),
        detail["made"],
        "".join(level[0] for level in LEVELS if level in heard),
        detail["lyrics"] is not None,
        detail["prompt"],
        OUTLINE,
        detail["star"],
        detail["quiet"],
    ]


def large_index(folder: Path, songs: int, artists: int = 5000) -> None:
    """A site with a long list of songs that cannot be opened."""
    (folder / "data").mkdir(parents=True)
    for file in PAGE.iterdir():
        shutil.copy(file, folder / file.name)
    random = np.random.default_rng(3)
    words = ["".join(random.choice(list("aeioubcdlmnrstvéå"), size)) for size in random.integers(3, 9, 3000)]
    chosen = random.integers(0, len(words), (songs, 3))
    numbers = random.integers(0, 1 << 30, (songs, 5))
    rows = []
    for number, (three, (a, g, m, k, t)) in enumerate(zip(chosen, numbers.tolist(), strict=True)):
        title = " ".join(words[word] for word in three)
        made = f"2026-{1 + number % 12:02d}-{1 + number % 28:02d}T10:00:00Z"
        row = [
            f"s-{number:06d}",
            title,
            a % artists,
            [g % 40],
            m % 6,
            k % 9,
            0,
            t % 4000 / 10,
            2,
            made,
            "tmb",
            False,
            0.0,
            OUTLINE,
            False,
            False,
        ]
        rows.append(row)
    names = [f"{words[n % 3000].title()} {words[(7 * n) % 3000].title()} {n}" for n in range(artists)]
    index = index_of(rows, names, [f"Genre {n}" for n in range(40)], [f"model-{n}" for n in range(6)])
    _write(folder, "data/index", "jukectlIndex", index)


def index_of(rows: list[list[Any]], artists: list[str], genres: list[str], models: list[str]) -> dict[str, Any]:
    lists = {
        "artists": artists,
        "genres": genres,
        "models": models,
        "kinds": KINDS,
        "states": STATES,
        "columns": COLUMNS,
    }
    about = {"format": 1, "jukectl": "0.1.0", "made": "2026-11-21T19:00:00Z", "title": "Songs", "first": FIRST_SONG}
    return {**about, **lists, "songs": rows}


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
    return {
        "audio": f"{name}.ogg",
        "type": "audio/ogg",
        "seconds": seconds,
        "peaks": (127 * peaks).round().astype(int).tolist(),
        "spectrogram": picture,
        "hertz": [40.0, SAMPLE_RATE / 2],
        "quiet": False,
        **({"bytes": path.stat().st_size} if "bottom" in name else {}),  # which older sites do not tell
    }


def _picture(folder: Path, name: str, random: np.random.Generator, height: int, swell: np.ndarray | None = None) -> str:
    """A picture of 600 columns that looks somewhat like a spectrogram."""
    tones = np.exp(-np.linspace(0, 4, height))[:, None] * (0.6 + 0.4 * np.cos(np.arange(height) / 2.5))[:, None]
    envelope = np.ones(600) if swell is None else swell[np.linspace(0, len(swell) - 1, 600).astype(int)]
    grid = np.clip(tones * envelope + 0.06 * random.standard_normal((height, 600)), 0, 1)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    colours = (
        np.stack((grid**0.6, grid**2, 0.25 + 0.5 * grid * (1 - grid) * 2), 2)
        * np.minimum(1, 0.08 + 2 * grid)[..., None]
    )
    path.write_bytes(png((255 * colours[::-1].clip(0, 1)).astype(np.uint8)))
    return name


def png(pixels: np.ndarray) -> bytes:
    """A PNG of pixels (rows, columns, 3) of 8 bits."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows, columns, _ = pixels.shape
    lines = np.concatenate((np.zeros((rows, 1), np.uint8), pixels.reshape(rows, -1)), 1)  # each begins with its filter
    header = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(lines.tobytes(), 6))
        + chunk(b"IEND", b"")
    )


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
                if level == "top" or (level == "bottom" and path != "0.0")  # 0.0 is a draft
            }
        parent = None if path == "" else path.rpartition(".")[0]
        state = "whole" if levels else "in progress"
        nodes.append(
            {
                "path": path,
                "parent": parent,
                "start": 4.0 * depth,
                "stop": 4.0 * (depth + 1),
                "state": state,
                "levels": levels,
                **({"downloads": _downloads(folder, f"{name}-{path}")} if path else {}),
                "commands": _commands(path),
            }
        )
    return {"every": 4.0, "nodes": nodes}


def _commands(path: str) -> dict[str, str]:
    """The commands that go on from a node."""
    if not path:
        return {"branch": "jukectl branch tree/root"}
    pick = f"jukectl pick tree --leaf {path} --out tree-{path}"
    return {"pick": pick, "branch": f"jukectl branch tree-{path}"}


def _downloads(folder: Path, name: str) -> list[dict[str, Any]]:
    path = folder / "media" / name / "bottom.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"codes" * 100)
    own = {"label": "bottom.npz", "url": f"media/{name}/bottom.npz", "bytes": 500}
    return [own, *({"label": url, "url": url, "bytes": 1} for url in ELSEWHERE)]


if __name__ == "__main__":
    fake_site(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 500)
