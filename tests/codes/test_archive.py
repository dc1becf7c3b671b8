"""The archive of codes: what is saved comes back, from any program, and damage is never taken for codes."""

import hashlib
import io
import random
import signal
import subprocess
import sys
import time
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jukectl.codes.archive import Codes
from jukectl.codes.level import Level
from jukectl.codes.shard import MappedArchive
from jukectl.errors import CannotWrite, NotCodes

FINGERPRINT = "ab" * 32


def make(array=((1, 2, 3, 4), (5, 6, 7, 2047)), level=Level.TOP, prompt=2, **others):
    known = {"hop": 128, "sample_rate": 44_100, "codebook_size": 2048, "vqvae": FINGERPRINT}
    return Codes(level=level, array=np.array(array), prompt=prompt, **{**known, **others})


def fields(**changes):
    """The fields of an archive as another program might write them; a change to None leaves a field out."""
    values = {
        "codes": np.array([[1, 2, 3], [4, 5, 2047]], np.uint16),
        "done": np.int64(3),
        "prompt": np.int64(0),
        "level": np.str_("middle"),
        "hop": np.int64(32),
        "sample_rate": np.int64(44_100),
        "codebook_size": np.int64(2048),
        "vqvae": np.str_(FINGERPRINT),
        "format": np.int64(1),
        **changes,
    }
    return {name: value for name, value in values.items() if value is not None}


def same(one: Codes, other: Codes) -> bool:
    parts = ("level", "prompt", "hop", "sample_rate", "codebook_size", "vqvae")
    return np.array_equal(one.array, other.array) and all(getattr(one, part) == getattr(other, part) for part in parts)


def test_a_saved_archive_opens_with_plain_numpy_and_has_the_fields_and_types_of_the_design(tmp_path):
    make().save(tmp_path / "top.npz")
    with np.load(tmp_path / "top.npz", allow_pickle=False) as npz:
        found = {name: npz[name] for name in npz.files}
    assert found["codes"].dtype == np.uint16
    assert found["codes"].tolist() == [[1, 2, 3, 4], [5, 6, 7, 2047]]
    whole = {"done": 4, "prompt": 2, "hop": 128, "sample_rate": 44_100, "codebook_size": 2048, "format": 1}
    for name, value in whole.items():
        assert (found[name].dtype, found[name].shape, int(found[name])) == (np.int64, (), value)
    for name, text in {"level": "top", "vqvae": FINGERPRINT}.items():
        assert (found[name].dtype.kind, found[name].shape, str(found[name])) == ("U", (), text)
    assert set(found) == {"codes", "level", "vqvae", *whole}


@given(
    array=hnp.arrays(np.uint16, st.tuples(st.integers(1, 4), st.integers(0, 30))),
    level=st.sampled_from(Level),
    share=st.floats(0, 1),
    hop=st.integers(1, 4096),
    sample_rate=st.integers(1, 192_000),
    vqvae=st.text("0123456789abcdef", min_size=1, max_size=64),
)
def test_saved_codes_are_loaded_unchanged(tmp_path_factory, array, level, share, hop, sample_rate, vqvae):
    path = tmp_path_factory.mktemp("codes") / "level.npz"
    prompt = int(share * array.shape[1])
    codes = make(array, level, prompt, hop=hop, sample_rate=sample_rate, codebook_size=65_536, vqvae=vqvae)
    codes.save(path)
    loaded = Codes.load(path)
    assert same(loaded, codes)
    assert loaded.array.dtype == np.uint16
    assert loaded.done == array.shape[1]


def test_equal_codes_give_equal_bytes_at_any_time_and_memory_layout(tmp_path, monkeypatch):
    array = np.arange(24).reshape(3, 8)
    make(array).save(tmp_path / "a.npz")
    monkeypatch.setattr(time, "time", lambda: 2e9)
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(2e9))
    make(np.asfortranarray(array.astype(">i4"))).save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize(
    "changes",
    [
        {"codes": np.array([[1, 2, 3], [4, 5, 2047]], np.int64)},
        {"codes": np.asfortranarray(np.array([[1, 2, 3], [4, 5, 2047]], ">u4"))},
        {"done": np.array([3]), "hop": np.array([[32]], np.int16), "level": np.array(["middle"])},
        {"done": 3, "prompt": 0, "hop": 32, "format": 1, "level": "MIDDLE", "vqvae": FINGERPRINT},
        {"level": b"middle", "vqvae": FINGERPRINT.encode(), "sample_rate": np.uint32(44_100)},
        {"comment": "a field of its own"},
    ],
    ids=["int64 codes", "big endian columns", "arrays of one", "Python scalars", "bytes", "more fields"],
)
def test_archives_of_other_programs_are_as_good_as_ours(tmp_path, changes):
    write = np.savez if "codes" in changes else np.savez_compressed
    write(tmp_path / "middle.npz", **fields(**changes))
    loaded = Codes.load(tmp_path / "middle.npz")
    expected = make([[1, 2, 3], [4, 5, 2047]], Level.MIDDLE, 0, hop=32)
    assert same(loaded, expected)
    assert loaded.array.dtype == np.uint16
    assert loaded.digest() == expected.digest()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"codes": np.array([[1, 2, 2048]])}, "codes are 0 to 2047, got 1 to 2048"),
        ({"codes": np.array([[1, -2, 3]])}, "codes are 0 to 2047, got -2 to 3"),
        ({"codes": np.array([[1.0, 2.0, 3.0]])}, "whole numbers, got float64"),
        ({"codes": np.array([1, 2, 3])}, r"shape \(samples, frames\).* got \(3,\)"),
        ({"codes": np.zeros((0, 3), np.uint16)}, "with a sample or more"),
        ({"codes": np.array([["a", "b", "c"]])}, "whole numbers"),
        ({"done": np.int64(2)}, "done is 2, but there are 3 frames"),
        ({"done": np.int64(4)}, "done is 4, but there are 3 frames"),
        ({"prompt": np.int64(4)}, "prompt is 0 to the 3 frames there are, got 4"),
        ({"prompt": np.int64(-1)}, "prompt is 0 to"),
        ({"level": "sideways"}, "no level is called 'sideways'"),
        ({"level": np.int64(1)}, "level is one string"),
        ({"level": np.array(["top", "middle"])}, "level is one string"),
        ({"level": b"\xff"}, "utf-8"),
        ({"hop": np.int64(0)}, "hop is 1 to"),
        ({"hop": np.array([32, 32])}, "hop is one whole number"),
        ({"hop": np.float64(32)}, "hop is one whole number"),
        ({"sample_rate": np.int64(0)}, "sample_rate is 1 to"),
        ({"codebook_size": np.int64(0)}, "codebook_size is 1 to 65536"),
        ({"codebook_size": np.int64(65_537)}, "codebook_size is 1 to 65536"),
        ({"vqvae": np.int64(3)}, "vqvae is one string"),
        ({"format": np.int64(0)}, "format is at least 1"),
        *(({name: None}, f"there is no field '{name}'") for name in fields()),
    ],
)
def test_an_invalid_archive_is_refused_with_reason_path_and_advice(tmp_path, changes, reason):
    path = tmp_path / "middle.npz"
    np.savez(path, **fields(**changes))
    with pytest.raises(NotCodes, match=reason) as caught:
        Codes.load(path)
    assert str(path) in str(caught.value)
    assert f"jukectl resume {tmp_path}" in str(caught.value)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("read", [Codes.load, MappedArchive.open])
def test_text_of_characters_that_do_not_exist_is_refused(tmp_path, read, order):
    level = np.array([ord("t"), sys.maxunicode + 1], f"{order}u4").view(f"{order}U2").reshape(())
    np.savez(tmp_path / "top.npz", **fields(level=level))
    with pytest.raises(NotCodes):
        read(tmp_path / "top.npz")


def test_a_newer_format_is_named_before_anything_else_is_found_wanting(tmp_path):
    np.savez(tmp_path / "top.npz", format=np.int64(2), codes=np.zeros((1, 2, 3)))
    with pytest.raises(NotCodes, match=r"code format 2, .*up to 1.*pip install --upgrade jukectl"):
        Codes.load(tmp_path / "top.npz")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"RIFF not codes",
        b"PK\x03\x04 torn",
        bytes(4096),
        b"\x80\x04]\x94.",  # a pickle
    ],
)
def test_other_files_are_refused_as_codes(tmp_path, content):
    (tmp_path / "top.npz").write_bytes(content)
    with pytest.raises(NotCodes, match=r"top\.npz"):
        Codes.load(tmp_path / "top.npz")


def test_a_bare_array_a_pickled_array_a_folder_and_an_empty_file_are_refused_as_codes(tmp_path):
    bare = io.BytesIO()
    np.save(bare, np.zeros((1, 3), np.uint16))
    (tmp_path / "bare.npz").write_bytes(bare.getvalue())
    np.savez(tmp_path / "pickled.npz", **fields(codes=np.array([[{"run": "me"}]], dtype=object)))
    (tmp_path / "folder.npz").mkdir()
    for name in ("bare", "pickled", "folder"):
        with pytest.raises(NotCodes, match=f"{name}.npz"):
            Codes.load(tmp_path / f"{name}.npz")
    with pytest.raises(NotCodes, match=r"there is no file .*absent\.npz.*jukectl encode"):
        Codes.load(tmp_path / "absent.npz")


def test_every_single_byte_corruption_is_refused_or_harmless(tmp_path):
    codes = make(np.random.default_rng(0).integers(0, 2048, (2, 20)))
    codes.save(tmp_path / "top.npz")
    intact = (tmp_path / "top.npz").read_bytes()
    rng = random.Random(1)
    refused = 0
    for position in rng.sample(range(len(intact)), min(600, len(intact))):
        damaged = bytearray(intact)
        damaged[position] ^= rng.randrange(1, 256)
        (tmp_path / "damaged.npz").write_bytes(damaged)
        try:
            assert same(Codes.load(tmp_path / "damaged.npz"), codes), position
        except NotCodes:
            refused += 1
    assert refused > 100  # the content and its names; dates, attributes and paddings do no harm


def test_a_byte_that_would_shorten_the_fingerprint_is_found_by_its_checksum(tmp_path):
    make().save(tmp_path / "top.npz")
    intact = (tmp_path / "top.npz").read_bytes()
    assert intact.count(b"'<U64'") == 1
    (tmp_path / "top.npz").write_bytes(intact.replace(b"'<U64'", b"'<U60'"))
    with pytest.raises(NotCodes, match=r"top\.npz .*is damaged: Bad CRC-32 for file 'vqvae\.npy'"):
        Codes.load(tmp_path / "top.npz")


def test_every_truncation_is_refused(tmp_path):
    make().save(tmp_path / "top.npz")
    intact = (tmp_path / "top.npz").read_bytes()
    for length in range(0, len(intact), 23):
        (tmp_path / "torn.npz").write_bytes(intact[:length])
        with pytest.raises(NotCodes):
            Codes.load(tmp_path / "torn.npz")


REWRITE = """
import sys
from pathlib import Path
import numpy as np
from jukectl.codes.archive import Codes
from jukectl.codes.level import Level
known = {"level": Level.TOP, "prompt": 0, "hop": 128, "sample_rate": 44100, "codebook_size": 65536, "vqvae": "ab"}
both = [Codes(array=np.full((2, 20_000 + i), 7 * i), **known) for i in (0, 1)]
while True:
    for codes in both:
        codes.save(Path(sys.argv[1]))
"""


def test_a_process_killed_while_it_rewrites_an_archive_leaves_the_old_one_or_the_new_one(tmp_path):
    path = tmp_path / "top.npz"
    rng = random.Random(2)
    for _ in range(6):
        child = subprocess.Popen([sys.executable, "-c", REWRITE, path])
        deadline = time.monotonic() + 60
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        stop = time.monotonic() + 0.3 * rng.random() + 0.4
        while time.monotonic() < stop:  # a reader beside it sees whole archives too
            extra = Codes.load(path).done - 20_000
            assert extra in {0, 1}
        child.send_signal(signal.SIGKILL)
        child.wait()
        codes = Codes.load(path)
        assert np.unique(codes.array).tolist() == [7 * (codes.done - 20_000)]


@pytest.mark.parametrize("when", ["write", "fsync", "rename"])
def test_a_full_disk_leaves_the_old_archive_and_says_so(tmp_path, monkeypatch, when):
    path = tmp_path / "top.npz"
    make().save(path)

    def full(*_):
        raise OSError(28, "No space left on device")

    if when == "write":
        opened = open

        def torn(path, mode="r", opener=None):
            file = opened(path, mode, buffering=0, opener=opener) if "x" in mode else opened(path, mode, opener=opener)
            return Torn(file) if "x" in mode else file

        monkeypatch.setattr("builtins.open", torn)
    elif when == "fsync":
        monkeypatch.setattr("os.fsync", full)
    else:
        monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(CannotWrite, match=r"top\.npz: No space left on device"):
        make(prompt=0).save(path)
    monkeypatch.undo()
    assert Codes.load(path).prompt == 2
    assert [file.name for file in tmp_path.iterdir()] == ["top.npz"]


class Torn:
    """A file on a disk that fills up after a hundred bytes."""

    def __init__(self, file):
        self.file = file

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def fileno(self):
        return self.file.fileno()

    def write(self, content):
        self.file.write(bytes(content)[:100])
        raise OSError(28, "No space left on device")


def test_appending_puts_new_codes_of_any_integer_type_behind_and_leaves_the_old_object_alone():
    codes = make()
    longer = codes.append(np.array([[8, 9], [10, 11]], np.int64))
    assert longer.array.tolist() == [[1, 2, 3, 4, 8, 9], [5, 6, 7, 2047, 10, 11]]
    assert (longer.done, longer.prompt, longer.array.dtype) == (6, 2, np.uint16)
    assert codes.done == 4


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        (np.zeros((3, 1), np.int64), "for 3 samples, these for 2"),
        (np.full((2, 1), 2048), "codes are 0 to 2047"),
        (np.zeros((2, 1)), "whole numbers"),
        (np.zeros(2, np.int64), "shape"),
    ],
)
def test_codes_that_do_not_fit_are_not_appended(new, reason):
    with pytest.raises(ValueError, match=reason):
        make().append(new)


def test_a_sample_is_cut_out_with_all_that_belongs_to_it():
    assert same(make().sample(1), make([[5, 6, 7, 2047]]))
    for index in (-1, 2):
        with pytest.raises(ValueError, match="0 to 1"):
            make().sample(index)


@pytest.mark.parametrize("frames", range(5))
def test_cutting_keeps_the_first_frames_and_no_more_prompt_than_is_left(frames):
    cut = make().cut(frames)
    assert cut.array.tolist() == [row[:frames] for row in ([1, 2, 3, 4], [5, 6, 7, 2047])]
    assert cut.prompt == min(2, frames)


@pytest.mark.parametrize("frames", [-1, 5])
def test_cutting_makes_nothing_longer(frames):
    with pytest.raises(ValueError, match="cannot cut 4 frames"):
        make().cut(frames)


def test_the_length_in_seconds_is_frames_times_hop_over_the_rate():
    assert make(np.zeros((1, 441), int), sample_rate=44_100, hop=100).seconds == 1.0


def test_the_digest_is_sha256_over_shape_and_codes_little_endian():
    content = b"".join(number.to_bytes(8, "little") for number in (2, 4))
    content += b"".join(code.to_bytes(2, "little") for code in (1, 2, 3, 4, 5, 6, 7, 2047))
    assert make().digest() == hashlib.sha256(content).hexdigest()


def test_the_digest_depends_on_codes_and_shape_and_not_on_the_prompt():
    digests = [make().digest(), make(prompt=0).digest(), make([[1, 2], [3, 4]]).digest(), make([[1, 2, 3, 4]]).digest()]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


@pytest.mark.parametrize("change", [{"prompt": 5}, {"hop": 0}, {"sample_rate": 0}, {"codebook_size": 100}])
def test_codes_that_contradict_themselves_cannot_be_made(change):
    with pytest.raises(ValueError, match="got"):
        replace(make(), **change)


# What an archive announces is checked before it takes memory


def with_arrays(path, **changes):
    """A compressed archive of these fields; one that is given as bytes is a .npy file as it is."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in fields(**changes).items():
            buffer = io.BytesIO()
            if isinstance(value, bytes):
                buffer.write(value)
            else:
                np.lib.format.write_array(buffer, np.asarray(value))
            archive.writestr(f"{name}.npy", buffer.getvalue())
    return path


def peak_of(call):
    tracemalloc.start()
    try:
        call()
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


def test_an_archive_that_would_inflate_to_far_more_than_it_has_is_refused_before_it_does(tmp_path):
    path = with_arrays(tmp_path / "bomb.npz", codes=np.zeros((1, 60_000_000), np.uint16), done=np.int64(60_000_000))
    assert path.stat().st_size < 300_000

    def load():
        with pytest.raises(NotCodes, match="its arrays would take 12"):
            Codes.load(path)

    assert peak_of(load) < 10_000_000


def test_an_array_that_is_announced_larger_than_it_is_is_refused_before_room_is_made_for_it(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<u2", "fortran_order": False, "shape": (1, 10**9)})
    path = with_arrays(tmp_path / "huge.npz", codes=header.getvalue() + bytes(100))

    def load():
        with pytest.raises(NotCodes, match="codes is announced with another size than it has"):
            Codes.load(path)

    assert peak_of(load) < 10_000_000


@pytest.mark.parametrize(("field", "value"), [("sample_rate", 10**12), ("sample_rate", 0), ("hop", 10**9)])
def test_rates_and_hops_that_no_music_has_are_refused(tmp_path, field, value):
    with pytest.raises(NotCodes, match=f"{field} is 1 to"):
        Codes.load(with_arrays(tmp_path / "x.npz", **{field: np.int64(value)}))


def test_compressed_and_transposed_archives_of_other_programs_are_read(tmp_path):
    array = np.arange(24, dtype=np.int64).reshape(2, 12)
    others = {"done": np.int64(12), "codebook_size": np.int64(99)}
    path = with_arrays(tmp_path / "x.npz", codes=np.asfortranarray(array), **others)
    loaded = Codes.load(path).array
    assert np.array_equal(loaded, array)
    assert loaded.flags.writeable
