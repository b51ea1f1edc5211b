"""Filling the account with what somebody else wrote down: plain dicts, or the public issue archives."""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hub_zendesk.emulator.desk import ADMIN, Desk, Row


def load(desk: Desk, data: dict[str, Any]) -> dict[str, int]:
    """data: {"users": [...], "organizations": [...], "tickets": [{..., "comments": [{..., "at": s}], "at": s}],
    "ratings": [...], "suspended": [...]}; `at` in epoch s. Fields are Zendesk's own. Returns how many of each."""
    for row in data.get("organizations", ()):
        desk.put_organization(_plain(row), row.get("at"))
    for row in data.get("users", ()):
        desk.put_user(_plain(row), row.get("at"))
    comments = 0
    for row in data.get("tickets", ()):
        said = row.get("comments", ())
        comments += len(said)
        via = row.get("channel", "api")
        desk.put_ticket(_plain(row), said, row.get("requester_id") or ADMIN, row.get("at"), via)
    for row in data.get("ratings", ()):
        desk.put_rating(_plain(row), row.get("at"))
    desk.suspended += list(data.get("suspended", ()))
    return {
        "users": len(data.get("users", ())), "tickets": len(data.get("tickets", ())), "comments": comments,
        "organizations": len(data.get("organizations", ())), "ratings": len(data.get("ratings", ())),
    }  # fmt: skip


def _plain(row: Row) -> Row:
    return {k: v for k, v in row.items() if k not in {"comments", "at", "channel"}}


def issue_archive(path: Path, kinds: Iterable[str] = ("issue",)) -> Iterable[Row]:
    """The rows of a gzipped archive of issue threads, one JSON object a line."""
    wanted = set(kinds)
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row.get("kind", "issue") in wanted:
                yield row
