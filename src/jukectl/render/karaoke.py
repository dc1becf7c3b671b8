"""When the words of a song are sung, by its model's attention: a picture of that, and karaoke files."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from jukectl.checkpoints.card import ModelCard
from jukectl.codes.archive import Codes
from jukectl.codes.level import Level
from jukectl.codes.recipe import Recipe
from jukectl.codes.song import Song
from jukectl.errors import BadInput, is_out_of_memory
from jukectl.files import atomic_write, make_folder
from jukectl.lyrics import lrc, webvtt
from jukectl.lyrics.timed import TimedLyrics, TimedWord
from jukectl.lyrics.tokens import SpelledWord, words_of
from jukectl.plan.recipes import frames_wanted
from jukectl.plots import style
from jukectl.plots.alignment import Alignment, DrawnWord, draw_alignment
from jukectl.prior.lyric_attention import monotonicity, score_heads, word_onsets
from jukectl.progress import Listener, Progress, warn
from jukectl.sampling.attention import SongAttention, song_attention
from jukectl.sampling.level import LevelJob, conditioning_tensors


def karaoke_paths(song: Song, sample: int) -> tuple[Path, ...]:
    """The picture, the LRC and the WebVTT of a sample; they need not be there."""
    return (
        song.plots / f"lyrics-alignment-{sample}.png",
        song.plots / f"lyrics-{sample}.lrc",
        song.plots / f"lyrics-{sample}.vtt",
    )


def follow_lyrics(
    song: Song,
    recipe: Recipe,
    card: ModelCard,
    job_of: Callable[[int], LevelJob],
    *,
    samples: Sequence[int] | None = None,
    theme: style.Theme | None = None,
    listener: Listener,
) -> tuple[Path, ...]:
    """Listen to the top codes of some samples, or of all; returns the files that tell when words are sung.

    Those that are there already are left as they are, unless a `theme` is given. `job_of` gives the top level's job,
    given how many codes it is to have. Where nothing is sung, or memory is short, there is a warning.
    """
    codes, config = song.codes(Level.TOP), card.priors.get(Level.TOP)
    if recipe.labels.lyrics is None or config is None or config.lyrics is None or codes is None or not codes.done:
        warn(
            listener, f"nothing is sung in {song.path}, so there are no lyrics to follow: give some with --lyrics FILE"
        )
        return ()
    samples = range(codes.samples) if samples is None else samples
    if theme is None and _there(song, samples):
        return tuple(path for sample in samples for path in karaoke_paths(song, sample))
    job = job_of(frames_wanted(recipe, card.vqvae, {Level.TOP: codes.done})[Level.TOP])
    theme, written = theme or style.LIGHT, list[Path]()
    make_folder(song.plots)
    try:
        layer, head = _head(job, codes, samples[0])
        for number, sample in enumerate(samples):
            listener(Progress("following the lyrics", number, len(samples)))
            attention = song_attention(job, codes.array[sample], sample, layer=layer, head=head)
            written += _write(song, recipe, card, codes, sample, attention, theme, listener)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        warn(listener, "no memory is left to see when words are sung: try jukectl plot once the song is made")
    listener(Progress("following the lyrics", len(samples), len(samples)))
    return tuple(written)


def _head(job: LevelJob, codes: Codes, sample: int) -> tuple[int, int]:
    """The layer and the head that follow the lyrics: as the model tells, or else the most monotonic of a window."""
    lyrics = job.prior.config.lyrics
    assert lyrics is not None
    if lyrics.alignment_layer is not None:
        return lyrics.alignment_layer, lyrics.alignment_head
    window = job.windows(0)[0]
    own = torch.from_numpy(codes.array[sample, : window.stop].astype("int64"))[None].to(job.device)
    scores = score_heads(
        job.prior, own, conditioning_tensors(job, sample, window), lambda _, weights: monotonicity(weights)
    )
    return max(scores, key=scores.__getitem__)


def _there(song: Song, samples: Sequence[int]) -> bool:
    """Whether all files are there, and none older than the codes."""
    try:
        made = song.codes_path(Level.TOP).stat().st_mtime
        return all(path.stat().st_mtime >= made for sample in samples for path in karaoke_paths(song, sample))
    except OSError:
        return False


def _write(
    song: Song,
    recipe: Recipe,
    card: ModelCard,
    codes: Codes,
    sample: int,
    attention: SongAttention,
    theme: style.Theme,
    listener: Listener,
) -> list[Path]:
    config = card.priors[Level.TOP]
    assert config.lyrics is not None
    lyrics = recipe.labels.lyrics
    assert lyrics is not None
    text = lyrics.text.replace("\r\n", "\n").replace("\r", "\n")
    words = words_of(text, card.vocabulary_at(Level.TOP).alphabet(config.lyrics.alphabet))
    times = word_onsets(attention.weights, [(word.first, word.last) for word in words], attention.seconds_a_row)
    sung = [
        DrawnWord(word.text, word.first, word.last, time.start, min(time.end, codes.seconds))
        for word, time in zip(words, times, strict=True)
        if time.start < codes.seconds
    ]
    picture, as_lrc, as_vtt = karaoke_paths(song, sample)
    figure = draw_alignment(
        Alignment(weights=attention.weights, seconds_a_row=attention.seconds_a_row, seconds=codes.seconds, words=sung),
        title=song.path.resolve().name,
        about=f"sample {sample} of {codes.samples} · model {card.name}",
        prompt_seconds=codes.prompt * codes.hop / codes.sample_rate,
        theme=theme,
    )
    style.save(figure, picture)
    written, timed = [picture], _timed(text, words, sung)
    for path, write in ((as_lrc, lrc.write), (as_vtt, webvtt.write)):
        try:
            content = write(timed)
        except BadInput as error:
            warn(listener, f"{path.name} is not written: {error}")
            continue
        with atomic_write(path) as file:
            file.write(content.encode())
        written.append(path)
    return written


def _timed(text: str, words: Sequence[SpelledWord], sung: Sequence[DrawnWord]) -> TimedLyrics:
    """The text as far as it is sung, with times."""
    timed = tuple(
        TimedWord(word.text, time.start, time.end, word.start) for word, time in zip(words, sung, strict=False)
    )
    return TimedLyrics(text[: timed[-1].stop] if timed else "", timed)
