"""The file `ihub init` writes: it loads as it is, its examples load too, and it tells the truth."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hub import plugins
from hub.cli.template import HUB_TOML
from hub.settings import Connection, Settings, connector_settings

Read = Callable[..., Settings]
EXAMPLE = re.compile(r"# (\[[a-z_.]+\]|[a-z_]+ = .*)$")
SECRETS = {
    "GMAIL_CLIENT_SECRET": "x",
    "CALENDAR_CLIENT_SECRET": "s",
    "CALENDAR_REFRESH_TOKEN": "r",
    "ZENDESK_CLIENT_SECRET": "s",
    "MAILCHIMP_API_KEY": "k-us1",
    "SIGN_IN_SECRET": "s",
    "GMAIL_REFRESH_TOKEN": "x",
    "HUBSPOT_TOKEN": "x",
}
EITHER = ("cron = ",)  # the template offers it as the other choice beside `every`


def uncommented() -> str:
    """The template with every example switched on, but for the choice that excludes another."""
    lines = []
    for line in HUB_TOML.splitlines():
        example = EXAMPLE.match(line)
        lines.append(example[1] if example and not (example[1].startswith(EITHER) and "15" in line) else line)
    return "\n".join(lines)


def test_the_example_file_is_the_template() -> None:
    example = Path(__file__).parents[2] / "config/hub.example.toml"
    assert example.read_text(encoding="utf-8") == HUB_TOML


def test_it_loads_as_it_is_and_changes_nothing(read: Read) -> None:
    as_written, empty = read(HUB_TOML), read("")
    assert as_written.redacted() == empty.redacted()


def test_all_its_examples_load_together(read: Read) -> None:
    settings = read(uncommented(), {**SECRETS, "HUB_DATABASE_URL": "postgresql://u:p@db/hub"})
    assert set(settings.connections) == {"gmail", "calendar", "zendesk", "mailchimp", "hubspot", "archive"}
    assert settings.system_of_record.connection == "hubspot"
    assert settings.own.domains == ("acme.example",)


def test_it_names_every_setting_there_is() -> None:
    written = tomllib.loads(uncommented())
    for section, info in Settings.model_fields.items():
        if section == "connections":
            continue
        known = set(info.annotation.model_fields)  # type: ignore[union-attr]
        missing = known - set(written[section]) - ({"cron"} if section == "schedule" else set())
        assert not missing, f"[{section}] does not show {missing}"
    shown = set[str]().union(*(connection for connection in written["connections"].values()))
    assert set(Connection.model_fields) - shown == {"streams"}
    assert "#   streams " in HUB_TOML


def test_the_defaults_it_shows_are_the_defaults(read: Read) -> None:
    shown: dict[str, Any] = tomllib.loads(uncommented())
    defaults = read("").redacted()
    same = [
        ("hub", "log_level"), ("hub", "timezone"), ("capture", "internal"), ("capture", "bulk"), ("capture", "auto"),
        ("capture", "private_labels"), ("capture", "metadata_only"), ("identity", "strip_plus"),
        ("identity", "gmail_dots"), ("contacts", "create"), ("system_of_record", "push"),
        ("system_of_record", "approve"), ("system_of_record", "brake_percent"), ("system_of_record", "brake_count"),
        ("schedule", "concurrency"),
    ]  # fmt: skip
    assert {at: shown[at[0]][at[1]] for at in same} == {at: defaults[at[0]][at[1]] for at in same}
    assert shown["schedule"]["every"] == "5 minutes"


def test_it_holds_no_secret_and_only_example_names() -> None:
    assert not re.search(r"(token|secret|password)\s*=\s*\"", HUB_TOML)
    for domain in re.findall(r"@([a-z-]+\.[a-z.-]+)", HUB_TOML):
        assert domain.endswith(".example")


@pytest.mark.parametrize("name", ["gmail", "calendar", "zendesk", "mailchimp", "hubspot", "archive"])
def test_the_connectors_take_their_examples(read: Read, name: str) -> None:
    connection = read(uncommented(), {**SECRETS, "HUB_DATABASE_URL": "postgresql://u@db/hub"}).connections[name]
    registry = plugins.load([connection.connector])
    if connection.connector not in registry.connectors:
        pytest.skip(f"the {connection.connector} connector is not installed here")
    assert connector_settings(connection, registry.get(connection.connector).settings_model)
