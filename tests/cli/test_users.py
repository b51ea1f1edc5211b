"""`ihub user` and `ihub token`: from an empty hub to somebody signed in, and what each refuses."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hub.access import Door, roles
from hub.cli.users import TOKEN_FORMS, USER_FORMS
from hub.store import Store

DOCS = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf-8")
PASSWORD = "four quiet otters row"


@pytest.fixture
def hub(empty):
    """`ihub` with settings and nothing else."""
    Path("hub.toml").write_text('[hub]\ntimezone = "Europe/Lisbon"\n')
    return empty


@contextmanager
def door() -> Iterator[Door]:
    store = Store.open(f"sqlite:///{os.getcwd()}/data/hub.db")
    try:
        yield Door(store)
    finally:
        store.close()


def test_from_nothing_to_somebody_signed_in(hub) -> None:
    assert "no account yet" in hub("user", "list").out
    shown = hub("user", "code").out
    assert "It works once, until" in shown
    code = hub("user", "code", "--json").json
    assert (code["account"], len(code["code"])) == (None, 29)
    with door() as d:
        d.set_up(code["code"], "root@ourco.example", "Rui Root", PASSWORD)
    assert "accounts exist already" in hub("user", "code", code=2).err
    added = hub(
        "user", "add", "Ana@ourco.example", "--role", "agent", "--role", "operator", "--name", "Ana Silva", "--json"
    ).json
    assert added["account"]["roles"] == ["agent", "operator"]
    with door() as d:
        d.with_code(added["code"], PASSWORD, address="203.0.113.7", agent="Firefox\x1b[31m on Linux")
    shown = hub("user", "show", "ana@ourco.example").out
    for said in ("Ana Silva", "agent, operator", "203.0.113.7", "Firefox [31m on Linux", "account-made", "sign-in"):
        assert said in shown
    assert "WET" in shown or "WEST" in shown
    listed = hub("user", "list").out
    assert "Rui Root" in listed
    assert "Ana Silva" in listed
    assert hub("user", "end-sessions", "ana@ourco.example", "--json").json["ended"] == 1
    assert hub("user", "show", "ana@ourco.example", "--json").json["sessions"] == []


def test_roles_are_changed_and_accounts_disabled(hub) -> None:
    hub("user", "add", "root@ourco.example", "--role", "admin")
    hub("user", "add", "ana@ourco.example", "--role", "agent")
    assert "is viewer, auditor from now on" in hub("user", "role", "ana@ourco.example", "auditor", "viewer").out
    assert "disabled" in hub("user", "disable", "ana@ourco.example").out
    assert "disabled" in hub("user", "list").out
    assert "is disabled: enable it first" in hub("user", "code", "ana@ourco.example", code=2).err
    assert "may sign in again" in hub("user", "enable", "ana@ourco.example").out
    assert "Code: " in hub("user", "code", "ana@ourco.example").out
    assert "last admin" in hub("user", "disable", "root@ourco.example", code=2).err
    told = hub("user", "show", "ana@ourco.example", "--json").json["events"]
    assert [e["act"] for e in told] == [
        "account-code",
        "account-enabled",
        "account-disabled",
        "account-roles",
        "account-made",
    ]
    assert all(e["actor"].startswith("local:") for e in told)


def test_tokens_are_made_listed_and_revoked(hub) -> None:
    hub("user", "add", "ana@ourco.example", "--role", "viewer")
    assert "There is no token" in hub("token", "list").out
    make = ("token", "create", "ana@ourco.example", "--name", "nightly export", "--scope", "customers.read")
    made = hub(*make, "--days", "7", "--json").json
    assert made["token"].startswith(f"ihub_{made['id']}_")
    shown = hub(*make).out
    assert "It is not shown again" in shown
    assert made["token"] not in hub("token", "list").out + hub("user", "show", "ana@ourco.example").out
    assert "nightly export" in hub("token", "list", "ana@ourco.example").out
    with door() as d:
        assert d.bearer(made["token"])
        assert hub("token", "revoke", made["token"], "--json").json == {"revoked": made["id"]}
        assert d.bearer(made["token"]) is None
    assert "was revoked already" in hub("token", "revoke", made["id"], code=2).err
    states = {t["id"]: t["state"] for t in hub("token", "list", "--json").json["tokens"]}
    assert states.pop(made["id"]) == "revoked"
    assert list(states.values()) == ["live"]


@pytest.mark.parametrize(("words", "said"), [
    (("user", "add", "ana@ourco.example"), "role is missing: one of viewer, agent"),
    (("user", "add", "ana@ourco.example", "--role", "root"), "role names 'root'"),
    (("user", "add", "ana", "--role", "agent"), "email is no address: write it as"),
    (("user", "add"), "it is `ihub user add EMAIL --role R`"),
    (("user", "role", "ana@ourco.example"), "it is `ihub user role EMAIL ROLE...`"),
    (("user", "list", "x"), "it is `ihub user list`"),
    (("user", "code", "a", "b"), "it is `ihub user code [EMAIL]`"),
    (("user", "show", "eve@ourco.example"), "email 'eve@ourco.example' has no account: `ihub user list`"),
    (("user", "ad", "x"), "invalid choice: 'ad'"),
    (("token", "create", "eve@ourco.example", "--name", "x", "--scope", "health.read"), "has no account"),
    (("token", "create", "x", "--days", "400"), "must be a whole number of days, 1 to 365"),
    (("token", "revoke", "abc"), "token abc is not there"),
])  # fmt: skip
def test_what_is_wrong_is_said_with_the_field_and_the_fix(hub, words: tuple[str, ...], said: str) -> None:
    shown = hub(*words, code=2)
    assert said in " ".join(shown.err.split())
    assert shown.out == ""
    assert hub(*words, "--json", code=2).json["error"]["exit_code"] == 2


def test_a_token_lacks_what_its_owner_lacks(hub) -> None:
    hub("user", "add", "ana@ourco.example", "--role", "auditor")
    make = ("token", "create", "ana@ourco.example", "--name", "x")
    assert "scope is missing" in hub(*make, code=2).err
    assert "scope names 'health.reed'" in hub(*make, "--scope", "health.reed", code=2).err
    refused = " ".join(hub(*make, "--scope", "bodies.read", code=2).err.split())
    assert "bodies.read is more than ana@ourco.example may do: one of: connections.read" in refused


def test_the_roles_need_no_hub_and_are_the_table(empty) -> None:
    shown = empty("user", "roles").out
    for name, row in roles.PERMISSIONS.items():
        [line] = [x for x in shown.splitlines() if x.split()[:1] == [name] and "may" not in x.split()[1:2]]
        assert line.split().count("yes") == len(row.roles), line
    told = empty("user", "roles", "--json").json
    assert {p["name"]: tuple(p["roles"]) for p in told["permissions"]} == {
        n: p.roles for n, p in roles.PERMISSIONS.items()
    }


def test_every_verb_and_json_key_is_in_the_docs(hub) -> None:
    section = DOCS.partition("### ihub user\n")[2].partition("\n## ")[0]
    for forms in (USER_FORMS, TOKEN_FORMS):
        for verb, (words, _) in forms.items():
            assert f"| `{f'{verb} {words}'.rstrip()}`" in section, verb
    documents = [
        hub("user", "add", "ana@ourco.example", "--role", "agent", "--json").json,
        hub("token", "create", "ana@ourco.example", "--name", "x", "--scope", "health.read", "--json").json,
        hub("token", "list", "--json").json, hub("user", "list", "--json").json, hub("user", "show", "ana@ourco.example", "--json").json,
        hub("user", "code", "ana@ourco.example", "--json").json, hub("user", "end-sessions", "ana@ourco.example", "--json").json,
        hub("user", "roles", "--json").json,
    ]  # fmt: skip
    for document in documents:
        for key in _keys(document):
            assert f'"{key}"' in section, key


def _keys(document: object) -> set[str]:
    if isinstance(document, list):
        return {key for item in document for key in _keys(item)}
    if not isinstance(document, dict):
        return set()
    inside = {k: v for k, v in document.items() if k not in {"detail", "roles"}}
    return set(document) | {key for value in inside.values() for key in _keys(value)}
