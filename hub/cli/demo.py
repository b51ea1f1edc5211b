"""`ihub demo`: a made-up company's tools on loopback, and the very commands an admin would type, one after another.

Everything is real but the company: HTTP, sign-in, paging, the database, the plan and its application.
"""

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from hub.cli.output import Screen
    from hub.demo import Company
    from hub.testing import Running


def args_demo(parser: "argparse.ArgumentParser") -> None:
    parser.add_argument("--serve", action="store_true", help="leave the tools up and serve the pages, until Ctrl-C")
    parser.add_argument("--folder", metavar="DIR", default=".demo", help="made afresh (default: .demo)")


def run_demo(args: "argparse.Namespace", screen: "Screen") -> int:
    return run(Path(args.folder), serve=args.serve)


def run(folder: Path, *, serve: bool = False) -> int:
    """Play the whole demo in `folder` (made afresh); returns the first exit code that is not 0."""
    from hub.cli.stage import configure, port, tools
    from hub.demo import Company

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=8)
    company = Company.build(end=end)
    with tools(company) as running:
        pages = port()
        config = configure(folder, company, {name: tool.url for name, tool in running.items()}, pages)
        code = _play(company, running, config)
        if code:
            return code
        if serve:
            return _serve(config, pages)
    _say("The same in a browser: `make demo SERVE=1`, or `ihub demo --serve`, plays this again, keeps the tools up and serves "
         f"the pages at http://127.0.0.1:{pages}")  # fmt: skip
    return code


def _play(company: "Company", running: "Mapping[str, Running]", config: Path) -> int:
    from hub.cli.stage import deliver

    hero = company.hero.person
    people = len(company.own) + len(company.contacts)
    words = {
        "gmail": f"{len(company.mailboxes)} Gmail mailboxes", "calendar": f"{len(company.own)} Google calendars",
        "zendesk": "a Zendesk help desk", "mailchimp": "a Mailchimp audience", "hubspot": "a HubSpot CRM",
    }  # fmt: skip
    *most, last = (text for name, text in words.items() if name in running)
    _say(f"{company.name} is made up: {people} people, 90 days. Its tools run on this machine for the demo: "
         f"{', '.join(most)} and {last}.")  # fmt: skip
    steps: list[tuple[str, list[str]]] = [
        ("Everything the tools hold comes in: once, with its books.", ["sync"]),
        ("What would change in the tools, before anything does:", ["plan"]),
        ("A person says yes; every write is journalled first.", ["apply", "--yes"]),
        (f"The customer {hero.name}, newest first:", ["timeline", hero.address, "--limit", "12"]),
        ("The four answers:", ["brief", hero.address]),
        ("Which tool says what:", ["fields", hero.address]),
        ("And again: nothing is new, nothing changes.", ["sync"]),
        ("", ["plan"]),
    ]
    for text, argv in steps:
        if code := _command(text, argv, config):
            return code
    mails = company.second_day()
    _say(f"The next morning {len({m.letter.message_id for m in mails})} more messages arrive.")
    deliver(running["gmail"], mails)
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


def _serve(config: Path, pages: int) -> int:
    """The tools stay up beside `ihub serve` until Ctrl-C."""
    from hub.cli.stage import invitation

    _say("Now in a browser: in a moment this link makes your account, an admin's. It works once:")
    print(f"\n  {invitation(config, pages)}")
    _say("Ctrl-C ends the pages and the tools.")
    return _command("", ["serve"], config)
