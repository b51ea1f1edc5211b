"""Brief, timeline, explain, health and figures, as people and scripts see them."""

from datetime import UTC, datetime

import pytest

from hub.demo import Company


def test_brief_gives_the_four_answers(synced, company: Company) -> None:
    hero = company.hero
    shown = synced("brief", hero.person.address)
    for part in (
        "What was it about last?", hero.last_subject, "Who is responsible?", hero.owner.name, "owner of the record",
        "What is the next step?", hero.next_step, "What happened so far?", "open deal", "Coverage: 100 %",
    ):  # fmt: skip
        assert part in shown.out
    answers = synced("brief", hero.person.address, "--json").json
    assert answers["last"]["subject"] == hero.last_subject
    assert datetime.fromisoformat(answers["last"]["at"]) == hero.last_at
    assert answers["next_step"]["title"] == hero.next_step
    assert answers["responsible"]["address"] == hero.owner.address
    assert answers["coverage"]["percent"] == 100.0


def test_brief_by_name_of_several_words(synced, company: Company) -> None:
    assert company.hero.person.name in synced("brief", *company.hero.person.name.split()).out


def test_brief_of_an_own_person_and_of_an_organization(synced, company: Company) -> None:
    assert "(one of yours)" in synced("brief", company.hero.owner.address).out
    assert "(organization)" in synced("brief", company.hero.organization.domain).out


def test_an_ambiguous_name_lists_candidates(synced, company: Company) -> None:
    shown = synced("brief", company.hero.organization.domain.partition(".")[0], code=2)
    assert shown.out == ""
    assert "which one?" in shown.err
    assert company.hero.person.address[:20] in shown.err
    document = synced("brief", "example", "--json", code=2).json
    assert len(document["candidates"]) == 10
    assert document["error"]["exit_code"] == 2
    assert "owner_identifier_id" not in document["candidates"][0]


def test_nobody_matches(synced) -> None:
    shown = synced("timeline", "nobody-at-all", code=1)
    assert "nobody matches 'nobody-at-all'" in shown.err
    assert synced("timeline", "nobody-at-all", "--json", code=1).json["candidates"] == []


def test_timeline_pages_from_new_to_old(synced, company: Company) -> None:
    who = company.hero.person.address
    shown = synced("timeline", who, "--limit", 3)
    assert "newest first; times in CE" in shown.out
    first = synced("timeline", who, "--limit", 3, "--json").json
    second = synced("timeline", who, "--limit", 3, "--before", first["next"], "--json").json
    times = [e["at"] for e in first["entries"] + second["entries"]]
    assert times == sorted(times, reverse=True)
    assert len({e["public_id"] for e in first["entries"] + second["entries"]}) == 6
    assert f"--before {first['next']}" in shown.out


def test_timeline_filters(synced, company: Company) -> None:
    who = company.hero.person.address
    for option, value, key in (
        ("--channel", "phone", "channel"), ("--direction", "inbound", "direction"), ("--kind", "meeting", "kind"),
    ):  # fmt: skip
        found = synced("timeline", who, option, value, "--json").json["entries"]
        assert found
        assert {e[key] for e in found} == {value}
    assert "Nothing here that fits" in synced("timeline", who, "--channel", "postal").out


@pytest.mark.parametrize("wrong", ["tomorrow", "12-x", ""])
def test_a_wrong_mark_is_named(synced, company: Company, wrong: str) -> None:
    shown = synced("timeline", company.hero.person.address, "--before", wrong, code=None)
    assert shown.code == (0 if wrong == "" else 2)
    assert wrong == "" or "--before takes the mark" in shown.err


def test_explain_takes_the_short_id(synced, company: Company) -> None:
    entry = synced("timeline", company.hero.person.address, "--limit", 1, "--json").json["entries"][0]
    shown = synced("explain", entry["public_id"][:12])
    for part in ("Where it comes from: 1 source", "mail/messages", "Who takes part", "What was written of it"):
        assert part in shown.out
    document = synced("explain", entry["public_id"], "--json").json
    assert document["public_id"] == entry["public_id"]
    assert document["identity"]
    assert "begins several ids" in synced("explain", "i", code=2).err
    assert "there is no entry" in synced("explain", "zzz", code=1).err


def test_health_is_worst_first_and_says_how_each_stream_does(synced) -> None:
    shown = synced("health")
    assert shown.out.startswith("Overall  healthy")
    assert "quarantine  " in shown.out
    document = synced("health", "--json").json
    assert document["exit_code"] == 0
    assert document["balanced"] is True
    assert {c["connection"] for c in document["connections"]} == {"mail", "crm"}
    assert document["as_of"].endswith("Z")


def test_health_at_a_glance_tells_what_the_opened_hub_tells(synced, monkeypatch: pytest.MonkeyPatch) -> None:
    glanced = synced("health", "--json").json
    monkeypatch.setenv("HUB_HUB__LOG_LEVEL", "info")  # a variable: settings are read in full, the hub is opened
    opened = synced("health", "--json").json
    assert opened.pop("as_of") >= glanced.pop("as_of")
    assert opened == glanced


def test_report_summary_with_people(synced, company: Company, tmp_path) -> None:
    hero, other = company.hero.person.address, company.hero.organization.people[1].address
    (tmp_path / "people.txt").write_text(f"# the second one\n{other}\n\n")
    shown = synced("report", "summary", "--person", hero, "--people-file", tmp_path / "people.txt")
    assert "seen = " in shown.out
    assert hero[:20] in shown.out
    document = synced("report", "summary", "--person", hero, "--people-file", tmp_path / "people.txt", "--json").json
    assert [p["address"] for p in document["people"]] == [hero, other]
    for row in document["records"]:
        assert row["seen"] == sum(row["dispositions"].values())
    missing = synced("report", "summary", "--people-file", "nowhere.txt", code=2)
    assert "nowhere.txt cannot be read: No such file" in missing.err


def test_state_hash_is_one_line_and_stays(synced) -> None:
    value = synced("state-hash").out.strip()
    assert len(value) == 64
    assert synced("state-hash", "--json").json == {"state_hash": value}
    synced("replay", "--all", "mail")
    assert synced("state-hash").out.strip() == value


def test_times_are_shown_in_the_zone_of_the_settings(synced, company: Company, monkeypatch) -> None:
    at = company.hero.last_at.astimezone(UTC)
    monkeypatch.setenv("HUB_HUB__TIMEZONE", "UTC")
    assert f"{at:%a %d %b %Y %H:%M} UTC" in synced("brief", company.hero.person.address).out
    monkeypatch.setenv("HUB_HUB__TIMEZONE", "Asia/Tokyo")
    assert " JST" in synced("brief", company.hero.person.address).out


def test_quarantine_and_replay_when_all_is_well(synced) -> None:
    assert "Nothing is in quarantine" in synced("quarantine").out
    assert synced("quarantine", "--json").json == {"records": [], "has_more": False}
    assert "Nothing to map again" in synced("replay").out
    document = synced("replay", "--all", "mail", "--json").json
    assert document["exit_code"] == 0
    [row] = document["streams"]
    assert row["seen"] == row["unchanged"] + row["excluded"] + row["private"]


def test_census_counts_the_sources(synced) -> None:
    shown = synced("census", "mail")
    assert "at source" in shown.out
    [row] = synced("census", "mail", "--json").json["streams"]
    assert row["census"]["at_source"] == row["census"]["held"]
    assert row["census"]["missing"] == 0
