"""Tables on stdout, which are valid Markdown too: the layout, and the tables of `jukectl eval`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

Facts = Mapping[str, Any]
"""Figures of a measure, as `--json` prints them."""


def table(*headings: str, text: int) -> "Table":
    """Return an empty table in Markdown layout: the first `text` columns aligned left, numbers in the rest right."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.MARKDOWN)
    for number, heading in enumerate(headings):
        made.add_column(heading, justify="left" if number < text else "right", no_wrap=True)
    return made


def lines(tables: Sequence["Table"]) -> list[str]:
    """Return tables as plain lines, as wide as they need to be, with an empty line between two tables."""
    from io import StringIO

    from rich.console import Console

    texts = []
    for one in tables:
        terminal = Console(file=StringIO(), width=1_000, color_system=None)
        with terminal.capture() as captured:
            terminal.print(one)
        texts.append(captured.get().strip())  # the layout has blank edges
    return [line.rstrip() for line in "\n\n".join(texts).split("\n")]


def figure(value: float | None) -> str:
    """Return a number with two decimals, or a dash if it is not defined, such as the decibels of silence."""
    return "-" if value is None else f"{value:.2f}"


def cell(text: str) -> "Text":
    """Return a cell of text from outside, in which [markup] has no effect and a bar does not end the cell."""
    from rich.text import Text

    return Text(text.replace("|", "\\|"))


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


GAINS = {
    "shuffled": "wrong labels",
    "unlabelled": "no labels",
    "artist": "wrong artist",
    "genre": "wrong genre",
    "timing": "wrong timing",
}
"""Conditioning that the true one is compared with."""


def reconstruction(facts: Facts) -> list[str]:
    """Return a table of the levels, and one of the files if there are several."""
    return lines([_levels(facts), _files(facts)] if len(facts["files"]) > 1 else [_levels(facts)])


def prior(facts: Facts) -> list[str]:
    """Return a table of the levels, and one of the bits per code that labels save in each of them."""
    made = table("level", "prior", "unigram", "bigram", "wrong labels", "no labels", "codes", "segments", text=1)
    saved = table(
        "level",
        "first codes",
        "prior",
        "unigram",
        *(f"vs. {name}" for name in GAINS.values()),
        "at most",
        text=1,
    )
    for name, level in facts["levels"].items():
        keys = ("bits", "unigram_bits", "bigram_bits", "shuffled_bits", "unlabelled_bits")
        made.add_row(name, *(figure(level[key]) for key in keys), str(level["codes"]), str(level["segments"]))
        for length, found in level["by_length"].items():
            bits = [figure(found["bits"]), figure(found["unigram_bits"])]
            gains = [_gain(found["gains"][other]) for other in GAINS]
            saved.add_row(name, length, *bits, *gains, f"{found['most_gain']:.4f}")
    return lines([made, saved])


ONSETS = {
    "attention": "from the attention",
    "even_song": "spread evenly over the song",
    "even_sung": "spread evenly over the singing",
}
"""Ways to place words in time."""


def lyrics(facts: Facts) -> list[str]:
    """Return a table of the bits per code that lyrics save, and one of the errors of word onsets."""
    bits = table("lyrics", "bits per code", "saved by the right lyrics", text=1)
    bits.add_row("the right lyrics", figure(facts["bits"]["right"]), "")
    for name, shown in (("other", "another song's lyrics"), ("none", "no lyrics")):
        gain = facts["bits"]["saved"][name]
        if gain is not None:
            span = "" if gain["low"] is None else f" ({gain['low']:+.4f} to {gain['high']:+.4f})"
            bits.add_row(shown, figure(facts["bits"][name]), f"{gain['bits']:+.4f}{span}")
    found = facts["alignment"]
    if found is None:
        return lines([bits])
    errors = table("word onsets", "mean error (s)", "median (s)", "within 0.5 s (%)", text=1)
    for name, how in ONSETS.items():
        one = found[name]
        errors.add_row(how, figure(one["mean"]), figure(one["median"]), _percent(one["near"]))
    return lines([bits, errors])


TRANSCRIBED = {
    "recording": "the recording",
    "codec": "the recording, top codes decoded",
    "free": "made without notes",
    "notes": "made with notes",
}
"""Audio whose notes are compared with a MIDI file."""


def midi(facts: Facts) -> list[str]:
    """Return a table of the F1 of transcribed notes, of all files together."""
    made = table("transcribed", "F1, own notes", "F1, other files' notes", "notes found", text=1)
    for row in facts["rows"]:
        strength = "" if row["guidance"] is None else f", guidance {row['guidance']:g}"
        figures = ["-" if row[key] is None else f"{row[key]:.3f}" for key in ("own", "others")]
        made.add_row(TRANSCRIBED[row["what"]] + strength, *figures, f"{row['notes']:.0f}")
    return lines([made])


def continuation(facts: Facts) -> list[str]:
    """Return a table of songs with the medians of recordings below, and one of what songs keep of their prompts."""
    made = table(
        "song",
        "key",
        "bpm",
        "key (fifths)",
        "tempo (%)",
        "chroma",
        "timbre",
        "loudness (LU)",
        "repeats (%)",
        "silent (%)",
        text=3,
    )
    for song in facts["songs"]:
        before, after, likeness = song["prompt"], song["new"], song["likeness"]
        beats = " → ".join("-" if one["bpm"] is None else f"{one['bpm']:.0f}" for one in (before, after))
        rates = [f"{_percent(before[rate])} → {_percent(after[rate])}" for rate in ("repetition", "silence")]
        keys = f"{before['key'] or '-'} → {after['key'] or '-'}"
        made.add_row(cell(song["name"]), keys, beats, *map(figure, list(likeness.values())[:5]), *rates)
    usual = facts["reference"]
    if usual is not None:
        made.add_row(f"median of {usual['recordings']} recordings", "", "", *_medians(usual["own"]))
        made.add_row("continued by another recording", "", "", *_medians(usual["stranger"]))
    return lines([made, _kept(facts)])


def _kept_percent(kept: float | None) -> str:
    """Return whether one song keeps something, or the share of songs that do."""
    return ("no", "yes")[kept] if isinstance(kept, bool) else _percent(kept)


KEPT: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    "beat_of_original": ("beat, of the original's (%)", _percent),
    "tempo_kept": ("same tempo (%)", _kept_percent),
    "key_kept": ("near key (%)", _kept_percent),
    "attack_of_prompt": ("attacks, of the prompt's (%)", _percent),
    "range_of_prompt": ("range (%)", _percent),
    "notes_of_prompt": ("notes/s (%)", _percent),
    "rests": ("rests, more (%)", _percent),
    "seam": ("seam (LU)", lambda step: "-" if step is None else f"{step:+.1f}"),
}
"""Figures of new music beside its prompt: heading and layout."""

CHANGED: Mapping[str, tuple[str, Callable[[float | None], str]]] = {
    "beat": ("beat", figure),
    "low_share": ("under 150 Hz (%)", _percent),
    "code_tones": ("code tones (dB)", figure),
}
"""Figures of the prompt, and then of the new music."""


def _kept(facts: Facts) -> "Table":
    """Return a table of what new music keeps of its prompt, with medians of songs and of recordings."""
    made = table(
        "what is kept",
        *(heading for heading, _ in KEPT.values()),
        *(heading for heading, _ in CHANGED.values()),
        text=1,
    )
    rows = {song["name"]: song["measures"] for song in facts["songs"]}
    if len(rows) > 1:
        rows[f"median of {len(rows)} songs"] = facts["summary"]
    usual = facts["reference"]
    if usual is not None:
        rows[f"median of {usual['recordings']} recordings"] = usual["own_measures"]
        rows["continued by another recording"] = usual["stranger_measures"]
    for name, row in rows.items():
        changed = [
            f"{shown(row[f'{key}_prompt'])} → {shown(row[f'{key}_new'])}" if f"{key}_new" in row else ""
            for key, (_, shown) in CHANGED.items()
        ]
        made.add_row(cell(name), *(shown(row[key]) for key, (_, shown) in KEPT.items()), *changed)
    return made


def _medians(figures: Facts) -> list[str]:
    """Return the medians of five distances, and then those of two shares in percent."""
    medians = [one["median"] for one in figures.values()]
    return [*map(figure, medians[:5]), *("-" if one is None else f"{100 * one:+.1f}" for one in medians[5:])]


TRAITS: Mapping[str, tuple[str, Callable[[float | None], str]]] = {
    "beat": ("beat", figure),
    "attack_contrast": ("attacks (dB)", figure),
    "dynamic_range": ("range (dB)", figure),
    "lufs": ("LUFS", figure),
    "loops": ("loops (%)", _percent),
    "silence": ("silent (%)", _percent),
    "low_share": ("under 150 Hz (%)", _percent),
    "code_tones": ("code tones (dB)", figure),
    "notes_per_second": ("notes/s", figure),
    "rests": ("rests (%)", _percent),
    "genre_recognised": ("genre recognised (%)", _percent),
}
"""Figures of songs that need no prompt: heading and layout."""


def music(facts: Facts) -> list[str]:
    """Return a table of the medians of genres, and one of what the songs are together."""
    made = table("songs", "count", "nearly silent", *(heading for heading, _ in TRAITS.values()), text=1)
    rows = {**facts["genres"], "all": facts["all"], "held-out recordings": facts["recordings"]}
    for name, row in rows.items():
        if row is not None:
            figures = [shown(row[key]) for key, (_, shown) in TRAITS.items()]
            made.add_row(cell(name), str(row["songs"]), str(row["nearly_silent"]), *figures)
    if facts["recordings"] is None:
        return lines([made])
    together = table("compared with held-out recordings", "songs", "other recordings", "chance", text=1)
    together.add_row("FD-mel (dB²)", figure(facts["fd_mel"]), figure(facts["fd_mel_recordings"]), "")
    shares = (facts["all"]["genre_recognised"], facts["genre_accuracy"], facts["genre_chance"])
    together.add_row(f"genre recognised, of {len(facts['genres_learned'])} (%)", *map(_percent, shares))
    return lines([made, together])


def originality(facts: Facts) -> list[str]:
    """Return a table of the longest equal and nearly equal runs of each song, and one of coverage."""
    runs = table(
        "song",
        "longest",
        "codes",
        "seconds",
        "at (s)",
        "in the training song",
        "at (s)",
        "held out: median",
        "95 %",
        "longest",
        "percentile",
        text=2,
    )
    known = table(
        "runs that occur in training songs (%)", *(f"{length} codes" for length in facts["run_lengths"]), text=1
    )
    for song in facts["songs"]:
        name = song["name"]
        for kind, about in (("exact", "run"), ("near", "near copy")):
            found = song[kind]
            usual = found["held_out"] or {}
            origin = found["from"] or {}
            runs.add_row(
                cell(name),
                about,
                str(found["codes"]),
                figure(found["seconds"]),
                figure(found["at"]),
                cell(", ".join(filter(None, [origin.get("artist"), origin.get("title")])) or origin.get("path", "-")),
                figure(found["from_at"]),
                *(
                    "-" if usual.get(key) is None else f"{usual[key]:g}"
                    for key in ("median", "percentile_95", "longest")
                ),
                "-" if usual.get("percentile") is None else f"{usual['percentile']:.0f}",
            )
        known.add_row(cell(name), *map(_percent, song["coverage"].values()))
        if song["exact"]["held_out"]:
            known.add_row(cell("held out, as long as " + name), *map(_percent, song["held_out_coverage"].values()))
    return lines([runs, known])


def _levels(facts: Facts) -> "Table":
    rated = any("visqol_mos" in level for level in facts["levels"].values())
    noted = any("note_f1" in level for level in facts["levels"].values())
    measures = {
        "spectral_convergence_db": "spectral convergence (dB)",
        "multi_resolution_stft": "MR-STFT",
        "si_sdr_db": "SI-SDR (dB)",
        "log_mel": "log-mel",
        **({"visqol_mos": "ViSQOL (MOS)"} if rated else {}),
        "beat": "beat",
        **({"note_f1": "note F1"} if noted else {}),
    }
    shares = {
        "beat_share": "of the recording's beat (%)",
        **({"note_f1_share": "of its note F1 (%)"} if noted else {}),
        "stable": "stable codes (%)",
    }
    headings = [*measures.values(), *shares.values()]
    made = table("level", "hop", "kbit/s", *headings, "entropy (bits)", "used codes", text=1)
    for name, level in facts["levels"].items():
        made.add_row(
            name,
            str(level["hop"]),
            f"{level['kbit_per_second']:.2f}",
            *(figure(level.get(measure)) for measure in measures),
            *(_percent(level.get(share)) for share in shares),
            figure(level["entropy_bits"]),
            f"{level['used_codes']} of {level['codebook_size']}",
        )
    return made


def _files(facts: Facts) -> "Table":
    names = list(facts["levels"])
    made = table("file", "seconds", *(f"{name}: SC / SI-SDR (dB)" for name in names), text=1)
    for file in facts["files"]:
        levels = [file["levels"][name] for name in names]
        figures = [f"{figure(one['spectral_convergence_db'])} / {figure(one['si_sdr_db'])}" for one in levels]
        made.add_row(cell(Path(file["path"]).name), f"{file['seconds']:.1f}", *figures)
    return made


def _gain(gain: Facts | None) -> str:
    """Return the bits saved, with their interval."""
    if gain is None:
        return "-"
    interval = "" if gain["low"] is None else f" ({gain['low']:.4f} to {gain['high']:.4f})"
    return f"{gain['bits']:.4f}{interval}"
