"""`ihub fields`, `conflicts` and `choose`: what people see of who says what, and how they decide."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hub.cli import stage
from hub.demo import Company

RULES = """
[fields.person.first_name]
write_to = ["hubspot", "mailchimp"]
"""


@pytest.fixture
def two(tmp_path: Path, ihub: Any) -> Iterator[Any]:
    """The command line on the made-up company's CRM and newsletter tool, which are to agree on first names."""
    company = Company.build(end=datetime.now(UTC).replace(minute=0, second=0, microsecond=0), days=30)
    with stage.tools(company) as running:
        config = stage.configure(tmp_path, company, {name: tool.url for name, tool in running.items()})
        config.write_text(config.read_text(encoding="utf-8").partition("[fields")[0] + RULES + _sections(config))
        yield company.hero.person, running, lambda *args, **kw: ihub("--config", config, *args, **kw)


def _sections(config: Path) -> str:
    """The connections to the two tools."""
    text = config.read_text(encoding="utf-8")
    parts = ["[connections." + part for part in text.split("\n[connections.")[1:]]
    kept = ("hubspot]", "hubspot.", "mailchimp]", "mailchimp.")
    return "\n" + "\n".join(p for p in parts if p.removeprefix("[connections.").startswith(kept))


def _is(record: dict[str, Any], address: str) -> bool:
    return bool(record["properties"].get("email") == address)


def test_a_conflict_from_sight_to_settlement(two: Any) -> None:
    hero, running, ihub = two
    ihub("sync")
    shown = ihub("fields", hero.address)
    assert "Permissions" in shown.out
    assert max(len(line) for line in shown.out.splitlines()) <= 80
    told = {f["field"]: f for f in ihub("fields", hero.address, "--json").json["fields"]}
    assert told["first_name"]["value"] == hero.first
    assert "say the value" in ihub("choose", hero.address, "first_name", code=2).err
    assert "the fields are: " in ihub("choose", hero.address, "shoe_size", "44", code=2).err
    assert "these do: " in ihub("choose", hero.address, "job_title", "--from", "mailchimp", code=2).err
    assert "nobody matches" in ihub("fields", "nobody@nowhere.example", code=1).err
    named = {f["name"] for f in ihub("conflicts", "--json").json["conflicts"]}
    assert named == {"Jonas Adler"}  # Jon in the CRM, and nobody can know who is right
    ihub("plan")  # finds the others equal, and remembers it

    members: Any = running["mailchimp"].emulator
    member = next(key for key, m in members.audiences.members.items() if m["email_address"] == hero.address)
    members.control("change", {"key": member, "merge_fields": {"FNAME": "Mimi"}})
    portal: Any = running["hubspot"].emulator
    contact = next(r["id"] for r in portal.control("dump", {"type": "contacts"}) if _is(r, hero.address))
    portal.control("touch", {"type": "contacts", "id": contact, "properties": {"firstname": "Martha"}})
    ihub("sync")
    found = [f for f in ihub("conflicts", "--json").json["conflicts"] if f["name"] not in named]
    assert {(f["destination"], f["field"], f["held"], f["offered"]) for f in found} == {
        ("hubspot", "first_name", "Martha", "Mimi"), ("mailchimp", "first_name", "Mimi", "Martha"),
    }  # fmt: skip
    assert "ihub choose" in ihub("conflicts").out

    ihub("choose", hero.address, "first_name", "--from", "hubspot")
    planned = ihub("plan", "--json").json
    plans = {p["destination"]: p for p in (planned, *planned.get("others", ()))}
    assert plans["mailchimp"]["preview"][0]["fields"] == {"first_name": "Martha"}
    (left, _) = ihub("conflicts", "--json").json["conflicts"]
    ihub("choose", left["party"], "first_name", "Jonas")
    assert ihub("conflicts").out.strip() == "No field waits for a choice."
