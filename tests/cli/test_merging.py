"""`ihub identity duplicates`, `apply` and `identity snapshot`: a tool's own duplicates, from the proposal to what they were."""

from pathlib import Path
from typing import Any

import pytest

TWIN = "marta@freemail.example"


@pytest.fixture
def twins(changing: Any, servers: Any) -> tuple[Any, str]:
    """`ihub` after somebody made the hero's contact a second time, and somebody here said so; (ihub, hero)."""
    hero, portal = servers.company.hero.person, servers.hubspot_emulator
    (mine,) = [c for c in portal.control("dump", {"type": "contacts"}) if c["properties"].get("email") == hero.address]
    again = {k: mine["properties"][k] for k in ("firstname", "lastname", "phone")}
    again |= {
        "email": TWIN,
        "jobtitle": "Head of a very long department name that no column has room for",
        "city": "Ulm",
    }
    portal.control("seed", {"objects": {"contacts": [{"properties": again}]}})
    changing("sync", "crm", "--no-census")
    changing("identity", "merge", hero.address, TWIN, "--yes", "--why", "she told us")
    return changing, hero.address


def allow() -> None:
    settings = Path("hub.toml")
    settings.write_text(
        settings.read_text().replace("[connections.crm]\n", "[connections.crm]\nmerge_duplicates = true\n")
    )


def flat(text: str) -> str:
    return " ".join(text.split())


def test_from_the_proposal_to_what_they_were(twins: tuple[Any, str], servers: Any) -> None:
    ihub, hero = twins
    refused = ihub("identity", "duplicates", "crm", code=2)
    assert "connections.crm.merge_duplicates is off" in flat(refused.err)
    assert "merge_duplicates = true under [connections.crm]" in flat(refused.err)
    assert "merges nothing in Gmail" in flat(ihub("identity", "duplicates", "mail", code=2).err)
    allow()
    told = ihub("identity", "duplicates", "crm")
    shown = flat(told.out)
    for part in (
        "cannot take a merge back",
        "1 merge",
        "she told us",
        hero,
        TWIN,
        "comes over",
        "both say as much",
        "ihub apply",
    ):
        assert part in shown, part
    document = ihub("identity", "duplicates", "crm", "--json").json
    [pair] = document["pairs"]
    plan = document["plan"]
    assert (document["counts"], document["left"], document["waiting"]) == ({"person": {"merge": 1}}, [], 0)
    assert {f["field"] for f in pair["fields"]} >= {"city"}
    settings = Path("hub.toml")
    settings.write_text(settings.read_text().replace("[system_of_record]\n", '[system_of_record]\napprove = "auto"\n'))
    assert f"plan {plan} is not approved" in ihub("apply", plan, code=2).err
    applied = ihub("apply", plan, "--yes")
    assert f"`ihub identity snapshot {plan}` shows what the records were" in flat(applied.out)
    contacts = {c["id"]: c["properties"] for c in servers.hubspot_emulator.control("dump", {"type": "contacts"})}
    assert pair["absorbs"] not in contacts
    assert {hero, TWIN} <= {contacts[pair["stays"]]["email"], contacts[pair["stays"]]["hs_additional_emails"]}
    assert "where that cannot be taken back" in flat(ihub("undo", plan, code=2).err)
    kept = ihub("identity", "snapshot", plan)
    for part in (
        "was to stay",
        "was to go into it",
        f"became contacts/{pair['stays']}",
        "jobtitle",
        "named it: calls/",
    ):
        assert part in kept.out, part
    [one] = ihub("identity", "snapshot", plan, pair["absorbs"], "--json").json["snapshots"]
    assert one["absorbs"]["record"]["object"]["properties"]["email"] in {hero, TWIN}
    assert "Nothing to merge at crm." in ihub("identity", "duplicates", "crm").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("duplicates",), "it is `ihub identity duplicates CONNECTION`"),
        (("duplicates", "crn"), "there is no connection 'crn'; did you mean 'crm'"),
        (("snapshot",), "it is `ihub identity snapshot PLAN [ID]`"),
        (("snapshot", "x"), "not the number of a plan"),
        (("snapshot", "99999"), "99999 is no plan of merges"),
    ],
)
def test_a_mistake_is_named_with_its_fix(synced: Any, words: tuple[str, ...], said: str) -> None:
    assert said in flat(synced("identity", *words, code=2).err)


def test_what_is_not_proposed_says_why(synced: Any) -> None:
    allow()
    assert "Nothing to merge at crm." in synced("identity", "duplicates", "crm").out
