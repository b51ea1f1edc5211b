"""Plan, approval, application and undo at the system of record's emulator."""

import pytest

from hub.cli import output, pushing


def test_from_plan_to_undo(changing, servers) -> None:
    before = servers.hubspot_emulator.state()["objects"]
    plan = changing("plan", "--json").json
    assert plan["status"] == "draft"
    assert plan["changes"] == sum(n for effects in plan["counts"].values() for n in effects.values()) > 20
    assert {row["kind"] for row in plan["preview"]} == set(plan["counts"])
    shown = changing("plan")
    assert "interaction" in shown.out
    assert "already at the system of record" in shown.out
    assert "ihub apply 2" in shown.out  # a new look supersedes the draft before

    refused = changing("apply", code=2)
    assert "not approved" in refused.err
    assert "superseded" in changing("apply", 1, code=2).err
    assert changing("approve", 2, "--json").json["status"] == "approved"
    done = changing("apply", "--json").json
    assert done["exit_code"] == 0
    assert done["failed"] == 0
    assert sum(done["done"].values()) == plan["changes"]
    assert servers.hubspot_emulator.state()["objects"]["emails"] == plan["counts"]["interaction"]["create"]
    assert "Nothing to do" in changing("apply", "--yes").out
    assert "Nothing to do: crm holds everything that is due." in changing("plan").out

    assert "was not taken back" in changing("undo", 2, code=2).err
    assert "taken back at crm  done" in changing("undo", 2, "--yes").out
    assert servers.hubspot_emulator.state()["objects"] == before
    assert "there is no plan 9" in changing("undo", 9, "--yes", code=2).err


def test_yes_needs_no_approval(changing) -> None:
    shown = changing("apply", "--yes")
    assert "Plan 1 at crm  done" in shown.out
    assert "ihub undo 1" in shown.out


def test_auto_approval_needs_no_yes(changing, monkeypatch) -> None:
    monkeypatch.setenv("HUB_SYSTEM_OF_RECORD__APPROVE", "auto")
    assert changing("apply", "--json").json["exit_code"] == 0


def test_a_sync_says_what_it_delivered_without_asking(changing, monkeypatch) -> None:
    monkeypatch.setenv("HUB_SYSTEM_OF_RECORD__APPROVE", "auto")
    [connection] = changing("sync", "mail", "--no-census", "--json").json["connections"]
    assert connection["notes"][0].startswith("crm: ")
    assert "Nothing to do" in changing("plan").out


def test_a_rejected_plan_is_not_applied(changing, servers) -> None:
    changing("plan")
    assert changing("reject", 1, "--json").json["status"] == "rejected"
    assert "plan 1 is rejected" in changing("apply", 1, code=2).err
    assert "only a plan that waits can be rejected" in changing("reject", 1, code=2).err
    assert "there is no plan 8" in changing("reject", 8, code=2).err
    assert servers.hubspot_emulator.state()["objects"]["emails"] == 0


@pytest.mark.parametrize("words", [["plan"], ["hold", "x"], ["hold", "1", "2"], ["three"]])
def test_approve_says_what_it_takes(empty, words: list[str]) -> None:
    assert "say `ihub approve 3` for plan 3" in empty("approve", *words, code=2).err


def test_the_brake_takes_a_person(changing, servers, monkeypatch) -> None:
    """Own mail that leaves the timeline is deleted there; many at once are held, whatever --yes says."""
    changing("apply", "--yes")
    monkeypatch.setenv("HUB_SYSTEM_OF_RECORD__BRAKE_COUNT", "1")
    monkeypatch.setenv("HUB_SYSTEM_OF_RECORD__BRAKE_PERCENT", "0.1")
    monkeypatch.setenv("HUB_CAPTURE__BLOCK_DOMAINS", servers.company.hero.organization.domain)
    changing("sync", "mail", "--quiet", "--no-census")
    shown = changing("plan")
    assert "held" in shown.out.splitlines()[0]
    assert "The brake holds it" in shown.out
    assert "ihub approve 2" in shown.out
    assert "held by the brake" in changing("apply", "--yes", code=2).err
    monkeypatch.setenv("HUB_SYSTEM_OF_RECORD__APPROVE", "auto")
    assert "held by the brake" in changing("apply", code=2).err
    changing("approve", 2)
    assert changing("apply", "--json").json["done"]["deleted"] > 1


def test_asked_on_a_terminal(changing, monkeypatch) -> None:
    monkeypatch.setattr(output, "can_ask", lambda: True)
    monkeypatch.setattr(pushing, "can_ask", lambda: True)
    answers = iter(["n\n", "y\n", "\n", "yes\n"])
    monkeypatch.setattr("sys.stdin", type("Keys", (), {"readline": lambda self: next(answers)})())
    refused = changing("apply", code=2)
    assert "Apply plan 1" in refused.err
    assert "was not applied; it stays open" in refused.err
    assert "done" in changing("apply").out
    assert "it stays as it is" in changing("undo", 1, code=2).err
    assert "done" in changing("undo", 1).out


def test_a_dead_sign_in_while_writing_is_exit_4(changing, servers) -> None:
    changing("plan")
    servers.hubspot_emulator.control("token", {"value": "test-token", "revoked": True})
    shown = changing("apply", "--yes", code=4)
    assert "needs-reconnect" in shown.out
