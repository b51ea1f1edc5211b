"""The made-up company's tools on loopback, and the settings that connect them: what `ihub demo` plays on.

Tools whose connector is not installed are left out; the CRM and the mailboxes have to be there.
"""

import base64
import json
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hub.demo import Company, DemoMail
    from hub.testing import Running

TOKEN = "demo-token"  # noqa: S105 - the made-up portal's, on loopback
SECRETS = {"token", "client_secret", "refresh_token", "api_key"}
PORT = 8080  # of the pages, as the documentation has it
NEEDED, MORE = ("hubspot", "gmail"), ("calendar", "zendesk", "mailchimp")

HUB = """\
[hub]
data_dir = "{data}"

[own]
domains = ["{company.domain}"]
lists = ["{company.mailing_list}"]

[identity]
free_domains_extra = ["{company.freemail}"]

[capture]
private_labels = ["{company.private_label}"]

[system_of_record]
connection = "hubspot"
"""
TOLD = """
[fields.person.phone]
owner = "hubspot"
write_to = ["zendesk"]

[consent]
write_to = ["hubspot"]
"""
CONNECTION = """
[connections.{name}]
connector = "{connector}"
[connections.{name}.settings]
base_url = "{url}/"
"""


@contextmanager
def tools(company: "Company") -> "Iterator[dict[str, Running]]":
    """The stand-ins by connector name, filled and served."""
    from hub.plugins import load

    registry = load()
    with ExitStack() as stack:
        running = {}
        for name in (*NEEDED, *(n for n in MORE if n in registry.connectors and n in registry.emulators)):
            options = {"token": TOKEN} if name == "hubspot" else {}
            running[name] = stack.enter_context(registry.emulator(name)(**options).serve())
            _FILL[name](company, running[name])
        yield running


def port() -> int:
    """Where the pages will be: the port that the documentation names, or any other where that one is taken."""
    for wanted in (PORT, 0):
        with socket.socket() as free, suppress(OSError):
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            free.bind(("127.0.0.1", wanted))
            return int(free.getsockname()[1])
    raise OSError("no port is free")


def invitation(config: Path, pages: int) -> str:
    """The address at which whoever opens it first makes the first account."""
    from hub import settings
    from hub.access import Viewer, accounts
    from hub.api import Clock
    from hub.cli.opening import user
    from hub.store import Store

    store = Store.open(settings.load(str(config)).hub.database_url)
    try:
        with store.write() as c:
            code = accounts.first_code(c, Viewer.local(user()), Clock().now())
    finally:
        store.close()
    return f"http://127.0.0.1:{pages}/sign-in/code?code={code}"


def deliver(gmail: "Running", mails: "Iterable[DemoMail]") -> None:
    for mail in mails:
        gmail.emulator.control("deliver", {
            "address": mail.mailbox, "raw": base64.b64encode(mail.raw).decode(), "labels": list(mail.labels),
            "internal_date": mail.received_at.isoformat(),
        })  # fmt: skip


def _gmail(company: "Company", gmail: "Running") -> None:
    for address in company.mailboxes:
        gmail.emulator.control("add_mailbox", {"address": address, "aliases": company.aliases.get(address, ())})
    deliver(gmail, company.messages())


def _hubspot(company: "Company", hubspot: "Running") -> None:
    """The company's CRM rows with numbers for their names, as a portal hands them out."""
    seed = company.hubspot_seed()
    ids = {row["ref"]: str(7_000_001 + n) for n, row in enumerate(seed["objects"])}
    types = {row["ref"]: row["type"] for row in seed["objects"]}
    objects: dict[str, list[dict[str, Any]]] = {}
    for row in seed["objects"]:
        links = [{"to": types[a["to_ref"]], "id": ids[a["to_ref"]]} for a in row.get("associations", ())]
        entry = {"id": ids[row["ref"]], "properties": row["properties"], "associations": links}
        objects.setdefault(row["type"], []).append(entry)
    hubspot.emulator.control("seed", {"owners": seed["owners"], "objects": objects})


def _calendar(company: "Company", calendar: "Running") -> None:
    for person in company.own:
        calendar.emulator.control("add_account", {"address": person.address})
    for address, event in company.calendar_seed():
        calendar.emulator.control("add_event", {"calendar": address, "event": event})


def _zendesk(company: "Company", zendesk: "Running") -> None:
    emulator: Any = zendesk.emulator
    emulator.gate.exports = 30  # the add-on for many exports: nobody wants to wait a minute in a demo
    emulator.control("load", company.zendesk_seed())


def _mailchimp(company: "Company", mailchimp: "Running") -> None:
    seed, control = company.mailchimp_seed(), mailchimp.emulator.control
    audience = control("audience", {"name": seed["audience"]})
    for member in seed["members"]:
        control("member", {"list_id": audience, **member})
    for issue in seed["campaigns"]:
        sent = {"list_id": audience, "subject": issue["subject"], "to": issue["to"], "send_time": issue["send_time"]}
        campaign = control("campaign", sent)
        for event in issue["events"]:
            control("event", {"campaign_id": campaign, **event})


_FILL = {
    "gmail": _gmail, "hubspot": _hubspot, "calendar": _calendar, "zendesk": _zendesk, "mailchimp": _mailchimp,
}  # fmt: skip


def configure(folder: Path, company: "Company", urls: Mapping[str, str], pages: int = 0) -> Path:
    """Write hub.toml for these tools (connector name -> base URL without a slash at the end); secrets as variables.

    pages: the port of the hub's own pages; 0 for none. What they keep is encrypted with a key that ends with this process.
    """
    from cryptography.fernet import Fernet

    os.environ.setdefault("HUB_SECRET_KEY", Fernet.generate_key().decode())
    text = HUB.format(data=folder.resolve().as_posix(), company=company)
    text += f"\n[web]\nport = {pages}\n" if pages else ""
    text += TOLD if {"zendesk", "mailchimp"}.issubset(urls) else ""
    for name, connector, options in _connections(company, urls):
        text += CONNECTION.format(name=name, connector=connector, url=urls[connector])
        for key, value in options.items():
            if key in SECRETS:
                variable = f"DEMO_{name}_{key}".upper()
                os.environ[variable] = str(value)
                text += f'{key} = {{ env = "{variable}" }}\n'
            else:
                text += f"{key} = {json.dumps(value)}\n"
    path = folder / "hub.toml"
    path.write_text(text, encoding="utf-8")
    return path


def _connections(company: "Company", urls: Mapping[str, str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(name, connector, settings) of each account."""
    yield "hubspot", "hubspot", {"token": TOKEN, "tier": 250}  # as for Zendesk: nobody wants to wait in a demo
    for address in company.mailboxes:
        yield f"mail_{_short(address)}", "gmail", {
            "mailbox": address, "token_url": f"{urls['gmail']}/token", "client_id": "demo", "client_secret": "demo",
            "refresh_token": f"1//refresh-{address}",
        }  # fmt: skip
    if "calendar" in urls:
        for person in company.own:
            yield f"calendar_{_short(person.address)}", "calendar", {
                "account": person.address, "token_url": f"{urls['calendar']}/token", "client_id": "demo",
                "client_secret": "demo", "refresh_token": f"1//refresh-{person.address}",
            }  # fmt: skip
    if "zendesk" in urls:
        yield (
            "zendesk",
            "zendesk",
            {
                "subdomain": "team",
                "client_id": "hub-client",
                "client_secret": "secret-of-hub-client",
                "high_volume": True,
            },  # fmt: skip,
        )
    if "mailchimp" in urls:
        yield "mailchimp", "mailchimp", {"api_key": "0123456789abcdef0123456789abcdef-us19"}


def _short(address: str) -> str:
    return address.partition("@")[0].replace(".", "_")
