"""Models from the hub: a real server on this machine, real files, and every fault between them."""

import json
import os
import random
import shutil
from pathlib import Path

import pytest
from hub_server import COMMIT
from huggingface_hub import constants, scan_cache_dir, try_to_load_from_cache

from jukectl.checkpoints.hub import find_pulled, pull
from jukectl.checkpoints.hub_cache import CachedRepository, HubFile, digest
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


def test_pull_downloads_exactly_the_files_of_a_model(repository, files, cache, capfd):
    folder = pull(NAME)
    assert content(folder) == wanted(files)
    assert folder == cache / "models--someone--jukebox-tiny" / "snapshots" / COMMIT
    assert partials(cache) == []
    assert capfd.readouterr() == ("", "")


def test_pulled_models_are_found_by_huggingface_hub(repository, files, cache):
    folder = pull(NAME)
    assert try_to_load_from_cache(NAME, FIRST, cache_dir=cache) == str(folder / FIRST)
    (found,) = scan_cache_dir(cache).repos
    assert found.repo_id == NAME
    assert found.size_on_disk == sum(map(len, wanted(files).values()))


def test_a_second_pull_downloads_nothing(hub, repository):
    first = pull(NAME)
    hub.gets()
    assert pull(NAME) == first
    assert hub.gets() == []


def test_verified_files_are_not_hashed_again(hub, repository, monkeypatch):
    pull(NAME)
    monkeypatch.setattr("jukectl.checkpoints.hub_cache.digest", lambda *_: pytest.fail("hashed again"))
    pull(NAME)
    pull(NAME, offline=True)


def test_pull_prefers_safetensors(hub, files):
    hub.add(NAME, {**files, "model.safetensors": noise(1_000, 3)})
    assert sorted(content(pull(NAME))) == ["config.json", "model.safetensors", "vocab.json"]


def test_pull_progress_rises_to_the_total(hub, files):
    reports = []
    hub.add(NAME, {**files, FIRST: noise(3_200_000)})
    pull(NAME, listener=reports.append)
    fetching = [report for report in reports if report.stage == f"fetching {NAME}, MB"]
    assert [report.done for report in fetching] == sorted(report.done for report in fetching)
    assert (fetching[-1].done, fetching[-1].total) == (3, 3)
    assert {report.note for report in fetching} > {FIRST, SECOND}


def test_a_broken_transfer_resumes_at_the_byte_where_it_broke(hub, repository, files):
    repository.breaks = {FIRST: [100_000, 50_000]}
    assert content(pull(NAME)) == wanted(files)
    starts = [request.start for request in hub.gets() if request.file == FIRST]
    assert starts == [None, 100_000, 150_000]


def test_an_interrupted_pull_is_resumed_by_the_next_one(hub, repository, files, cache):
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


def test_a_server_without_ranges_sends_the_whole_file_again(hub, repository, files):
    repository.breaks, repository.ranges = {FIRST: [100_000]}, False
    assert content(pull(NAME)) == wanted(files)
    assert [request.start for request in hub.gets() if request.file == FIRST] == [None, 100_000]


def test_pull_gives_up_after_tries_without_progress_and_keeps_the_bytes(hub, repository, files, cache):
    repository.breaks = {FIRST: [100_000] + [0] * 9}
    with pytest.raises(CannotFetch, match=rf"cannot fetch {NAME} from {hub.endpoint}: {FIRST}: .*run the same again"):
        pull(NAME)
    assert len(repository.breaks[FIRST]) == 9 - 3
    assert [path.stat().st_size for path in cache.rglob("*.incomplete")] == [100_000]
    repository.breaks = {}
    assert content(pull(NAME)) == wanted(files)


def test_the_host_of_large_files_never_receives_the_login(hub, repository, files, monkeypatch):
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


def test_a_slow_transfer_is_not_a_timeout(repository, files, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.2)
    repository.drips = {SECOND: 0.03}
    assert content(pull(NAME)) == wanted(files)


def test_a_stalled_connection_is_replaced_and_the_transfer_resumed(hub, repository, files, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.1)
    repository.stalls = {FIRST: [100_000]}
    assert content(pull(NAME)) == wanted(files)
    assert [request.start for request in hub.gets() if request.file == FIRST] == [None, 100_000]


@pytest.mark.parametrize("file", [FIRST, "config.json", INDEX])
def test_a_file_with_a_wrong_hash_is_downloaded_again(repository, files, cache, file):
    repository.wrong = {file: 1}
    assert content(pull(NAME)) == wanted(files)
    assert partials(cache) == []


@pytest.mark.parametrize("file", [FIRST, "vocab.json"])
def test_a_file_that_always_has_a_wrong_hash_is_not_kept(repository, files, cache, file):
    repository.wrong = {file: 99}
    with pytest.raises(CannotFetch, match=f"{file} .* another hash"):
        pull(NAME)
    assert repository.wrong[file] == 99 - 4
    assert partials(cache) == []
    assert file not in [path.name for path in cache.rglob("*")]
    assert find_pulled(NAME) is None


def test_partial_downloads_of_other_content_are_discarded(repository, files, cache):
    blobs = cache / "models--someone--jukebox-tiny" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{repository.digest(FIRST)}.incomplete").write_bytes(b"x" * 1_000)
    (blobs / f"{repository.digest(SECOND)}.incomplete").write_bytes(b"x" * 60_000)
    assert content(pull(NAME)) == wanted(files)


@pytest.mark.parametrize("file", [FIRST, "vocab.json"])
def test_a_server_that_never_stops_sending_fills_no_disk(hub, repository, files, cache, file):
    repository.endless, repository.wrong = {file}, {file: 2}
    assert content(pull(NAME)) == wanted(files)
    assert len([request for request in hub.gets() if request.file == file]) == 3


def test_a_file_of_unknown_size_is_limited_to_that_of_a_description(repository, monkeypatch):
    monkeypatch.setattr("jukectl.checkpoints.hub_remote.LARGEST_FILE", 1_000_000)
    repository.endless = repository.unsized = {"vocab.json"}
    sizes = []

    def measured(path, *rest):
        sizes.append(path.stat().st_size)
        return digest(path, *rest)

    monkeypatch.setattr("jukectl.checkpoints.hub.digest", measured)
    with pytest.raises(CannotFetch, match=r"vocab\.json .* another hash"):
        pull(NAME)
    assert max(sizes) == 1_000_000


def damage(folder: Path, how: str):
    path = (folder / FIRST).resolve()
    data = bytearray(path.read_bytes())
    if how == "truncated":
        data = data[:1_000]
    else:
        data[1_000] ^= 1
    path.write_bytes(data)
    os.utime(path, (1, 1))  # never the time of the check, however coarse the clock


@pytest.mark.parametrize("how", ["truncated", "a bit"])
def test_pull_replaces_a_damaged_file_in_the_cache(hub, repository, files, how):
    folder = pull(NAME)
    damage(folder, how)
    hub.gets()
    assert content(pull(NAME)) == wanted(files)
    assert [request.file for request in hub.gets()] == [FIRST]


@pytest.mark.parametrize("how", ["truncated", "a bit"])
def test_pull_replaces_a_damaged_file_of_another_program(hub, repository, files, cache, how):
    folder = pull(NAME)
    (folder.parent.parent / ".jukectl-verified.json").unlink()
    damage(folder, how)
    assert content(pull(NAME)) == wanted(files)


def test_a_model_with_a_truncated_file_is_not_found(repository):
    folder = pull(NAME)
    assert find_pulled(NAME) == folder
    damage(folder, "truncated")
    assert find_pulled(NAME) is None


@pytest.mark.parametrize("marks", ["", "[]", '{"a": 1}', '{"a": []}', '{"a": ["b", 1, 2]}', "[" * 100_000])
def test_an_unreadable_record_of_verified_files_is_rebuilt(hub, repository, files, marks):
    folder = pull(NAME)
    (folder.parent.parent / ".jukectl-verified.json").write_text(marks)
    hub.gets()
    assert content(pull(NAME)) == wanted(files)
    assert hub.gets() == []


def test_a_new_revision_downloads_only_changed_files(hub, repository, files):
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


def test_a_model_pulled_at_one_revision_is_found_without_naming_it(repository, tmp_path):
    repository.commits = {"refs/pr/1": COMMIT}
    folder = pull(NAME, revision="refs/pr/1", cache_dir=tmp_path / "elsewhere")
    assert find_pulled(NAME, cache_dir=tmp_path / "elsewhere") == folder
    assert find_pulled(NAME, cache_dir=tmp_path / "elsewhere", revision="refs/pr/1") == folder
    assert find_pulled(NAME) is None


def test_offline_pull_sends_no_request(hub, repository, files):
    folder = pull(NAME)
    hub.requests.clear()
    assert pull(NAME, offline=True) == folder
    assert hub.requests == []


def test_hf_hub_offline_is_respected(hub, repository, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(BadModel, match=f"{NAME} is not complete in .*cache at revision main.*without --offline"):
        pull(NAME)
    assert hub.requests == []


@pytest.mark.parametrize("missing", ["config.json", INDEX, SECOND])
def test_offline_pull_refuses_an_incomplete_model(repository, missing):
    (pull(NAME) / missing).unlink()
    with pytest.raises(BadModel, match="not complete"):
        pull(NAME, offline=True)


def test_offline_pull_removes_a_damaged_file(repository):
    folder = pull(NAME)
    damage(folder, "a bit")
    with pytest.raises(BadModel, match=f"{FIRST} of {NAME} was damaged"):
        pull(NAME, offline=True)
    assert not (folder / FIRST).exists()


def test_pull_works_where_links_cannot_be_made(hub, repository, files, monkeypatch):
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


def test_a_missing_repository_is_reported(hub):
    with pytest.raises(BadModel, match=rf"there is no {NAME} on {hub.endpoint}, or it is private"):
        pull(NAME)


def test_a_missing_revision_is_reported(repository):
    with pytest.raises(BadModel, match=r"has no revision 'v9'\. Leave out --revision"):
        pull(NAME, revision="v9")


def test_a_gated_repository_is_reported_with_the_way_to_log_in(repository):
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
def test_a_repository_without_a_model_is_reported(hub, files, without, message):
    hub.add(NAME, {name: data for name, data in files.items() if name not in without})
    with pytest.raises(BadModel, match=message):
        pull(NAME)
    assert find_pulled(NAME) is None


def test_a_listed_file_without_bytes_is_reported(repository):
    repository.gone = {SECOND}
    with pytest.raises(CannotFetch, match=f"{SECOND} is listed but not there"):
        pull(NAME)


def test_pull_retries_when_the_hub_is_overloaded(repository, files):
    repository.status = {"config.json": [503, 429, 200, 500], FIRST: [504, 504, 504, 200]}
    assert content(pull(NAME)) == wanted(files)


def test_pull_does_not_retry_a_refusal(hub, repository):
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
def test_a_server_without_valid_hashes_is_refused(repository, headers, tmp_path):
    repository.headers = headers
    with pytest.raises(CannotFetch, match=r"does not report the hash of config\.json"):
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
def test_an_invalid_index_of_shards_is_refused(hub, files, index):
    hub.add(NAME, {**files, INDEX: index})
    with pytest.raises(BadModel, match=r"no weight_map|is damaged|not to be trusted"):
        pull(NAME)


def test_an_unreachable_hub_is_reported(hub, tmp_path):
    with pytest.raises(CannotFetch, match=r"cannot fetch openai/jukebox-1b-lyrics from http://127\.0\.0\.1:9: "):
        pull("1b-lyrics", endpoint="http://127.0.0.1:9")


def test_published_models_are_pulled_by_name(hub, files):
    hub.add("openai/jukebox-1b-lyrics", files)
    folder = pull("1b-lyrics")
    assert content(folder) == wanted(files)
    assert find_pulled("1b-lyrics") == find_pulled("openai/jukebox-1b-lyrics") == folder
    assert find_pulled("5b-lyrics") is None


@pytest.mark.parametrize("name", ["mini", "", "a/b/c", "../b", "a/..", "a/b--c", "https://example.org/a", "a b/c"])
def test_an_invalid_repository_name_is_refused_without_a_request(hub, name):
    with pytest.raises(UnknownName, match="There are 1b-lyrics, 5b-lyrics, 5b, or any repository"):
        pull(name)
    assert find_pulled(name) is None
    assert hub.requests == []


def test_pulling_5b_explains_how_to_convert_the_original_files(hub):
    with pytest.raises(
        BadModel, match=r"5b/vqvae\.pth\.tar.*5b/prior_level_2\.pth\.tar.*jukectl models convert FOLDER"
    ):
        pull("5b")
    assert find_pulled("5b") is None


@pytest.mark.parametrize("revision", ["../main", "a//b", "a/../b", "-x", "a b", "/a"])
def test_an_invalid_revision_is_refused(repository, revision):
    with pytest.raises(BadInput, match="--revision is a branch"):
        pull(NAME, revision=revision)


def test_pull_checks_the_free_disk_space_before_downloading_weights(hub, repository, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100_000))
    with pytest.raises(CannotWrite, match=f"{NAME} needs 350 kB more in .*, and 100 kB are free.*--cache-dir"):
        pull(NAME)
    assert [request.file for request in hub.gets()] == [INDEX]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_disk_that_fills_up_is_reported(repository, cache):
    file = HubFile(FIRST, COMMIT, repository.digest(FIRST), None)
    partial = CachedRepository(NAME, cache).partial(file)
    partial.parent.mkdir(parents=True)
    partial.symlink_to("/dev/full")
    with pytest.raises(CannotWrite, match=r"No space left on device.*make room and run the same again"):
        pull(NAME)


def test_concurrent_pulls_of_one_model_are_refused(repository, cache):
    with CachedRepository(NAME, cache).lock(), pytest.raises(CannotFetch, match=f"another jukectl is fetching {NAME}"):
        pull(NAME)
    pull(NAME)


def test_pull_restores_the_librarys_verbosity_and_telemetry(repository, capfd):
    from huggingface_hub.utils import logging

    before = logging.get_verbosity(), constants.HF_HUB_DISABLE_TELEMETRY
    repository.breaks = {FIRST: [1_000]}
    pull(NAME)
    assert (logging.get_verbosity(), constants.HF_HUB_DISABLE_TELEMETRY) == before
    assert capfd.readouterr().err == ""


def test_the_user_agent_names_jukectl_and_no_other_package(hub, repository):
    pull(NAME)
    for request in hub.requests:
        assert request.agent.startswith("jukectl/")
        assert "torch" not in request.agent
