"""Models from the hub: a real server on this machine, real files, and everything that goes wrong between them."""

import json
import os
import random
import shutil
from pathlib import Path

import pytest
from hub_server import COMMIT
from huggingface_hub import constants, scan_cache_dir, try_to_load_from_cache

from jukectl.checkpoints.hub import find_pulled, pull
from jukectl.checkpoints.hub_cache import CachedRepository
from jukectl.errors import BadInput, BadModel, CannotFetch, CannotWrite, UnknownName

NAME = "someone/jukebox-tiny"
INDEX = "pytorch_model.bin.index.json"
SHARDS = ("pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin")
FIRST, SECOND = SHARDS


def noise(count: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(count)


@pytest.fixture
def files():
    index = {"metadata": {}, "weight_map": {"a": FIRST, "b": SECOND, "c": FIRST}}
    return {
        "config.json": b'{"model_type": "jukebox"}',
        "vocab.json": b'{"artists": {}}',
        INDEX: json.dumps(index).encode(),
        FIRST: noise(300_000, 1),
        SECOND: noise(50_000, 2),
        "README.md": b"not needed",
        "training_args.bin": b"not needed either",
    }


@pytest.fixture
def repository(hub, files):
    return hub.add(NAME, files)


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def wanted(files):
    return {name: data for name, data in files.items() if name not in ("README.md", "training_args.bin")}


def content(folder: Path):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def partials(cache: Path):
    return sorted(path.name for path in cache.rglob("*.incomplete"))


def test_a_pull_fetches_what_a_model_needs_and_nothing_else(repository, files, cache, capfd):
    folder = pull(NAME)
    assert content(folder) == wanted(files)
    assert folder == cache / "models--someone--jukebox-tiny" / "snapshots" / COMMIT
    assert partials(cache) == []
    assert capfd.readouterr() == ("", "")


def test_other_programs_find_what_was_pulled_in_the_same_cache(repository, files, cache):
    folder = pull(NAME)
    assert try_to_load_from_cache(NAME, FIRST, cache_dir=cache) == str(folder / FIRST)
    (found,) = scan_cache_dir(cache).repos
    assert found.repo_id == NAME
    assert found.size_on_disk == sum(map(len, wanted(files).values()))


def test_a_second_pull_fetches_nothing(hub, repository):
    first = pull(NAME)
    hub.gets()
    assert pull(NAME) == first
    assert hub.gets() == []


def test_what_was_found_whole_is_not_hashed_again(hub, repository, monkeypatch):
    pull(NAME)
    monkeypatch.setattr("jukectl.checkpoints.hub_cache.digest", lambda *_: pytest.fail("hashed again"))
    pull(NAME)
    pull(NAME, offline=True)


def test_safetensors_are_taken_where_there_are_both(hub, files):
    hub.add(NAME, {**files, "model.safetensors": noise(1_000, 3)})
    assert sorted(content(pull(NAME))) == ["config.json", "model.safetensors", "vocab.json"]


def test_progress_goes_from_nothing_to_all(hub, files):
    reports = []
    hub.add(NAME, {**files, FIRST: noise(3_200_000)})
    pull(NAME, listener=reports.append)
    fetching = [report for report in reports if report.stage == f"fetching {NAME}, MB"]
    assert [report.done for report in fetching] == sorted(report.done for report in fetching)
    assert (fetching[-1].done, fetching[-1].total) == (3, 3)
    assert {report.note for report in fetching} > {FIRST, SECOND}


def test_a_broken_transfer_goes_on_from_where_it_broke(hub, repository, files):
    repository.breaks = {FIRST: [100_000, 50_000]}
    assert content(pull(NAME)) == wanted(files)
    starts = [request.start for request in hub.gets() if request.file == FIRST]
    assert starts == [None, 100_000, 150_000]


def test_an_interrupted_pull_goes_on_at_the_next_one(hub, repository, files, cache):
    class Killed(BaseException):
        pass

    def die(progress):
        if progress.stage.startswith("fetching") and progress.done == 2:
            raise Killed

    repository.files[FIRST] = files[FIRST] = noise(4_000_000)
    with pytest.raises(Killed):
        pull(NAME, listener=die)
    assert find_pulled(NAME) is None
    hub.gets()
    assert content(pull(NAME)) == wanted(files)
    starts = {request.file: request.start for request in hub.gets()}
    assert starts[FIRST] > 1_400_000
    assert set(starts) == {FIRST, SECOND}


def test_a_server_that_knows_no_ranges_sends_it_all_again(hub, repository, files):
    repository.breaks, repository.ranges = {FIRST: [100_000]}, False
    assert content(pull(NAME)) == wanted(files)
    assert [request.start for request in hub.gets() if request.file == FIRST] == [None, 100_000]


def test_a_transfer_that_brings_nothing_ends_with_one_line_and_keeps_what_came(hub, repository, files, cache):
    repository.breaks = {FIRST: [100_000] + [0] * 9}
    with pytest.raises(CannotFetch, match=rf"cannot fetch {NAME} from {hub.endpoint}: {FIRST}: .*run the same again"):
        pull(NAME)
    assert len(repository.breaks[FIRST]) == 9 - 3
    assert [path.stat().st_size for path in cache.rglob("*.incomplete")] == [100_000]
    repository.breaks = {}
    assert content(pull(NAME)) == wanted(files)


def test_large_files_on_another_host_are_fetched_from_there_and_it_sees_no_login(hub, repository, files, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    repository.cdn, repository.breaks = True, {FIRST: [100_000]}
    assert content(pull(NAME)) == wanted(files)
    assert {request.host for request in hub.requests if request.signed} == {"127.0.0.1"}
    away = [request for request in hub.requests if request.host == "localhost"]
    assert [(request.method, request.file, request.start) for request in away] == [
        ("GET", FIRST, None),
        ("GET", FIRST, 100_000),
        ("GET", SECOND, None),
    ]


def test_a_slow_drip_is_waited_for(repository, files, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.2)
    repository.drips = {SECOND: 0.03}
    assert content(pull(NAME)) == wanted(files)


def test_a_connection_that_stalls_is_left_for_another(hub, repository, files, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.1)
    repository.stalls = {FIRST: [100_000]}
    assert content(pull(NAME)) == wanted(files)
    assert [request.start for request in hub.gets() if request.file == FIRST] == [None, 100_000]


@pytest.mark.parametrize("file", [FIRST, "config.json", INDEX])
def test_wrong_bytes_are_fetched_again(repository, files, cache, file):
    repository.wrong = {file: 1}
    assert content(pull(NAME)) == wanted(files)
    assert partials(cache) == []


@pytest.mark.parametrize("file", [FIRST, "vocab.json"])
def test_wrong_bytes_every_time_are_not_kept(repository, files, cache, file):
    repository.wrong = {file: 99}
    with pytest.raises(CannotFetch, match=f"{file} .* another hash"):
        pull(NAME)
    assert repository.wrong[file] == 99 - 4
    assert partials(cache) == []
    assert file not in [path.name for path in cache.rglob("*")]
    assert find_pulled(NAME) is None


def test_the_beginning_of_another_file_is_found_out(repository, files, cache):
    blobs = cache / "models--someone--jukebox-tiny" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{repository.digest(FIRST)}.incomplete").write_bytes(b"x" * 1_000)
    (blobs / f"{repository.digest(SECOND)}.incomplete").write_bytes(b"x" * 60_000)
    assert content(pull(NAME)) == wanted(files)


def damage(folder: Path, how: str):
    path = (folder / FIRST).resolve()
    data = bytearray(path.read_bytes())
    if how == "truncated":
        data = data[:1_000]
    else:
        data[1_000] ^= 1
    path.write_bytes(data)
    os.utime(path, (1, 1))  # another time than it was checked at, however coarse the clock


@pytest.mark.parametrize("how", ["truncated", "a bit"])
def test_a_damaged_file_in_the_cache_is_fetched_again(hub, repository, files, how):
    folder = pull(NAME)
    damage(folder, how)
    hub.gets()
    assert content(pull(NAME)) == wanted(files)
    assert [request.file for request in hub.gets()] == [FIRST]


@pytest.mark.parametrize("how", ["truncated", "a bit"])
def test_a_file_that_another_program_left_damaged_is_fetched_again(hub, repository, files, cache, how):
    folder = pull(NAME)
    (folder.parent.parent / ".jukectl-verified.json").unlink()
    damage(folder, how)
    assert content(pull(NAME)) == wanted(files)


def test_a_truncated_file_is_no_model_at_hand(repository):
    folder = pull(NAME)
    assert find_pulled(NAME) == folder
    damage(folder, "truncated")
    assert find_pulled(NAME) is None


@pytest.mark.parametrize("marks", ["", "[]", '{"a": 1}', '{"a": []}', '{"a": ["b", 1, 2]}', "[" * 100_000])
def test_what_was_checked_may_be_forgotten(hub, repository, files, marks):
    folder = pull(NAME)
    (folder.parent.parent / ".jukectl-verified.json").write_text(marks)
    hub.gets()
    assert content(pull(NAME)) == wanted(files)
    assert hub.gets() == []


def test_a_new_revision_fetches_only_what_changed(hub, repository, files):
    old = pull(NAME)
    new_commit = COMMIT[::-1]
    repository.commits = {"main": new_commit, "v1": COMMIT}
    repository.files = {**files, SECOND: noise(40_000, 9)}
    hub.gets()
    new = pull(NAME)
    assert new.name == new_commit
    assert content(new) == wanted(repository.files)
    assert [request.file for request in hub.gets()] == [SECOND]
    assert (find_pulled(NAME), find_pulled(NAME, revision=COMMIT)) == (new, old)
    assert find_pulled(NAME, revision="v1") is None


def test_a_revision_alone_is_found_without_its_name(repository, tmp_path):
    repository.commits = {"refs/pr/1": COMMIT}
    folder = pull(NAME, revision="refs/pr/1", cache_dir=tmp_path / "elsewhere")
    assert find_pulled(NAME, cache_dir=tmp_path / "elsewhere") == folder
    assert find_pulled(NAME, cache_dir=tmp_path / "elsewhere", revision="refs/pr/1") == folder
    assert find_pulled(NAME) is None


def test_offline_takes_what_is_here_and_asks_nobody(hub, repository, files):
    folder = pull(NAME)
    hub.requests.clear()
    assert pull(NAME, offline=True) == folder
    assert hub.requests == []


def test_the_librarys_own_offline_mode_counts(hub, repository, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        BadModel, match=f"{NAME} is not here as a whole, in .*cache at revision main.*without --offline"
    ):
        pull(NAME)
    assert hub.requests == []


@pytest.mark.parametrize("missing", ["config.json", INDEX, SECOND])
def test_offline_with_a_part_of_a_model_is_refused(repository, missing):
    (pull(NAME) / missing).unlink()
    with pytest.raises(BadModel, match="not here as a whole"):
        pull(NAME, offline=True)


def test_offline_finds_damage_and_removes_it(repository):
    folder = pull(NAME)
    damage(folder, "a bit")
    with pytest.raises(BadModel, match=f"{FIRST} of {NAME} was damaged"):
        pull(NAME, offline=True)
    assert not (folder / FIRST).exists()


def test_where_links_cannot_be_made_the_files_themselves_lie_there(hub, repository, files, monkeypatch):
    def refuse(*_, **__):
        raise OSError("a privilege is not held")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    folder = pull(NAME)
    assert content(folder) == wanted(files)
    hub.gets()
    assert pull(NAME) == pull(NAME, offline=True) == folder
    assert hub.gets() == []
    damage(folder, "a bit")
    assert content(pull(NAME)) == wanted(files)
    damage(folder, "a bit")
    with pytest.raises(BadModel, match="was damaged"):
        pull(NAME, offline=True)


def test_a_repository_that_is_not_there(hub):
    with pytest.raises(BadModel, match=rf"there is no {NAME} on {hub.endpoint}, or it is private"):
        pull(NAME)


def test_a_revision_that_is_not_there(repository):
    with pytest.raises(BadModel, match=r"has no revision 'v9'\. Leave out --revision"):
        pull(NAME, revision="v9")


def test_a_repository_with_terms_to_accept(repository):
    repository.status = {"config.json": [403]}
    with pytest.raises(BadModel, match="wants its terms accepted first"):
        pull(NAME)


@pytest.mark.parametrize(
    ("without", "message"),
    [
        (["config.json"], "has no config.json at revision main"),
        ([INDEX], "has no weights that jukectl reads"),
        ([SECOND], f"{INDEX} of {NAME} names {SECOND}, which the repository does not have"),
    ],
)
def test_a_repository_that_is_no_model(hub, files, without, message):
    hub.add(NAME, {name: data for name, data in files.items() if name not in without})
    with pytest.raises(BadModel, match=message):
        pull(NAME)
    assert find_pulled(NAME) is None


def test_a_file_that_is_listed_but_not_there(repository):
    repository.gone = {SECOND}
    with pytest.raises(CannotFetch, match=f"{SECOND} is listed but not there"):
        pull(NAME)


def test_an_overloaded_hub_is_asked_again(repository, files):
    repository.status = {"config.json": [503, 429, 200, 500], FIRST: [504, 504, 504, 200]}
    assert content(pull(NAME)) == wanted(files)


def test_a_hub_that_refuses_is_not_asked_again(hub, repository):
    repository.status = {"vocab.json": [451, 451]}
    with pytest.raises(CannotFetch, match="is refused: it answers with status 451"):
        pull(NAME)
    assert repository.status == {"vocab.json": [451]}


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Repo-Commit": ""},
        {"X-Repo-Commit": "../../../../escaped"},
        {"ETag": "", "X-Linked-Etag": ""},
        {"ETag": '"../../../../escaped"'},
        {"ETag": '"abc"'},
    ],
)
def test_a_server_that_tells_no_hashes_is_no_hub(repository, headers, tmp_path):
    repository.headers = headers
    with pytest.raises(CannotFetch, match=r"does not tell the hash of config\.json"):
        pull(NAME)
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize(
    "shard",
    ["../escaped.bin", "/tmp/escaped.bin", "sub/escaped.bin", "..\\escaped.bin", "C:\\escaped.bin", ".bin", "a.py", ""],
)
def test_an_index_that_names_a_file_outside_its_folder_is_refused(hub, files, shard, tmp_path):
    index = json.dumps({"weight_map": {"a": FIRST, "b": shard}}).encode()
    hub.add(NAME, {**files, INDEX: index, shard: noise(10)})
    with pytest.raises(BadModel, match="not to be trusted"):
        pull(NAME)
    assert not list(tmp_path.rglob("*escaped*"))
    assert shard not in [request.file for request in hub.requests]


@pytest.mark.parametrize(
    "index", [b"", b"[]", b"{}", b'{"weight_map": 3}', b'{"weight_map": {"a": [1]}}', b"\xff", b"[" * 100_000]
)
def test_an_index_that_is_none_is_refused(hub, files, index):
    hub.add(NAME, {**files, INDEX: index})
    with pytest.raises(BadModel, match=r"no weight_map|is damaged|not to be trusted"):
        pull(NAME)


def test_nobody_answers(hub, tmp_path):
    with pytest.raises(CannotFetch, match=r"cannot fetch openai/jukebox-1b-lyrics from http://127\.0\.0\.1:9: "):
        pull("1b-lyrics", endpoint="http://127.0.0.1:9")


def test_published_models_are_fetched_by_name(hub, files):
    hub.add("openai/jukebox-1b-lyrics", files)
    folder = pull("1b-lyrics")
    assert content(folder) == wanted(files)
    assert find_pulled("1b-lyrics") == find_pulled("openai/jukebox-1b-lyrics") == folder
    assert find_pulled("5b-lyrics") is None


@pytest.mark.parametrize("name", ["mini", "", "a/b/c", "../b", "a/..", "a/b--c", "https://example.org/a", "a b/c"])
def test_a_name_that_is_none(hub, name):
    with pytest.raises(UnknownName, match="There are 1b-lyrics, 5b-lyrics, 5b, or any repository"):
        pull(name)
    assert find_pulled(name) is None
    assert hub.requests == []


def test_5b_is_on_no_hub(hub):
    with pytest.raises(
        BadModel, match=r"5b/vqvae\.pth\.tar.*5b/prior_level_2\.pth\.tar.*jukectl models convert FOLDER"
    ):
        pull("5b")
    assert find_pulled("5b") is None


@pytest.mark.parametrize("revision", ["../main", "a//b", "a/../b", "-x", "a b", "/a"])
def test_a_revision_that_is_none(repository, revision):
    with pytest.raises(BadInput, match="--revision is a branch"):
        pull(NAME, revision=revision)


def test_a_disk_without_room_is_told_before_the_start(hub, repository, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100_000))
    with pytest.raises(CannotWrite, match=f"{NAME} needs 350 kB more in .*, and 100 kB are free.*--cache-dir"):
        pull(NAME)
    assert [request.file for request in hub.gets()] == [INDEX]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_disk_that_fills_up_is_told(repository, cache):
    partial = CachedRepository(NAME, cache).partial(repository.digest(FIRST))
    partial.parent.mkdir(parents=True)
    partial.symlink_to("/dev/full")
    with pytest.raises(CannotWrite, match=r"No space left on device.*make room and run the same again"):
        pull(NAME)


def test_two_pulls_of_the_same_model_do_not_mix(repository, cache):
    with CachedRepository(NAME, cache).lock(), pytest.raises(CannotFetch, match=f"another jukectl is fetching {NAME}"):
        pull(NAME)
    pull(NAME)


def test_the_library_says_what_it_says_as_before(repository, capfd):
    from huggingface_hub.utils import logging

    before = logging.get_verbosity(), constants.HF_HUB_DISABLE_TELEMETRY
    repository.breaks = {FIRST: [1_000]}
    pull(NAME)
    assert (logging.get_verbosity(), constants.HF_HUB_DISABLE_TELEMETRY) == before
    assert capfd.readouterr().err == ""


def test_the_hub_is_told_who_asks_and_nothing_of_the_machine(hub, repository):
    pull(NAME)
    for request in hub.requests:
        assert request.agent.startswith("jukectl/")
        assert "torch" not in request.agent
