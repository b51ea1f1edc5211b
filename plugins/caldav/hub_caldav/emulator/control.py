"""Commands of `POST /_emulator/<command>`, so that a test or a demo in another process can steer the emulator."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hub_caldav.emulator import CalDavEmulator

Args = dict[str, Any]


def _add_calendar(emulator: "CalDavEmulator", args: Args) -> Any:
    """name, title?, components? -> href"""
    made = emulator.add_calendar(args["name"], args.get("title", ""), args.get("components", ("VEVENT",)))
    return {"href": emulator.href(made.name)}


def _load(emulator: "CalDavEmulator", args: Args) -> Any:
    """path, calendar?, is_whole? -> loaded (a count)"""
    hrefs = emulator.load(args["path"], args.get("calendar", "work"), args.get("is_whole", False))
    return {"loaded": len(hrefs)}


def _put(emulator: "CalDavEmulator", args: Args) -> Any:
    """text, name?, calendar? -> href"""
    return {"href": emulator.put(args["text"], args.get("name", ""), args.get("calendar", "work"))}


def _delete(emulator: "CalDavEmulator", args: Args) -> Any:
    """href"""
    emulator.remove(args["href"])
    return {}


def _forget_tokens(emulator: "CalDavEmulator", args: Args) -> Any:
    """Every sync token given out so far expires."""
    emulator.forget_tokens()
    return {}


COMMANDS: dict[str, Callable[["CalDavEmulator", Args], Any]] = {
    "add_calendar": _add_calendar,
    "load": _load,
    "put": _put,
    "delete": _delete,
    "forget_tokens": _forget_tokens,
}
