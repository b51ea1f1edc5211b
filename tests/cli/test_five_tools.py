"""The made-up company over five tools: their copies are one entry, and the CRM holds each once."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hub.cli import stage
from hub.demo import Company
from hub.store import Store
from hub.store import tables as t


@pytest.fixture
def five(tmp_path: Path, ihub: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The command line on a company whose tools hold 30 days."""
    company = Company.build(end=datetime.now(UTC).replace(minute=0, second=0, microsecond=0), days=30)
    with stage.tools(company) as running:
        assert set(running) == {"hubspot", "gmail", "calendar", "zendesk", "mailchimp"}
        config = stage.configure(tmp_path, company, {name: tool.url for name, tool in running.items()})
        yield lambda *args, **kwargs: ihub("--config", config, *args, **kwargs)


def sources(folder: Path) -> list[set[str]]:
    """The tools that tell of each entry on the timeline."""
    store = Store.open(f"sqlite:///{folder}/hub.db")
    query = (
        sa.select(t.source.c.interaction_id, t.connection.c.connector)
        .join(t.record, t.record.c.id == t.source.c.record_id)
        .join(t.stream, t.stream.c.id == t.record.c.stream_id)
        .join(t.connection, t.connection.c.id == t.stream.c.connection_id)
        .join(t.interaction, t.interaction.c.id == t.source.c.interaction_id)
        .where(t.interaction.c.gone_at.is_(None), t.source.c.is_echo.is_(sa.false()))
    )
    found: dict[int, set[str]] = {}
    with store.read() as c:
        for interaction, connector in c.execute(query):
            found.setdefault(interaction, set()).add(connector)
    store.close()
    return list(found.values())


def test_copies_of_five_tools_are_one_timeline(five: Any, tmp_path: Path) -> None:
    five("sync")
    told = sources(tmp_path)
    assert {"gmail", "zendesk"} in told  # the mail of a support case, in the mailbox and in the ticket
    for tool in ("calendar", "gmail", "hubspot", "mailchimp", "zendesk"):
        assert any(tool in each for each in told), tool
    planned = five("plan", "--json").json
    assert planned["changes"] > 100
    assert planned["counts"]["consent"] == {"create": 0, "update": 1, "delete": 0}  # who left Mailchimp leaves HubSpot
    assert planned["others"][0]["counts"]["fields"]["update"] > 0  # and Zendesk gets HubSpot's telephone numbers
    five("apply", "--yes")
    five("sync")
    again = five("plan", "--json").json
    assert [again["changes"], *(other["changes"] for other in again["others"])] == [0, 0]
    assert sorted(map(sorted, sources(tmp_path))) == sorted(map(sorted, told))
