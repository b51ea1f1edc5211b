"""`ihub brief` and `ihub timeline`: what a person wants to know before picking up the phone."""

import argparse
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from hub.cli import FAILED, OK, USAGE
from hub.cli.opening import here, now, opened
from hub.cli.output import Screen
from hub.cli.text import ago, clean, cut, day, listed, moment, number, pad, plural, width

ARROWS = {"inbound": "←", "outbound": "→", "internal": "↔"}
SAYERS = ("from", "organizer", "author", "agent", "requester")
BAR = 20
ANSWERS = (  # the word in the schema, said of one, said of several
    ("accepted", "accepted", "accepted"), ("declined", "declined", "declined"), ("tentative", "may come", "may come"),
    ("unanswered", "has not answered", "have not answered"),
)  # fmt: skip


def args_brief(p: argparse.ArgumentParser) -> None:
    p.add_argument("who", metavar="WHO", nargs="+", help="an address, a name or a part of it, or an id")


def args_timeline(p: argparse.ArgumentParser) -> None:
    args_brief(p)
    p.add_argument("--limit", type=_positive, default=20, metavar="N", help="entries per page (20)")
    p.add_argument("--before", metavar="MARK", help="go on where the page before ended; it prints the mark")
    p.add_argument("--channel", help="only email, phone, video, in_person, chat, sms ...")
    p.add_argument("--direction", choices=("inbound", "outbound", "internal"), help="only one direction")
    p.add_argument("--kind", help="only message, call, meeting, note, ticket ...")


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, not {text!r}")
    return int(text)


# --- who is meant ---------------------------------------------------------------------------------------------------


def run_brief(args: argparse.Namespace, screen: Screen) -> int:
    from hub.service import customers

    with opened(args, screen) as engine:
        desk = here(engine)
        found = customers.search(desk, " ".join(args.who))
        if len(found) != 1:
            return undecided(screen, " ".join(args.who), found)
        answers = customers.brief(desk, found[0]["public_id"])
        screen.emit(answers)
        show_brief(screen, answers, now(engine))
    return OK


def run_timeline(args: argparse.Namespace, screen: Screen) -> int:
    from hub.access import Invalid
    from hub.api.errors import ConfigError
    from hub.service import customers

    with opened(args, screen) as engine:
        desk = here(engine)
        found = customers.search(desk, " ".join(args.who))
        if len(found) != 1:
            return undecided(screen, " ".join(args.who), found)
        try:
            page = customers.timeline(
                desk, found[0]["public_id"], limit=args.limit, before=args.before, channel=args.channel,
                direction=args.direction, kind=args.kind,
            )  # fmt: skip
        except Invalid as exc:
            if exc.field != "before":
                raise ConfigError(f"--{exc}") from exc
            raise ConfigError(f"--before takes the mark a page before has printed, not {args.before!r}") from exc
        screen.emit(page)
        show_timeline(screen, page, args, now(engine))
    return OK


def undecided(screen: Screen, who: str, found: Sequence[dict[str, Any]]) -> int:
    """Nobody, or too many: say whom it could have been."""
    if not found:
        message = f"nobody matches {who!r}"
        screen.emit({"error": {"message": message, "exit_code": FAILED}, "candidates": []})
        screen.complain(
            f"ihub: {message}: give an address, a name or words of one\n"
            "  `ihub report summary` shows how many people are known; nothing at all? `ihub sync` first"
        )
        return FAILED
    message = f"{who!r} could be {'10 or more' if len(found) == 10 else len(found)} people or organizations"
    shown = [{key: value for key, value in p.items() if key != "owner_identifier_id"} for p in found]
    screen.emit({"error": {"message": message, "exit_code": USAGE}, "candidates": shown})
    screen.complain(f"ihub: {message}: which one?")
    for p in found:
        organization = f", {p['organization']['name']}" if p["organization"] else ""
        kind = "" if p["kind"] == "person" else f" ({_kind(p['kind'])})"
        name = f"{clean(p['name'])}{clean(organization)}{kind}"
        address = next((a for a in p["addresses"] if a != p["name"]), p["public_id"])
        count = number(p["interactions"])
        screen.aside(f"  {pad(name, 34)}  {pad(clean(address), 34)} {count:>7}")
    return USAGE


def _kind(kind: str) -> str:
    return {"own": "one of yours", "mailbox": "shared mailbox"}.get(kind, kind)


# --- brief ----------------------------------------------------------------------------------------------------------


def show_brief(screen: Screen, b: dict[str, Any], at: datetime) -> None:
    title(screen, b["party"])
    screen.heading("What was it about last?")
    _last(screen, b["last"], at)
    screen.heading("Who is responsible?")
    _responsible(screen, b["responsible"])
    screen.heading("What is the next step?")
    _next_step(screen, b["next_step"], at)
    screen.heading("What happened so far?")
    _relationship(screen, b["relationship"])
    screen.line()
    _proof(screen, b["sources"], b["coverage"], at)


def title(screen: Screen, party: dict[str, Any]) -> None:
    """Name, company, addresses, and a line under them."""
    name, organization = clean(party["name"]) or party["public_id"], party["organization"]
    company = f"  ·  {clean(organization['name'])}" if organization and organization["name"] else ""
    kind = "" if party["kind"] == "person" else f"  ({_kind(party['kind'])})"
    screen.pieces((name, "bold"), (company, ""), (kind, "dim"))
    addresses = [clean(a) for a in party["addresses"] if a != party["name"]]
    if addresses:
        more = f" and {len(addresses) - 3} more" if len(addresses) > 3 else ""
        screen.line(", ".join(addresses[:3]) + more, "dim")
    screen.line("─" * screen.columns, "dim")


def _last(screen: Screen, last: dict[str, Any] | None, at: datetime) -> None:
    if last is None:
        screen.line("Nothing was said or written yet.", indent=2)
        return
    screen.ends(clean(last["subject"]) or _untitled(last), ago(last["at"], at, screen.zone), "cyan", 2)
    if last["snippet"]:
        screen.text(last["snippet"], indent=2, lines=3)
    who = people(last)
    screen.line(f"{ARROWS.get(last['direction'], '·')} {who}" if who else "", "dim", 2)
    if told := answers(last["people"]):
        screen.text(told, "dim", 2)
    screen.line(f"{day_or_moment(last, screen)}, {channel(last)}, from {sources(last)}", "dim", 2)


def _responsible(screen: Screen, owner: dict[str, Any] | None) -> None:
    if owner is None:
        screen.line("Nobody: no owner is set, and nobody of yours has written.", "yellow", 2)
        return
    address = f" <{clean(owner['address'])}>" if owner["address"] and owner["address"] != owner["name"] else ""
    screen.pieces((clean(owner["name"]) + address, "cyan"), (f"  {clean(owner['why'])}", "dim"), indent=2)


def _next_step(screen: Screen, step: dict[str, Any] | None, at: datetime) -> None:
    if step is None:
        screen.line("None: no open task and no meeting ahead.", "yellow", 2)
        return
    due = step["due_at"]
    when = ("overdue, " * step["is_overdue"] + ago(due, at, screen.zone)) if due else "no date"
    style = "red" if step["is_overdue"] else "dim"
    screen.ends(clean(step["title"]) or f"({step['kind']})", when, "cyan", 2, style)
    parts = [f"{step['kind']}, {day_or_moment({**step, 'at': due}, screen)}" if due else step["kind"]]
    if step["owner"]:
        parts.append(clean(step["owner"]["name"]))
    parts.append(f"from {clean(step['source'])}")
    if step["others"]:
        parts.append(plural(step["others"], "more open task"))
    screen.line(", ".join(parts), "dim", 2)
    if told := answers(step["people"]):
        screen.text(told, "yellow" if "declined" in told else "dim", 2)


def _relationship(screen: Screen, r: dict[str, Any]) -> None:
    if not r["interactions"]:
        screen.line("No interactions yet.", indent=2)
        return
    total = f"{plural(r['interactions'], 'interaction')} in {plural(r['conversations'], 'conversation')}"
    screen.ends(total, f"{day(r['first_at'], screen.zone)} to {day(r['last_at'], screen.zone)}", "cyan", 2)
    rows = [("channels", listed(r["by_channel"])), ("direction", _flow(r["by_direction"]))]
    if r["people"]:
        ours: dict[str, int] = {}
        for p in r["people"]:  # one person may be there under several addresses
            ours[p["name"]] = ours.get(p["name"], 0) + p["interactions"]
        rows.append(("your people", listed(ours)))
    rows += [("open deal", _deal(deal, screen)) for deal in r["open_deals"]]
    rows += [("open ticket", clean(ticket)) for ticket in r["open_tickets"]]
    screen.fields(rows)


def _flow(counts: dict[str, int]) -> str:
    """ "31 in ██████──── 29 out, 2 internal"."""
    came, went = counts.get("inbound", 0), counts.get("outbound", 0)
    left = round(BAR * came / (came + went)) if came + went else 0
    bar = f" {'█' * left}{'─' * (BAR - left)}" if came + went else ","
    internal = f", {number(counts['internal'])} internal" if counts.get("internal") else ""
    return f"{number(came)} in{bar} {number(went)} out{internal}"


def _deal(deal: dict[str, Any], screen: Screen) -> str:
    amount = f"{deal['amount']} {deal['currency']}".strip()
    closes = f"closes {day(deal['closes_at'], screen.zone)}" if deal["closes_at"] else ""
    return ", ".join(clean(x) for x in (deal["title"], amount, deal["stage"], closes, deal["owner"]) if x)


def _proof(screen: Screen, fresh: Sequence[dict[str, Any]], coverage: dict[str, Any], at: datetime) -> None:
    """How far this can be trusted: freshness per source, and the last count at the sources."""
    ages: dict[str, list[str]] = {}
    for s in fresh:
        age = f"read {ago(s['as_of'], at, screen.zone)}" if s["as_of"] else "not read completely yet"
        ages.setdefault(age, []).append(clean(s["connection"]))
    told = "; ".join(f"{', '.join(names)}: {age}" for age, names in ages.items())
    screen.text(f"Sources: {told or 'none'}.", "dim")
    if coverage["percent"] is None:
        screen.text("Coverage: not counted yet; `ihub census` counts the sources.", "dim")
        return
    screen.text(
        f"Coverage: {coverage['percent']:g} % ({number(coverage['held'])} of {number(coverage['at_source'])} records "
        f"at the sources), counted {ago(coverage['taken_at'], at, screen.zone)}.",
        "dim",
    )


# --- timeline -------------------------------------------------------------------------------------------------------


def show_timeline(screen: Screen, page: dict[str, Any], args: argparse.Namespace, at: datetime) -> None:
    party, entries = page["party"], page["entries"]
    title(screen, party)
    if not entries:
        is_narrowed = args.before or args.channel or args.direction or args.kind
        screen.line("Nothing here that fits these filters." if is_narrowed else "No interactions yet.")
        screen.hint("Leave the filters out to see everything." if is_narrowed else "`ihub sync` reads what is new.")
        return
    zones = list(dict.fromkeys(e["at"].astimezone(screen.zone).tzname() or "" for e in entries))
    screen.line(f"{plural(party['interactions'], 'interaction')}, newest first; times in {' and '.join(zones)}", "dim")
    month = ""
    for entry in entries:
        first = entry["all_day"]
        local = date.fromisoformat(first) if first else entry["at"].astimezone(screen.zone)  # a day is one everywhere
        if (this := f"{local:%B %Y}") != month:
            month = this
            screen.heading(month + ("  ahead" if entry["at"] > at else ""))
        else:
            screen.line()
        show_entry(screen, entry, "all day" if first else f"{local:%H:%M}", f"{local:%a %d}")
    if page["next"]:
        screen.hint(f"Older ones: the same command with --before {page['next']}")


def show_entry(screen: Screen, entry: dict[str, Any], clock: str, weekday: str) -> None:
    """When and what; who, and the id for `ihub explain`; the first words."""
    arrow = ARROWS.get(entry["direction"], "·")
    style = {"inbound": "green", "outbound": "cyan"}.get(entry["direction"], "dim")
    files = plural(entry["files"], "file") if entry["files"] else ""
    what = "" if entry["kind"] == "message" else f"{entry['kind'].capitalize()}: "
    subject = what + (clean(entry["subject"]) or _untitled(entry))
    room = screen.columns - 19 - (width(files) + 2 if files else 0)
    screen.pieces(
        (f"{weekday}  ", "bold"), (f"{clock:<7}", "dim"), (f"{arrow} ", style), (cut(subject, room), "bold"),
        (f"  {files}" if files else "", "dim"), indent=2,
    )  # fmt: skip
    screen.ends(people(entry), f"{entry['channel']}  {entry['public_id'][:12]}", "dim", 19 - 2)
    if entry["all_day_last"]:
        screen.line(day_or_moment(entry, screen), "dim", 17)
    if told := answers(entry["people"]):
        screen.text(told, "dim", 17, lines=2)
    if entry["snippet"]:
        screen.text(entry["snippet"], indent=17, lines=2)
    elif entry["is_metadata_only"]:
        screen.line("(only who and when is kept)", "dim", 17)


def people(entry: dict[str, Any]) -> str:
    """ "Ana Ruiz to Sam Lee, +2"."""
    said: list[str] = []
    heard: list[str] = []
    for p in entry["people"]:
        target = said if p["role"] in SAYERS else heard
        if p["role"] != "about" and clean(p["name"]) not in target:
            target.append(clean(p["name"]))
    heard = [name for name in heard if name not in said]
    shown = _few(heard)
    if said and shown:
        return f"{_few(said)} to {shown}" if entry["kind"] == "message" else f"{_few(said)} with {shown}"
    return _few(said) or shown or _few([clean(p["name"]) for p in entry["people"]])


def answers(people: Sequence[dict[str, Any]]) -> str:
    """ "Ana Ruiz accepted, Bo Lee declined": how the guests answered the invitation, the customer's first."""
    guests = sorted((p for p in people if p["role"] != "organizer"), key=lambda p: p["kind"] == "own")
    told = []
    for answer, one, several in ANSWERS:
        names = list(dict.fromkeys(clean(p["name"]) for p in guests if p["answer"] == answer))
        if names:
            *first, last = [*names[:2], plural(len(names) - 2, "other")] if len(names) > 2 else names
            told.append(f"{', '.join(first)} and {last} {several}" if first else f"{last} {one}")
    return ", ".join(told)


def day_or_moment(entry: dict[str, Any], screen: Screen) -> str:
    """ "Fri 20 Nov 2026 17:05 CET", or the day or days of what has no hours: the same in every zone."""
    if not entry["all_day"]:
        return moment(entry["at"], screen.zone)
    first, last = (date.fromisoformat(entry[name] or entry["all_day"]) for name in ("all_day", "all_day_last"))
    return f"{first:%a %d %b %Y}" + (f" to {last:%a %d %b %Y}" if last > first else ", all day")


def _few(names: Sequence[str]) -> str:
    more = f" +{len(names) - 2}" if len(names) > 2 else ""
    return ", ".join(names[:2]) + more


def sources(entry: dict[str, Any]) -> str:
    return ", ".join(dict.fromkeys(clean(s["connection"]) for s in entry["sources"])) or "no source"


def channel(entry: dict[str, Any]) -> str:
    kind, via = entry["kind"], entry["channel"].replace("_", " ")
    return via if kind == "message" else f"{kind} ({via})"


def _untitled(entry: dict[str, Any]) -> str:
    return f"({entry['kind']} without a subject)"
