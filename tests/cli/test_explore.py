"""`jukectl explore`."""

import re
import signal
import subprocess
from urllib.request import urlopen


def test_explore_writes_a_site_that_loads_nothing_from_the_network(jukectl, finished, tmp_path):
    site = tmp_path / "site"
    answer = jukectl("explore", finished, "--out", site, "--no-decode")
    assert answer.out == f"{site / 'index.html'}\n"
    page = (site / "index.html").read_text()
    assert "script-src 'self'" in page
    assert "http:" not in page.replace("http://www.w3.org/2000/svg", "")  # a name, no address
    assert "https:" not in page
    assert {path.name for path in site.iterdir()} >= {"index.html", "app.js", "app.css", "data", "media"}
    again = jukectl("--json", "explore", finished, "--out", site, "--no-decode").json
    assert (again["songs"], again["made"], again["troubled"]) == (1, 0, 0)


def test_explore_refuses_folders_without_songs_and_wrong_options(fails, finished, tmp_path):
    assert "there is no folder" in fails("explore", tmp_path / "none", "--out", tmp_path / "site")
    assert "there are no songs in" in fails("explore", tmp_path, "--out", tmp_path / "site")
    assert "--format is one of" in fails("explore", finished, "--out", tmp_path / "site", "--format", "wma")
    assert "--link keeps the format of audio" in fails(
        "explore", finished, "--out", tmp_path / "site", "--format", "ogg", "--link"
    )
    assert "a file is in its place" in fails("explore", finished, "--out", finished / "song.toml")


def test_serving_a_site_ends_with_ctrl_c(finished, warm_jukectl, tmp_path):
    command = [*warm_jukectl, "explore", str(finished), "--out", str(tmp_path / "site")]
    with subprocess.Popen([*command, "--no-decode", "--serve"], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        address = next(found[0] for line in process.stderr if (found := re.search(r"http://127\.0\.0\.1:\d+/", line)))
        with urlopen(address) as answer:
            assert b"<title>" in answer.read()
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait() == 0
        finally:
            process.kill()
