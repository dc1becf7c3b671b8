"""WebVTT: lyrics as cues that a player shows, a line each, with the time of each word."""

from jukectl.lyrics.timed import TimedLyrics

SHORTEST = 0.1  # seconds of a cue


def write(lyrics: TimedLyrics) -> str:
    """Write a cue for each line with timed words: `<hh:mm:ss.mmm>` before each word but the first, for karaoke.

    A cue ends with its last word, and never after the next begins, unless both begin at once.
    """
    lines = [(lyrics.text[first:stop], first, words) for first, stop, words in lyrics.lines() if words]
    starts = [words[0].start for _, _, words in lines]
    cues = ["WEBVTT\n"]
    ends = dict(zip(lyrics.words, lyrics.ends(), strict=True))
    for (line, first, words), after in zip(lines, [*starts[1:], float("inf")], strict=False):
        start = words[0].start
        end = max(min(ends[words[-1]], after), start + SHORTEST)
        written, place = "", first
        for word in words:
            stamp = "" if word.guessed or not start < word.start < end else f"<{_stamp(word.start)}>"
            written += f"{_escaped(lyrics.text[place : word.first])}{stamp}{_escaped(word.text)}"
            place = word.stop
        written += _escaped(line[place - first :])
        cues.append(f"\n{_stamp(start)} --> {_stamp(end)}\n{written.strip()}\n")
    return "".join(cues)


def _escaped(text: str) -> str:
    """Escape the characters that WebVTT reserves."""
    return (
        text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", " ").replace("\0", "\ufffd")
    )


def _stamp(seconds: float) -> str:
    thousandths = round(seconds * 1000)
    hours, minutes = divmod(thousandths // 60_000, 60)
    return f"{hours:02}:{minutes:02}:{thousandths // 1000 % 60:02}.{thousandths % 1000:03}"
