"""Where settings come from: file, environment, defaults; what is shown of them."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from hub.settings import Connection, Hub, Own, Settings, load

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_an_empty_file_gives_the_defaults(read: Callable[..., Settings], folder: Path) -> None:
    settings = read("")
    assert settings.hub.data_dir == folder / "data"
    assert settings.hub.database_url == f"sqlite:///{folder.as_posix()}/data/hub.db"
    assert str(settings.schedule.default) == "every 5 minutes"
    assert settings.contacts.create == "all"
    assert settings.system_of_record.connection == ""
    assert settings.system_of_record.push == ("person", "organization", "interaction")


def test_a_whole_file(read: Callable[..., Settings]) -> None:
    settings = read(
        """
        [hub]
        log_level = "DEBUG"
        timezone = "Europe/Lisbon"
        database = "postgresql://hub@db.example/hub"
        [own]
        domains = ["@ACME.example.", "acme.example.org"]
        people = { "Ana@acme.example" = "Ana Silva" }
        [schedule]
        cron = "0 6 * * mon-fri"
        [system_of_record]
        connection = "crm"
        push_since = 2026-01-31
        [connections.crm]
        connector = "hubspot"
        [connections.mail]
        connector = "gmail"
        every = "90 seconds"
        since = "90 days"
        streams = ["messages"]
        """
    )
    assert settings.hub.log_level == "debug"
    assert settings.hub.database_url == "postgresql://hub@db.example/hub"
    assert settings.own.domains == ("acme.example", "acme.example.org")
    assert settings.own.people == {"ana@acme.example": "Ana Silva"}
    assert settings.system_of_record.push_since == date(2026, 1, 31)
    assert settings.push_since_at(NOW) == datetime(2026, 1, 31, tzinfo=UTC)
    mail = settings.connections["mail"]
    assert (mail.name, mail.since, mail.streams) == ("mail", timedelta(days=90), ("messages",))
    assert mail.since_at(NOW) == datetime(2026, 8, 23, 12, tzinfo=UTC)
    assert settings.connections["crm"].since_at(NOW) is None
    assert str(settings.schedule_of("mail")) == "every 90 seconds"
    assert str(settings.schedule_of("crm")) == "0 6 * * mon-fri"


def test_settings_cannot_be_changed(read: Callable[..., Settings]) -> None:
    settings = read("")
    with pytest.raises(ValidationError):
        settings.hub = Hub()
    with pytest.raises(ValidationError):
        settings.hub.log_level = "debug"


def test_environment_wins_over_the_file(read: Callable[..., Settings]) -> None:
    env = {
        "HUB_CAPTURE__BULK": "keep",
        "HUB_OWN__DOMAINS": "one.example, two.example",
        "HUB_OWN__ADDRESSES": '["ana@one.example"]',
        "HUB_IDENTITY__STRIP_PLUS": "false",
        "HUB_IDENTITY__PLUS_COUNTS_AT": "Kestrel.example., elm.example",
        "HUB_SYSTEM_OF_RECORD__BRAKE_COUNT": "7",
        "HUB_CONNECTIONS__MAIL__SINCE": "30 days",
        "HUB_CONNECTIONS__CRM__CONNECTOR": "hubspot",
        "HUB_HUB__LOG_LEVEL": "",
        "HUB_SHARED": "/somewhere/else",
    }
    settings = read('[own]\ndomains = ["file.example"]\n[connections.mail]\nconnector = "gmail"\n', env)
    assert settings.capture.bulk == "keep"
    assert settings.own.domains == ("one.example", "two.example")
    assert settings.own.addresses == ("ana@one.example",)
    assert settings.identity.strip_plus is False
    assert settings.identity.plus_counts_at == ("kestrel.example", "elm.example")
    assert settings.system_of_record.brake_count == 7
    assert settings.connections["mail"].connector == "gmail"
    assert settings.connections["mail"].since == timedelta(days=30)
    assert settings.connections["crm"].connector == "hubspot"
    assert settings.hub.log_level == "info"


def test_environment_alone_is_enough(folder: Path) -> None:
    settings = load(env={"HUB_OWN__DOMAINS": "acme.example"})
    assert settings.own.domains == ("acme.example",)
    assert settings.hub.data_dir == folder / "data"


def test_any_text_by_reference(read: Callable[..., Settings], folder: Path) -> None:
    (folder / "domain").write_text("two.example\n")
    settings = read(
        '[own]\ndomains = [{ env = "OURS" }, { file = "domain" }]\nlists = { env = "LISTS" }\n'
        '[hub]\ndatabase = { env = "DB" }\n',
        {"OURS": "one.example", "LISTS": "a@lists.example,b@lists.example", "DB": "postgresql://u:canary@db/hub"},
    )
    assert settings.own.domains == ("one.example", "two.example")
    assert settings.own.lists == ("a@lists.example", "b@lists.example")
    assert settings.hub.database_url == "postgresql://u:canary@db/hub"
    assert settings.redacted()["hub"]["database"] == "postgresql://u:***@db/hub"
    assert "canary" not in repr(settings)


def test_file_variant_of_a_variable(read: Callable[..., Settings], folder: Path) -> None:
    (folder / "url").write_text("postgresql://u:pw@db/hub\n")
    settings = read('[hub]\ndatabase = "sqlite:////data/hub.db"\n', {"HUB_HUB__DATABASE_FILE": "url"})
    assert settings.hub.database_url == "postgresql://u:pw@db/hub"


@pytest.mark.parametrize(("file", "base"), [("config/hub.toml", "."), ("hub.toml", "."), ("sub/x.toml", "sub")])
def test_relative_paths_do_not_depend_on_where_the_hub_starts(
    folder: Path, monkeypatch: pytest.MonkeyPatch, file: str, base: str
) -> None:
    path = folder / file
    path.parent.mkdir(exist_ok=True)
    path.write_text('[hub]\ndata_dir = "kept"\n')
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert load(path, env={}).hub.data_dir == folder / base / "kept"


def test_which_file_is_read(folder: Path) -> None:
    for name, level in (("hub.toml", "error"), ("config/hub.toml", "warning"), ("other.toml", "debug")):
        (folder / name).write_text(f'[hub]\nlog_level = "{level}"\n')
    assert load(env={}).hub.log_level == "warning"
    assert load(env={"HUB_CONFIG": "other.toml"}).hub.log_level == "debug"
    assert load("hub.toml", env={"HUB_CONFIG": "other.toml"}).hub.log_level == "error"
    (folder / "config/hub.toml").unlink()
    assert load(env={}).hub.log_level == "error"


def test_a_file_from_notepad(folder: Path) -> None:
    (folder / "hub.toml").write_bytes(b'\xef\xbb\xbf[hub]\r\nlog_level = "debug"\r\n')
    assert load(env={}).hub.log_level == "debug"


def test_redacted_shows_no_secret(read: Callable[..., Settings]) -> None:
    settings = read(
        '[connections.crm]\nconnector = "hubspot"\n[connections.crm.settings]\n'
        'token = { env = "TOKEN" }\napi_key = "canary1"\nportal = "7"\nnested = { password = "canary2" }\n',
        {"TOKEN": "canary3", "HUB_CONNECTIONS__CRM__SETTINGS__OTHER": "canary4"},
    )
    shown = settings.redacted()["connections"]["crm"]["settings"]
    assert shown == {
        "token": {"env": "TOKEN"}, "api_key": "***", "portal": "7", "nested": {"password": "***"}, "other": "***",
    }  # fmt: skip
    assert "canary" not in repr(settings) + str(settings.redacted()) + repr(settings.connections["crm"])


def test_digest_follows_the_rules_and_not_the_secrets(read: Callable[..., Settings]) -> None:
    plain = read('[hub]\ndatabase = { env = "DB" }\n', {"DB": "postgresql://u:one@db/hub"})
    rotated = read('[hub]\ndatabase = { env = "DB" }\n', {"DB": "postgresql://u:two@db/hub"})
    stricter = read(
        '[capture]\nblock_labels = ["x"]\n[hub]\ndatabase = { env = "DB" }\n', {"DB": "postgresql://u:one@db/hub"}
    )
    assert plain.digest() == rotated.digest()
    assert len(plain.digest()) == 64
    assert plain.digest() != stricter.digest()
    assert plain.digest("capture") != stricter.digest("capture")
    assert plain.digest("own", "identity") == stricter.digest("own", "identity")


def test_built_in_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_OWN__DOMAINS", "from.the.environment.example")
    crm = Connection(connector="hubspot", settings={"token": "plain"})
    settings = Settings(own=Own(domains=("acme.example",)), connections={"crm": crm})
    assert settings.own.domains == ("acme.example",)
    assert settings.connections["crm"].name == "crm"


def test_reading_settings_brings_no_http_client() -> None:
    code = (
        "import sys, hub.settings as s; s.Settings();"
        "print([m for m in ('httpx', 'sqlalchemy', 'prefect', 'pluggy', 'hub.api') if m in sys.modules])"
    )
    env = {**os.environ, "PYTHONWARNINGS": "error"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.strip() == "[]"
