"""Damaged pages of Ogg files are found by checksum and number, which decoders skip without a word."""

import io as memory
from pathlib import Path

import numpy as np
import pytest

from jukectl.audio import io, ogg

RATE = 8_000


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty seconds of noise, in many pages."""
    path = tmp_path_factory.mktemp("ogg") / "a.ogg"
    noise = np.random.default_rng(0).normal(0, 0.2, 20 * RATE)
    io.save(path, noise.astype(np.float32), RATE)
    return path


def pages(content: bytes) -> list[tuple[int, int]]:
    """The spans of the pages, by their marks."""
    starts = [place for place in range(len(content)) if content.startswith(b"OggS\0", place)]
    return list(zip(starts, [*starts[1:], len(content)], strict=True))


def slow_checksum(page: bytes) -> int:
    """The checksum of RFC 3533, bit by bit."""
    register = 0
    for byte in page[:22] + bytes(4) + page[26:]:
        register ^= byte << 24
        for _ in range(8):
            register = (register << 1 ^ (0x04C11DB7 if register >> 31 else 0)) & 0xFFFFFFFF
    return register


def test_the_checksum_is_that_of_the_standard(song):
    content = song.read_bytes()
    for start, stop in pages(content)[:4]:
        page = content[start:stop]
        assert ogg.checksum(page) == slow_checksum(page) == int.from_bytes(page[22:26], "little")


def test_a_whole_file_is_one_link_with_its_length(song):
    (link,) = ogg.links(memory.BytesIO(song.read_bytes()))
    assert (link.start, link.damaged, link.ended, link.granule) == (0, False, True, 20 * RATE)
    assert link.pages == len(pages(song.read_bytes())) > 4
    assert io.load(song).remarks == ()


def harmed(content: bytes, how: str) -> bytes:
    """A file of which a page in the middle is harmed."""
    start, stop = pages(content)[len(pages(content)) // 2]
    changed = content[start + 200 : start + 201].translate(bytes(255 - one for one in range(256)))
    return {
        "flipped": content[: start + 200] + changed + content[start + 201 :],
        "missing": content[:start] + content[stop:],
        "twice": content[:stop] + content[start:stop] + content[stop:],
        "rubbish": content[:start] + bytes(99) + content[start:],
        "mark": content[:start] + b"OggZ" + content[start + 4 :],
        "cut": content[: start + 60],
        "cut between": content[:start],
    }[how]


@pytest.mark.parametrize("how", ["flipped", "missing", "twice", "rubbish", "mark", "cut", "cut between"])
def test_a_harmed_page_is_named_with_its_second(how, song, tmp_path):
    path = tmp_path / "a.ogg"
    path.write_bytes(harmed(song.read_bytes(), how))
    content = song.read_bytes()
    before, _ = pages(content)[len(pages(content)) // 2 - (how != "twice")]
    seconds = int.from_bytes(content[before + 6 : before + 14], "little") / RATE  # where the last whole page ends
    remark = io.load(path).remarks[0]
    assert remark.startswith(f"{path} is damaged or cut short after {seconds:.1f} seconds"), remark
    assert remark in io.info(path).remarks
    stream = io.stream(path)
    list(stream.blocks)
    assert remark in stream.remarks


def test_links_are_checked_each_for_itself(song, tmp_path):
    content = song.read_bytes()
    (tmp_path / "two.ogg").write_bytes(content + content)
    assert io.load(tmp_path / "two.ogg").seconds == pytest.approx(40)
    assert io.load(tmp_path / "two.ogg").remarks == ()
    (tmp_path / "two.ogg").write_bytes(content + harmed(content, "flipped"))
    (remark,) = io.info(tmp_path / "two.ogg").remarks
    assert "after 2" in remark or "after 3" in remark  # of forty seconds


@pytest.mark.parametrize("suffix", ["mp3", "flac"])
def test_what_a_decoder_cannot_read_is_named(suffix, tmp_path):
    """Of files whose header promises more than can be decoded."""
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).normal(0, 0.2, 20 * RATE).astype(np.float32)
    io.save(path, noise, RATE)
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes(len(whole) - middle))
    try:
        audio = io.load(path)
    except Exception as error:
        assert "damaged" in str(error)
        return
    assert audio.remarks
    assert audio.seconds < 19


def test_an_mp3_whose_first_frame_is_damaged_is_read_from_the_next(tmp_path):
    path = tmp_path / "a.mp3"
    noise = np.random.default_rng(0).normal(0, 0.2, 5 * RATE).astype(np.float32)
    io.save(path, noise, RATE)
    whole = path.read_bytes()
    path.write_bytes(whole[:2] + bytes([whole[2] ^ 0x80]) + whole[3:])  # another bit rate
    assert io.load(path).seconds > 4.7
