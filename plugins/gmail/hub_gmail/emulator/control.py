"""Commands of `POST /_emulator/<command>`, so that a test or a demo in another process can steer the emulator.

Each takes a JSON object and answers with one; `address` names the mailbox.
"""

import base64
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from hub_gmail.emulator.mailbox import Mailbox
from hub_gmail.emulator.oauth import PREFIX, Consent, long

if TYPE_CHECKING:
    from hub_gmail.emulator import GmailEmulator

Args = dict[str, Any]
_MODIFY = (PREFIX + "modify",)


def _box(emulator: "GmailEmulator", args: Args) -> Mailbox:
    return emulator.mailboxes[args["address"].lower()]


def _add_mailbox(emulator: "GmailEmulator", args: Args) -> Any:
    """address, aliases?, scopes? -> refresh_token"""
    scopes = args.get("scopes", _MODIFY)
    return {"refresh_token": emulator.add_mailbox(args["address"], args.get("aliases", ()), scopes)}


def _load(emulator: "GmailEmulator", args: Args) -> Any:
    """address, path, labels? -> loaded (a count)"""
    return {"loaded": len(emulator.load(args["address"], args["path"], args.get("labels")))}


def _deliver(emulator: "GmailEmulator", args: Args) -> Any:
    """address, raw (base64), labels?, internal_date? (ISO) -> id, threadId; arrives now unless said otherwise"""
    at = datetime.fromisoformat(args["internal_date"]) if "internal_date" in args else emulator.now()
    labels = args.get("labels", ("INBOX", "UNREAD"))
    message_id = emulator.add_message(args["address"], base64.b64decode(args["raw"]), labels, at)
    return {"id": message_id, "threadId": _box(emulator, args).messages[message_id].thread_id}


def _label(emulator: "GmailEmulator", args: Args) -> Any:
    """address, ids, add?, remove? (label ids or names) -> historyId"""
    box = _box(emulator, args)
    add, remove = (tuple(box.label_id(name) for name in args.get(key, ())) for key in ("add", "remove"))
    box.relabel(args["ids"], add, remove, emulator.now_ms())
    return {"historyId": str(box.history.current)}


def _trash(emulator: "GmailEmulator", args: Args) -> Any:
    """address, ids -> historyId"""
    box = _box(emulator, args)
    box.trash(args["ids"], emulator.now_ms())
    return {"historyId": str(box.history.current)}


def _delete(emulator: "GmailEmulator", args: Args) -> Any:
    """address, ids -> historyId; for good"""
    box = _box(emulator, args)
    box.delete(args["ids"], emulator.now_ms())
    return {"historyId": str(box.history.current)}


def _revoke(emulator: "GmailEmulator", args: Args) -> Any:
    """address: the person withdraws access; `grant` gives it back"""
    emulator.oauth.revoke(args["address"].lower())
    return {}


def _grant(emulator: "GmailEmulator", args: Args) -> Any:
    """address, scopes?, refresh_token? -> refresh_token"""
    token = emulator.grant(args["address"], args.get("scopes", _MODIFY), args.get("refresh_token"))
    return {"refresh_token": token}


def _consent(emulator: "GmailEmulator", args: Args) -> Any:
    """allow?, address?, scopes?: what the person at the consent page will do"""
    scopes = tuple(long(s) for s in args["scopes"]) if "scopes" in args else None
    emulator.oauth.consent = Consent(args.get("allow", True), args.get("address"), scopes)
    return {}


def _empty_page(emulator: "GmailEmulator", args: Args) -> Any:
    """of ("history" or "messages"), times?: so many pages come with a nextPageToken and no items"""
    emulator.empty_pages[args["of"]] += int(args.get("times", 1))
    return emulator.empty_pages


def _now(emulator: "GmailEmulator", args: Args) -> Any:
    """at (ISO) or advance_s -> now"""
    at = datetime.fromisoformat(args["at"]) if "at" in args else emulator.now()
    emulator.set_now(at + timedelta(seconds=args.get("advance_s", 0)))
    return {"now": emulator.now().isoformat()}


def _push(emulator: "GmailEmulator", args: Args) -> Any:
    """address -> the body Pub/Sub would post"""
    return emulator.push_body(args["address"])


COMMANDS: dict[str, Callable[["GmailEmulator", Args], Any]] = {
    "add_mailbox": _add_mailbox, "load": _load, "deliver": _deliver, "label": _label, "trash": _trash,
    "delete": _delete, "revoke": _revoke, "grant": _grant, "consent": _consent, "empty_page": _empty_page,
    "now": _now, "push": _push,
}  # fmt: skip
