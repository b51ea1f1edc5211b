"""`ihub search`: what was said, found by its words."""

import argparse
from datetime import date
from typing import Any

from hub.cli import FAILED, OK
from hub.cli.opening import here, opened
from hub.cli.output import Screen
from hub.cli.people import ARROWS, _positive, people, undecided
from hub.cli.text import clean, cut, moment


def args_search(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "text", metavar="TEXT", nargs="+",
        help="words, all of them; '\"in this order\"'; 'word -without'; of the last word the beginning is enough",
    )  # fmt: skip
    p.add_argument("--with", dest="who", metavar="WHO", help="only entries with this customer")
    p.add_argument("--limit", type=_positive, default=20, metavar="N", help="entries per page (20)")
    p.add_argument("--before", metavar="MARK", help="go on where the page before ended; it prints the mark")


def run_search(args: argparse.Namespace, screen: Screen) -> int:
    from hub.access import Invalid
    from hub.api.errors import ConfigError
    from hub.service import customers

    text, party = " ".join(args.text), None
    with opened(args, screen) as engine:
        desk = here(engine)
        if args.who:
            found = customers.search(desk, args.who)
            if len(found) != 1:
                return undecided(screen, args.who, found)
            party = found[0]["public_id"]
        try:
            page = customers.search_text(desk, text, limit=args.limit, before=args.before, party=party)
        except Invalid as exc:
            if exc.field != "before":
                raise ConfigError(f"--{exc}") from exc
            raise ConfigError(f"--before takes the mark a page before has printed, not {args.before!r}") from exc
    screen.emit(page)
    for entry in page["entries"]:
        _show(screen, entry)
    if page["next"]:
        screen.hint(f"Older ones: the same command with --before {page['next']}")
    elif not page["entries"]:
        screen.complain(
            f"ihub: nothing says {text!r}\n"
            "  fewer words find more; people and companies are found by `ihub brief`; nothing at all? `ihub sync` first"
        )
        return FAILED
    return OK


def _show(screen: Screen, entry: dict[str, Any]) -> None:
    """What and when; who, and the id for `ihub explain`; the words around what was looked for."""
    when = f"{date.fromisoformat(entry['all_day']):%d %b %Y}" if entry["all_day"] else moment(entry["at"], screen.zone)
    what = clean(entry["subject"]) or f"({entry['kind']} without a subject)"
    screen.ends(f"{ARROWS.get(entry['direction'], '·')} {cut(what, screen.columns - len(when) - 4)}", when, "bold")
    screen.ends(people(entry), f"{entry['channel']}  {entry['public_id'][:12]}", "dim", 2)
    screen.text("".join(piece["text"] for piece in entry["excerpt"]), indent=2, lines=3)
    screen.line()
