"""Pictures of every page, of the made-up company alone: `python -m tests.browser.shoot docs/images [NAME...]`.

Each page is taken at 1280 and 390 px, light and dark, as NAME-WIDTH-SCHEME.webp. Printed for each: its weight, and what axe-core
finds or what scrolls sideways in any of the four looks. Ends with 1 if there is any of that.
"""

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.browser import axe, places
from tests.browser.chromium import Chromium, program
from tests.browser.hubs import company_hub
from tests.browser.tab import Tab

LOOKS = ((1280, 800, False), (1280, 800, True), (390, 844, False), (390, 844, True))
QUALITY = 30


def main(folder: Path, only: set[str]) -> int:
    if not program() or not (source := axe.source()):
        print(f"Chromium and axe-core are needed: apt install chromium; {axe.FIX}", file=sys.stderr)
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        company = stack.enter_context(company_hub(scratch / "company"))
        hub = stack.enter_context(company.up(scratch / "hub"))
        browser = stack.enter_context(Chromium.started(program()))
        tab = stack.enter_context(browser.person())
        wrong = sum(_shot(tab, place, folder, source) for place in places.opened(hub, tab, only))
    print(f"{wrong} findings; {sum(f.stat().st_size for f in folder.glob('*.webp')) >> 10} kB of pictures")
    return 1 if wrong else 0


def _shot(tab: Tab, place: places.Place, folder: Path, source: str) -> int:
    wrong = tab.troubles(allowing=(place.status,))
    for number, (width, height, is_dark) in enumerate(LOOKS):
        tab.look(width, height, is_dark=is_dark)
        scheme = "dark" if is_dark else "light"
        tab.shoot(folder / f"{place.name}-{width}-{scheme}.webp", QUALITY)
        found = [*tab.overflows(), *tab.barriers(source, only_looks=number > 0)]
        wrong += [f"{width} {scheme}: {text}" for text in found]
    print(f"{place.name:<18}{tab.path[:50]:<52}{tab.weight() / 1000:7.1f} kB", flush=True)
    for text in wrong:
        print(f"    {text}", flush=True)
    tab.look(*LOOKS[0][:2])
    return len(wrong)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(str(__doc__))
    sys.exit(main(Path(sys.argv[1]), set(sys.argv[2:])))
