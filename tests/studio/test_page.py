"""The page of the studio in a real browser: a riff becomes a song, from the first draft to the file."""

import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from reading import AXE, DESKTOP, PHONE, Reader, open_reader, serious_faults, wait_for_sound
from studio_client import PATIENCE, RunningStudio

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LONG = PATIENCE * 1000  # milliseconds
pytestmark = pytest.mark.timeout(2 * PATIENCE)  # that of a test: a busy machine takes minutes to start a process


@pytest.fixture
def reader(browser: "Browser", studio: RunningStudio):
    reader = open_reader(browser, studio.facts["address"])
    reader.page.set_default_timeout(LONG)
    yield reader
    violations = reader.page.evaluate("window.violations")
    reader.page.context.close()
    assert reader.faults == []
    assert violations == []


def choose_tiny(page: "Page") -> None:
    """Choose the tiny model, among the options that are folded away."""
    page.locator("dialog summary").click()
    page.select_option("#field-model", "tiny")
    page.locator("dialog summary").click()


def check_access(page: "Page") -> None:
    """Check the page and the dialog of a new song by axe, and that both fit a phone."""
    for has_dialog in (False, True):
        if has_dialog:
            page.get_by_role("button", name="New song").click()
            page.locator("dialog .drop").wait_for()
        if AXE.is_file():
            assert serious_faults(page) == []
        page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    page.keyboard.press("Escape")


def titled(page: "Page", title: str) -> None:
    page.wait_for_function("(title) => document.querySelector('h1')?.textContent === title", arg=title, timeout=LONG)


def done(page: "Page", name: str) -> None:
    """Wait until the job of that name is done."""
    page.locator(".job[data-state=done]", has_text=name).wait_for(timeout=LONG)


def test_a_riff_becomes_drafts_of_which_one_is_picked_branched_upsampled_and_downloaded(
    reader: Reader, studio: RunningStudio, riff: Path, tmp_path: Path
) -> None:
    page = reader.go()
    page.get_by_role("button", name="Make the first song").click()
    page.set_input_files("#recording", riff)
    page.locator(".prompt-wave .marked").wait_for()
    page.get_by_label("The prompt begins at").press("Home")
    choose_tiny(page)
    page.fill("#field-artist", "ada")
    page.fill("#field-genre", "jazz")
    page.fill("#field-seconds", "1")
    page.fill("#field-seed", "3")
    page.locator(".estimate", has_text=re.compile("^about .* of memory$")).wait_for()
    page.get_by_role("button", name="Make a draft").click()

    titled(page, "riff-continued")
    page.get_by_role("button", name="Play", exact=True).click()
    wait_for_sound(page, "top-0", 0.1)
    done(page, "riff-continued")
    page.get_by_role("button", name="1", exact=True).click()
    wait_for_sound(page, "top-1")
    page.keyboard.press("s")
    page.get_by_role("button", name="Star", exact=True, pressed=True).wait_for()

    page.get_by_role("button", name="Pick this sample").click()
    assert page.input_value("#field-sample") == "1"
    page.get_by_role("button", name="Do it").click()
    titled(page, "riff-continued-pick")

    page.get_by_role("button", name="Branch here").click()
    page.fill("#field-at", "2.5")
    page.fill("#field-genre", "ambient")
    page.fill("#field-seconds", "0.5")
    page.get_by_role("button", name="Make a draft").click()
    titled(page, "riff-continued-pick-branch")
    done(page, "riff-continued-pick-branch")

    page.get_by_role("button", name="Upsample").click()
    page.get_by_role("button", name="Make it").click()
    page.get_by_role("button", name="Bottom", exact=True).wait_for(timeout=LONG)
    done(page, "Upsample")
    assert page.inner_text(".by").split() == ["ada", "·", "ambient"]
    command = page.locator(".job", has_text="Upsample").locator("code").text_content()
    assert command and command.endswith(" riff-continued-pick-branch")

    page.get_by_text("Export", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("link", name="The whole folder, as zip").click()
    download.value.save_as(tmp_path / "song.zip")
    with zipfile.ZipFile(tmp_path / "song.zip") as archive:
        assert "riff-continued-pick-branch/audio/0.wav" in archive.namelist()

    check_access(page)


def test_a_second_browser_sees_the_queue_and_a_job_is_moved_paused_and_cancelled_by_keys(
    browser: "Browser", studio: RunningStudio, draft: dict[str, Any]
) -> None:
    studio.client.ask("PATCH", "/api/v1/queue", {"paused": True})
    for name in ("one", "two"):
        studio.client.post("/jobs", {**draft, "out": name})
    readers = [open_reader(browser, studio.facts["address"]) for _ in range(2)]
    page, other = (reader.go() for reader in readers)
    for one in (page, other):
        one.set_default_timeout(LONG)
        one.locator(".job-name", has_text="Sample two").wait_for()
    page.get_by_role("button", name="Earlier: sample two").press("Enter")
    for one in (page, other):
        one.wait_for_function("() => document.querySelector('.job-name').textContent === 'Sample two'")
    page.get_by_role("button", name="Pause: sample one").press("Enter")
    other.locator(".job[data-state=paused]", has_text="one").wait_for()
    page.get_by_role("button", name="Cancel: sample one").press("Enter")
    other.locator(".job[data-state=cancelled]", has_text="one").wait_for()
    page.get_by_role("button", name="Continue", exact=True).press("Enter")
    done(other, "two")
    for one in (page, other):
        one.context.close()
    assert [reader.faults for reader in readers] == [[], []]
