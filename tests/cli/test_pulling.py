"""Sync: order, books, exit codes for what can go wrong at a vendor; quarantine; holds of the brake."""

from pathlib import Path

from hub.cli.opening import combined


def test_sync_reads_the_system_of_record_first_and_then_nothing_new(fresh, servers) -> None:
    document = fresh("sync", "--json").json
    assert [c["connection"] for c in document["connections"]] == ["crm", "mail"]
    assert document["exit_code"] == 0
    mail = document["connections"][1]["streams"][0]
    held = len(servers.gmail_emulator.mailboxes[servers.mailbox].messages)
    assert mail["seen"] == held == mail["new"] + mail["duplicate"] + mail["excluded"] + mail["private"]
    shown = fresh("sync", "mail", "--no-census")
    assert "mail  healthy  nothing new" in shown.out
    assert "ihub plan" in shown.out
    assert "ihub plan" not in fresh("sync", "mail", "--quiet").out


def test_sync_of_one_connection_and_stream(fresh) -> None:
    document = fresh("sync", "crm", "--stream", "contacts", "--stream", "owners", "--json").json
    [connection] = document["connections"]
    assert [s["stream"] for s in connection["streams"]] == ["contacts", "owners"]


def test_unknown_names_are_answered_with_known_ones(fresh) -> None:
    assert 'did you mean "mail"?' in fresh("sync", "mial", code=2).err
    assert "there are: mail, crm" in fresh("sync", "telegraph", code=2).err
    assert 'did you mean "contacts"?' in fresh("sync", "crm", "--stream", "contact", code=2).err


def test_a_revoked_token_is_exit_4_and_says_what_to_do(fresh, servers) -> None:
    servers.gmail_emulator.oauth.revoke(servers.mailbox)
    shown = fresh("sync", "mail", code=4)
    assert "mail  needs-reconnect" in shown.out
    assert "ihub connect" in shown.out
    assert fresh("health", code=4).out.startswith("Overall  needs-reconnect")
    assert "sign-in" in fresh("health", code=4).out
    assert "sign in again" in fresh("check", "mail", code=4).out


def test_a_missing_permission_is_exit_3_and_names_the_scope(fresh, servers) -> None:
    servers.gmail_emulator.faults.add("deny_scope")
    shown = fresh("check", "mail", code=3)
    assert "permissions missing" in shown.out
    assert "needs the scope" in shown.out
    assert "degraded" in fresh("sync", "mail", code=3).out


def test_a_broken_record_is_in_quarantine_and_the_rest_goes_on(fresh, servers) -> None:
    box = servers.gmail_emulator.mailboxes[servers.mailbox]
    bad = next(iter(box.messages))
    servers.gmail_emulator.faults.add("poison", ids=[bad])
    document = fresh("sync", "mail", "--no-census", "--json", code=None).json
    stream = document["connections"][0]["streams"][0]
    assert stream["failed"] == 1
    assert stream["seen"] > 20
    shown = fresh("quarantine")
    assert bad in shown.out
    assert "bytes kept" in shown.out
    rows = fresh("replay", "--json", code=3).json["streams"]
    assert [r["failed"] for r in rows if r["connection"] == "mail"] == [1]
    assert "ihub quarantine" in fresh("replay", code=3).out


def _vanished(changing, servers) -> int:
    """Half the mailbox is gone at once; returns the hold's number."""
    servers.gmail_emulator.faults.add("vanish", fraction=0.5)
    servers.gmail_emulator.faults.add("expire_cursor", times=1)
    shown = changing("sync", "mail", code=5)
    assert "no longer listed" in shown.out
    assert "ihub health" in shown.out
    assert "`ihub approve hold" in changing("health", code=5).out
    [hold] = changing("health", "--json", code=5).json["holds"]
    return int(hold["hold"])


def test_a_person_lets_held_deletions_go_on(changing, servers) -> None:
    hold = _vanished(changing, servers)
    document = changing("approve", "hold", hold, "--json").json
    assert document["resolution"] == "approved"
    assert document["removed"] > 9
    assert f"there is no open hold {hold}" in changing("approve", "hold", hold, code=2).err


def test_a_person_keeps_what_is_held(changing, servers) -> None:
    hold = _vanished(changing, servers)
    assert "all its records stay" in changing("reject", "hold", hold).out
    assert changing("health", "--json", code=None).json["holds"] == []


def test_an_empty_hub_says_what_to_do(empty) -> None:
    Path("hub.toml").write_text('[own]\ndomains = ["ourco.example"]\n')
    for command in ("sync", "census", "check", "replay", "serve", "health"):
        shown = empty(command)
        assert "No connection is set up yet." in shown.out, command
        assert "ihub init" in shown.out
        empty(command, "--json")
    assert "Nothing was read yet" in empty("report", "summary").out
    assert "no system of record is chosen" in empty("plan", code=2).err


def test_one_exit_code_out_of_several() -> None:
    assert [combined(codes) for codes in ([], [0], [2], [1, 1], [0, 5], [0, 1], [3, 5], [0, 4], [2, 4])] == [
        0, 0, 2, 1, 5, 3, 3, 4, 4,
    ]  # fmt: skip
