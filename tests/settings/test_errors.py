"""Bad configurations and the whole text of the error each must give. People read these aloud to each other."""

# ruff: noqa: E501 - the texts stand here as they appear, a line each

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hub.api import ConfigError
from hub.settings import Settings, find_problems, load


@dataclass(frozen=True)
class Bad:
    name: str
    toml: str
    says: str
    env: dict[str, str] = field(default_factory=dict)


# fmt: off
# fmt: off
CASES = [
    Bad(
        "unknown key",
        "[hub]\n"
        'log_levl = "info"\n',
        "config/hub.toml:2:1: hub.log_levl is not a setting. Did you mean log_level?\n"
        "  Fix: rename it. [hub] takes: data_dir, database, log_level, timezone",
    ),
    Bad(
        "unknown key, nothing near",
        "[own]\n"
        'colour = "red"\n',
        "config/hub.toml:2:1: own.colour is not a setting\n"
        "  Fix: remove it. [own] takes: addresses, domains, lists, people",
    ),
    Bad(
        "unknown section",
        "[captrue]\n"
        'bulk = "keep"\n',
        "config/hub.toml:1:1: captrue is not a section. Did you mean [capture]?\n"
        "  Fix: rename it. The sections are: capture, connections, consent, contacts, fields, hooks, hub, identity, inbox, meetings, own, schedule, sign_in, system_of_record, web",
    ),
    Bad(
        "unknown key in a connection",
        "[connections.gmail]\n"
        'connector = "gmail"\n'
        "enable = false\n",
        "config/hub.toml:3:1: connections.gmail.enable is not a setting. Did you mean enabled?\n"
        "  Fix: rename it. [connections.gmail] takes: connector, cron, enabled, every, merge_duplicates, owner, private, settings, since, streams",
    ),
    Bad(
        "wrong choice, near",
        "[capture]\n"
        'bulk = "exlude"\n',
        'config/hub.toml:2:8: capture.bulk must be "exclude", "keep" or "metadata"; found the text "exlude". Did you mean "exclude"?\n'
        '  Fix: write bulk = "exclude"',
    ),
    Bad(
        "wrong choice, nothing near",
        "[capture]\n"
        'internal = "sometimes"\n',
        'config/hub.toml:2:12: capture.internal must be "exclude" or "keep"; found the text "sometimes"\n'
        '  Fix: write internal = "exclude"',
    ),
    Bad(
        "text for a truth value",
        "[capture]\n"
        'metadata_only = "yes"\n',
        'config/hub.toml:2:17: capture.metadata_only must be true or false, without quotes; found the text "yes"\n'
        "  Fix: write metadata_only = true",
    ),
    Bad(
        "text for a number",
        "[schedule]\n"
        'concurrency = "4"\n',
        'config/hub.toml:2:15: schedule.concurrency must be a number, without quotes; found the text "4"\n'
        "  Fix: write concurrency = 4",
    ),
    Bad(
        "truth value for a number",
        "[system_of_record]\n"
        "brake_count = true\n",
        "config/hub.toml:2:15: system_of_record.brake_count must be a number; found true\n"
        "  Fix: write brake_count = 1",
    ),
    Bad(
        "fraction for a whole number",
        "[schedule]\n"
        "concurrency = 2.5\n",
        "config/hub.toml:2:15: schedule.concurrency must be a whole number; found the number 2.5\n"
        "  Fix: write concurrency = 1",
    ),
    Bad(
        "number too small",
        "[schedule]\n"
        "concurrency = 0\n",
        "config/hub.toml:2:15: schedule.concurrency must be 1 or more; found the number 0\n"
        "  Fix: write concurrency = 1",
    ),
    Bad(
        "number too large",
        "[system_of_record]\n"
        "brake_percent = 120\n",
        "config/hub.toml:2:17: system_of_record.brake_percent must be 100 or less; found the number 120\n"
        "  Fix: write brake_percent = 100",
    ),
    Bad(
        "number for a text",
        "[system_of_record]\n"
        "connection = 7\n",
        "config/hub.toml:2:14: system_of_record.connection must be a text in quotes; found the number 7\n"
        '  Fix: write connection = "7"',
    ),
    Bad(
        "text for a list",
        "[own]\n"
        'domains = "acme.example"\n',
        'config/hub.toml:2:11: own.domains must be a list; found the text "acme.example"\n'
        '  Fix: write domains = ["acme.example"]',
    ),
    Bad(
        "wrong item in a list",
        "[own]\n"
        "addresses = [\n"
        '  "ana@acme.example",\n'
        '  "bob",\n'
        "  3,\n"
        "]\n",
        "the settings have 2 problems\n"
        'config/hub.toml:4:3: own.addresses[1] must be a bare address such as ana@example.com; found the text "bob"\n'
        "  Fix: write such a value\n"
        "config/hub.toml:5:3: own.addresses[2] must be a text in quotes; found the number 3\n"
        '  Fix: write "3" there',
    ),
    Bad(
        "address for a domain",
        "[capture]\n"
        'block_domains = ["https://bank.example"]\n',
        'config/hub.toml:2:18: capture.block_domains[0] must be a bare domain such as example.com; found the text "https://bank.example". Did you mean "bank.example"?\n'
        '  Fix: write "bank.example" there',
    ),
    Bad(
        "wrong kind to push",
        "[system_of_record]\n"
        'push = ["person", "interactions"]\n',
        'config/hub.toml:2:19: system_of_record.push[1] must be "person", "organization", "interaction" or "task"; found the text "interactions". Did you mean "interaction"?\n'
        '  Fix: write "interaction" there',
    ),
    Bad(
        "list for a section",
        'own = ["acme.example"]\n',
        "config/hub.toml:1:7: own must be a table; found a list\n"
        "  Fix: write it as a section [own]",
    ),
    Bad(
        "missing key",
        "[connections.gmail]\n"
        "enabled = true\n",
        "config/hub.toml:1:1: connections.gmail.connector is missing\n"
        '  Fix: add connector = "..." under [connections.gmail] (`ihub connectors` lists the names)',
    ),
    Bad(
        "connection name",
        '[connections."My Mail"]\n'
        'connector = "gmail"\n',
        'config/hub.toml:1:1: connections."My Mail" has a name that is not made of lower-case letters, digits and single underscores; found the text "My Mail"\n'
        "  Fix: rename the section to [connections.my_mail]",
    ),
    Bad(
        "system of record is no connection",
        "[system_of_record]\n"
        'connection = "hubspt"\n'
        "[connections.hubspot]\n"
        'connector = "hubspot"\n',
        'config/hub.toml:2:14: system_of_record.connection names the connection "hubspt", which is not in this configuration. Did you mean "hubspot"?\n'
        "  Fix: add a section [connections.hubspt], or name one of those that exist: hubspot",
    ),
    Bad(
        "system of record without connections",
        "[system_of_record]\n"
        'connection = "hubspot"\n',
        'config/hub.toml:2:14: system_of_record.connection names the connection "hubspot", which is not in this configuration\n'
        "  Fix: add a section [connections.hubspot], or name one of those that exist: none yet",
    ),
    Bad(
        "span without unit",
        "[schedule]\n"
        "every = 5\n",
        'config/hub.toml:2:9: schedule.every must be a span of time such as "30 seconds", "5 minutes", "2 hours" or "1 day"; found the number 5\n'
        '  Fix: say the unit: "5 minutes"',
    ),
    Bad(
        "span with an unknown unit",
        "[schedule]\n"
        'every = "5 minuts"\n',
        'config/hub.toml:2:9: schedule.every must be a span of time such as "30 seconds", "5 minutes", "2 hours" or "1 day"; found the text "5 minuts". Did you mean "5 minutes"?\n'
        '  Fix: write every = "5 minutes"',
    ),
    Bad(
        "span of nothing",
        "[schedule]\n"
        'every = "0 minutes"\n',
        'config/hub.toml:2:9: schedule.every must be a span of time such as "30 seconds", "5 minutes", "2 hours" or "1 day"; found the text "0 minutes"\n'
        '  Fix: write every = "5 minutes"',
    ),
    Bad(
        "window",
        "[connections.gmail]\n"
        'connector = "gmail"\n'
        'since = "last year"\n',
        'config/hub.toml:3:9: connections.gmail.since must be a date such as 2025-01-31, or a span such as "90 days"; found the text "last year"\n'
        '  Fix: write since = "90 days"',
    ),
    Bad(
        "cron with four fields",
        "[schedule]\n"
        'cron = "0 6 * *"\n',
        'config/hub.toml:2:8: schedule.cron must be five fields: minute, hour, day of month, month, day of week; found the text "0 6 * *"\n'
        '  Fix: write cron = "*/15 8-18 * * mon-fri"',
    ),
    Bad(
        "cron out of range",
        "[schedule]\n"
        'cron = "61 * * * *"\n',
        'config/hub.toml:2:8: schedule.cron has a wrong minute field "61": values go from 0 to 59, small to large; found the text "61 * * * *"\n'
        "  Fix: write such a value",
    ),
    Bad(
        "cron that is not one",
        "[schedule]\n"
        'cron = "0 6 * * monday"\n',
        'config/hub.toml:2:8: schedule.cron has a wrong day of week field "monday": use numbers or names such as sun, with * , - and /; found the text "0 6 * * monday"\n'
        "  Fix: write such a value",
    ),
    Bad(
        "cron day that never comes",
        "[schedule]\n"
        'cron = "0 0 31 2 *"\n',
        'config/hub.toml:2:8: schedule.cron must name a day that exists: no such month has that day; found the text "0 0 31 2 *"\n'
        "  Fix: write such a value",
    ),
    Bad(
        "both every and cron",
        "[connections.gmail]\n"
        'connector = "gmail"\n'
        'every = "5 minutes"\n'
        'cron = "0 6 * * *"\n',
        "config/hub.toml:4:8: connections.gmail.cron and every are both set\n"
        "  Fix: keep one of every and cron",
    ),
    Bad(
        "time zone",
        "[hub]\n"
        'timezone = "Europe/Lisbom"\n',
        'config/hub.toml:2:12: hub.timezone must be a time zone name such as "Europe/Lisbon" or "UTC"; found the text "Europe/Lisbom". Did you mean "Europe/Lisbon"?\n'
        '  Fix: write timezone = "Europe/Lisbon"',
    ),
    Bad(
        "time zone that is a path",
        "[hub]\n"
        'timezone = "../../etc/passwd"\n',
        'config/hub.toml:2:12: hub.timezone must be a time zone name such as "Europe/Lisbon" or "UTC"; found the text "../../etc/passwd"\n'
        '  Fix: write timezone = "UTC"',
    ),
    Bad(
        "country by its common letters",
        "[identity]\n"
        'default_region = "UK"\n',
        'config/hub.toml:2:18: identity.default_region must be a country as two letters (ISO 3166), such as "DE", or "" for none; found the text "UK". Did you mean "GB"?\n'
        '  Fix: write default_region = "GB"',
    ),
    Bad(
        "no country at all",
        "[identity]\n"
        'default_region = "+49"\n',
        'config/hub.toml:2:18: identity.default_region must be a country as two letters (ISO 3166), such as "DE", or "" for none; found the text "+49"\n'
        '  Fix: write default_region = "DE"',
    ),
    Bad(
        "database of another make",
        "[hub]\n"
        'database = "mysql://db.example/hub"\n',
        'config/hub.toml:2:12: hub.database must be a database URL that starts with sqlite:/// or postgresql://; found the text "mysql://db.example/hub"\n'
        '  Fix: leave it out for SQLite, or write database = "postgresql://user@host/name"',
    ),
    Bad(
        "relative database",
        "[hub]\n"
        'database = "sqlite:///hub.db"\n',
        'config/hub.toml:2:12: hub.database must name an absolute path: a relative one changes with the folder the hub starts in; found the text "sqlite:///hub.db"\n'
        '  Fix: write database = "sqlite:///{data_dir}/hub.db"',
    ),
    Bad(
        "password in the file",
        "[hub]\n"
        'database = "postgresql://hub:canary@db.example/hub"\n',
        "config/hub.toml:2:12: hub.database holds a password, which must not stand in this file\n"
        '  Fix: write database = { env = "HUB_DATABASE_URL" } and set that variable to the whole URL',
    ),
    Bad(
        "reference to nothing",
        "[hub]\n"
        'database = { env = "HUB_DATABASE_URL" }\n',
        "config/hub.toml:2:12: hub.database refers to the environment variable HUB_DATABASE_URL, which is not set (there is HUB_DATABASE_UR)\n"
        "  Fix: set HUB_DATABASE_URL before the hub starts, or correct the name here",
        {"HUB_DATABASE_UR": "x"},
    ),
    Bad(
        "reference to an empty variable",
        "[hub]\n"
        'database = { env = "DB_URL" }\n',
        "config/hub.toml:2:12: hub.database refers to the environment variable DB_URL, which is empty\n"
        "  Fix: set DB_URL before the hub starts, or correct the name here",
        {"DB_URL": ""},
    ),
    Bad(
        "reference to a wrong value",
        "[hub]\n"
        'database = { env = "DB_URL" }\n',
        "config/hub.toml:2:12: hub.database must be a database URL that starts with sqlite:/// or postgresql://; found the value of environment variable DB_URL (not shown)\n"
        "  Fix: change the value of environment variable DB_URL",
        {"DB_URL": "mysql://hub:canary@db.example"},
    ),
    Bad(
        "reference that is a number",
        "[hub]\n"
        "database = { env = 3 }\n",
        "config/hub.toml:2:20: hub.database has a reference without a name: env must be a text in quotes; found the number 3\n"
        '  Fix: write database = { env = "..." }',
    ),
    Bad(
        "reference of an unknown kind",
        "[hub]\n"
        'database = { vault = "x" }\n',
        'config/hub.toml:2:12: hub.database must be one value, or a reference { env = "NAME" } or { file = "path" }; found a table\n'
        '  Fix: write database = "..."',
    ),
    Bad(
        "several mistakes, in the order of the file",
        "[contacts]\n"
        'create = "some"\n'
        "\n"
        "[capture]\n"
        "bulk = 1\n"
        'auto = "keep"\n'
        "blok_labels = []\n",
        "the settings have 3 problems\n"
        'config/hub.toml:2:10: contacts.create must be "all", "replied_to" or "none"; found the text "some"\n'
        '  Fix: write create = "all"\n'
        'config/hub.toml:5:8: capture.bulk must be "exclude", "keep" or "metadata"; found the number 1\n'
        '  Fix: write bulk = "exclude"\n'
        "config/hub.toml:7:1: capture.blok_labels is not a setting. Did you mean block_labels?\n"
        "  Fix: rename it. [capture] takes: auto, block_addresses, block_domains, block_labels, bulk, internal, keep_failed, metadata_only, metadata_only_domains, private_labels, require_label",
    ),
    Bad(
        "text without quotes",
        "[hub]\n"
        "data_dir = data\n",
        "config/hub.toml:2:12: the value of data_dir is a text without quotes\n"
        '  Fix: write it in quotes: data_dir = "..."',
    ),
    Bad(
        "text not closed",
        "[hub]\n"
        'data_dir = "data\n',
        "config/hub.toml:2:17: a text is not closed\n"
        "  Fix: put the missing quote at its end",
    ),
    Bad(
        "text not closed at the end of the file",
        "[hub]\n"
        "data_dir = 'data",
        "config/hub.toml:2:17: a text is not closed\n"
        "  Fix: put the missing quote at its end",
    ),
    Bad(
        "list not closed",
        "[own]\n"
        'domains = ["acme.example"\n',
        "config/hub.toml:2:26: a list is not closed\n"
        '  Fix: put the missing "]" at its end',
    ),
    Bad(
        "section not closed",
        "[hub\n"
        'data_dir = "data"\n',
        'config/hub.toml:1:5: a section name is not closed by "]"\n'
        "  Fix: write it as [section] on a line of its own",
    ),
    Bad(
        "key twice",
        "[hub]\n"
        'data_dir = "a"\n'
        'log_level = "info"\n'
        'data_dir = "b"\n',
        "config/hub.toml:4:15: data_dir is set twice, first on line 2\n"
        "  Fix: keep one of the two lines",
    ),
    Bad(
        "section twice",
        "[hub]\n"
        'data_dir = "a"\n'
        "[hub]\n"
        'log_level = "info"\n',
        "config/hub.toml:3:5: the section [hub] appears twice, first on line 1\n"
        "  Fix: put its keys into one section",
    ),
    Bad(
        "no value",
        "[hub]\n"
        "data_dir =\n",
        "config/hub.toml:2:11: data_dir has no value\n"
        '  Fix: write one after the "=", such as data_dir = "...", or remove the line',
    ),
    Bad(
        "backslashes",
        "[hub]\n"
        'data_dir = "C:\\Users\\hub"\n',
        "config/hub.toml:2:17: a backslash in double quotes begins an escape\n"
        "  Fix: use single quotes: 'C:\\mail\\archive.mbox'",
    ),
    Bad(
        "a stray word",
        "[hub]\n"
        "please\n",
        "config/hub.toml:2:7: this is neither a [section] nor key = value\n"
        '  Fix: write key = value, or "#" before a comment',
    ),
    Bad(
        "a section that is a value already",
        "[connections]\n"
        "gmail = 1\n"
        "[connections.gmail]\n"
        'connector = "gmail"\n',
        "config/hub.toml:3:19: [connections.gmail] cannot be a section: it has a value already\n"
        "  Fix: rename the section, or remove the value",
    ),
    Bad(
        "table for a list",
        "[own]\n"
        "domains = { a = 1 }\n",
        'config/hub.toml:2:11: own.domains must be a list, or a reference { env = "NAME" } or { file = "path" }; found a table\n'
        '  Fix: write domains = ["..."]',
    ),
    Bad(
        "environment: null",
        "",
        "environment variable HUB_OWN__PEOPLE: own.people must be a table; found nothing\n"
        "  Fix: correct the value of HUB_OWN__PEOPLE",
        {"HUB_OWN__PEOPLE": "null"},
    ),
    Bad(
        "two values",
        "[schedule]\n"
        "concurrency = 4 5\n",
        "config/hub.toml:2:17: there is something more behind the value\n"
        "  Fix: put each setting on a line of its own, and text in quotes",
    ),
    Bad(
        "environment: wrong value",
        "",
        'environment variable HUB_SCHEDULE__CONCURRENCY: schedule.concurrency must be a whole number; found the text "four"\n'
        "  Fix: correct the value of HUB_SCHEDULE__CONCURRENCY",
        {"HUB_SCHEDULE__CONCURRENCY": "four"},
    ),
    Bad(
        "environment: wrong choice",
        "",
        'environment variable HUB_CAPTURE__BULK: capture.bulk must be "exclude", "keep" or "metadata"; found the text "exlude". Did you mean "exclude"?\n'
        "  Fix: set HUB_CAPTURE__BULK to exclude",
        {"HUB_CAPTURE__BULK": "exlude"},
    ),
    Bad(
        "environment: unknown key",
        "",
        "environment variable HUB_CAPTURE__BLUK: capture.bluk is not a setting. Did you mean bulk?\n"
        "  Fix: rename it to HUB_CAPTURE__BULK. [capture] takes: auto, block_addresses, block_domains, block_labels, bulk, internal, keep_failed, metadata_only, metadata_only_domains, private_labels, require_label",
        {"HUB_CAPTURE__BLUK": "keep"},
    ),
    Bad(
        "environment: unknown section",
        "",
        'environment variable HUB_SCHEDUL__EVERY: there is no section "schedul". Did you mean HUB_SCHEDULE__EVERY?\n'
        "  Fix: rename or unset it. The sections are: hub, own, capture, identity, contacts, system_of_record, fields, consent, meetings, schedule, inbox, web, hooks, sign_in, connections",
        {"HUB_SCHEDUL__EVERY": "1 day"},
    ),
    Bad(
        "environment: one underscore",
        "",
        "environment variable HUB_OWN_DOMAINS: looks like a setting but names none: sections and keys are joined by two underscores\n"
        "  Fix: rename it to HUB_OWN__DOMAINS, or unset it",
        {"HUB_OWN_DOMAINS": "acme.example"},
    ),
    Bad(
        "environment: a whole section",
        "",
        "environment variable HUB_OWN: looks like a setting but names none: sections and keys are joined by two underscores\n"
        "  Fix: rename it to HUB_OWN__KEY, or unset it",
        {"HUB_OWN": "acme.example"},
    ),
    Bad(
        "environment: wrong item of a list",
        "",
        'environment variable HUB_OWN__DOMAINS: own.domains[1] must be a bare domain such as example.com; found the text "a b"\n'
        "  Fix: correct the value of HUB_OWN__DOMAINS",
        {"HUB_OWN__DOMAINS": "acme.example, a b"},
    ),
    Bad(
        "environment: both forms",
        "",
        "environment variable HUB_HUB__LOG_LEVEL: hub.log_level is set twice: HUB_HUB__LOG_LEVEL and the same with _FILE\n"
        "  Fix: keep one of the two variables",
        {"HUB_HUB__LOG_LEVEL": "info", "HUB_HUB__LOG_LEVEL_FILE": "level"},
    ),
    Bad(
        "field: owner and precedence",
        '[connections.crm]\nconnector = "hubspot"\n[fields.person.phone]\nowner = "crm"\nprecedence = ["crm"]\n',
        "config/hub.toml:5:14: fields.person.phone.precedence and owner are both set\n"
        "  Fix: keep one of owner and precedence",
    ),
    Bad(
        "field: its owner is told",
        '[connections.crm]\nconnector = "hubspot"\n[fields.person.phone]\nowner = "crm"\nwrite_to = ["crm"]\n',
        "config/hub.toml:5:12: fields.person.phone.write_to names the owner, whose value is never overwritten\n"
        "  Fix: leave it out",
    ),
    Bad(
        "field: a connection that is not there",
        '[connections.crm]\nconnector = "hubspot"\n[fields.person.phone]\nwrite_to = ["cmr"]\n',
        'config/hub.toml:4:12: fields.person.phone.write_to names the connection "cmr", which is not in this configuration. '
        'Did you mean "crm"?\n  Fix: add a section [connections.cmr], or name one of those that exist: crm',
    ),
    Bad(
        "consent: a connection that is not there",
        '[consent]\nwrite_to = ["news"]\n',
        'config/hub.toml:2:12: consent.write_to names the connection "news", which is not in this configuration\n'
        "  Fix: add a section [connections.news], or name one of those that exist: none yet",
    ),
    Bad(
        "environment: file that is not there",
        "",
        "environment variable HUB_HUB__DATABASE_FILE: hub.database refers to the file /nowhere/database, which does not exist\n"
        "  Fix: put the value into that file, or correct the path",
        {"HUB_HUB__DATABASE_FILE": "/nowhere/database"},
    ),
]
# fmt: on


@pytest.mark.parametrize("bad", CASES, ids=lambda bad: bad.name)
def test_says(bad: Bad, read: Callable[..., Settings]) -> None:
    with pytest.raises(ConfigError) as caught:
        read(bad.toml, bad.env)
    assert str(caught.value) == bad.says


def test_no_text_repeats_a_secret() -> None:
    assert not [bad.name for bad in CASES if "canary" in bad.says]
    assert [bad.name for bad in CASES if "canary" in bad.toml + str(bad.env)]


def test_problems_have_parts_for_machines(folder: Path) -> None:
    (folder / "config/hub.toml").write_text("[own]\ndomains = 3\n")
    [problem] = find_problems(env={})
    assert (problem.line, problem.column, problem.field) == (2, 11, "own.domains")
    assert (problem.where, problem.fix) == ("config/hub.toml:2:11", 'write domains = ["..."]')


def test_no_configuration_at_all(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(env={})
    assert str(caught.value) == (
        "settings: there is no configuration; looked for ./config/hub.toml and ./hub.toml\n"
        "  Fix: run `ihub init` to write a commented one, or name a file with --config or HUB_CONFIG"
    )


def test_named_file_that_is_not_there(folder: Path) -> None:
    (folder / "config/hub.toml").write_text("")
    with pytest.raises(ConfigError) as caught:
        load("config/hbu.toml", env={})
    assert str(caught.value) == (
        "config/hbu.toml: this file does not exist. Did you mean config/hub.toml?\n"
        "  Fix: correct --config, or run `ihub init` to write a new one"
    )


def test_variable_that_names_a_folder(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(env={"HUB_CONFIG": "config"})
    assert str(caught.value) == (
        "config: this file is a folder, not a file\n  Fix: correct HUB_CONFIG, or run `ihub init` to write a new one"
    )


def test_file_that_is_not_utf_8(folder: Path) -> None:
    (folder / "hub.toml").write_bytes(b'[own]\npeople = { "ana@acme.example" = "Jos\xe9" }\n')
    with pytest.raises(ConfigError) as caught:
        load(env={})
    assert str(caught.value) == ("hub.toml:2: the file is not UTF-8 text\n  Fix: save the file as UTF-8 in your editor")


def test_nested_too_deeply(folder: Path) -> None:
    (folder / "hub.toml").write_text("deep = " + "[" * 5000 + "]" * 5000)
    with pytest.raises(ConfigError) as caught:
        load(env={})
    assert "hub.toml" in str(caught.value)


def test_a_room_can_point_at_a_line(read: Callable[..., Settings]) -> None:
    settings = read('[connections.gmail]\nconnector = "gmial"\n')
    error = settings.connections["gmail"].error("connector", 'is "gmial", which is not installed', "install it")
    assert str(error) == (
        'config/hub.toml:2:13: connections.gmail.connector is "gmial", which is not installed\n  Fix: install it'
    )
