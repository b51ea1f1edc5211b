"""init, check, connect, connectors and schema."""

import json
import threading
from pathlib import Path

import httpx
import pytest

from hub import settings
from hub.cli.template import HUB_TOML


def test_init_writes_settings_that_load(empty) -> None:
    shown = empty("init")
    assert Path("config/hub.toml").read_text() == HUB_TOML
    assert "*\n" in Path("data/.gitignore").read_text()
    assert "HUB_SECRET_KEY" in shown.out
    assert settings.load().hub.timezone == "UTC"
    assert "No connection is set up yet." in empty("check").out


def test_init_elsewhere_names_the_file_in_the_next_steps(empty) -> None:
    shown = empty("init", "deep/er")
    assert "ihub check --config deep/er/config/hub.toml" in shown.out
    document = empty("init", "other", "--json").json
    assert document["config"] == "other/config/hub.toml"


def test_init_never_overwrites(empty) -> None:
    empty("init")
    Path("config/hub.toml").write_text("# mine\n")
    assert "was left as it is" in empty("init", code=2).err
    assert Path("config/hub.toml").read_text() == "# mine\n"


def test_init_where_nothing_can_be_written(empty) -> None:
    Path("file").write_text("")
    assert "cannot be written" in empty("init", "file/below", code=2).err


@pytest.mark.parametrize("by_file", [False, True])
def test_a_new_key_is_taken_by_the_settings_and_the_store(empty, monkeypatch, by_file: bool) -> None:
    key = empty("init", "--key").out.strip()
    assert len(empty("init", "--key", "--json").json["secret_key"]) == len(key)
    Path("key").write_text(key)
    name, value = ("HUB_SECRET_KEY_FILE", str(Path("key").absolute())) if by_file else ("HUB_SECRET_KEY", key)
    monkeypatch.setenv(name, value)
    Path("hub.toml").write_text("")
    empty("check")


def test_a_key_that_is_none(empty, monkeypatch) -> None:
    monkeypatch.setenv("HUB_SECRET_KEY", "not-a-key")
    Path("hub.toml").write_text("")
    assert "is not a key" in empty("check", code=2).err
    monkeypatch.delenv("HUB_SECRET_KEY")
    monkeypatch.setenv("HUB_SECRET_KEY_FILE", "nowhere.key")
    assert "nowhere.key" in empty("check", code=2).err


def test_check_shows_the_matrix_and_own_addresses(synced, company) -> None:
    shown = synced("check")
    assert "settings  fine  hub.toml" in shown.out
    assert "read  write" in shown.out
    assert company.mailboxes[0] in shown.out
    document = synced("check", "mail", "--json").json
    [mail] = document["connections"]
    assert all(p["is_granted"] for p in mail["permissions"])
    assert set(company.aliases[company.mailboxes[0]]) < set(mail["own_identities"])


def test_check_names_every_mistake_with_file_line_and_fix(empty) -> None:
    Path("hub.toml").write_text('[hub]\ntimezone = "Europe/Lisbonn"\n[capture]\nbulk = "drop"\n')
    shown = empty("check", code=2)
    assert "hub.toml:2" in shown.err
    assert "Europe/Lisbon" in shown.err
    assert "hub.toml:4" in shown.err
    assert "Fix:" in shown.err
    assert "Traceback" not in shown.err
    assert "hub.toml:2" in empty("check", "--json", code=2).json["error"]["message"]


def test_check_of_a_secret_that_is_not_set_is_exit_2_for_that_connection_alone(synced, monkeypatch) -> None:
    monkeypatch.delenv("CRM_TOKEN")
    document = synced("check", "--json", code=3).json
    assert {c["connection"]: c["exit_code"] for c in document["connections"]} == {"mail": 0, "crm": 2}
    assert "CRM_TOKEN" in synced("check", "crm", code=2).out


def test_connect_signs_in_through_the_browser_and_keeps_the_token(fresh, servers, monkeypatch) -> None:
    monkeypatch.setenv("MAIL_TOKEN", "1//stale")
    fresh("sync", "mail", "--quiet", code=4)
    assert "set HUB_SECRET_KEY" in fresh("connect", "mail", code=2).err
    monkeypatch.setenv("HUB_SECRET_KEY", fresh("init", "--key").out.strip())
    visits: list[threading.Thread] = []

    def visit(url: str) -> None:
        visits.append(threading.Thread(target=lambda: httpx.get(url, follow_redirects=True)))
        visits[-1].start()

    monkeypatch.setattr("webbrowser.open", visit)
    shown = fresh("connect", "mail")
    visits[0].join()
    assert "Open this address in a browser" in shown.err
    assert "mail  fine" in shown.out
    assert "ihub sync mail" in shown.out
    assert fresh("sync", "mail", "--json").json["exit_code"] == 0


def test_connect_where_there_is_no_sign_in(synced) -> None:
    assert "has no sign-in through the browser" in synced("connect", "crm", code=2).err
    assert "there is no connection" in synced("connect", "nope", code=2).err


def test_connectors_lists_what_is_installed(empty) -> None:
    shown = empty("connectors")
    assert "ihub emulate gmail" in shown.out
    rows = {row["name"]: row for row in empty("connectors", "--json").json["connectors"]}
    assert rows["mailfile"]["streams"] == ["messages"]
    assert rows["gmail"]["has_emulator"] is True


def test_schema_on_screen_and_into_a_file(empty) -> None:
    schema = json.loads(empty("schema", "--json").out)
    assert "Interaction" in schema["$defs"]
    assert "Written: here.json" in empty("schema", "--out", "here.json").out
    assert json.loads(Path("here.json").read_text()) == schema
    assert "cannot be written" in empty("schema", "--out", "no/where.json", code=2).err
