"""A hub of the made-up company over real HTTP, and `ihub` in this process, its output checked on the way."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from emptying import empty_database
from portal import set_up_like

from hub.cli import main
from hub.cli.text import width
from hub.demo import Company, DemoMail
from hub.testing import Running
from hub_gmail.emulator import GmailEmulator
from hub_hubspot.emulator import HubSpotEmulator


@dataclass
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Ihub = Callable[..., Result]


@pytest.fixture
def ihub(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ihub:
    """Run a command; whatever it prints for people must fit 80 columns, whatever it prints as JSON must parse."""
    for name in [n for n in os.environ if n.startswith("HUB_")]:
        monkeypatch.delenv(name)

    def run(*args: object, code: int | None = 0) -> Result:
        capsys.readouterr()
        found = main([str(a) for a in args])
        out, err = capsys.readouterr()
        result = Result(found, out, err)
        if "--json" in args:
            assert out == "" or isinstance(json.loads(out), dict), out
        else:
            wide = [line for line in out.splitlines() if width(line) > 80]
            assert not wide, wide
        assert "\x1b" not in out + err  # not a terminal: no colour
        assert code is None or found == code, (found, out, err)
        return result

    return run


@pytest.fixture(scope="session")
def company() -> Company:
    return Company.build(end=datetime.now(UTC) - timedelta(hours=30))


@dataclass
class Servers:
    gmail: Running
    hubspot: Running
    gmail_emulator: GmailEmulator
    hubspot_emulator: HubSpotEmulator
    company: Company

    @property
    def mailbox(self) -> str:
        return self.company.mailboxes[0]

    def config(self) -> str:
        """The hub's settings. project_created, tier: the larger quotas, so that no test waits for the next window."""
        return f"""\
[hub]
timezone = "Europe/Berlin"
[own]
domains = ["{self.company.domain}"]
[identity]
free_domains_extra = ["{self.company.freemail}"]
[system_of_record]
connection = "crm"
[connections.mail]
connector = "gmail"
[connections.mail.settings]
mailbox = "{self.mailbox}"
project_created = 2025-01-01
base_url = "{self.gmail.url}/"
token_url = "{self.gmail.url}/token"
auth_url = "{self.gmail.url}/o/oauth2/v2/auth"
client_id = "client"
client_secret = {{ env = "MAIL_SECRET" }}
refresh_token = {{ env = "MAIL_TOKEN" }}
[connections.crm]
connector = "hubspot"
[connections.crm.settings]
base_url = "{self.hubspot.url}/"
token = {{ env = "CRM_TOKEN" }}
tier = 250
"""


def mails(company: Company) -> list[DemoMail]:
    """One mailbox: all mail with the hero's company and some of the rest, so that a sync takes a moment only."""
    own = [m for m in company.messages() if m.mailbox == company.mailboxes[0]]
    domain = company.hero.organization.domain
    return [m for i, m in enumerate(own) if i % 5 == 0 or any(domain in a for a in m.letter.addresses)]


def _emulators(company: Company) -> tuple[GmailEmulator, HubSpotEmulator]:
    gmail, hubspot = GmailEmulator(), HubSpotEmulator(token="test-token")
    address = company.mailboxes[0]
    gmail.add_mailbox(address, company.aliases[address])
    for mail in mails(company):
        gmail.add_message(address, mail.raw, mail.labels, mail.received_at)
    seed = company.hubspot_seed()
    ids = {o["ref"]: (o["type"], str(1000 + i)) for i, o in enumerate(seed["objects"])}
    objects: dict[str, list[dict[str, Any]]] = {}
    for o in seed["objects"]:
        links = [dict(zip(("to", "id"), ids[a["to_ref"]], strict=True)) for a in o.get("associations", ())]
        given = {"id": ids[o["ref"]][1], "properties": o["properties"], "associations": links}
        objects.setdefault(o["type"], []).append(given)
    hubspot.seed(objects, seed["owners"])
    return gmail, hubspot


@pytest.fixture(scope="session")
def shared_servers(company: Company) -> Iterator[Servers]:
    """For tests that only read."""
    gmail, hubspot = _emulators(company)
    with gmail.serve() as g, hubspot.serve() as h:
        yield Servers(g, h, gmail, hubspot, company)


@pytest.fixture
def servers(company: Company) -> Iterator[Servers]:
    """For tests that change something there."""
    gmail, hubspot = _emulators(company)
    with gmail.serve() as g, hubspot.serve() as h:
        yield Servers(g, h, gmail, hubspot, company)


def _secrets(monkeypatch: pytest.MonkeyPatch, servers: Servers) -> None:
    for name, value in {
        "MAIL_SECRET": "s", "MAIL_TOKEN": f"1//refresh-{servers.mailbox}", "CRM_TOKEN": "test-token",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def synced_home(shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with settings and everything read; to be copied."""
    home = tmp_path_factory.mktemp("synced")
    (home / "hub.toml").write_text(shared_servers.config())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        _secrets(patch, shared_servers)
        assert main(["sync", "--quiet"]) == 0
    return home


@pytest.fixture
def synced(
    synced_home: Path, shared_servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ihub: Ihub
) -> Ihub:
    """`ihub` in a hub that has read everything."""
    shutil.copytree(synced_home, tmp_path / "hub")
    monkeypatch.chdir(tmp_path / "hub")
    _secrets(monkeypatch, shared_servers)
    return ihub


@pytest.fixture
def fresh(servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ihub: Ihub) -> Ihub:
    """`ihub` in a hub with settings, servers of its own, tables and nothing read yet."""
    (tmp_path / "hub.toml").write_text(servers.config())
    with_tables(tmp_path)
    monkeypatch.chdir(tmp_path)
    _secrets(monkeypatch, servers)
    return ihub


@pytest.fixture
def changing(
    synced_home: Path, shared_servers: Servers, servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    ihub: Ihub,
) -> Ihub:  # fmt: skip
    """`ihub` in a hub that has read everything, with servers of its own: they hold the same, message for message."""
    shutil.copytree(synced_home, tmp_path / "hub")
    (tmp_path / "hub" / "hub.toml").write_text(servers.config())
    set_up_like(servers.hubspot_emulator, shared_servers.hubspot_emulator)
    monkeypatch.chdir(tmp_path / "hub")
    _secrets(monkeypatch, servers)
    return ihub


def with_tables(folder: Path) -> None:
    """Put the database that a first command would make into a hub's folder; `synced_home` has it made by the command."""
    (folder / "data").mkdir()
    (folder / "data" / "hub.db").write_bytes(empty_database())


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ihub: Ihub) -> Ihub:
    """`ihub` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return ihub


@pytest.fixture
def begun(empty: Ihub, tmp_path: Path) -> Ihub:
    """`ihub` in a folder with the tables and nothing else."""
    with_tables(tmp_path)
    return empty


@pytest.fixture(scope="session")
def write_mbox(company: Company) -> Callable[[Path, str | None], Path]:
    """Writes a mailbox (None: everybody's mail) as a file: all mail with the hero's company and some of the rest."""

    def write(path: Path, mailbox: str | None) -> Path:
        company.write_mbox(path, mailbox)
        first, *rest = re.split(rb"\n(?=From \S+ \w{3} \w{3} )", path.read_bytes())
        domain = company.hero.organization.domain.encode()
        path.write_bytes(b"\n".join([first, *(m for i, m in enumerate(rest) if i % 5 == 0 or domain in m)]))
        return path

    return write


@pytest.fixture(scope="session")
def mbox(company: Company, write_mbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One own person's mailbox, as Takeout gives it."""
    return write_mbox(tmp_path_factory.mktemp("mail") / "Ines mail.mbox", company.mailboxes[0])
