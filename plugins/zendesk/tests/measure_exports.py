"""How much of what Zendesk permits the connector uses: many tickets through the emulator with the export limit in force.

    python plugins/zendesk/tests/measure_exports.py 100000

The clock is virtual: it moves only when the connector waits. Permitted is what ten calls of a thousand rows give in
each whole minute the reading took, and in the last, begun minute the calls it still needed.
"""

import asyncio
import json
import math
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from hub.api import FakeClock, Pull, Services, Window
from hub_zendesk import Zendesk
from hub_zendesk.emulator import ZendeskEmulator

START = datetime(2026, 3, 10, 12, 0, 17, tzinfo=UTC)
PER_MINUTE, PER_PAGE = 10, 1000


def filled(count: int, clock: FakeClock) -> ZendeskEmulator:
    """An account with this many tickets of one comment each, a second apart."""
    emulator = ZendeskEmulator(now=clock.now)
    emulator.desk.keeps_metrics = False
    began = emulator.desk.now() - count - 1000
    for n in range(count):
        emulator.desk.put_ticket({"subject": f"Matter {n}"}, [{"body": f"Words of matter {n}."}], 1, began + n)
    return emulator


def measure(
    emulator: ZendeskEmulator, clock: FakeClock, url: str, stream: str, page_size: int = PER_PAGE
) -> dict[str, Any]:
    """Read a stream to its end; what came, how long it took by the virtual clock, and what was permitted meanwhile."""

    async def run() -> tuple[int, int]:
        gate = emulator.gate
        settings = {
            "subdomain": "team", "base_url": url, "client_id": gate.client_id, "client_secret": gate.client_secret,
            "page_size": page_size,
        }  # fmt: skip
        connector = Zendesk(Zendesk.settings_model.model_validate(settings), Services("team", clock))
        ids: set[str] = set()
        pages = 0
        async for page in connector.pull(Pull(stream, None, Window())):
            ids.update(r.external_id for r in page.records)
            pages += 1
        await connector.aclose()
        return len(ids), pages

    clock.advance(60 - clock.now().second + 17)  # a fresh minute of Zendesk's
    before, began, refused = clock.now(), time.process_time(), emulator.gate.refusals
    records, pages = asyncio.run(run())
    took = (clock.now() - before).total_seconds()
    whole = math.floor(took / 60) * PER_MINUTE
    permitted = (whole + max(pages - whole, 0)) * page_size
    return {
        "stream": stream, "records": records, "pages": pages, "virtual_seconds": round(took, 1),
        "cpu_seconds": round(time.process_time() - began, 1), "permitted": permitted,
        "records/permitted": round(records / permitted, 4), "refusals": emulator.gate.refusals - refused,
    }  # fmt: skip


def main(argv: Sequence[str]) -> None:
    count = int(argv[0]) if argv else 100_000
    clock = FakeClock(START)
    emulator = filled(count, clock)
    with emulator.serve() as running:
        for stream in ("tickets", "comments"):
            print(json.dumps(measure(emulator, clock, f"{running.url}/", stream)))


if __name__ == "__main__":
    main(sys.argv[1:])
