"""`ihub hook`: webhooks out. Who is told, of what, how it went; and telling again."""

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hub.cli import OK, PARTLY, UsageError
from hub.cli.opening import now, opened
from hub.cli.output import Screen
from hub.cli.people import _positive
from hub.cli.text import clean, moment, plural

if TYPE_CHECKING:
    from hub.engine import Engine
    from hub.hooks import Answer, Courier, Endpoint, Endpoints

FORMS = {  # verb: what follows it, and what it does
    "add": ("URL [EVENT...]", "tell this address; all events if none is named"),
    "list": ("", "the endpoints, and how they do"),
    "show": ("ID", "one endpoint, and its line"),
    "pause": ("ID", "send nothing until it is resumed; events wait in line"),
    "resume": ("ID", "go on, also after the hub has disabled it"),
    "rotate": ("ID", "a new secret; the old one signs for another day"),
    "remove": ("ID", "the endpoint goes, with its line and its log"),
    "deliveries": ("ID", "what was sent, and what came back"),
    "resend": ("ID EVENT", "one event again"),
    "replay": ("ID", "everything behind a cursor again (--after)"),
    "test": ("ID", "one call now, with an event that tells of nothing"),
    "deliver": ("", "send what is due; `ihub serve` does it all the time"),
    "events": ("", "what there is to be told of"),
}
STATES = ("waiting", "due", "done", "failed")


def args_hook(p: argparse.ArgumentParser) -> None:
    forms = "\n".join(f"  {f'{verb} {words}'.rstrip():<21}{what}" for verb, (words, what) in FORMS.items())
    p.epilog = f"verbs:\n{forms}\n\nEVENT: contact.created, deal.*, *.deleted ...; ID: the beginning will do."
    p.add_argument("verb", metavar="VERB", choices=tuple(FORMS), help="what to do; below")
    p.add_argument("words", metavar="...", nargs="*", help="what it is about")
    p.add_argument("--description", metavar="TEXT", default="", help="add: what the endpoint is for")
    p.add_argument("--owner", metavar="EMAIL", default="", help="add: tell of this account's private mailbox, too")
    p.add_argument("--why", metavar="TEXT", default="", help="pause: the reason, shown with it")
    p.add_argument("--state", choices=STATES, metavar="STATE", help="deliveries: only waiting, due, done or failed")
    p.add_argument("--customer", metavar="ID", default="", help="deliveries: only of this person or company")
    p.add_argument("--limit", type=_positive, default=20, metavar="N", help="deliveries: how many (20)")
    p.add_argument("--before", type=_positive, metavar="CURSOR", help="deliveries: go on behind this one")
    p.add_argument("--after", type=int, metavar="CURSOR", help="replay: the last event that is not wanted again")
    p.add_argument("--until", type=_positive, metavar="CURSOR", help="replay: the last one that is")
    p.add_argument("--yes", action="store_true", help="remove: do not ask")


def run_hook(args: argparse.Namespace, screen: Screen) -> int:
    if args.verb == "events":
        return _events(args, screen)
    with opened(args, screen) as engine:
        return _VERBS[args.verb](args, screen, engine)


@asynccontextmanager
async def telling(engine: "Engine") -> AsyncIterator[None]:
    """The courier beside the schedule of `ihub serve`."""
    async with _courier(engine) as found:
        task = asyncio.create_task(found.run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def _manager(engine: "Engine") -> "Endpoints":
    from hub.service.hooks import manager

    return manager(engine)


def _courier(engine: "Engine") -> "Courier":
    from hub.service.hooks import courier

    return courier(engine)


def _words(args: argparse.Namespace, count: int, more: bool = False) -> list[str]:
    found: list[str] = args.words
    if len(found) == count or (more and len(found) > count):
        return found
    raise UsageError(f"it is `{f'ihub hook {args.verb} {FORMS[args.verb][0]}'.rstrip()}`")


# --- endpoints --------------------------------------------------------------------------------------------------------


def _add(args: argparse.Namespace, screen: Screen, engine: "Engine") -> int:
    url, *events = _words(args, 1, more=True)
    made, secret = _manager(engine).add(url, events or ["*"], description=args.description, owner=args.owner)
    screen.emit({**made.to_dict(), "secret": secret})
    screen.line(f"{made.public_id} is told of {_choice(made)} from now on.", "green")
    _secret(screen, "Its secret", secret)
    screen.hint(
        f"The receiver checks it by Standard Webhooks (docs/webhooks.md). `ihub hook test {made.public_id}` makes one "
        "call now; `ihub serve` sends what happens."
    )
    return OK


def _secret(screen: Screen, whose: str, secret: str) -> None:
    screen.line(f"{whose}, shown this once:")
    screen.line(secret, "bold", 2)


def _list(args: argparse.Namespace, screen: Screen, engine: "Engine") -> int:
    from hub import hooks

    _words(args, 0)
    with engine.store.read() as c:
        found = [(e, hooks.counts(c, e)) for e in hooks.endpoints(c)]
    screen.emit({"endpoints": [{**e.to_dict(), "deliveries": n} for e, n in found]})
    if not found:
        screen.line("Nobody is told of anything yet.")
        screen.hint(
            "`ihub hook add https://...` has an address told of what changes; `ihub hook events` lists of what."
        )
    screen.table(
        ("endpoint", "state", "in line", "failed", "address"),
        [(e.public_id, e.state, n["waiting"] + n["due"], n["failed"], e.url) for e, n in found], "<<>><", 4, 0,
    )  # fmt: skip
    return OK


def _show(args: argparse.Namespace, screen: Screen, engine: "Engine") -> int:
    from hub import hooks

    with engine.store.read() as c:
        found = hooks.endpoint(c, _words(args, 1)[0])
        n = hooks.counts(c, found)
    screen.emit({**found.to_dict(), "deliveries": n})
    zone = engine.settings.hub.zone
    screen.line(f"{found.public_id}  {found.state}{f': {clean(found.reason)}' if found.reason else ''}", "bold")
    screen.fields([
        ("address", found.url), ("for", found.description or "-"), ("events", _choice(found)),
        ("sees", f"what is the team's, and the mailbox of {found.owner}" if found.owner else "what is the team's"),
        ("in line", f"{n['due']} due, {n['waiting']} waiting for their turn"),
        ("over", f"{n['done']} delivered, {n['failed']} given up"),
        ("last good call", moment(found.last_ok_at, zone)),
        *([("failing since", moment(found.failing_since, zone))] if found.failing_since else []),
        *([("held until", moment(found.held_until, zone))] if found.held_until else []),
    ])  # fmt: skip
    if found.state != "active":
        screen.hint(f"`ihub hook resume {found.public_id}` goes on; what waits in line is sent then.")
    return OK


def _pause(args: argparse.Namespace, screen: Screen, engine: "Engine") -> int:
    found = _manager(engine).pause(_words(args, 1)[0], args.why)
    screen.emit(found.to_dict())
    screen.line(f"{found.public_id} is sent nothing until `ihub hook resume {found.public_id}`; what happens waits.")
    return OK


def _resume(args: argparse.Namespace, screen: Screen, engine: "Engine") -> int:
    found = _manager(engine).resume(_words(args, 1)[0])
    screen.emit(found.to_dict())
    screen.line(f"{found.public_id} is sent what waits, and what happens from now on.", "green")
    return OK


def _rotate(args: argparse.Namespace, screen: Screen, engine: "Engine") -> int:
    from hub import hooks

    with engine.store.read() as c:
        found = hooks.endpoint(c, _words(args, 1)[0])
    secret = _manager(engine).rotate(found.public_id)
    screen.emit({"endpoint": found.public_id, "secret": secret})
    _secret(screen, f"The new secret of {found.public_id}", secret)
    screen.hint(
        "Every call carries a signature of the old one beside it for another day: change the receiver till then."
    )
    return OK


def _remove(args: argparse.Namespace, screen: Screen, engine: "Engine") -> int:
    from hub import hooks

    with engine.store.read() as c:
        found = hooks.endpoint(c, _words(args, 1)[0])
        n = hooks.counts(c, found)
    waiting = n["waiting"] + n["due"]
    if not args.yes and not screen.ask(f"Remove {found.public_id} ({found.url}), with {waiting} events in line?"):
        raise UsageError(f"nothing was removed; say --yes to remove {found.public_id} without being asked")
    _manager(engine).remove(found.public_id)
    screen.emit({"endpoint": found.public_id, "removed": True, "dropped": waiting})
    screen.line(f"{found.public_id} is gone, and {plural(waiting, 'event')} in its line with it.")
    return OK


# --- deliveries -------------------------------------------------------------------------------------------------------


def _deliveries(args: argparse.Namespace, screen: Screen, engine: "Engine") -> int:
    from hub import hooks

    with engine.store.read() as c:
        found = hooks.endpoint(c, _words(args, 1)[0])
        states = [args.state] if args.state else []
        rows = hooks.deliveries(
            c, found, states=states, before=args.before, limit=args.limit, customer=args.customer
        )  # fmt: skip
    screen.emit({"endpoint": found.public_id, "deliveries": rows})
    if not rows:
        screen.line("Nothing was sent there yet." if args.before is None else "Nothing older.")
        return OK
    zone = engine.settings.hub.zone
    for row in rows:
        screen.ends(f"{row['cursor']}  {row['type']}  {row['subject']}", row["state"], right_style="")
        screen.line(f"{row['event']}, {moment(row['at'], zone)}", "dim", 2)
        for a in row["attempts"][-3:]:
            said = f"{a['status'] or ''} {a['error']} {clean(a['answer'])}".strip()
            screen.line(f"{moment(a['at'], zone, False)}  {a['ms']} ms  {said}", "", 2)
        if row["next_at"] and row["tries"]:
            screen.line(f"again at {moment(row['next_at'], zone)}", "dim", 2)
    more = f" Older ones: --before {rows[-1]['cursor']}." if len(rows) == args.limit else ""
    screen.hint(f"`ihub hook resend {found.public_id} EVENT` sends one again.{more}")
    return OK


def _resend(args: argparse.Namespace, screen: Screen, engine: "Engine") -> int:
    from hub import hooks

    ident, event = _words(args, 2)
    hooks.resend(engine.store, ident, event, now(engine))
    screen.emit({"endpoint": ident, "event": event, "queued": 1})
    screen.line(f"{event} stands in line again, at its old place.")
    return OK


def _replay(args: argparse.Namespace, screen: Screen, engine: "Engine") -> int:
    from hub import hooks

    (ident,) = _words(args, 1)
    if args.after is None:
        raise UsageError("say where to begin: --after CURSOR; 0 is everything that is kept")
    count = hooks.replay(engine.store, ident, args.after, now(engine), args.until)
    screen.emit({"endpoint": ident, "after": args.after, "until": args.until, "queued": count})
    screen.line(f"{plural(count, 'event')} in line again.")
    return OK


def _test(args: argparse.Namespace, screen: Screen, engine: "Engine") -> int:
    (ident,) = _words(args, 1)

    async def call() -> "Answer":
        async with _courier(engine) as found:
            return await found.test(ident)

    answer = asyncio.run(call())
    screen.emit({
        "endpoint": ident, "ok": answer.is_ok, "status": answer.status, "ms": answer.ms, "error": answer.error,
        "answer": answer.text,
    })  # fmt: skip
    if answer.is_ok:
        screen.line(f"It answered {answer.status} in {answer.ms} ms.", "green")
        return OK
    screen.line(f"That did not work: {answer.error or f'it answered {answer.status}'} ({answer.ms} ms)", "red")
    if answer.text:
        screen.text(answer.text, "dim", 2, 6)
    return PARTLY


def _deliver(args: argparse.Namespace, screen: Screen, engine: "Engine") -> int:
    from hub import hooks

    _words(args, 0)

    async def send() -> "datetime | None":
        async with _courier(engine) as found:
            return await found.deliver()

    at = asyncio.run(send())
    with engine.store.read() as c:
        found = [(e, hooks.counts(c, e)) for e in hooks.endpoints(c)]
    left = sum(n["waiting"] + n["due"] for _, n in found)
    screen.emit({"next_at": at, "left": left, "endpoints": {e.public_id: n for e, n in found}})
    screen.line(f"Everything that was due is sent; {plural(left, 'event')} in line.")
    if at:
        screen.line(f"The next is due {moment(at, engine.settings.hub.zone)}.", "dim")
    return PARTLY if any(e.state == "disabled" for e, _ in found) else OK


def _events(args: argparse.Namespace, screen: Screen) -> int:
    from hub import hooks

    _words(args, 0)
    screen.emit({"types": list(hooks.TYPES)})
    by_resource: dict[str, list[str]] = {}
    for name in hooks.TYPES:
        _, resource, action, _ = name.split(".")
        by_resource.setdefault(resource, []).append(action)
    for resource, actions in by_resource.items():
        screen.line(f"{resource:<14}{', '.join(actions)}")
    screen.heading("What became of it")
    screen.fields(list(hooks.MEANING.items()))
    screen.hint("Name them as contact.created, contact.*, *.deleted or *; in a call they are hub.contact.created.v1.")
    return OK


def _choice(found: "Endpoint") -> str:
    return "everything" if "*.*" in found.events else ", ".join(found.events)


_VERBS: dict[str, Callable[[argparse.Namespace, Screen, Any], int]] = {
    "add": _add, "list": _list, "show": _show, "pause": _pause, "resume": _resume, "rotate": _rotate, "remove": _remove,
    "deliveries": _deliveries, "resend": _resend, "replay": _replay, "test": _test, "deliver": _deliver,
}  # fmt: skip
