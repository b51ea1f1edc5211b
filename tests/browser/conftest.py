"""A browser for each worker, and the hubs it looks at. Without Chromium or axe-core these tests are skipped, and it is said aloud."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import axe
from tests.browser.chromium import Chromium, program
from tests.browser.hubs import CompanyHub, Hub, company_hub, opened, served
from tests.browser.tab import Tab

NO_BROWSER = "Chromium is not installed (`apt install chromium`; $HUB_CHROMIUM names another place)"
NO_AXE = f"axe-core is not installed ({axe.FIX})"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test of a worker waits until the company is read."""
    for item in items:
        if item.path.parent == Path(__file__).parent and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    if not program():
        pytest.skip(NO_BROWSER)
    with Chromium.started(program()) as browser:
        yield browser


@pytest.fixture
def tab(chromium: Chromium) -> Iterator[Tab]:
    """A desk's screen; at its end nothing must have gone wrong unseen."""
    with chromium.person() as found:
        yield found
        assert found.troubles() == []


@pytest.fixture(scope="session")
def axe_source() -> str:
    found = axe.source()
    if not found:
        pytest.skip(NO_AXE)
    return found


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CompanyHub]:
    """The made-up company, read once for each worker."""
    if not program():
        pytest.skip(NO_BROWSER)
    with company_hub(tmp_path_factory.mktemp("company")) as found:
        yield found


@pytest.fixture(scope="session")
def hub(company: CompanyHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """The company's hub, to be looked at only."""
    with company.up(tmp_path_factory.mktemp("hub")) as found:
        yield found


@pytest.fixture
def own_hub(company: CompanyHub, tmp_path: Path) -> Iterator[Hub]:
    """A copy of its own, for a test that changes something."""
    with company.up(tmp_path) as found:
        yield found


@pytest.fixture
def first_day(tmp_path: Path) -> Iterator[Hub]:
    """A hub where nothing is connected and nobody has an account."""
    config = tmp_path / "hub.toml"
    config.write_text('[own]\ndomains = ["ourco.example"]\n')
    with opened(config, tmp_path / "data") as engine, served(engine) as found:
        yield found


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: Any) -> Iterator[None]:
    yield
    for reason in (NO_BROWSER, NO_AXE):
        if skipped := [r for r in terminalreporter.stats.get("skipped", []) if reason in str(r.longrepr)]:
            terminalreporter.write_line(f"BROWSER TESTS SKIPPED: {len(skipped)}. {reason}", red=True, bold=True)
