"""Fixtures that the tests of this package share."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from fake_site import Fake, fake_site
from reading import Reader, open_reader
from song_fixtures import ask, codes_in, drawn, finished, other_model, song

from jukectl.explorer.serving import serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["ask", "codes_in", "drawn", "finished", "other_model", "song"]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Fake:
    return fake_site(tmp_path_factory.mktemp("explorer") / "a site", 500)


@pytest.fixture(scope="session")
def address(site: Fake) -> Iterator[str]:
    with serving(site.path) as address:
        yield address


@pytest.fixture
def reader(browser: "Browser", address: str) -> Iterator[Reader]:
    reader = open_reader(browser, address)
    yield reader
    violations = reader.page.evaluate("window.violations")
    reader.page.context.close()
    assert reader.faults == []
    assert violations == []
