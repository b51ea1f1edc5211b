"""The real mail set beside the checkout, and a world configured for it. No name of it stands in this repository."""

import importlib.util
import json
from pathlib import Path
from typing import Any

from hub.testing import shared_path
from tests.e2e import truth
from tests.e2e.clocks import HurryingClock
from tests.e2e.world import World

SET = "usrp-users-2021-2023.tar.gz"
KEEP_ALL = '[capture]\nauto = "keep"\ninternal = "keep"'


def paths() -> tuple[Path, Path, Path, Path] | None:
    """(mail set, its facts, folder of policy lists, the program that computes facts); None where they are absent."""
    found = [
        shared_path(f"data/mail/{SET}"), shared_path("data/mail/FACTS.json"), shared_path("data/identity/policy"),
        shared_path("tools/mail_facts.py"),
    ]  # fmt: skip
    there = [p for p in found if p is not None]
    return (there[0], there[1], there[2], there[3]) if len(there) == len(found) else None


def mail_set() -> Path:
    return _paths()[0]


def facts() -> dict[str, Any]:
    """The facts of the whole set."""
    found: dict[str, Any] = json.loads(_paths()[1].read_text("utf-8"))["sets"][SET]["facts"]
    return found


def facts_of(archive: Path) -> dict[str, Any]:
    """The facts of another set, by the program that computed those of the whole one."""
    spec = importlib.util.spec_from_file_location("mail_facts", _paths()[3])
    if spec is None or spec.loader is None:
        raise ImportError("mail_facts.py cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    whole = facts()
    lists, domains = whole["list_addresses_left_out"], whole["direction"]["vendor_domains"]
    return json.loads(json.dumps(module.facts([str(archive)], lists, tuple(domains))))  # type: ignore[no-any-return]


def policy() -> truth.Policy:
    return truth.Policy.of(facts(), _paths()[2])


def world(folder: Path, *, is_gmail: bool = True, **more: Any) -> World:
    """An empty world for the set: who is ours and which list is conversation stand in its facts."""
    known = facts()
    domains, lists = known["direction"]["vendor_domains"], known["list_addresses_left_out"]
    mailboxes = [f"support@{domains[0]}"] if is_gmail else []
    return World(folder, mailboxes, domains, lists=lists, **{"clock": HurryingClock(), "config": KEEP_ALL, **more})


def fill(into: World, limit: int | None = None) -> int:
    """Serve the set's first messages from the mail stand-in, parsed beforehand; how many."""
    address = next(iter(into.mailboxes.values()))
    ids = into.deliver([(raw, ("INBOX",)) for raw in truth.raw_mails(mail_set(), limit)], address)
    into.gmail.prepare(address)
    return len(ids)


def _paths() -> tuple[Path, Path, Path, Path]:
    found = paths()
    if found is None:
        raise SystemExit("the real data sets are not beside this checkout (HUB_SHARED names another place)")
    return found
