"""The whole way in: `python -m benchmarks.pipeline KIND URL N FOLDER`.

The real engine and connector: land, map, judge, identity, timeline, conversations, rollup, books and cursor, one
durable transaction a page. Prints {"records", "cpu_s", "wall_s", "peak_mb", "requests"}; cpu_s counts the sync alone.
Vendor budgets are lifted (the accounting stays): on loopback nobody needs protection.
"""

import asyncio
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import data
from benchmarks.desk import Desk
from benchmarks.measure import peak_mb
from hub.api import Budget, Connector
from hub.engine import Engine, SyncResult
from hub.plugins import Registry, load
from hub.settings import Settings
from hub.store import Store

TOKEN = "bench-token"
STREAMS = {"desk": "tickets", "gmail": "messages", "hubspot": "contacts"}


def settings(folder: Path, connections: dict[str, str], system_of_record: str = "") -> Settings:
    """A hub in `folder` with one connection for each of `connections`: kind -> base URL without a slash at the end."""
    each: dict[str, Any] = {}
    for kind, url in connections.items():
        options: dict[str, Any] = {"base_url": url + "/"}
        if kind == "hubspot":
            options |= {"token": TOKEN, "daily": 0}
        elif kind == "gmail":
            options |= {
                "mailbox": data.MAILBOX, "client_id": "bench", "client_secret": "bench", "token_url": url + "/token",
                "refresh_token": f"1//refresh-{data.MAILBOX}", "batch_size": 100,
            }  # fmt: skip
        each[kind] = {"connector": kind, "settings": options, "streams": [STREAMS[kind]]}
    return Settings.model_validate({
        "hub": {"data_dir": str(folder)}, "own": {"domains": [data.US]}, "connections": each,
        "system_of_record": {"connection": system_of_record},
    })  # fmt: skip


def unthrottled(connector: type[Connector[Any]]) -> type[Connector[Any]]:
    """The connector with every budget a million times as large."""

    def budgets(self: Connector[Any]) -> tuple[Budget, ...]:
        return tuple(replace(b, units_per_window=b.units_per_window * 1_000_000) for b in connector.budgets(self))

    return type(connector.__name__, (connector,), {"budgets": budgets})


def engine(folder: Path, connections: dict[str, str], system_of_record: str = "") -> Engine:
    given = settings(folder, connections, system_of_record)
    found: dict[str, type[Connector[Any]]] = {"desk": Desk}
    found |= load([k for k in connections if k != "desk"]).connectors
    registry = Registry(connectors={k: unthrottled(v) for k, v in found.items()})
    return Engine(given, Store.open(given.hub.database_url), registry)


def sync(hub: Engine, kind: str, total: int) -> SyncResult:
    """One sync without a census. Raises RuntimeError unless it took exactly `total` records in."""
    result = asyncio.run(hub.sync(kind, census=False))
    books = result.streams[0].books if result.streams else None
    if books is None or result.exit_code or books.counts["new"] != total or not books.is_balanced:
        raise RuntimeError(f"expected {total} new records: {result.to_dict()}")
    return result


def main() -> None:
    kind, url, total, folder = sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
    hub = engine(folder, {kind: url})
    cpu, wall = time.process_time(), time.monotonic()
    result = sync(hub, kind, total)
    said = {
        "records": total, "cpu_s": time.process_time() - cpu, "wall_s": time.monotonic() - wall, "peak_mb": peak_mb(),
        "requests": result.streams[0].requests,
    }  # fmt: skip
    hub.close()
    print(json.dumps(said))


if __name__ == "__main__":
    main()
