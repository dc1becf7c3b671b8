"""Times at which the words of a song are sung, by the attention of its model: a picture, and karaoke files."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from jukectl.codes.archive import Codes
from jukectl.codes.level import Level
from jukectl.codes.song import Song
from jukectl.errors import BadInput, is_out_of_memory
from jukectl.files import atomic_write, make_folder
from jukectl.lyrics import lrc, webvtt
from jukectl.lyrics.timed import TimedLyrics, TimedWord
from jukectl.lyrics.tokens import SpelledWord, words_of
from jukectl.plan.job import Job
from jukectl.plots import style
from jukectl.plots.alignment import Alignment, DrawnWord, draw_alignment
from jukectl.prior.lyric_attention import monotonicity, score_heads, word_onsets
from jukectl.progress import Progress, warn
from jukectl.sampling.attention import SongAttention, song_attention
from jukectl.sampling.level import LevelJob, conditioning_tensors


def karaoke_paths(song: Song, sample: int) -> tuple[Path, ...]:
    """Return the paths of the picture, the LRC and the WebVTT of a sample; they need not exist."""
    return (
        song.plots / f"lyrics-alignment-{sample}.png",
        song.plots / f"lyrics-{sample}.lrc",
        song.plots / f"lyrics-{sample}.vtt",
    )


def follow_lyrics(
    job: Job,
    sampling: Callable[[], LevelJob],
    *,
    samples: Sequence[int] | None = None,
    theme: style.Theme | None = None,
) -> tuple[Path, ...]:
    """Write when the words of some samples, or of all, are sung, by the attention of the top prior; return the files.

    Files that are up to date are kept, unless a `theme` is given. `sampling` loads the top prior. A warning comes if
    nothing is sung, or if memory is short.
    """
    song, codes = job.song, job.codes.get(Level.TOP)
    if not _is_sung(job) or codes is None or not codes.done:
        warn(
            job.listener,
            f"nothing is sung in {song.path}, so there are no lyrics to follow: give some with --lyrics FILE",
        )
        return ()
    samples = range(codes.samples) if samples is None else samples
    if theme is None and _is_up_to_date(song, samples):
        return tuple(path for sample in samples for path in karaoke_paths(song, sample))
    song.check_links()
    top, written = sampling(), list[Path]()
    make_folder(song.plots)
    try:
        layer, head = _head(top, codes, samples[0])
        for number, sample in enumerate(samples):
            job.listener(Progress("following the lyrics", number, len(samples)))
            attention = song_attention(top, codes.array[sample], sample, layer=layer, head=head)
            written += _write(job, sample, attention, theme or style.LIGHT)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        warn(job.listener, "no memory is left to see when words are sung: try jukectl plot once the song is made")
    job.listener(Progress("following the lyrics", len(samples), len(samples)))
    return tuple(written)


def _is_sung(job: Job) -> bool:
    """Return True if the top level is sampled with lyrics by a prior that takes them."""
    config = job.model.card.priors.get(Level.TOP)
    takes_lyrics = config is not None and config.lyrics is not None and Level.TOP in job.recipe.sampling
    return takes_lyrics and job.recipe.labels.lyrics is not None


def _head(job: LevelJob, codes: Codes, sample: int) -> tuple[int, int]:
    """Return the layer and the head that follow the lyrics: the model's, or else the most monotonic of a window."""
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


def _is_up_to_date(song: Song, samples: Sequence[int]) -> bool:
    """Return True if all files exist, and none is older than the codes."""
    try:
        made = song.codes_path(Level.TOP).stat().st_mtime
        return all(path.stat().st_mtime >= made for sample in samples for path in karaoke_paths(song, sample))
    except OSError:
        return False


def _write(job: Job, sample: int, attention: SongAttention, theme: style.Theme) -> list[Path]:
    """Write the picture and the karaoke files of a sample; return their paths."""
    song, codes, lyrics = job.song, job.codes[Level.TOP], job.recipe.labels.lyrics
    config = job.model.card.priors[Level.TOP]
    assert config.lyrics is not None and lyrics is not None
    text = lyrics.text.replace("\r\n", "\n").replace("\r", "\n")
    words = words_of(text, job.model.card.vocabulary_at(Level.TOP).alphabet(config.lyrics.alphabet))
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
        about=f"sample {sample} of {codes.samples} · model {job.model.card.name}",
        prompt_seconds=codes.prompt * codes.hop / codes.sample_rate,
        theme=theme,
    )
    style.save(figure, picture)
    written, timed = [picture], _timed(text, words, sung)
    for path, write in ((as_lrc, lrc.write), (as_vtt, webvtt.write)):
        try:
            content = write(timed)
        except BadInput as error:
            warn(job.listener, f"{path.name} is not written: {error}")
            continue
        with atomic_write(path) as file:
            file.write(content.encode())
        written.append(path)
    return written


def _timed(text: str, words: Sequence[SpelledWord], sung: Sequence[DrawnWord]) -> TimedLyrics:
    """Return the text as far as it is sung, with times."""
    timed = tuple(
        TimedWord(word.text, time.start, time.end, word.start) for word, time in zip(words, sung, strict=False)
    )
    return TimedLyrics(text[: timed[-1].stop] if timed else "", timed)
