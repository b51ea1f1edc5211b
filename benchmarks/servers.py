"""The vendors' stand-ins, each in a process of its own: `python -m benchmarks.servers KIND N`.

Prints {"url": ...} once it answers and ends when its standard input is closed. Everything that can be made ready
beforehand is, so that the client under measurement is the slower side.
"""

import json
import sys
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from benchmarks import data
from benchmarks.desk import PAGE_SIZE, PATH
from hub.plugins import load
from hub.testing import Emulator

TOKEN = "bench-token"


class Desk(Emulator):
    """A help desk with a cursor export, 1,000 tickets a page. No quirks: it is there to be read fast."""

    name = "desk"

    def __init__(self, total: int) -> None:
        super().__init__()
        self._page = lru_cache(maxsize=200)(lambda first: data.ticket_page(first, PAGE_SIZE, total))

    def routes(self) -> Sequence[BaseRoute]:
        return [Route("/" + PATH, self._export)]

    async def _export(self, request: Request) -> Response:
        page = self._page(int(request.query_params.get("cursor") or 0))
        return Response(page, media_type="application/json")


def desk(total: int) -> Emulator:
    found = Desk(total)
    for first in range(0, min(total, 100_000), PAGE_SIZE):
        found._page(first)
    return found


def gmail(total: int) -> Emulator:
    found: Any = load(["gmail"]).emulator("gmail")()
    found.add_mailbox(data.MAILBOX)
    for n, raw in enumerate(data.mails(total)):
        found.add_message(data.MAILBOX, raw, ("INBOX",), data.instant(n))
    found.prepare(data.MAILBOX)
    return found  # type: ignore[no-any-return]


def hubspot(contacts: int) -> Emulator:
    found: Emulator = load(["hubspot"]).emulator("hubspot")(token=TOKEN)
    if contacts:
        found.control("generate", {"contacts": contacts})
    return found


def main() -> None:
    kind, total = sys.argv[1], int(sys.argv[2])
    with {"desk": desk, "gmail": gmail, "hubspot": hubspot}[kind](total).serve() as running:
        print(json.dumps({"url": running.url}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
