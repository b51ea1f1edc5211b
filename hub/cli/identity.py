"""`ihub identity`: who is who, why, and a person's word on it; every change is shown before it is made."""

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from hub.cli import OK, USAGE, UsageError
from hub.cli import identity_answers as answers
from hub.cli.opening import now, opened, user
from hub.cli.output import Screen, can_ask
from hub.cli.people import _positive, undecided
from hub.cli.running import fail
from hub.cli.text import clean, plural

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from hub.engine import Engine

Row = dict[str, Any]
FORMS = {  # verb: what follows it, and what it does
    "show": ("WHO", "who somebody is made of, and what was decided"),
    "why-same": ("A B", "the evidence between two that are one"),
    "why-not": ("A B", "what stands between two"),
    "merge": ("A B", "two are one"),
    "split": ("WHO ADDRESS|RECORD...", "these of WHO are somebody else's"),
    "different": ("A B", "two are two, whatever evidence comes"),
    "undo": ("ACT", "take an act back"),
    "review": ("[accept|reject|split N]", "what a person is asked"),
    "hubs": ("", "what too many share to say anything"),
    "history": ("", "who decided what"),
    "audit": ("", "weigh everything anew and propose"),
    "duplicates": ("CONNECTION", "a tool's own, as it could merge them"),
    "snapshot": ("PLAN [ID]", "what records were that it merged"),
}


def args_identity(p: argparse.ArgumentParser) -> None:
    forms = "\n".join(f"  {f'{verb} {words}'.rstrip():<31}{what}" for verb, (words, what) in FORMS.items())
    p.epilog = (
        f"verbs:\n{forms}\n\nWHO, A, B: an address, a number, a name in quotes, an id,\nor a record (crm/contacts/7)."
    )
    p.add_argument("verb", metavar="VERB", choices=tuple(FORMS), help="what to do; below")
    p.add_argument("words", metavar="...", nargs="*", help="whom it is about")
    p.add_argument("--why", metavar="TEXT", default="", help="the reason, kept with the decision")
    p.add_argument("--yes", action="store_true", help="do not ask")
    p.add_argument("--limit", type=_positive, default=20, metavar="N", help="how many to show (20)")
    p.add_argument("--after", type=int, metavar="N", help="go on behind this question or act")
    p.add_argument("--rule", default="", metavar="RULE", help="review: only questions of this rule")
    p.add_argument("--above", type=float, metavar="BITS", help="review: only questions of more than so many bits")
    p.add_argument("--all", action="store_true", help="history: what the hub joined by itself, too")
    p.add_argument("--apply", action="store_true", help="audit: make the changes it proposes")


def run_identity(args: argparse.Namespace, screen: Screen) -> int:
    with opened(args, screen) as engine:
        try:
            return _VERBS[args.verb](args, screen, engine)
        except _Unclear as exc:
            return exc.code


def _words(args: argparse.Namespace, count: int, more: bool = False) -> list[str]:
    """Exactly so many words, or at least. Raises UsageError that shows the form."""
    found: list[str] = args.words
    if len(found) == count or (more and len(found) > count):
        return found
    form = f"ihub identity {args.verb} {FORMS[args.verb][0]}".rstrip()
    quotes = "; put a name of several words in quotes" if len(found) > count > 0 else ""
    raise UsageError(f"it is `{form}`{quotes}")


# --- who is meant -----------------------------------------------------------------------------------------------------


class _Unclear(Exception):
    """Nobody, or too many. The person was told already; code: the command's exit code."""

    def __init__(self, code: int) -> None:
        self.code = code


def _who(c: "Connection", engine: "Engine", screen: Screen, text: str) -> tuple[int, int, Row]:
    """(identifier, party, the party as shown) that a word of the command line names."""
    from hub import identity, reports
    from hub.identity import showing
    from hub.reports.people import describe, party_id

    ident = showing.find(c, text, engine.rules(engine.own()))
    if ident is not None and (pid := showing.owner(c, ident)):
        return ident, pid, describe(c, [pid])[pid]
    found = reports.find(c, text)
    if not found and (former := party_id(c, text.strip().lower())):  # joined into another one since
        pid = identity.current(c, former)
        return showing.first_of(c, pid), pid, describe(c, [pid])[pid]
    if len(found) != 1:
        raise _Unclear(undecided(screen, text, found))
    pid = party_id(c, found[0]["public_id"]) or 0
    return showing.first_of(c, pid), pid, found[0]


def _pair(c: "Connection", args: argparse.Namespace, screen: Screen, engine: "Engine") -> list[tuple[int, int, Row]]:
    found = [_who(c, engine, screen, text) for text in _words(args, 2)]
    for text, (ident, _, _) in zip(args.words, found, strict=True):
        if not ident:
            raise UsageError(f"{text!r} has no address and no id: there is nothing to compare or to join")
    return found


# --- answers ----------------------------------------------------------------------------------------------------------


def _show(args: argparse.Namespace, screen: Screen, engine: "Engine") -> int:
    from hub.identity import showing

    with engine.store.read() as c:
        _, pid, party = _who(c, engine, screen, " ".join(_words(args, 1, more=True)))
        found = showing.show(c, pid, engine.rules(engine.own()))
    screen.emit(found)
    answers.show_party(screen, party, found)
    if len(found["records"]) + len(found["addresses"]) > 1:
        screen.hint("`ihub identity why-same A B` tells why two of these are one; `ihub identity split` parts them.")
    return OK


def _why_same(args: argparse.Namespace, screen: Screen, engine: "Engine") -> int:
    from hub.identity import showing, why

    with engine.store.read() as c:
        (a, mine, party), (b, theirs, _) = _pair(c, args, screen, engine)
        edges = why.why_same(c, a, b, engine.rules(engine.own()))
        sides = showing.named(c, [a, b])
    screen.emit({"is_same": mine == theirs, "left": sides[a], "right": sides[b], "edges": edges})
    if mine != theirs:
        screen.text(f"{answers.name_of(sides[a])} and {answers.name_of(sides[b])} are two.", "bold")
        screen.hint(f"`ihub identity why-not {_quoted(args.words)}` tells what stands between them.")
        return OK
    name = clean(party["name"]) or party["public_id"]
    if a == b:
        screen.text(f"All that holds {name} together: {plural(len(edges), 'piece')} of evidence.", "bold")
    else:
        screen.text(f"{clean(sides[a]['text'])} and {clean(sides[b]['text'])} are one: {name}.", "bold")
    answers.show_chain(screen, edges, sides[a] if a != b else None)
    if not edges:
        screen.line("One identifier stands alone: there is nothing to explain.", "dim", 2)
    elif any(e["act"] for e in edges):
        screen.hint(
            "`ihub identity undo ACT` takes an act back; `ihub identity split WHO ADDRESS` parts what rules joined."
        )
    return OK


def _why_not(args: argparse.Namespace, screen: Screen, engine: "Engine") -> int:
    from hub.identity import why

    with engine.store.read() as c:
        (a, _, _), (b, _, _) = _pair(c, args, screen, engine)
        found = why.why_not(c, a, b, engine.rules(engine.own()))
    screen.emit(found)
    if found["verdict"] == "same":
        screen.text(f"{answers.name_of(found['left'])} and {answers.name_of(found['right'])} are one.", "bold")
        screen.hint(f"`ihub identity why-same {_quoted(args.words)}` tells why.")
        return OK
    answers.show_apart(screen, found, now(engine))
    if found["review"]:
        screen.hint(f"Answer it: `ihub identity review accept {found['review']}`, or reject.")
    elif not {b["kind"] for b in found["because"]} & {"shared", "kind"}:
        screen.hint(f"If they are one: `ihub identity merge {_quoted(args.words)}`.")
    return OK


def _quoted(words: Sequence[str]) -> str:
    from shlex import quote

    return " ".join(quote(clean(w)) for w in words)


def _hubs(args: argparse.Namespace, screen: Screen, engine: "Engine") -> int:
    from hub.identity import lists

    _words(args, 0)
    with engine.store.read() as c:
        rows = lists.hubs(c, args.limit)
    screen.emit({"hubs": rows})
    if not rows:
        screen.line("No key is shared by too many: everything known is used to compare.", "green")
        return OK
    answers.show_hubs(screen, rows)
    return OK


def _history(args: argparse.Namespace, screen: Screen, engine: "Engine") -> int:
    from hub.identity import lists

    _words(args, 0)
    with engine.store.read() as c:
        rows = lists.history(c, args.limit, args.after, args.all)
    screen.emit({"acts": rows})
    if not rows:
        screen.line("Nobody has decided anything yet." if args.after is None else "Nothing older.")
        screen.hint("`ihub identity review` shows what a person is asked; --all what the hub joined by itself.")
        return OK
    answers.show_history(screen, rows)
    more = f"; older ones: --after {rows[-1]['act']}" if len(rows) == args.limit else ""
    screen.hint(f"`ihub identity undo ACT` takes one back{more}.")
    return OK


# --- acts: shown, asked, made -----------------------------------------------------------------------------------------


def _merge(args: argparse.Namespace, screen: Screen, engine: "Engine") -> int:
    with engine.store.read() as c:
        (_, a, mine), (_, b, theirs) = _pair(c, args, screen, engine)
    question = f"Join {answers.called(mine)} and {answers.called(theirs)}?"
    return _act(args, screen, engine, question, "merge", a, b)


def _different(args: argparse.Namespace, screen: Screen, engine: "Engine") -> int:
    with engine.store.read() as c:
        (_, a, mine), (_, b, theirs) = _pair(c, args, screen, engine)
    question = f"Hold {answers.called(mine)} and {answers.called(theirs)} apart, whatever evidence comes?"
    return _act(args, screen, engine, question, "different", a, b)


def _split(args: argparse.Namespace, screen: Screen, engine: "Engine") -> int:
    from hub.identity import showing

    text, *parts = _words(args, 2, more=True)
    with engine.store.read() as c:
        _, pid, party = _who(c, engine, screen, text)
        found = {part: showing.find(c, part, engine.rules(engine.own())) for part in parts}
        strangers = [part for part, ident in found.items() if ident is None or showing.owner(c, ident) != pid]
    if strangers:
        they = ", ".join(repr(s) for s in strangers)
        return fail(
            screen,
            USAGE,
            f"{answers.called(party)} has no {they}: `ihub identity show {_quoted([text])}` lists the addresses and records",
        )
    question = f"Take {', '.join(clean(p) for p in parts)} out of {answers.called(party)}?"
    return _act(args, screen, engine, question, "split", sorted(i for i in found.values() if i is not None))


def _undo(args: argparse.Namespace, screen: Screen, engine: "Engine") -> int:
    act = _number(_words(args, 1)[0], "an act, as `ihub identity history` numbers them")
    return _act(args, screen, engine, f"Take act {act} back?", "undo", act)


def _number(text: str, what: str) -> int:
    if not text.isdigit():
        raise UsageError(f"{text!r} is not the number of {what}")
    return int(text)


def _act(args: argparse.Namespace, screen: Screen, engine: "Engine", question: str, verb: str, *what: Any) -> int:
    """Show what would change, ask, do it."""
    from hub.engine.foresee import foresee

    expected = foresee(engine, verb, *what, actor=user(), why=args.why)
    answers.show_expected(screen, expected)
    if not args.yes and not screen.ask(question):
        return _not_agreed(screen, {"expected": expected})
    changed = getattr(engine.identities, verb)(*what, user(), args.why)
    screen.emit({"act": changed.act, "what": verb, "changed": expected})
    screen.line()
    screen.line(f"Done: act {changed.act}.", "green")
    back = "" if verb == "undo" else f"`ihub identity undo {changed.act}` takes it back; "
    screen.hint(f"{back}`ihub plan` shows what follows at the system of record.")
    return OK


# --- the queue --------------------------------------------------------------------------------------------------------


def _review(args: argparse.Namespace, screen: Screen, engine: "Engine") -> int:
    words: list[str] = args.words
    if not words:
        return _queue(args, screen, engine)
    verb, *rest = words
    if verb not in ("accept", "reject", "split") or len(rest) > 1:
        raise UsageError("it is `ihub identity review`, or with accept N, reject N or split N behind it")
    if not rest:
        if verb == "split" or not (args.rule or args.above is not None):
            raise UsageError(
                f"say which: `ihub identity review {verb} N`, or --rule RULE --above BITS for all of a kind"
            )
        return _many(args, screen, engine, verb)
    review = _number(rest[0], "a question, as `ihub identity review` numbers them")
    if verb == "split":
        return _split_asked(args, screen, engine, review)
    question = f"Answer question {review}: {'they are one' if verb == 'accept' else 'they are two'}?"
    return _act(args, screen, engine, question, verb, review)


def _queue(args: argparse.Namespace, screen: Screen, engine: "Engine") -> int:
    from hub.identity import lists

    with engine.store.read() as c:
        try:
            rows = lists.queue(c, args.limit, args.after, args.rule, args.above)
        except KeyError:
            return fail(screen, USAGE, f"there is no question {args.after} to go on from")
        total = lists.waiting(c)
        is_first = args.after is None and not args.rule and args.above is None
        nobody, orphaned = (lists.orphans(c, args.limit), lists.orphaned(c)) if is_first else ([], 0)
    screen.emit({"questions": rows, "total": total, "nobody": nobody, "orphaned": orphaned})
    if rows:
        answers.show_queue(screen, rows, total, now(engine))
    else:
        screen.line("Nothing waits for a person." if not total else "No question fits.", "green")
    if nobody:
        answers.show_orphans(screen, nobody, orphaned, now(engine))
    if not rows:
        screen.hint(
            "`ihub identity audit` weighs everything anew; `ihub identity hubs` shows what is shared by too many."
        )
        return OK
    more = f" Further ones: --after {rows[-1]['review']}." if len(rows) == args.limit and total > len(rows) else ""
    n = rows[0]["review"]
    screen.hint(
        f"Answer: `ihub identity review accept {n}`, or reject; all of a kind: accept --rule RULE --above BITS.{more}"
    )
    return OK


def _many(args: argparse.Namespace, screen: Screen, engine: "Engine", verb: str) -> int:
    """One answer for all questions of a rule and a weight, one act each."""
    from hub.api import HubError
    from hub.identity import lists

    with engine.store.read() as c:
        rows = lists.queue(c, lists.ALL, None, args.rule, args.above)
    if not rows:
        screen.emit({"answered": [], "failed": []})
        screen.line("No question fits.", "green")
        return OK
    for r in rows[:5]:
        screen.ends(
            f"{r['review']}  {answers.name_of(r['left'])} and {answers.name_of(r['right'])}",
            answers.bits(r["weight"]),
            "",
            2,
        )
    if len(rows) > 5:
        screen.line(f"and {len(rows) - 5} more", "dim", 2)
    touched = sum(r["records"] for r in rows)
    ask = f"Answer {plural(len(rows), 'question')} on {plural(touched, 'record')} with {verb}?"
    if not args.yes and not screen.ask(ask):
        say = (
            "nothing was answered"
            if can_ask()
            else f"{plural(len(rows), 'question')} would be answered: say --yes to do it"
        )
        screen.emit({"error": {"message": say, "exit_code": USAGE}, "questions": [r["review"] for r in rows]})
        screen.complain(f"ihub: {say}")
        return USAGE
    done, failed = [], {}
    for r in rows:
        try:
            done.append(
                {"review": r["review"], "act": getattr(engine.identities, verb)(r["review"], user(), args.why).act}
            )
        except HubError as exc:  # an answer before this one may have settled it
            failed[r["review"]] = str(exc)
    screen.emit({"answered": done, "failed": [{"review": k, "reason": v} for k, v in failed.items()]})
    screen.line(f"{plural(len(done), 'question')} answered.", "green")
    if failed:
        screen.line(f"{plural(len(failed), 'question')} had been settled by then.", "dim")
    return OK


def _split_asked(args: argparse.Namespace, screen: Screen, engine: "Engine", review: int) -> int:
    """The record a question is about does not belong to the party it is in."""
    from hub.identity import lists

    with engine.store.read() as c:
        sides = lists.asked(c, review)
    big = [s for s in sides if s["others"]]
    if not sides:
        return fail(screen, USAGE, f"{review} is not in the review queue: see `ihub identity review`")
    if len(big) != 1:
        why = "neither side is made of several" if not big else "both sides are made of several"
        return fail(screen, USAGE, f"{why}: say what goes out, `ihub identity split WHO ADDRESS`")
    question = f"Take {clean(big[0]['text'])} out of {clean(big[0]['name']) or big[0]['party']}?"
    return _act(args, screen, engine, question, "split", [big[0]["identifier"]])


# --- the audit --------------------------------------------------------------------------------------------------------


def _audit(args: argparse.Namespace, screen: Screen, engine: "Engine") -> int:
    from hub.identity import showing
    from hub.reports.people import describe

    _words(args, 0)
    screen.progress("weighing everybody against everybody", is_forced=True)
    found = engine.identities.audit()
    shown = found.proposals[: args.limit]
    with engine.store.read() as c:
        who = describe(c, {p for one in shown for p in one.parties})
        names = showing.named(c, {n for one in shown for n in one.identifiers})
    proposals = [
        {
            "what": one.what, "weight": one.weight, "why": one.why,
            "parties": [{"public_id": who[p]["public_id"], "name": who[p]["name"]} for p in one.parties if p in who],
            "identifiers": [names[n]["text"] for n in one.identifiers if n in names],
        }
        for one in shown
    ]  # fmt: skip
    kinds = [one.what for one in found.proposals]
    document: Row = {
        "records": found.records, "parties": found.parties, "changed": found.changed, "is_large": found.is_large,
        "join": kinds.count("join"), "part": kinds.count("part"), "ask": kinds.count("ask"), "settled": len(found.settled),
        "proposals": proposals, "applied": False,
    }  # fmt: skip
    answers.show_audit(screen, document)
    if not args.apply:
        screen.emit(document)
        if found.proposals or found.settled:
            screen.hint("`ihub identity audit --apply` makes it so. What people decided stays in any case.")
        return OK
    if not found.proposals and not found.settled:
        screen.emit(document)
        return OK
    is_said = screen.ask(
        f"Change {plural(found.changed, 'party', 'parties')} and ask {plural(document['ask'], 'question')}?"
    )
    if not (is_said or args.yes):
        return _not_agreed(screen, {"expected": document})
    changed = engine.identities.apply(found, user(), is_approved=is_said)
    screen.emit({**document, "applied": True})
    screen.line(f"Done: {plural(len(changed.parties), 'party', 'parties')} changed.", "green")
    screen.hint(
        "`ihub plan` shows what follows at the system of record; `ihub identity history --all` what was decided."
    )
    return OK


# --- a tool's own duplicates ------------------------------------------------------------------------------------------


def _duplicates(args: argparse.Namespace, screen: Screen, engine: "Engine") -> int:
    from hub.cli.merging import show_duplicates

    return show_duplicates(engine, screen, _words(args, 1)[0], args.limit)


def _snapshot(args: argparse.Namespace, screen: Screen, engine: "Engine") -> int:
    from hub.cli.merging import show_snapshot

    plan, *rest = args.words if len(args.words) == 2 else _words(args, 1)
    number = _number(plan, "a plan, as `ihub identity duplicates` gave it")
    return show_snapshot(engine, screen, number, rest[0] if rest else "")


def _not_agreed(screen: Screen, more: Row) -> int:
    say = "nothing was changed" if can_ask() else "this is what would change: say --yes to do it"
    screen.emit({"error": {"message": say, "exit_code": USAGE}, **more})
    screen.complain(f"ihub: {say}")
    return USAGE


_VERBS: dict[str, Callable[..., int]] = {
    "show": _show, "why-same": _why_same, "why-not": _why_not, "merge": _merge, "split": _split, "different": _different,
    "undo": _undo, "review": _review, "hubs": _hubs, "history": _history, "audit": _audit,
    "duplicates": _duplicates, "snapshot": _snapshot,
}  # fmt: skip
