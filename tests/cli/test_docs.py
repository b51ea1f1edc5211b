"""docs/cli.md names every command, option, exit code and JSON key."""

import re
from pathlib import Path

import pytest

from hub import cli
from hub.cli.running import parser

DOCS = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
SECTIONS = dict(re.findall(r"^### ihub ([\w-]+)\n(.*?)(?=^##|\Z)", DOCS, re.MULTILINE | re.DOTALL))
SHARED = DOCS.partition("## Set up")[0]


def test_every_command_has_a_section_and_no_other() -> None:
    assert set(SECTIONS) == set(cli.COMMANDS)


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_option_is_named(command: str) -> None:
    for action in parser(command)._actions:
        for option in action.option_strings:
            assert f"`{option}" in SECTIONS[command] + SHARED, option


def test_every_exit_code_is_named() -> None:
    for code in (cli.OK, cli.FAILED, cli.USAGE, cli.PARTLY, cli.REAUTH, cli.DRIFT, cli.INTERRUPTED):
        assert f"\n| {code} |" in SHARED


def test_every_json_key_is_named(synced, company, tmp_path: Path) -> None:
    who = company.hero.person.address
    entry = synced("timeline", who, "--limit", 1, "--json").json["entries"][0]
    calls: tuple[tuple[object, ...], ...] = (
        ("init", tmp_path / "x"), ("init", "--key"), ("check",), ("connectors",), ("sync", "mail"), ("brief", who),
        ("timeline", who), ("explain", entry["public_id"]), ("report", "summary", "--person", who), ("state-hash",),
        ("plan",), ("reject", "1"), ("health",), ("census", "mail"), ("quarantine",), ("replay", "mail"),
        ("schema", "--out", tmp_path / "s"),
    )  # fmt: skip
    for words in calls:
        command = str(words[0])
        section = SECTIONS[command] + SECTIONS["plan" if command == "reject" else "sync"]
        for key in _keys(synced(*words, "--json").json, deep=command in {"brief", "timeline", "check", "sync"}):
            assert f'"{key}"' in section + SECTIONS["timeline"] + SECTIONS["brief"], (command, key)


def _keys(document: object, deep: bool) -> set[str]:
    """The document's keys; deep: those inside too, but for tables whose keys are data."""
    if isinstance(document, list):
        return {key for item in document for key in _keys(item, deep)}
    if not isinstance(document, dict):
        return set()
    found = set(document)
    for key, value in document.items():
        if deep and key not in {"by_channel", "by_direction", "rules", "people", "open_deals", "organization", "owner"}:
            found |= _keys(value, deep)
    return found
