"""`ihub identity`: what people see of who is who, and how they decide, undo, and follow it to the system of record."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hub.cli import identity, output
from hub.store import Store
from hub.store import tables as t


@pytest.fixture
def twins(changing: Any, servers: Any) -> tuple[Any, str, str]:
    """`ihub` after somebody made the hero's contact a second time under a private address; (ihub, hero, twin)."""
    hero = servers.company.hero.person
    portal = servers.hubspot_emulator
    (mine,) = [c for c in portal.control("dump", {"type": "contacts"}) if c["properties"].get("email") == hero.address]
    again = {k: mine["properties"][k] for k in ("firstname", "lastname", "phone")} | {"email": "marta@freemail.example"}
    portal.control("seed", {"objects": {"contacts": [{"properties": again}]}})
    changing("sync", "crm", "--no-census")
    return changing, hero.address, "marta@freemail.example"


def made_of(ihub: Any, who: str) -> tuple[str, set[str], set[str]]:
    """(public id, addresses, records)."""
    found = ihub("identity", "show", who, "--json").json
    records = {f"{r['connection']}/{r['stream']}/{r['external_id']}" for r in found["records"]}
    return found["party"]["public_id"], {a["text"] for a in found["addresses"]}, records


def flat(text: str) -> str:
    """Without the line ends."""
    return " ".join(text.split())


# --- looking ----------------------------------------------------------------------------------------------------------


def test_somebody_is_shown_with_what_they_are_made_of(synced: Any, company: Any) -> None:
    hero = company.hero.person
    shown = synced("identity", "show", *hero.name.split()).out
    for part in ("Made of", "crm/contacts/", "one person's own", "Worked for", "Halden Bake"):
        assert part in shown
    assert hero.address in shown
    assert "(organization)" in synced("identity", "show", company.hero.organization.domain).out
    owner = synced("identity", "show", company.hero.owner.address).out
    assert "one of yours" in owner


def test_the_evidence_between_two(synced: Any, company: Any) -> None:
    hero, owner = company.hero.person.address, company.hero.owner.address
    shown = synced("identity", "show", hero, "--json").json
    record = "/".join(shown["records"][0][k] for k in ("connection", "stream", "external_id"))
    chain = synced("identity", "why-same", hero, record)
    assert f"are one: {company.hero.person.name}" in flat(chain.out)
    assert f"{record} lists both" in chain.out
    assert "piece of evidence" in synced("identity", "why-same", hero, hero).out
    assert synced("identity", "why-same", hero, record, "--json").json["edges"][0]["kind"] == "rule"
    assert "are two." in synced("identity", "why-same", hero, owner).out
    assert f"ihub identity why-same {hero} {record}" in flat(synced("identity", "why-not", hero, record).out)
    assert f"ihub identity merge {hero} {owner}" in flat(synced("identity", "why-not", hero, owner).out)
    assert synced("identity", "why-not", hero, owner, "--json").json["because"]


def test_what_is_empty_says_what_to_do_next(synced: Any) -> None:
    assert "ihub identity audit" in synced("identity", "review").out
    assert "Nobody has decided anything yet." in synced("identity", "history").out
    assert "No key is shared by too many" in synced("identity", "hubs").out
    assert "send-as" in str(synced("identity", "history", "--all", "--json").json)
    audit = synced("identity", "audit").out
    assert "weighed anew" in audit
    assert "Nothing differs" in audit
    assert synced("identity", "audit", "--apply", "--json").json["applied"] is False


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("merge", "one"), 2, "it is `ihub identity merge A B`"),
        (("merge", "one", "two", "three"), 2, "name of several words in quotes"),
        (("show", "nobody@nowhere.example"), 1, "nobody matches"),
        (("undo", "x"), 2, "not the number of an act"),
        (("undo", "99999"), 1, "there is no act 99999: see `ihub identity history`"),
        (("review", "perhaps", "1"), 2, "accept N, reject N or split N"),
        (("review", "accept"), 2, "--rule RULE --above BITS"),
        (("review", "accept", "99999"), 1, "not in the review queue"),
        (("review", "split", "99999"), 2, "not in the review queue"),
        (("review", "--after", "99999"), 2, "no question 99999"),
        (("review", "--limit", "0"), 2, "must be a whole number from 1"),
        (("hubs", "now"), 2, "it is `ihub identity hubs`"),
        (("marry",), 2, "invalid choice"),
    ],
)
def test_a_mistake_is_named_with_its_fix(synced: Any, words: tuple[str, ...], code: int, said: str) -> None:
    assert said in flat(synced("identity", *words, code=code).err)


def test_who_can_not_be_meant(synced: Any, company: Any) -> None:
    hero = company.hero.person.address
    assert (
        "which one?"
        in synced("identity", "merge", company.hero.organization.domain.partition(".")[0], hero, code=2).err
    )
    assert "they are one already" in synced("identity", "merge", hero, hero, "--yes", code=1).err
    assert "has no 'x@y.example'" in synced("identity", "split", hero, "x@y.example", code=2).err
    refused = synced("identity", "merge", hero, company.hero.organization.domain, code=1)
    assert "a person and an organization are never one" in refused.err


# --- deciding ---------------------------------------------------------------------------------------------------------


def test_a_question_is_seen_answered_and_undone(twins: Any) -> None:
    ihub, hero, twin = twins
    before = made_of(ihub, hero), made_of(ihub, twin)
    (asked,) = ihub("identity", "review", "--json").json["questions"]
    n = asked["review"]
    shown = ihub("identity", "review").out
    for part in ("1 question", hero[:20], twin, "not by itself: two ids of one tool", "to begin with", f"accept {n}"):
        assert part in shown
    assert f"question {n} asks a person" in flat(ihub("identity", "why-not", hero, twin).out)

    refused = ihub("identity", "review", "accept", n, "--json", code=2).json
    assert {m["text"] for m in refused["expected"]["moves"]} >= {twin}
    assert (made_of(ihub, hero), made_of(ihub, twin)) == before  # looking changed nothing

    done = ihub("identity", "review", "accept", n, "--yes", "--why", "asked her", "--json").json
    assert done["changed"] == refused["expected"]
    whole = made_of(ihub, hero)
    assert (whole, whole[0]) == (made_of(ihub, twin), before[0][0])
    assert made_of(ihub, before[1][0]) == whole  # the id it had leads on
    phone = whole[1] - before[0][1] - before[1][1]  # both list it, so it was nobody's; now they are one
    assert (len(phone), whole[2]) == (1, before[0][2] | before[1][2])
    assert "Nothing waits" in ihub("identity", "review").out
    assert "asked her" in ihub("identity", "why-same", hero, twin).out
    assert "takes it back" not in ihub("identity", "undo", done["act"], "--yes").out
    assert (made_of(ihub, hero), made_of(ihub, twin)) == before
    newest, answered = ihub("identity", "history", "--json").json["acts"]
    assert (newest["revokes"], answered["can_undo"], answered["answers"]) == (done["act"], False, n)
    assert "it was taken back" in ihub("identity", "history").out
    assert "taken back already" in ihub("identity", "undo", done["act"], "--yes", code=1).err

    none = ihub("identity", "review", "reject", "--rule", "weighed", "--above", asked["weight"] + 1)
    assert "No question fits." in none.out
    assert "--yes" in ihub("identity", "review", "reject", "--above", asked["weight"] - 1, code=2).err
    many = ihub("identity", "review", "reject", "--rule", "weighed", "--yes", "--json").json
    assert [a["review"] for a in many["answered"]] == [n]
    assert ihub("identity", "why-not", hero, twin, "--json").json["verdict"] == "different"


def test_the_record_asked_about_is_taken_out(twins: Any) -> None:
    ihub, hero, twin = twins
    (asked,) = ihub("identity", "review", "--json").json["questions"]
    n, (_, addresses, records) = asked["review"], made_of(ihub, hero)
    refused = ihub("identity", "review", "split", n, code=2).err
    assert "both sides are made of several: say what goes out" in flat(refused)
    ihub("identity", "split", twin, twin, "--yes")  # now only the hero's side is made of several
    parted = ihub("identity", "review", "split", n, "--yes", "--json").json
    assert parted["what"] == "split"
    assert made_of(ihub, hero)[1:] == (addresses - {m["text"] for m in parted["changed"]["moves"]}, set())
    (record,) = records
    assert ihub("identity", "why-not", hero, record, "--json").json["verdict"] == "different"


def test_an_audit_proposes_and_a_person_agrees(twins: Any) -> None:
    ihub, _, _ = twins
    with closing(Store.open(f"sqlite:///{Path('data/hub.db').absolute()}")) as store, store.write() as c:
        c.execute(sa.delete(t.decision).where(t.decision.c.verdict == "unsure"))  # as if the sync had asked nothing
    shown = ihub("identity", "audit").out
    assert "ask about Marta Lindqvist and Marta Lindqvist" in shown
    assert "two ids of one tool" in shown
    assert "say --yes to do it" in ihub("identity", "audit", "--apply", code=2).err
    assert "Nothing waits" in ihub("identity", "review").out
    done = ihub("identity", "audit", "--apply", "--yes", "--json").json
    assert (done["applied"], done["ask"], done["join"], done["part"], done["is_large"]) == (True, 1, 0, 0, False)
    (asked,) = ihub("identity", "review", "--json").json["questions"]
    assert asked["why"] == "two ids of one tool"
    assert "Nothing differs" in ihub("identity", "audit").out


def test_a_merge_is_followed_at_the_system_of_record(changing: Any, company: Any) -> None:
    hero = company.hero.person.address
    others = (p.address for o in company.customers for p in o.people if p.address != hero)
    other = next(a for a in others if changing("timeline", a, "--json", code=None).code == 0)
    changing("apply", "--yes")
    first, second = made_of(changing, hero), made_of(changing, other)
    merged = changing("identity", "merge", hero, other, "--yes", "--why", "a test", "--json").json
    files = merged["changed"]["written"]
    assert 0 < files["crm"] <= merged["changed"]["entries"]  # some are the portal's own
    assert made_of(changing, hero)[1] == first[1] | second[1]
    planned = changing("plan", "--json").json
    assert 0 < planned["counts"]["interaction"]["update"] <= files["crm"]
    text = changing("identity", "undo", merged["act"], "--yes").out
    assert f"looks at {files['crm']} entries at crm again" in text
    assert (made_of(changing, hero), made_of(changing, other)) == (first, second)
    assert "Nothing to do" in changing("plan").out


def test_parted_and_held_apart(changing: Any, company: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hero, owner = company.hero.person.address, company.hero.owner.address
    whole = made_of(changing, hero)
    said = changing("identity", "different", hero, owner, "--yes").out
    assert "Nobody gains or loses anything by it today" in said
    (record,) = whole[2]
    asked: list[str] = []
    monkeypatch.setattr(output, "can_ask", lambda: True)
    monkeypatch.setattr(identity, "can_ask", lambda: True)
    monkeypatch.setattr(output.Screen, "ask", lambda self, question: bool(asked.append(question)))
    refused = changing("identity", "split", hero, record, code=2)
    assert "nothing was changed" in refused.err
    assert asked == [f"Take {record} out of {company.hero.person.name}?"]
    assert made_of(changing, hero) == whole
    parted = changing("identity", "split", hero, record, "--yes", "--json").json
    assert hero not in {m["text"] for m in parted["changed"]["moves"]}
    assert made_of(changing, hero)[2] == set()
    assert "two" in changing("identity", "why-same", hero, record).out
    changing("identity", "undo", parted["act"], "--yes")
    assert made_of(changing, hero) == whole


def test_every_json_key_is_named_in_the_docs(synced: Any, company: Any) -> None:
    docs = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    section = docs.partition("### ihub identity\n")[2].partition("\n## ")[0]
    hero, owner = company.hero.person.address, company.hero.owner.address
    for words in (
        ("show", hero), ("show", owner), ("why-same", hero, hero), ("why-not", hero, owner), ("review",), ("hubs",),
        ("history", "--all"), ("audit",), ("merge", hero, owner),
    ):  # fmt: skip
        document = synced("identity", *words, "--json", code=None).json
        for key in keys_of(document):
            assert f'"{key}"' in section, (words, key)


def keys_of(document: Any) -> set[str]:
    """Keys at any depth, but for tables whose keys are data, and parties and errors, which other sections have."""
    if isinstance(document, list):
        return {key for item in document for key in keys_of(item)}
    if not isinstance(document, dict):
        return set()
    inner = {k: v for k, v in document.items() if k not in {"without", "written", "error", "party", "organization"}}
    return set(document).union(*(keys_of(v) for v in inner.values()))
