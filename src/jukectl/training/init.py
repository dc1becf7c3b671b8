"""Recipes for training a model on a music folder, for `jukectl train init`: one for each run, that fit together.

The recipes of size small are those of the embedded model; tiny and base have the same parts in other sizes.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import mul
from pathlib import Path

from jukectl.codes.level import TOP_DOWN, Level
from jukectl.data.manifest import Manifest, Track
from jukectl.errors import BadInput, BadManifest
from jukectl.files import atomic_write, make_folder
from jukectl.tables import read_text

SAMPLE_RATE = 22_050  # Hz
STRIDES = {Level.BOTTOM: 16, Level.MIDDLE: 4, Level.TOP: 8}
HOPS = dict(zip(STRIDES, accumulate(STRIDES.values(), mul), strict=True))  # 16, 64 and 512
SHORTEST_CONTEXT = 128  # codes
CARD = "card.toml"


@dataclass(frozen=True, kw_only=True)
class Size:
    """Sizes of the parts of a model, and how long they are trained. Tuples go bottom, middle, top."""

    widths: tuple[int, int, int]  # of the codec
    depths: tuple[int, int, int]
    codec_steps: tuple[int, int, int]
    prior_widths: tuple[int, int, int]
    prior_depths: tuple[int, int, int]
    heads: tuple[int, int, int]
    attention_ratio: float  # of the upsamplers
    context: int  # codes that a prior sees at once, if the songs are long enough
    conditioner: int  # width of the conditioners of the upsamplers
    prior_steps: tuple[int, int, int]
    batch: int  # segments per step


SIZES: Mapping[str, Size] = {
    "tiny": Size(
        widths=(32, 32, 64),
        depths=(4, 3, 2),
        codec_steps=(1_000, 1_000, 600),
        prior_widths=(64, 64, 96),
        prior_depths=(6, 6, 6),
        heads=(2, 2, 2),
        attention_ratio=0.5,
        context=512,
        conditioner=32,
        prior_steps=(1_000, 1_000, 2_000),
        batch=2,
    ),
    "small": Size(
        widths=(128, 96, 256),
        depths=(8, 4, 3),
        codec_steps=(4_000, 4_000, 2_300),
        prior_widths=(160, 160, 256),
        prior_depths=(12, 12, 12),
        heads=(2, 2, 4),
        attention_ratio=0.4,
        context=2_048,
        conditioner=96,
        prior_steps=(4_100, 4_100, 7_300),
        batch=2,
    ),
    "base": Size(
        widths=(128, 128, 320),
        depths=(8, 6, 4),
        codec_steps=(20_000, 20_000, 10_000),
        prior_widths=(320, 320, 512),
        prior_depths=(16, 16, 24),
        heads=(4, 4, 8),
        attention_ratio=0.4,
        context=4_096,
        conditioner=192,
        prior_steps=(30_000, 30_000, 60_000),
        batch=16,
    ),
}


@dataclass(frozen=True)
class TrainingPlan:
    """Files that `write_recipes` wrote, and the command lines of the training in order."""

    card: Path
    codecs: Mapping[Level, Path]  # recipe of each level, bottom first
    priors: Mapping[Level, Path]  # recipe of each level, top first
    commands: Sequence[str]
    training: int  # number of songs to train on
    held_out: int
    seconds: float  # of music, that of the held-out songs included


def write_recipes(music: Path, size: str, out: Path) -> TrainingPlan:
    """Write the recipes and the card for training a model on a music folder into `out`.

    `music` is a folder with the manifest of `jukectl data scan`, or a manifest. Files that exist with other contents
    are kept: raise BadInput for them, for an unknown size, and for songs that are all too short.
    """
    if size not in SIZES:
        raise BadInput(f"--size is {', '.join(SIZES)}; got {size!r}")
    path = music / "manifest.jsonl" if music.is_dir() else music
    manifest = Manifest.load(path)
    held = _held_out(manifest)
    kept, held_tracks = manifest.split(held)
    writer = _Recipes(path, SIZES[size], out, held, kept, held_tracks)
    files = {out / CARD: _card(music, size, manifest.tracks)}
    codecs = {level: out / f"codec-{level.label}.toml" for level in reversed(TOP_DOWN)}
    priors = {level: out / f"{level.label}.toml" for level in TOP_DOWN}
    files |= {file: writer.codec(level) for level, file in codecs.items()}
    files |= {file: writer.prior(level) for level, file in priors.items()}
    changed = [file for file, text in files.items() if file.exists() and read_text(file, BadInput) != text]
    if changed:
        raise BadInput(
            f"{changed[0]} exists, and differs from what would be written there: remove it, or give another --out"
        )
    make_folder(out)
    for file, text in files.items():
        with atomic_write(file) as written:
            written.write(text.encode())
    seconds = sum(track.seconds for track in manifest.tracks)
    return TrainingPlan(out / CARD, codecs, priors, _commands(path, out), len(kept), len(held_tracks), seconds)


def _held_out(manifest: Manifest) -> tuple[str, ...]:
    """Return the songs that recipes have to hold out by name: none, or one if the scan held out none or all of them."""
    held = sum(track.split == "validation" for track in manifest.tracks)
    if 0 < held < len(manifest.tracks) or len(manifest.tracks) == 1:
        return ()
    # the longest contains a segment for sure, and the choice depends on no order
    return (max(manifest.tracks, key=lambda track: (track.seconds, track.path)).path,)


@dataclass(frozen=True, eq=False)
class _Recipes:
    """Texts of the recipes, which share the music, the split and the sizes."""

    manifest: Path
    size: Size
    out: Path
    held_out: Sequence[str]
    kept: Sequence[Track]
    held: Sequence[Track]

    def codec(self, level: Level) -> str:
        """Return the recipe of a level of the codec."""
        size = self.size
        top = level is Level.TOP
        loss = {
            Level.BOTTOM: "waveform = 1.0\nmel = 1.0\ncommitment = 0.5",
            Level.MIDDLE: "waveform = 0.3\nmel = 2.0\ncommitment = 0.9",
            Level.TOP: "mel = 1.0 # of log-mel spectra alone: there is no waveform to compare\nattack = 0.5\n"
            "peaks = 1.0\ncommitment = 0.5",
        }[level]
        steps = size.codec_steps[level]
        return f"""\
# The {level.label} level of the codec. The table [model] is the same for all three levels.
out = {_text(self.out / "runs" / f"codec-{level.label}")}
levels = ["{level.label}"]

[model]
sample_rate = {SAMPLE_RATE}
downs = [1, 1, 1]
strides = {list(STRIDES.values())}
widths = {list(size.widths)}
depths = {list(size.depths)}
dilation_cycle = 4
audio_head = false
upsampling = "balanced"
front_end = "log_mel" # of the top level, whose codes do not depend on the phase

[data]
manifest = {_text(self.manifest)}
clip_samples = {32_768 if top else 16_384}
{self._split()}validation_songs = 16

[loss]
{loss}

[codebook]
decay = {(0.97, 0.98, 0.95)[level]}
start_step = {min(200, steps // 10)}
relative_threshold = 0.1 # of the mean uses of a vector, so that any batch size works

[train]
steps = {steps}
batch = {16 if top else 8}
learning_rate = 0.0008
average = {0.995 if top else 0.998}
weight_decay = 0.0
evaluate_every = {_every(steps)}
checkpoint_every = {_every(steps)}
"""

    def prior(self, level: Level) -> str:
        """Return the recipe of the prior of a level."""
        size, top = self.size, level is Level.TOP
        context = self._context(level)
        steps = size.prior_steps[level]
        what = "The top prior: artist, genre and timing to the coarsest codes."
        if top:
            own = "timing = { bins = 64, min_seconds = 1.0, max_seconds = 600.0 }"
            start = ""
        else:
            what = f"The {level.label} upsampler: codes of the {level.above.label} level to finer ones."
            ratio = STRIDES[level.above]
            own = (
                f"attention_ratio = {size.attention_ratio}\n"
                f"conditioner = {{ width = {size.conditioner}, depth = 4, downs = 1, stride = {ratio} }}"
            )
            start = f"codec = {_text(self.out / 'codec')} # embeddings start as images of its codebooks\n"
        return f"""\
# {what}
out = {_text(self.out / "runs" / level.label)}
level = "{level.label}"
label_dropout = 0.1
{start}
[model]
context = {context} # {context * HOPS[level] / SAMPLE_RATE:.3g} s
width = {size.prior_widths[level]}
depth = {size.prior_depths[level]}
heads = {size.heads[level]}
blocks = {32 if context >= 1_024 else 8}
genre_slots = 2
{own}

[data]
codes = {_text(self.out / "codes")}
{self._split()}validation_segments = 32

[train]
steps = {steps}
batch = {size.batch}
learning_rate = {0.001 if size.batch < 8 else 0.0004}
weight_decay = 0.01
betas = [0.9, 0.98]
warmup = 100
average = 0.995
evaluate_every = {_every(steps)}
checkpoint_every = {_every(steps)}
"""

    def _split(self) -> str:
        if not self.held_out:
            return "# held out are the songs that the scan chose for validation\n"
        return f"held_out = [{', '.join(_text(name) for name in self.held_out)}]\n"

    def _context(self, level: Level) -> int:
        """Return the context of a prior: that of the size, halved until half of the songs are as long."""
        context = self.size.context
        while context > SHORTEST_CONTEXT and not self._fits(context * HOPS[level] / SAMPLE_RATE):
            context //= 2
        seconds = context * HOPS[level] / SAMPLE_RATE
        if not any(track.seconds >= seconds for track in self.kept):
            raise BadManifest(
                f"none of the songs in {self.manifest.parent} is as long as {seconds:.2g} s, the shortest context: "
                "use longer ones"
            )
        return context

    def _fits(self, seconds: float) -> bool:
        # a little longer, since codes are whole and the resampled song may have fewer
        long = [[track.seconds >= seconds + 0.1 for track in songs] for songs in (self.kept, self.held) if songs]
        return all(2 * sum(songs) >= len(songs) for songs in long)


def _every(steps: int) -> int:
    """Return the number of steps between two evaluations: 20 in a run, at least 50 steps apart."""
    return max(50, steps // 20)


def _card(music: Path, size: str, tracks: Sequence[Track]) -> str:
    """Return the hand-written part of a model card, with the songs as its sources."""
    name = (music.parent if music.is_file() else music).resolve().name
    lines = [
        "# The hand-written part of the model's card. Fill in the licence before you publish the model.",
        f"name = {_text(name)}",
        'version = "1"',
        'licence = ""',
        f"summary = {_text(f'Model of size {size}, trained on {len(tracks)} songs of {name}')}",
        "",
        "[sampling] # a cold upsampler keeps to what the level above says; warmer ones of this size add hiss",
        "top = { temperature = 0.95, advance = 0.25 }",
        "middle = { temperature = 0.3 }",
        "bottom = { temperature = 0.3 }",
    ]
    for track in tracks:
        lines += ["", "[[sources]]", f"title = {_text(track.title or Path(track.path).stem)}"]
        lines += [f"artist = {_text(track.artist)}"] if track.artist else []
        lines += [f"licence = {_text(track.licence)}"] if track.licence else []
    return "\n".join(lines) + "\n"


def _commands(manifest: Path, out: Path) -> list[str]:
    """Return the command lines that train and assemble the model, in order."""

    def quoted(path: Path) -> str:
        return shlex.quote(path.as_posix())

    runs = {name: quoted(out / "runs" / name) for name in ("codec-bottom", "codec-middle", "codec-top")}
    priors = {level: quoted(out / "runs" / level.label) for level in TOP_DOWN}
    card, codec, codes = (quoted(out / name) for name in (CARD, "codec", "codes"))
    return [
        *(f"jukectl train vqvae {quoted(out / f'{name}.toml')}" for name in runs),
        f"jukectl models assemble {codec} {' '.join(runs.values())} --card {card}",
        f"jukectl data encode {quoted(manifest)} --out {codes} --model {codec}",
        f"jukectl train prior {quoted(out / 'top.toml')}",
        f"jukectl train upsampler {quoted(out / 'middle.toml')}",
        f"jukectl train upsampler {quoted(out / 'bottom.toml')}",
        f"jukectl models assemble my-model {' '.join(runs.values())} {' '.join(priors.values())} --card {card}",
    ]


def _text(value: object) -> str:
    """Return a basic string of TOML."""
    text = value.as_posix() if isinstance(value, Path) else str(value)
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
