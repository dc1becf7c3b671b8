"""Files are read to the end of the stream, whatever their headers say of the length. None of it needs ffmpeg."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from jukectl.audio import flac, io, mpeg
from jukectl.errors import BadAudio

RATE = 44_100
DECODER_DELAY, ENCODER_DELAY = 529, 576  # samples that mpg123 drops at the beginning; that LAME puts there


@pytest.fixture(autouse=True)
def no_ffmpeg(monkeypatch):
    monkeypatch.setattr("jukectl.audio.ffmpeg.available", lambda: False)


def music(seconds=3.0, *, rate=RATE, seed=0):
    """Stereo (2, N) that grows ever richer, so that its mp3 frames differ in size."""
    time = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(seed).normal(size=(2, len(time))) * time / seconds
    return (0.2 * np.sin(2 * np.pi * 440 * time) + 0.1 * noise).astype(np.float32)


def written(path: Path, samples=None, rate=RATE) -> bytes:
    io.save(path, music() if samples is None else samples, rate)
    return path.read_bytes()


def info_frame(content: bytes) -> int:
    """Size of the frame with which an mp3 file begins and that describes the others."""
    assert content[36:40] in (b"Xing", b"Info")
    return next(at for at in range(100, len(content)) if content[at : at + 2] == content[:2])


def whole(path: Path) -> np.ndarray:
    """The samples of a file, the same by all ways of reading it."""
    samples = io.load(path).samples
    np.testing.assert_array_equal(np.concatenate([*io.stream(path).blocks], axis=1), samples)
    assert io.info(path).seconds == pytest.approx(samples.shape[1] / RATE)
    tail = io.load(path, start=samples.shape[1] / RATE - 0.1).samples
    assert tail.shape[1] == pytest.approx(RATE / 10, abs=1)
    return samples


# mp3


def test_an_mp3_file_without_a_frame_count_is_read_to_its_end(tmp_path):
    content = written(tmp_path / "good.mp3")
    good = whole(tmp_path / "good.mp3")
    (tmp_path / "bare.mp3").write_bytes(content[info_frame(content) :])
    with (tmp_path / "bare.mp3").open("rb") as file, soundfile.SoundFile(file) as alone:
        assert alone.frames != pytest.approx(good.shape[1], rel=0.1)  # an estimate from the first frame
    bare = whole(tmp_path / "bare.mp3")
    np.testing.assert_array_equal(bare[:, ENCODER_DELAY:][:, : good.shape[1]], good)
    assert bare.shape[1] == pytest.approx(good.shape[1], abs=ENCODER_DELAY + 2 * 1_152)


@pytest.mark.parametrize("factor", [0, 0.3, 5])
def test_an_mp3_file_with_a_wrong_frame_count_is_read_to_its_end(tmp_path, capfd, factor):
    content = bytearray(written(tmp_path / "good.mp3"))
    good = whole(tmp_path / "good.mp3")
    for at in (44, 48):  # frames and bytes
        stated = int.from_bytes(content[at : at + 4])
        content[at : at + 4] = round(stated * factor).to_bytes(4)
    (tmp_path / "wrong.mp3").write_bytes(content)
    wrong = whole(tmp_path / "wrong.mp3")
    np.testing.assert_array_equal(wrong[:, : good.shape[1]], good)
    assert wrong.shape[1] - good.shape[1] < 2 * 1_152  # what LAME adds at the end is no longer dropped
    remarks = io.load(tmp_path / "wrong.mp3").remarks
    assert ["cut short after 3.0 seconds" in remark for remark in remarks] == ([True] if factor > 1 else [])
    assert capfd.readouterr() == ("", "")


def test_the_first_half_of_an_mp3_file_is_read_with_a_remark(tmp_path, capfd):
    content = written(tmp_path / "good.mp3")
    good = whole(tmp_path / "good.mp3")
    (tmp_path / "half.mp3").write_bytes(content[: len(content) // 2])
    half = whole(tmp_path / "half.mp3")
    np.testing.assert_array_equal(half, good[:, : half.shape[1]])
    (remark,) = io.info(tmp_path / "half.mp3").remarks
    assert f"cut short after {half.shape[1] / RATE:.1f} seconds" in remark
    assert capfd.readouterr() == ("", "")


def test_invalid_bytes_and_tags_between_mp3_frames_are_skipped(tmp_path, capfd):
    content = written(tmp_path / "good.mp3")
    first = info_frame(content)
    tag = b"ID3\x04\x00\x00" + bytes((0, 0, 16, 0)) + b"\xff\xfb\x90\xc4" * 512
    rubbish = np.random.default_rng(0).bytes(9_000)
    (tmp_path / "bad.mp3").write_bytes(tag + content[:first] + tag + content[first:-418] + rubbish + content[-418:])
    good, bad = whole(tmp_path / "good.mp3"), whole(tmp_path / "bad.mp3")
    assert bad.shape[1] >= good.shape[1] - 2 * 1_152
    count = min(bad.shape[1], good.shape[1]) - 3 * 1_152
    np.testing.assert_array_equal(bad[:, :count], good[:, :count])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (16_000, 2), (22_050, 1), (24_000, 2), (48_000, 1)])
def test_frames_of_every_version_of_mpeg_are_counted(tmp_path, rate, channels):
    io.save(tmp_path / "a.mp3", music(2, rate=rate)[:channels], rate)
    with (tmp_path / "a.mp3").open("rb") as file:
        (stream,) = mpeg.streams(file, (tmp_path / "a.mp3").stat().st_size, most=9)
    assert stream.header.kind[1:] == (rate, channels == 1)
    assert stream.frames == stream.stated_frames  # as LAME has counted them
    assert stream.is_in_order
    content = (tmp_path / "a.mp3").read_bytes()
    (tmp_path / "bare.mp3").write_bytes(content[stream.header.size :])
    assert io.info(tmp_path / "bare.mp3").seconds == pytest.approx(2, abs=0.2)


@pytest.mark.parametrize("header", [b"\xff\xff", b"\xff\xfb\x00", b"\xff\xfb\x9c", b"\xff\xfd\x90"])
def test_an_mp3_file_whose_first_frame_is_damaged_is_read_to_its_end_with_a_remark(tmp_path, capfd, header):
    content = written(tmp_path / "good.mp3")
    good = whole(tmp_path / "good.mp3")
    (tmp_path / "bad.mp3").write_bytes(header + content[len(header) :])  # of another layer, or with no rate
    bad = whole(tmp_path / "bad.mp3")
    assert bad.shape[1] >= good.shape[1] - 2 * 1_152
    (remark,) = io.info(tmp_path / "bad.mp3").remarks
    assert "damaged or cut short after 0.0 seconds" in remark
    assert capfd.readouterr() == ("", "")


def test_damaged_frames_of_an_mp3_file_are_remarked_on_whatever_its_header_promises(tmp_path):
    content = bytearray(written(tmp_path / "good.mp3"))
    with (tmp_path / "good.mp3").open("rb") as file:
        (stream,) = mpeg.streams(file, len(content), most=9)
    middle = stream.start + (stream.stop - stream.start) // 2
    lost = 5 * 1_152 / RATE
    for size in range(middle, middle + 5 * 500):
        content[size] = 0x55
    content[44:48] = (stream.frames - 5).to_bytes(4)
    (tmp_path / "bad.mp3").write_bytes(content)
    assert io.load(tmp_path / "bad.mp3").seconds == pytest.approx(3 - lost, abs=0.1)
    remark = io.load(tmp_path / "bad.mp3").remarks[0]
    second = float(remark.split("after ")[1].split(" ")[0])
    assert 1 < second < 2.5


def test_tags_and_zeros_between_mp3_frames_are_no_damage(tmp_path):
    content = written(tmp_path / "good.mp3")
    bare = content[info_frame(content) :]
    tag = b"TAG" + b"Song".ljust(125, b"\0")
    ape = b"APETAGEX" + bytes(24) + b"Title\0Song" + b"APETAGEX" + bytes(24)
    (tmp_path / "two.mp3").write_bytes(bare + ape + tag + bytes(300) + bare + tag)
    assert io.load(tmp_path / "two.mp3").seconds == pytest.approx(6, abs=0.2)
    assert io.load(tmp_path / "two.mp3").remarks == ()


def test_a_file_that_only_contains_marks_of_mp3_frames_is_refused_at_once(tmp_path):
    (tmp_path / "marks.mp3").write_bytes(b"\xff\xfb\x90\xc4" * 1_000_000)
    with pytest.raises(BadAudio):
        io.load(tmp_path / "marks.mp3")


# flac


def promising(content: bytes, total: int) -> bytes:
    """A flac file whose header promises another number of samples."""
    return content[:21] + bytes((content[21] & 0xF0,)) + total.to_bytes(4) + content[26:]


@pytest.mark.parametrize("total", [0, 1, 127, RATE])
@pytest.mark.parametrize("behind", [b"", b"TAG" + bytes(125), b"\xff\xf8\xc9\x18" * 50])
def test_a_flac_file_whose_header_promises_less_is_read_to_its_end(tmp_path, total, behind):
    content = written(tmp_path / "good.flac")
    (tmp_path / "less.flac").write_bytes(promising(content, total) + behind)
    np.testing.assert_array_equal(whole(tmp_path / "less.flac"), whole(tmp_path / "good.flac"))
    assert io.load(tmp_path / "less.flac").remarks == ()


def test_a_flac_file_with_a_damaged_end_is_read_or_refused_by_its_last_whole_frame(tmp_path):
    content = written(tmp_path / "good.flac")
    bad = promising(content, RATE)[:-9_000] + bytes(9_000)
    (tmp_path / "bad.flac").write_bytes(bad)
    with pytest.raises(BadAudio, match=r"damaged or cut off after [12]\.\d seconds"):
        io.load(tmp_path / "bad.flac")
    assert RATE < io.load(tmp_path / "bad.flac", seconds=2).samples.shape[1] <= 2 * RATE


@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000, 12_345])
@pytest.mark.parametrize("frames", [1, 100, 4_096, 4_097, 70_001, 1_000_003])
def test_the_length_of_a_flac_file_is_that_of_its_last_frame(tmp_path, rate, frames):
    soundfile.write(tmp_path / "a.flac", music(frames / RATE).T[:frames], rate)
    content = (tmp_path / "a.flac").read_bytes()
    assert flac.length(content, block=int.from_bytes(content[10:12])) == frames
    with (tmp_path / "a.flac").open("rb") as file:
        assert flac.corrected_about(file, 0, len(content)) == b""


# Several recordings in one file


@pytest.mark.parametrize("file_format", ["mp3", "ogg", "flac", "wav"])
def test_joined_files_are_read_as_one_recording(tmp_path, capfd, file_format):
    one, two = tmp_path / f"one.{file_format}", tmp_path / f"two.{file_format}"
    content = written(one) + written(two, music(1.5, seed=1))
    both = tmp_path / f"both.{file_format}"
    both.write_bytes(content)
    np.testing.assert_array_equal(whole(both), np.concatenate([whole(one), whole(two)], axis=1))
    across = io.load(both, start=2.9, seconds=0.2).samples
    np.testing.assert_array_equal(across, whole(both)[:, round(2.9 * RATE) :][:, : round(0.2 * RATE)])
    assert not io.load(both).remarks
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("file_format", ["mp3", "ogg", "flac", "wav"])
def test_a_joined_file_of_another_rate_is_left_out_with_a_remark(tmp_path, file_format):
    one, two = tmp_path / f"one.{file_format}", tmp_path / f"two.{file_format}"
    content = written(one) + written(two, music(1, rate=48_000), 48_000)
    (tmp_path / "both").write_bytes(content)
    np.testing.assert_array_equal(whole(tmp_path / "both"), whole(one))
    (remark,) = io.load(tmp_path / "both").remarks
    assert "up to 3.0 seconds: from there on it is another recording, of 2 channels at 48000 Hz" in remark


# wav


def with_lengths(content: bytes, riff: int, data: int) -> bytes:
    changed = bytearray(content)
    at = content.index(b"data") + 4
    changed[4:8], changed[at : at + 4] = struct.pack("<I", riff), struct.pack("<I", data)
    return bytes(changed)


@pytest.mark.parametrize(("data", "riff_follows"), [(0, True), (RATE, True), (2**32 - 1, False), (2**31 - 1, False)])
def test_a_wav_file_whose_recorder_was_cut_off_is_read_to_its_end(tmp_path, data, riff_follows):
    content = written(tmp_path / "good.wav")
    riff = min(36 + data, 2**32 - 1) if riff_follows else len(content) - 8
    (tmp_path / "cut.wav").write_bytes(with_lengths(content, riff, data))
    np.testing.assert_array_equal(whole(tmp_path / "cut.wav"), whole(tmp_path / "good.wav"))
    assert not io.load(tmp_path / "cut.wav").remarks


def test_chunks_after_the_samples_of_a_wav_file_are_not_read_as_samples(tmp_path):
    content = written(tmp_path / "good.wav")
    good = whole(tmp_path / "good.wav")
    chunk = b"LIST" + struct.pack("<I", 400_000) + bytes(400_000)
    for name, riff in (("inside", len(content) - 8 + len(chunk)), ("behind", len(content) - 8)):
        (tmp_path / name).write_bytes(with_lengths(content, riff, len(content) - 44) + chunk)
        np.testing.assert_array_equal(whole(tmp_path / name), good)
    (tmp_path / "tagged").write_bytes(content + b"TAG" + bytes(125))
    np.testing.assert_array_equal(whole(tmp_path / "tagged"), good)
    (tmp_path / "empty").write_bytes(with_lengths(content[:44], 36, 0) + chunk)
    with pytest.raises(BadAudio, match="holds no samples"):
        io.load(tmp_path / "empty")


def test_half_of_a_wav_file_is_read_with_a_remark(tmp_path):
    content = written(tmp_path / "good.wav")
    (tmp_path / "half.wav").write_bytes(content[: 44 + RATE * 4])
    np.testing.assert_array_equal(whole(tmp_path / "half.wav"), whole(tmp_path / "good.wav")[:, :RATE])
    (remark,) = io.load(tmp_path / "half.wav").remarks
    assert "cut short after 1.0 seconds: its header promises 2.0 more" in remark


@pytest.mark.parametrize(("subtype", "bits"), [("PCM_16", 18), ("PCM_16", 24), ("PCM_24", 16), ("FLOAT", 64)])
def test_a_wav_file_with_samples_that_do_not_fit_in_its_frames_is_remarked_on(tmp_path, subtype, bits):
    """One damaged byte: samples of 2 bytes are read as 3, and noise of two thirds of the length comes out."""
    soundfile.write(tmp_path / "good.wav", music().T, RATE, subtype=subtype)
    assert not io.load(tmp_path / "good.wav").remarks
    content = bytearray((tmp_path / "good.wav").read_bytes())
    at = content.index(b"fmt ") + 22
    content[at : at + 2] = struct.pack("<H", bits)
    (tmp_path / "bad.wav").write_bytes(content)
    (remark,) = io.load(tmp_path / "bad.wav").remarks
    assert f"2 samples of {bits} bits are no frame of {content[at - 2]} bytes" in remark


# ogg


def test_a_file_that_begins_like_ogg_and_has_no_whole_page_is_refused_in_one_line(tmp_path):
    (tmp_path / "bad.ogg").write_bytes(b"OggS" + bytes([255]) * 100)
    with pytest.raises(BadAudio, match=r"bad\.ogg"):
        io.load(tmp_path / "bad.ogg")
