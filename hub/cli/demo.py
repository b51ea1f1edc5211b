"""`ihub demo`: a made-up company's tools on loopback, and the very commands an admin would type, one after another.

Everything is real but the company: HTTP, sign-in, paging, the database, the plan and its application.
"""

import base64
import contextlib
import os
import shutil
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from hub.cli.output import Screen
    from hub.demo import Company, DemoMail
    from hub.testing import Running

TOKEN = "demo-token"  # noqa: S105 - the made-up portal's, on loopback

CONFIG = """\
[hub]
data_dir = "{data}"

[own]
domains = ["{domain}"]
lists = ["{mailing_list}"]

[identity]
free_domains_extra = ["{freemail}"]

[capture]
private_labels = ["{private}"]

[system_of_record]
connection = "hubspot"

[connections.hubspot]
connector = "hubspot"
[connections.hubspot.settings]
base_url = "{hubspot}/"
token = {{ env = "DEMO_HUBSPOT_TOKEN" }}
"""

MAILBOX = """
[connections.{name}]
connector = "gmail"
[connections.{name}.settings]
mailbox = "{address}"
base_url = "{gmail}/"
token_url = "{gmail}/token"
client_id = "demo"
client_secret = {{ env = "DEMO_CLIENT_SECRET" }}
refresh_token = {{ env = "DEMO_REFRESH_{upper}" }}
"""


def args_demo(parser: "argparse.ArgumentParser") -> None:
    parser.add_argument("--serve", action="store_true", help="leave the made-up tools up until Ctrl-C")
    parser.add_argument("--folder", metavar="DIR", default=".demo", help="made afresh (default: .demo)")


def run_demo(args: "argparse.Namespace", screen: "Screen") -> int:
    return run(Path(args.folder), serve=args.serve)


def run(folder: Path, *, serve: bool = False) -> int:
    """Play the whole demo in `folder` (made afresh); returns the first exit code that is not 0."""
    from hub.demo import Company
    from hub.plugins import load

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=8)
    company = Company.build(end=end)
    registry = load()
    with (
        registry.emulator("gmail")().serve() as gmail,
        registry.emulator("hubspot")(token=TOKEN).serve() as hubspot,
    ):
        _fill(company, gmail, hubspot)
        config = _configure(folder, company, gmail.url, hubspot.url)
        code = _play(company, gmail, config)
        if serve and not code:
            _wait(config, gmail.url, hubspot.url)
    return code


def _play(company: "Company", gmail: "Running", config: Path) -> int:
    hero = company.hero.person
    own = ", ".join(company.mailboxes)
    people = len(company.own) + len(company.contacts)
    _say(f"{company.name} is made up: {people} people, 90 days. Its tools run on this machine for the demo: "
         f"{len(company.mailboxes)} mailboxes ({own}) and a CRM.")  # fmt: skip
    steps: list[tuple[str, list[str]]] = [
        ("Everything the tools hold comes in: once, with its books.", ["sync"]),
        ("What would change in the CRM, before anything does:", ["plan"]),
        ("A person says yes; every write is journalled first.", ["apply", "--yes"]),
        (f"The customer {hero.name}, newest first:", ["timeline", hero.address, "--limit", "12"]),
        ("The four answers:", ["brief", hero.address]),
        ("And again: nothing is new, nothing changes.", ["sync"]),
        ("", ["plan"]),
    ]
    for text, argv in steps:
        if code := _command(text, argv, config):
            return code
    mails = company.second_day()
    _say(f"The next morning {len({m.letter.message_id for m in mails})} more messages arrive.")
    _deliver(gmail, mails)
    for text, argv in (("", ["sync"]), ("", ["apply", "--yes"]), ("How it all stands:", ["health"])):
        if code := _command(text, argv, config):
            return code
    _say("Your own mailbox needs no account: `ihub import mail FILE` takes an mbox, a Maildir or a Takeout archive.")
    return 0


def _command(text: str, argv: list[str], config: Path) -> int:
    from hub.cli import main

    if text:
        _say(text)
    print(f"\n$ ihub {' '.join(argv)}", flush=True)
    return main(["--config", str(config), *argv])


def _say(text: str) -> None:
    import textwrap

    print("\n" + "\n".join(textwrap.wrap(text, 78, break_on_hyphens=False)), flush=True)


def _fill(company: "Company", gmail: "Running", hubspot: "Running") -> None:
    for address in company.mailboxes:
        gmail.emulator.control("add_mailbox", {"address": address, "aliases": company.aliases.get(address, ())})
    _deliver(gmail, company.messages())
    hubspot.emulator.control("seed", _with_ids(company.hubspot_seed()))


def _deliver(gmail: "Running", mails: "Iterable[DemoMail]") -> None:
    for mail in mails:
        gmail.emulator.control("deliver", {
            "address": mail.mailbox, "raw": base64.b64encode(mail.raw).decode(), "labels": list(mail.labels),
            "internal_date": mail.received_at.isoformat(),
        })  # fmt: skip


def _with_ids(seed: dict[str, Any]) -> dict[str, Any]:
    """The company's CRM rows with numbers for their names, as a portal hands them out."""
    ids = {row["ref"]: str(7_000_001 + n) for n, row in enumerate(seed["objects"])}
    types = {row["ref"]: row["type"] for row in seed["objects"]}
    objects: dict[str, list[dict[str, Any]]] = {}
    for row in seed["objects"]:
        links = [{"to": types[a["to_ref"]], "id": ids[a["to_ref"]]} for a in row.get("associations", ())]
        entry = {"id": ids[row["ref"]], "properties": row["properties"], "associations": links}
        objects.setdefault(row["type"], []).append(entry)
    return {"owners": seed["owners"], "objects": objects}


def _configure(folder: Path, company: "Company", gmail: str, hubspot: str) -> Path:
    text = CONFIG.format(
        data=folder.resolve().as_posix(), domain=company.domain, freemail=company.freemail, hubspot=hubspot,
        private=company.private_label, mailing_list=company.mailing_list,
    )  # fmt: skip
    os.environ |= {"DEMO_HUBSPOT_TOKEN": TOKEN, "DEMO_CLIENT_SECRET": "demo"}
    for address in company.mailboxes:
        name = "mail_" + address.partition("@")[0].replace(".", "_")
        text += MAILBOX.format(name=name, upper=name.upper(), address=address, gmail=gmail)
        os.environ[f"DEMO_REFRESH_{name.upper()}"] = f"1//refresh-{address}"
    path = folder / "hub.toml"
    path.write_text(text, encoding="utf-8")
    return path


def _wait(config: Path, gmail: str, hubspot: str) -> None:
    _say(f"The tools stay up until you press Ctrl-C: mail {gmail}, CRM {hubspot}. Try, in another terminal: "
         f"ihub --config {config} timeline NAME")  # fmt: skip
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)
