"""Plan, approval, application and undo at the system of record's emulator."""

import pytest

from hub.cli import output, pushing


@pytest.fixture
def read(fresh):
    """A hub of its own that has read everything."""
    fresh("sync", "--quiet", "--no-census")
    return fresh


def test_from_plan_to_undo(read, servers) -> None:
    before = servers.hubspot_emulator.state()["objects"]
    plan = read("plan", "--json").json
    assert plan["status"] == "draft"
    assert plan["changes"] == sum(n for effects in plan["counts"].values() for n in effects.values()) > 100
    assert {row["kind"] for row in plan["preview"]} == set(plan["counts"])
    shown = read("plan")
    assert "interaction" in shown.out
    assert "already at the system of record" in shown.out
    assert "ihub apply 2" in shown.out  # a new look supersedes the draft before

    refused = read("apply", code=2)
    assert "not approved" in refused.err
    assert "superseded" in read("apply", 1, code=2).err
    assert read("approve", 2, "--json").json["status"] == "approved"
    done = read("apply", "--json").json
    assert done["exit_code"] == 0
    assert done["failed"] == 0
    assert sum(done["done"].values()) == plan["changes"]
    assert servers.hubspot_emulator.state()["objects"]["emails"] == plan["counts"]["interaction"]["create"]
    assert "Nothing to do" in read("apply", "--yes").out
    assert "Nothing to do: crm holds everything that is due." in read("plan").out

    assert "was not taken back" in read("undo", 2, code=2).err
    assert "taken back at crm  done" in read("undo", 2, "--yes").out
    assert servers.hubspot_emulator.state()["objects"] == before
    assert "there is no plan 9" in read("undo", 9, "--yes", code=2).err


def test_yes_needs_no_approval(read) -> None:
    shown = read("apply", "--yes")
    assert "Plan 1 at crm  done" in shown.out
    assert "ihub undo 1" in shown.out


def test_auto_approval_needs_no_yes(read, monkeypatch) -> None:
    monkeypatch.setenv("HUB_SYSTEM_OF_RECORD__APPROVE", "auto")
    assert read("apply", "--json").json["exit_code"] == 0


def test_a_rejected_plan_is_not_applied(read, servers) -> None:
    read("plan")
    assert read("reject", 1, "--json").json["status"] == "rejected"
    assert "plan 1 is rejected" in read("apply", 1, code=2).err
    assert "only a plan that waits can be rejected" in read("reject", 1, code=2).err
    assert "there is no plan 8" in read("reject", 8, code=2).err
    assert servers.hubspot_emulator.state()["objects"]["emails"] == 0


@pytest.mark.parametrize("words", [["plan"], ["hold", "x"], ["hold", "1", "2"], ["three"]])
def test_approve_says_what_it_takes(empty, words: list[str]) -> None:
    assert "say `ihub approve 3` for plan 3" in empty("approve", *words, code=2).err


def test_the_brake_takes_a_person(read, servers, monkeypatch) -> None:
    """Own mail that leaves the timeline is deleted there; many at once are held, whatever --yes says."""
    read("apply", "--yes")
    monkeypatch.setenv("HUB_SYSTEM_OF_RECORD__BRAKE_COUNT", "1")
    monkeypatch.setenv("HUB_SYSTEM_OF_RECORD__BRAKE_PERCENT", "0.1")
    monkeypatch.setenv("HUB_CAPTURE__BLOCK_DOMAINS", servers.company.hero.organization.domain)
    read("sync", "mail", "--quiet", "--no-census")
    shown = read("plan")
    assert "held" in shown.out.splitlines()[0]
    assert "The brake holds it" in shown.out
    assert "ihub approve 2" in shown.out
    assert "held by the brake" in read("apply", "--yes", code=2).err
    monkeypatch.setenv("HUB_SYSTEM_OF_RECORD__APPROVE", "auto")
    assert "held by the brake" in read("apply", code=2).err
    read("approve", 2)
    assert read("apply", "--json").json["done"]["deleted"] > 1


def test_asked_on_a_terminal(read, monkeypatch) -> None:
    monkeypatch.setattr(output, "can_ask", lambda: True)
    monkeypatch.setattr(pushing, "can_ask", lambda: True)
    answers = iter(["n\n", "y\n", "\n", "yes\n"])
    monkeypatch.setattr("sys.stdin", type("Keys", (), {"readline": lambda self: next(answers)})())
    refused = read("apply", code=2)
    assert "Apply plan 1" in refused.err
    assert "was not applied; it stays open" in refused.err
    assert "done" in read("apply").out
    assert "it stays as it is" in read("undo", 1, code=2).err
    assert "done" in read("undo", 1).out


def test_a_dead_sign_in_while_writing_is_exit_4(read, servers) -> None:
    read("plan")
    servers.hubspot_emulator.control("token", {"value": "test-token", "revoked": True})
    shown = read("apply", "--yes", code=4)
    assert "needs-reconnect" in shown.out
