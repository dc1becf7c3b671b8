"""A reader in Chromium for tests of the explorer's page, and spies on the sound that it makes."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

EXPLORER = Path(__file__).parents[2] / "explorer"
AXE = EXPLORER / "node_modules" / "axe-core" / "axe.min.js"
FLAGS = [
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}
LOOKS = [  # each size and each set of colours once; the other two are left to make test-slow
    pytest.param(DESKTOP, "light", id="desktop"),
    pytest.param(PHONE, "dark", id="dark phone"),
    pytest.param(DESKTOP, "dark", id="dark desktop", marks=pytest.mark.slow),
    pytest.param(PHONE, "light", id="phone", marks=pytest.mark.slow),
]


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    playwright = pytest.importorskip("playwright.sync_api", reason="the page is tested with playwright")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("the page is tested in Chromium: apt install chromium")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=FLAGS, chromium_sandbox=False)
        yield browser
        browser.close()


class Reader:
    """Somebody at the page: what they see, and all that went wrong behind it."""

    def __init__(self, page: "Page", address: str) -> None:
        self.page = page
        self.address = address
        self.faults: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", self._note)
        page.add_init_script(
            "window.violations = [];"
            "addEventListener('securitypolicyviolation', (event) => violations.push(event.violatedDirective))"
        )

    def _note(self, message: "ConsoleMessage") -> None:
        if message.type in ("error", "warning"):
            self.faults.append(message.text)

    def go(self, hash_: str = "") -> "Page":
        self.page.goto(f"{self.address}index.html{hash_}")
        self.page.wait_for_selector("[data-ready]")
        if "song=" in hash_:
            self.page.wait_for_selector(".song")
        return self.page

    def titles(self) -> list[str]:
        return self.page.locator(".row .row-title").all_inner_texts()

    def time(self) -> float:
        """Return the player's position in seconds, which its slider shows."""
        text = self.page.locator(".track").get_attribute("aria-valuetext") or ""
        minutes = re.match(r"(?:(\d+) minutes? )?(\d+) second", text)
        assert minutes, text
        return int(minutes[1] or 0) * 60 + int(minutes[2])


# Every audio element that the page makes, so that a test can look at what really plays.
SPY = """
window.voices = [];
const Plain = window.Audio;
window.Audio = function () {
  const one = new Plain();
  one.addEventListener('seeking', () => window.seeks++);
  window.voices.push(one);
  return one;
};
window.gaps = [];  // seconds between one voice that stops and the one that goes on
window.seeks = 0;
const pause = HTMLMediaElement.prototype.pause;
HTMLMediaElement.prototype.pause = function () {
  const other = this.paused ? null : playing().find((one) => one !== this);
  if (other && !this.muted) gaps.push(other.currentTime - this.currentTime);
  pause.call(this);
};
window.playing = () => voices.filter((one) => !one.paused && !one.muted && one.getAttribute('src'));
"""


def sounding(page: "Page") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.evaluate(
        "playing().map((one) => ({src: one.getAttribute('src'), at: one.currentTime}))"
    )
    return found


def wait_for_sound(page: "Page", what: str, after: float = 0.0) -> None:
    page.wait_for_function(
        "([what, after]) => { const all = playing();"
        " return all.length === 1 && all[0].getAttribute('src').includes(what) && all[0].currentTime > after; }",
        arg=[what, after],
    )


def serious_faults(page: "Page") -> list[Any]:
    """Run axe on a page, and return its serious findings with the first elements that have them."""
    page.evaluate(f"{AXE.read_text()}; null")  # not as an element, which the page's policy refuses
    found = page.evaluate("axe.run({resultTypes: ['violations']}).then((found) => found.violations)")
    return [
        (one["id"], [node["target"] for node in one["nodes"]][:3])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def open_reader(browser: "Browser", address: str, **options: Any) -> Reader:
    """Open a page of its own for a reader, with the spies."""
    context = browser.new_context(**{"viewport": DESKTOP, "reduced_motion": "reduce", **options})
    context.set_default_timeout(15_000)
    context.add_init_script(SPY)
    return Reader(context.new_page(), address)
