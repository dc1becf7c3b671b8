"""Reading any audio file, and writing wav, flac, ogg and mp3."""

import errno
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings

from jukectl.audio import io, sound
from jukectl.audio.io import FORMATS, Subtype, info, load, save
from jukectl.audio.sound import OGG_ORDER
from jukectl.errors import BadAudio, BadInput, CannotWrite, JukectlError, MissingTool

RATE = 22_050
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")


def tone(seconds=1.0, rate=RATE, channels=2, gain=0.4):
    """A different tone on each channel, 200 Hz apart, a little noise to tell the moments apart."""
    at = np.arange(round(seconds * rate)) / rate
    tones = np.stack([np.sin(2 * np.pi * (200 + 200 * channel) * at) for channel in range(channels)])
    return (gain * tones + 0.01 * np.random.default_rng(0).standard_normal(tones.shape)).astype(np.float32)


def main_frequency(samples, rate):
    return np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples)


def error_db(samples, reference):
    return 20 * np.log10(np.linalg.norm(samples - reference) / np.linalg.norm(reference))


@pytest.fixture
def without_ffmpeg(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))


def by_ffmpeg(source, target, *options):
    subprocess.run(["ffmpeg", "-v", "error", "-i", source, *options, target], check=True)
    return target


# What was saved is read again


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("file_format", "at_most"), [("wav", -70), ("flac", -70), ("ogg", -20), ("mp3", -20)])
def test_saved_audio_is_read_back(tmp_path, file_format, at_most, channels):
    path = tmp_path / f"song.{file_format}"
    samples = tone(channels=channels)
    save(path, samples, RATE)
    audio = load(path)
    assert (audio.sample_rate, audio.channels, audio.seconds) == (RATE, channels, 1.0)
    assert audio.samples.dtype == np.float32
    assert audio.samples.flags.c_contiguous
    assert error_db(audio.samples, samples) < at_most
    about = info(path)
    assert (about.seconds, about.sample_rate, about.channels) == (1.0, RATE, channels)
    assert soundfile.info(path).format == file_format.upper()


@pytest.mark.parametrize("file_format", ["wav", "flac"])
@given(pcm=st.lists(st.lists(st.integers(-32768, 32767), min_size=2, max_size=2), min_size=1, max_size=40))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_sixteen_bits_are_written_and_read_bit_for_bit(tmp_path, file_format, pcm):
    path = tmp_path / f"song.{file_format}"
    pcm = np.array(pcm, dtype=np.int16)  # (N, 2)
    save(path, pcm.T / np.float32(32768), RATE)
    np.testing.assert_array_equal(soundfile.read(path, dtype="int16")[0], pcm)
    save(path, load(path).samples, RATE)
    np.testing.assert_array_equal(soundfile.read(path, dtype="int16")[0], pcm)


def test_samples_are_rounded_to_the_nearest_of_sixteen_bits(tmp_path):
    samples = tone()
    save(tmp_path / "song.wav", samples, RATE)
    assert np.abs(load(tmp_path / "song.wav").samples - samples).max() <= 0.5 / 32768


@given(
    samples=st.lists(st.floats(-8, 8, width=32), min_size=1, max_size=40),
    rate=st.sampled_from([8_000, 22_050, 44_100]),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_a_float_wav_keeps_samples_over_full_scale_exactly(tmp_path, samples, rate):
    samples = np.array([samples], dtype=np.float32)
    save(tmp_path / "prompt.wav", samples, rate, subtype="float")
    np.testing.assert_array_equal(load(tmp_path / "prompt.wav").samples, samples)
    assert soundfile.info(tmp_path / "prompt.wav").subtype == "FLOAT"


def test_the_same_samples_give_the_same_bytes(tmp_path):
    files: dict[str, Subtype] = {"a.wav": "pcm16", "a.flac": "pcm16", "a.mp3": "pcm16", "prompt.wav": "float"}
    written = []
    for _ in range(2):
        for name, subtype in files.items():
            save(tmp_path / name, tone(), RATE, subtype=subtype)
        written.append([(tmp_path / name).read_bytes() for name in files])
        time.sleep(1.1)  # libsndfile would write the second of writing into float wav files
    assert written[0] == written[1]


@needs_ffmpeg
@pytest.mark.parametrize("subtype", ["pcm16", "float"])
def test_other_programs_read_our_wav_files_without_complaint(tmp_path, subtype):
    save(tmp_path / "song.wav", tone(channels=6), RATE, subtype=subtype)
    command = ["ffmpeg", "-v", "warning", "-xerror", "-guess_layout_max", "0", "-i", tmp_path / "song.wav"]
    done = subprocess.run([*command, "-f", "f32le", "-"], capture_output=True, check=True)
    assert done.stderr == b""
    decoded = np.frombuffer(done.stdout, dtype="<f4").reshape(-1, 6).T
    np.testing.assert_allclose(decoded, tone(channels=6), atol=0.5 / 32768)


@pytest.mark.parametrize("file_format", FORMATS)
def test_samples_over_full_scale_are_scaled_down_not_clipped(tmp_path, file_format):
    samples = tone(gain=3.0)
    save(tmp_path / f"song.{file_format}", samples, RATE)
    written = load(tmp_path / f"song.{file_format}").samples
    assert error_db(written, samples * 0.999 / np.abs(samples).max()) < -20


def test_save_takes_mono_without_a_channel_axis_and_float64(tmp_path):
    save(tmp_path / "song.wav", tone(channels=1)[0].astype(np.float64), RATE)
    assert load(tmp_path / "song.wav").samples.shape == (1, RATE)


def test_the_format_option_overrides_the_suffix(tmp_path):
    save(tmp_path / "song", tone(), RATE, format="FLAC")
    assert soundfile.info(tmp_path / "song").format == "FLAC"
    save(tmp_path / "SONG.WAV", tone(), RATE)
    assert soundfile.info(tmp_path / "SONG.WAV").format == "WAV"


def test_a_long_ogg_file_is_written_completely(tmp_path):
    # in one call this many overflow the stack of libsndfile's encoder, and the process with it
    save(tmp_path / "long.ogg", np.zeros((1, 3_000_000), dtype=np.float32), 48_000)
    assert info(tmp_path / "long.ogg").seconds == 62.5


@pytest.mark.parametrize(
    ("file_format", "channels"),
    [("wav", 3), ("flac", 4), ("wav", 6), ("flac", 8), ("ogg", 3), ("ogg", 5), ("ogg", 6), ("ogg", 7), ("ogg", 8)],
)  # ogg alone has another order
def test_surround_keeps_its_channel_order(tmp_path, file_format, channels):
    path = tmp_path / f"surround.{file_format}"
    samples = tone(channels=channels, rate=44_100)
    save(path, samples, 44_100)
    audio = load(path)
    for channel in range(channels):
        if channel == 3 and channels > 5 and file_format == "ogg":
            continue  # the low-frequency channel keeps only its lowest tones
        assert main_frequency(audio.samples[channel], 44_100) == pytest.approx(200 + 200 * channel, abs=2)


@needs_ffmpeg
def test_surround_from_another_encoder_has_the_channel_order_of_wav(tmp_path):
    soundfile.write(tmp_path / "s.wav", tone(channels=6, rate=48_000).T, 48_000, format="WAVEX")
    path = by_ffmpeg(tmp_path / "s.wav", tmp_path / "s.ogg", "-channel_layout", "5.1", "-c:a", "libvorbis")
    found = [main_frequency(samples, 48_000) for samples in load(path).samples]
    np.testing.assert_allclose(np.delete(found, 3), [200, 400, 600, 1_000, 1_200], atol=2)


def test_the_channel_order_of_ogg_is_a_permutation():
    assert all(sorted(order) == list(range(channels)) for channels, order in OGG_ORDER.items())


# Spans


@pytest.mark.parametrize("file_format", FORMATS)
@given(start=st.floats(0, 1.99), seconds=st.none() | st.floats(0.0001, 3))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
def test_a_span_equals_the_same_part_of_the_whole_file(tmp_path, file_format, start, seconds):
    path = tmp_path / f"song.{file_format}"
    if not path.exists():
        save(path, tone(2.0), RATE)
    whole = load(path).samples
    first = round(start * RATE)
    last = None if seconds is None else first + max(round(seconds * RATE), 1)
    span = load(path, start=start, seconds=seconds).samples
    assert span.shape == whole[:, first:last].shape
    np.testing.assert_allclose(span, whole[:, first:last], rtol=0, atol=1e-6 if file_format == "mp3" else 0)


def test_loading_a_span_reads_no_other_samples(tmp_path):
    save(tmp_path / "song.wav", tone(2.0), RATE)
    content = bytearray((tmp_path / "song.wav").read_bytes())
    content[: len(content) // 2] = content[:44] + b"\xff" * (len(content) // 2 - 44)
    (tmp_path / "song.wav").write_bytes(content)
    np.testing.assert_allclose(load(tmp_path / "song.wav", start=1.5).samples, tone(2.0)[:, -RATE // 2 :], atol=1e-4)


def test_resampling_while_loading_gives_the_exact_length(tmp_path):
    save(tmp_path / "song.wav", tone(rate=44_100), 44_100)
    audio = load(tmp_path / "song.wav", sample_rate=RATE, start=0.25, seconds=0.5)
    assert audio.samples.shape == (2, RATE // 2)
    assert audio.sample_rate == RATE
    assert main_frequency(audio.samples[1], RATE) == pytest.approx(400, abs=2)


@pytest.mark.parametrize("name", ["start", "seconds"])
def test_an_impossible_span_is_refused(tmp_path, name):
    save(tmp_path / "song.wav", tone(), RATE)
    for value in (-1.0, float("nan"), float("inf") if name == "start" else 0.0):
        with pytest.raises(BadInput):
            load(tmp_path / "song.wav", **dict[str, Any]({name: value}))


# Odd but valid files


@pytest.mark.parametrize(
    ("subtype", "rate", "channels", "tolerance"),
    [
        ("PCM_U8", 8_000, 1, 0.01),
        ("PCM_16", 8_000, 1, 1e-4),
        ("PCM_24", 44_100, 2, 1e-6),
        ("PCM_32", 44_100, 2, 1e-6),
        ("FLOAT", 96_000, 6, 0),
        ("DOUBLE", 96_000, 6, 0),
        ("ULAW", 8_000, 1, 0.05),
        ("PCM_16", 192_000, 12, 1e-4),
    ],
)
def test_odd_but_valid_files_are_read(tmp_path, subtype, rate, channels, tolerance):
    samples = tone(0.2, rate=rate, channels=channels)
    soundfile.write(tmp_path / "odd.wav", samples.T, rate, subtype=subtype)
    audio = load(tmp_path / "odd.wav")
    assert audio.sample_rate == rate
    np.testing.assert_allclose(audio.samples, samples, atol=tolerance)


@pytest.mark.parametrize("suffix", [".aiff", ".au", ".caf", ".w64", ".rf64"])
def test_less_common_formats_are_read(tmp_path, suffix):
    soundfile.write(tmp_path / f"odd{suffix}", tone(0.2).T, RATE, format=suffix[1:].upper())
    assert load(tmp_path / f"odd{suffix}").samples.shape == (2, RATE // 5)


def test_samples_over_full_scale_are_kept(tmp_path):
    soundfile.write(tmp_path / "loud.wav", np.array([0.5, -7.25, 3.0]), RATE, subtype="FLOAT")
    np.testing.assert_array_equal(load(tmp_path / "loud.wav").samples, [[0.5, -7.25, 3.0]])


def test_a_file_of_one_sample_is_read(tmp_path):
    save(tmp_path / "one.wav", np.array([0.5]), RATE)
    np.testing.assert_array_equal(load(tmp_path / "one.wav", sample_rate=RATE).samples, [[0.5]])


@pytest.mark.parametrize("name", ["ein Lied, süß.wav", "-x.wav", "a:b.wav", "歌.flac", "no-suffix"])
def test_file_names_with_spaces_dashes_and_unicode_are_read(tmp_path, name):
    save(tmp_path / name, tone(0.1), RATE, format="flac")
    assert load(str(tmp_path / name)).samples.shape == (2, RATE // 10)


def test_a_file_with_the_wrong_suffix_is_read_by_its_content(tmp_path):
    save(tmp_path / "song.mp3", tone(), RATE, format="wav")
    np.testing.assert_allclose(load(tmp_path / "song.mp3").samples, tone(), atol=1e-4)


# Through ffmpeg


@needs_ffmpeg
@pytest.mark.parametrize("name", ["-x y.m4a", "a:b.webm", "song.mka"])
def test_ffmpeg_reads_formats_that_libsndfile_cannot(tmp_path, name):
    save(tmp_path / "song.wav", tone(3.0), 48_000)
    path = by_ffmpeg(tmp_path / "song.wav", tmp_path / name)
    audio = load(path)
    assert audio.sample_rate == 48_000
    assert error_db(audio.samples[:, 4_800:48_000], tone(3.0)[:, 4_800:48_000]) < -20
    assert info(path).seconds == pytest.approx(audio.seconds, abs=0.05)
    span = load(path, start=0.33333, seconds=0.7)
    np.testing.assert_array_equal(span.samples, audio.samples[:, 16_000 : 16_000 + 33_600])
    tail = load(path, start=1.0).samples
    if path.suffix == ".m4a":
        np.testing.assert_array_equal(tail[:, :4_000], audio.samples[:, 48_000:52_000])
    assert tail.shape[1] == pytest.approx(audio.samples.shape[1] - 48_000, abs=480)  # Matroska's times are coarse
    with pytest.raises(BadAudio, match="ends before 4 seconds"):
        load(path, start=4)


@needs_ffmpeg
def test_ffmpeg_keeps_surround_channels_and_high_sample_rates(tmp_path):
    soundfile.write(tmp_path / "s.wav", tone(channels=6, rate=48_000).T, 48_000, subtype="PCM_24", format="WAVEX")
    path = by_ffmpeg(tmp_path / "s.wav", tmp_path / "s.m4a", "-c:a", "alac", "-channel_layout", "5.1")
    np.testing.assert_allclose(load(path).samples, tone(channels=6, rate=48_000), atol=1e-6)


@needs_ffmpeg
def test_the_sound_of_a_video_is_read_and_a_video_without_sound_refused(tmp_path):
    save(tmp_path / "song.wav", tone(), RATE)
    picture = ["-f", "lavfi", "-i", "color=s=16x16:d=1:r=5", "-c:v", "mpeg4"]
    by_ffmpeg(tmp_path / "song.wav", tmp_path / "clip.mp4", *picture)
    assert load(tmp_path / "clip.mp4").channels == 2
    by_ffmpeg(tmp_path / "song.wav", tmp_path / "mute.mp4", *picture, "-map", "1:v")
    with pytest.raises(BadAudio, match="no audio that can be read"):
        load(tmp_path / "mute.mp4")


@needs_ffmpeg
def test_a_stream_without_a_stated_length_is_read_to_its_end(tmp_path):
    save(tmp_path / "song.wav", tone(3.0), 44_100)
    for name, options in {
        "pipe.flac": ["-f", "flac"],
        "pipe.mp3": ["-f", "mp3", "-write_xing", "0", "-q:a", "4"],  # libsndfile would read less than half of it
    }.items():
        command = ["ffmpeg", "-v", "error", "-i", tmp_path / "song.wav", *options, "-"]
        (tmp_path / name).write_bytes(subprocess.run(command, capture_output=True, check=True).stdout)
        assert load(tmp_path / name).seconds == pytest.approx(1.5, abs=0.05)
        assert load(tmp_path / name, start=1.25, seconds=0.1).samples.shape == (2, 4_410)
    assert info(tmp_path / "pipe.flac").seconds == 1.5


@needs_ffmpeg
def test_what_ffmpeg_finds_in_a_damaged_file_is_read_with_a_remark(tmp_path):
    save(tmp_path / "song.flac", tone(3.0), RATE)
    content = (tmp_path / "song.flac").read_bytes()
    (tmp_path / "song.flac").write_bytes(b"fLa\xff" + content[4:])
    audio = load(tmp_path / "song.flac")
    (remark,) = audio.remarks
    assert "is damaged, or not the flac audio" in remark
    assert (remark,) == info(tmp_path / "song.flac").remarks == tuple(io.stream(tmp_path / "song.flac").remarks)


@needs_ffmpeg
def test_a_recording_of_layer_ii_is_read_to_its_end(tmp_path):
    save(tmp_path / "song.wav", tone(20.0), 44_100)
    by_ffmpeg(tmp_path / "song.wav", tmp_path / "song.mp2", "-b:a", "128k")
    audio = load(tmp_path / "song.mp2")
    assert audio.seconds == pytest.approx(20 * RATE / 44_100, abs=0.06)
    assert audio.remarks == ()


@needs_ffmpeg
def test_invalid_bytes_inside_an_mp3_file_are_skipped(tmp_path):
    save(tmp_path / "song.mp3", tone(3.0), RATE)
    content = (tmp_path / "song.mp3").read_bytes()
    rubbish = np.random.default_rng(0).bytes(9_000)
    (tmp_path / "song.mp3").write_bytes(content[: len(content) // 2] + rubbish + content[len(content) // 2 :])
    assert load(tmp_path / "song.mp3").seconds == pytest.approx(3, abs=0.2)


def test_without_ffmpeg_the_error_says_how_to_install_it(tmp_path, without_ffmpeg):
    (tmp_path / "song.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(1_000))
    for read in (load, info):
        with pytest.raises(MissingTool, match=r"song\.m4a needs ffmpeg.*apt install ffmpeg"):
            read(tmp_path / "song.m4a")


def test_without_audioop_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    (tmp_path / "song.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(1_000))
    monkeypatch.setattr("jukectl.audio.ffmpeg.available", lambda: True)
    monkeypatch.setitem(sys.modules, "pydub", None)  # makes its import fail
    with pytest.raises(MissingTool, match="pip install pydub audioop-lts"):
        load(tmp_path / "song.m4a")


def test_a_plain_mp3_needs_no_ffmpeg(tmp_path, without_ffmpeg):
    save(tmp_path / "song.mp3", tone(), RATE)
    assert load(tmp_path / "song.mp3").seconds == 1


def test_without_any_mp3_encoder_writing_mp3_is_refused(tmp_path, monkeypatch, without_ffmpeg):
    monkeypatch.setattr(soundfile, "available_formats", lambda: {"WAV": "", "FLAC": "", "OGG": ""})
    with pytest.raises(MissingTool, match="writing mp3 needs ffmpeg"):
        save(tmp_path / "song.mp3", tone(), RATE)


@needs_ffmpeg
def test_ffmpeg_writes_mp3_if_libsndfile_cannot(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(soundfile, "available_formats", lambda: {"WAV": "", "FLAC": "", "OGG": ""})
        save(tmp_path / "song.mp3", tone(), RATE)
    assert error_db(load(tmp_path / "song.mp3").samples, tone()) < -20


# Bad files


def wav_with(*, rate=RATE, data=b"\0\0" * 100, bits=16):
    about = struct.pack("<HHIIHH", 1, 1, rate, rate * bits // 8, bits // 8, bits)
    chunks = b"WAVEfmt " + struct.pack("<I", 16) + about + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


BAD_FILES = {
    "empty.wav": (b"", "is empty"),
    "text.wav": (b"la la la\n" * 200, "no audio that can be read|not what its name says"),
    "text.mp3": (b"la la la\n" * 200, "no audio that can be read|not what its name says"),
    "notes.flac": (bytes(2_000), "no audio that can be read|not what its name says"),
    "header.wav": (wav_with()[:30], "no audio that can be read|not what its name says"),
    "zero.wav": (wav_with(data=b""), "holds no samples"),
    "slow.wav": (wav_with(rate=1), "its header says 1 samples a second"),
    "dump.raw": (bytes(2_000), "ffmpeg -f s16le"),
}


@pytest.mark.parametrize("name", BAD_FILES)
@pytest.mark.parametrize("read", [load, info])
def test_a_bad_file_is_refused_in_one_clear_line(tmp_path, capfd, name, read):
    content, message = BAD_FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadAudio, match=message) as refusal:
        read(tmp_path / name)
    assert str(tmp_path / name) in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert capfd.readouterr() == ("", "")  # no library complains on its own


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused_without_ffmpeg_too(tmp_path, without_ffmpeg, name):
    content, message = BAD_FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadAudio, match=message):
        load(tmp_path / name)


@pytest.mark.parametrize("read", [load, info])
def test_folders_and_missing_files_are_refused(tmp_path, read):
    with pytest.raises(BadAudio, match="there is no file"):
        read(tmp_path / "none.wav")
    with pytest.raises(BadAudio, match="is a folder"):
        read(tmp_path)
    with pytest.raises(BadAudio, match="cannot read"):
        read(tmp_path / ("x" * 300 + ".wav"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(BadAudio, match="a device"):
        load(tmp_path / "pipe.wav")


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_start_past_the_end_is_refused(tmp_path, file_format):
    save(tmp_path / f"song.{file_format}", tone(), RATE)
    for start in (1, 5.5, 1e300):
        with pytest.raises(BadAudio, match=f"ends before {start:g} seconds".replace("+", r"\+")):
            load(tmp_path / f"song.{file_format}", start=start)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_loading_refuses_samples_that_are_not_finite_and_names_their_time(tmp_path, bad):
    samples = tone(2.0)
    samples[1, RATE * 3 // 2 :] = bad
    soundfile.write(tmp_path / "bad.wav", samples.T, RATE, subtype="FLOAT")
    for start in (0, 1.25):
        with pytest.raises(BadAudio, match=r"at 1\.500 seconds"):
            load(tmp_path / "bad.wav", start=start)
    assert load(tmp_path / "bad.wav", seconds=1.5).seconds == 1.5


def test_infinities_of_opposite_sign_are_refused(tmp_path):
    soundfile.write(tmp_path / "bad.wav", np.array([0.5, np.inf, -np.inf]), RATE, subtype="FLOAT")
    with pytest.raises(BadAudio, match=r"at 0\.000 seconds"):
        load(tmp_path / "bad.wav")


def test_values_beyond_float32_are_refused_as_infinite(tmp_path):
    soundfile.write(tmp_path / "bad.wav", np.array([0.5, 1e300]), RATE, subtype="DOUBLE")
    with pytest.raises(BadAudio, match="not a finite number"):
        load(tmp_path / "bad.wav")


def test_a_clip_too_short_for_the_requested_sample_rate_is_refused(tmp_path):
    save(tmp_path / "one.wav", np.array([0.5]), 48_000)
    with pytest.raises(BadAudio, match="too short"):
        load(tmp_path / "one.wav", sample_rate=8_000)


def test_a_truncated_file_is_read_up_to_the_break_and_refused_beyond(tmp_path):
    save(tmp_path / "song.flac", tone(4.0), RATE)
    content = (tmp_path / "song.flac").read_bytes()
    (tmp_path / "song.flac").write_bytes(content[: len(content) // 2])
    with pytest.raises(BadAudio, match=r"cut off after \d\.\d seconds"):
        load(tmp_path / "song.flac")
    np.testing.assert_allclose(load(tmp_path / "song.flac", seconds=1).samples, tone(4.0)[:, :RATE], atol=1e-4)


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_damaged_file_is_read_or_refused_with_a_clear_error(tmp_path, file_format, without_ffmpeg):
    save(tmp_path / "good", tone(0.3), RATE, format=file_format)
    good = (tmp_path / "good").read_bytes()
    generator = np.random.default_rng(0)
    for _ in range(40):
        damaged = bytearray(good)
        for at in generator.integers(0, min(len(good), 400), 3):
            damaged[at] = generator.integers(256)
        (tmp_path / f"bad.{file_format}").write_bytes(damaged)
        try:
            audio = load(tmp_path / f"bad.{file_format}")
        except JukectlError as error:
            assert "bad." in str(error)  # either end is well
        else:
            assert np.isfinite(audio.samples).all()


# Refused writes, and writes that fail


@pytest.mark.parametrize("name", ["song.m4a", "song", "song.wave"])
def test_an_unknown_format_is_refused_with_a_list_of_formats(tmp_path, name):
    with pytest.raises(BadInput, match="choose wav, flac, ogg, mp3"):
        save(tmp_path / name, tone(), RATE)
    with pytest.raises(BadInput, match="only wav holds them"):
        save(tmp_path / "song.ogg", tone(), RATE, subtype="float")


@pytest.mark.parametrize(
    ("name", "channels", "rate", "message"),
    [("a.mp3", 1, 96_000, "44100"), ("a.mp3", 6, 44_100, "one or two"), ("a.flac", 9, 44_100, "flac cannot hold 9")],
)
def test_rates_and_channels_that_a_format_cannot_hold_are_refused(tmp_path, name, channels, rate, message):
    with pytest.raises(BadInput, match=message):
        save(tmp_path / name, tone(0.1, rate=rate, channels=channels), rate)
    assert not list(tmp_path.iterdir())


def test_audio_beyond_the_size_limit_of_wav_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(io, "LARGEST_WAV", 1_000)
    with pytest.raises(BadInput, match="hours of audio do not fit in a wav file"):
        save(tmp_path / "long.wav", np.zeros(483, np.float32), RATE)
    save(tmp_path / "long.wav", np.zeros(479, np.float32), RATE)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_saving_refuses_samples_that_are_not_finite(tmp_path, bad):
    samples = tone()
    samples[0, RATE // 2] = bad
    with pytest.raises(BadAudio, match=r"0\.500 seconds is not a finite number"):
        save(tmp_path / "song.wav", samples, RATE)
    with pytest.raises(BadAudio, match="no samples"):
        save(tmp_path / "song.wav", samples[:, :0], RATE)
    with pytest.raises(ValueError, match="channels, N"):
        save(tmp_path / "song.wav", samples[None], RATE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_full_disk_leaves_the_old_file_as_it_was(tmp_path, monkeypatch, file_format):
    path = tmp_path / f"song.{file_format}"
    save(path, tone(), RATE)
    old = path.read_bytes()

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CannotWrite, match="No space left"):
        save(path, -tone(), RATE)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("file_format", ["flac", "ogg", "mp3"])
def test_an_interrupt_during_encoding_leaves_the_old_file_as_it_was(tmp_path, monkeypatch, file_format):
    path = tmp_path / f"song.{file_format}"
    save(path, tone(), RATE)
    old = path.read_bytes()
    write, calls = soundfile.SoundFile.write, []

    def interrupted(self, block):
        calls.append(len(block))
        if len(calls) == 2:
            raise KeyboardInterrupt
        write(self, block)

    monkeypatch.setattr(soundfile.SoundFile, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(path, -tone(), RATE)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_kill_at_any_moment_leaves_one_whole_file(tmp_path):
    path = tmp_path / "song.wav"
    program = f"""
import numpy as np
from jukectl.audio.io import save
for value in range(1, 100_000):
    save({str(path)!r}, np.full((1, 100_000), value / 100_000), {RATE}, subtype="float")
"""
    process = subprocess.Popen([sys.executable, "-c", program])
    while not path.exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(0.2)
    process.kill()
    process.wait()
    samples = load(path).samples
    assert samples.shape == (1, 100_000)
    assert (samples == samples[0, 0]).all()


# Streams


def streamed(path):
    return np.concatenate(list(io.stream(path).blocks), axis=1)


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_stream_gives_the_samples_of_the_whole_file(tmp_path, monkeypatch, file_format):
    monkeypatch.setattr(sound, "READ_BLOCK", 5_000)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 30_001)).astype(np.float32)
    save(tmp_path / "a", noise, 44_100, format=file_format)
    stream = io.stream(tmp_path / "a")
    assert (stream.sample_rate, stream.channels) == (44_100, 2)
    blocks = list(stream.blocks)
    assert max(block.shape[1] for block in blocks) <= 5_000
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), load(tmp_path / "a").samples)


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="needs ffmpeg")
def test_files_read_by_ffmpeg_can_be_streamed(tmp_path, monkeypatch):
    monkeypatch.setattr(io, "READ_BLOCK", 5_000)
    time = np.arange(30_000, dtype=np.float32) / 44_100
    tones = (0.5 * np.stack([np.sin(2_000 * time), np.sin(3_000 * time)])).astype(np.float32)
    save(tmp_path / "a.wav", tones, 44_100)
    subprocess.run(["ffmpeg", "-v", "error", "-i", tmp_path / "a.wav", tmp_path / "a.m4a"], check=True)
    whole = load(tmp_path / "a.m4a").samples
    np.testing.assert_allclose(streamed(tmp_path / "a.m4a"), whole, atol=2**-15)
    next(io.stream(tmp_path / "a.m4a").blocks)  # and nobody wants the rest


def test_a_stream_raises_an_error_at_the_damaged_block(tmp_path, monkeypatch):
    monkeypatch.setattr(sound, "READ_BLOCK", 8_000)
    samples = np.zeros((1, 24_000), np.float32)
    samples[0, 20_000] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples.T, 8_000, subtype="FLOAT")
    blocks = io.stream(tmp_path / "nan.wav").blocks
    assert next(blocks).shape == (1, 8_000)
    with pytest.raises(BadAudio, match=r"nan.wav is damaged: its sample at 2\.500 seconds"):
        list(blocks)
    with pytest.raises(BadAudio, match="there is no file"):
        io.stream(tmp_path / "absent.wav")
    (tmp_path / "text.wav").write_text("no audio")
    with pytest.raises(BadAudio):
        list(io.stream(tmp_path / "text.wav").blocks)


def test_a_sample_rate_that_crashes_the_ogg_encoder_is_refused(tmp_path):
    with pytest.raises(BadInput, match="ogg holds up to 200000 Hz, not 384000: save as wav or flac"):
        save(tmp_path / "song.ogg", tone(), 384_000)
    assert not list(tmp_path.iterdir())
