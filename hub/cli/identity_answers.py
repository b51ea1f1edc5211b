"""How `ihub identity` shows its answers: who somebody is made of, the evidence between two, what waits, what was done."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from hub.cli.output import Screen
from hub.cli.people import title
from hub.cli.text import ago, clean, cut, day, number, pad, plural, width

Row = dict[str, Any]
KINDS = {"human": "a person", "tool": "the tool", "rule": "a rule", "model": "weighed"}
WITHOUT = {"same": "they would be joined", "review": "a person would be asked", "apart": "they would be two"}
FIELDS = {
    "email": "address",
    "handle": "name before @",
    "born": "birth date",
    "employer": "employer",
}  # others as they are


def name_of(side: Row) -> str:
    """ "Ana Ruiz (ana@kestrel.example)"; the identifier alone where that is all there is."""
    text, name = clean(side["text"]), clean(side["name"])
    return f"{name} ({text})" if name and name != text else text


def bits(weight: float | None) -> str:
    return "" if weight is None else f"{weight:.1f} bits"


# --- one party --------------------------------------------------------------------------------------------------------


def show_party(screen: Screen, party: Row, found: Row) -> None:
    title(screen, party)
    screen.heading("Made of")
    if not found["records"]:
        screen.line("No record of a tool: only what mail and calls show.", "dim", 2)
    for r in found["records"]:
        left = f"{clean(r['connection'])}/{clean(r['stream'])}/{clean(r['external_id'])}"
        gone = ", gone there" if r["gone_at"] else ""
        screen.ends(left, f"since {day(r['since'], screen.zone)}{gone}", "cyan", 2)
        says = ", ".join(clean(x) for x in (r["name"], *r["lists"]) if x)
        screen.text(says, "dim", 4, lines=2)
    if found["addresses"]:
        screen.heading("Addresses and numbers")
    for a in found["addresses"]:
        text, standing = clean(a["text"]), _standing(a, screen)
        if width(text) + width(standing) + 4 > screen.columns:  # an address is to be copied: never cut
            screen.text(text, "", 2)
            screen.line(standing, "dim", 4)
        else:
            screen.ends(text, standing, "", 2)
    if found["mailboxes"]:
        screen.heading("Listed too, and kept apart")
        for a in found["mailboxes"]:
            screen.ends(clean(a["text"]), a["means"], "", 2)
    if found["employment"]:
        screen.heading("Worked for")
        for e in found["employment"]:
            until = (
                f"until {day(e['until'], screen.zone)}" if e["until"] else f"last seen {day(e['last'], screen.zone)}"
            )
            name = clean(e["organization"]["name"]) or e["organization"]["public_id"]
            screen.ends(name, f"since {day(e['since'], screen.zone)}, {until}", "", 2)
            screen.text(f"by {', '.join(clean(b) for b in e['by'])}", "dim", 4, lines=2)
    for heading, rows in (("Part of", found["part_of"]), ("Its parts", found["parts"])):
        if rows:
            screen.heading(heading)
        for r in rows:
            name = clean(r["organization"]["name"]) or r["organization"]["public_id"]
            screen.ends(name, f"since {day(r['since'], screen.zone)}", "", 2)
            screen.text(f"by {', '.join(clean(b) for b in r['by'])}", "dim", 4, lines=2)
    if found["decisions"]:
        screen.heading("Decided")
        for d in found["decisions"]:
            show_decision(screen, d)
    if found["reviews"]:
        screen.heading("A person is asked")
        for d in found["reviews"]:
            screen.text(
                f"{d['decision']}  {name_of(d['left'])} and {name_of(d['right'])}?  {bits(d['weight'])}", "yellow", 2
            )


def _standing(a: Row, screen: Screen) -> str:
    seen = [plural(a["entries"], "entry", "entries")] if a["entries"] else []
    seen += [f"since {day(a['since'], screen.zone)}"] if a["since"] else []
    return ", ".join([a["means"], *seen])


def show_decision(screen: Screen, d: Row) -> None:
    back = f", taken back {day(d['revoked_at'], screen.zone)}" if d["revoked_at"] else ""
    by = "the hub" if d["actor"] == "hub" else clean(d["actor"])
    how = ", ".join(x for x in (d["rule"], bits(d["weight"])) if x)
    style = "dim" if d["revoked_at"] else ""
    screen.ends(f"act {d['act']}  {d['verdict']}, by {by} ({how})", day(d["at"], screen.zone) + back, style, 2)
    screen.text(f"{clean(d['left']['text'])} and {clean(d['right']['text'])}", "dim", 4)
    if d["notes"]:
        screen.text("; ".join(clean(n) for n in d["notes"]), "dim", 4)


# --- between two ------------------------------------------------------------------------------------------------------


def show_chain(screen: Screen, edges: Sequence[Row], start: Row | None) -> None:
    """The evidence from one end to the other; all of it, one by one, without a start."""
    at = start["text"] if start else None
    if at is not None:
        screen.line(clean(at), "cyan", 2)
    for e in edges:
        left, right = (e["left"], e["right"]) if at in (None, e["left"]["text"]) else (e["right"], e["left"])
        if start is None:
            screen.line(f"{clean(left['text'])}  -  {clean(right['text'])}", "cyan", 2)
        when = f", {day(e['since'], screen.zone)}" if e["since"] else ""
        weight = f", {bits(e['weight'])}" if e["weight"] is not None else ""
        screen.ends(f"  {clean(e['because'])}", f"{KINDS[e['kind']]}{weight}{when}", "", 2)
        waterfall(screen, e["lines"], 6)
        counterfactual(screen, e, 6)
        if at is not None:
            at = right["text"]
            screen.line(clean(at), "cyan", 2)


def counterfactual(screen: Screen, e: Row, indent: int) -> None:
    for name, verdict in e["without"].items():
        screen.line(f"without the {FIELDS.get(name, name)}: {WITHOUT[verdict]}", "dim", indent)
    if e.get("without_it") == "same":
        screen.line("without this they would still be joined, by other evidence", "dim", indent)
    if e.get("act"):
        version = f", weights {clean(e['version'])}" if e["version"] else ""
        screen.line(f"act {e['act']}, by {clean(e['actor'])}{version}", "dim", indent)


def waterfall(screen: Screen, lines: Sequence[Row], indent: int = 2) -> None:
    """Field by field what was compared, and what it counts in bits: +1 makes it twice as likely, -1 half."""
    rows: list[tuple[str, str, str, str, str]] = []
    for x in lines:
        what, count = FIELDS.get(str(x["field"]), str(x["field"])), f"{x['counts']:+.1f}"
        if x["field"] == "prior":
            rows.append(("to begin with", clean(x["level"]), "", "", count))
            continue
        left, right = (" ".join(clean(x[side]).replace("|", " ").split()) for side in ("left", "right"))
        count = count if x["counts"] or not x["weight"] else "(said)"
        rows.append((what, cut(left, 19), "=" if left == right else cut(right, 18), _level(clean(x["level"])), count))
    screen.table(("field", "one", "other", "how", "bits"), rows, "<<<<>", 3, indent)


def _level(level: str) -> str:
    """ "given same, family slip" -> "family slip": what is the same needs no words beside what is not."""
    other = [part for part in level.split(", ") if not part.endswith("same") and part != "order straight"]
    return ", ".join(other) or "same"


def show_apart(screen: Screen, found: Row, at: datetime) -> None:
    """What stands between two."""
    head = {
        "different": "are two: a person said so", "refused": "are two: something stands against it",
        "review": "are two for now", "apart": "are two: too little ties them",
    }[found["verdict"]]  # fmt: skip
    asked = f"; question {found['review']} asks a person" if found["review"] else ""
    screen.text(f"{name_of(found['left'])} and {name_of(found['right'])} {head}{asked}.", "bold")
    for b in found["because"]:
        when = f" ({ago(b['at'], at, screen.zone)}, act {b['act']})" if b["at"] else ""
        screen.text(f"- {clean(b['text'])}{when}", "", 2)
    if found["lines"]:
        screen.heading(
            f"Weighed: {bits(found['weight'])}; {found['needed']:g} join, from {found['asked_from']:g} a person is asked"
        )
        waterfall(screen, found["lines"])
        for name, verdict in found["without"].items():
            screen.line(f"without the {FIELDS.get(name, name)}: {WITHOUT[verdict]}", "dim", 2)
    lacking = sorted({*found["only_left"], *found["only_right"]} - {"handle"})
    if lacking and found["verdict"] in {"apart", "review"}:
        screen.text(f"could be compared if both had it: {', '.join(FIELDS.get(f, f) for f in lacking)}", "dim", 2)
    for key in found["hubs"]:
        screen.text(f"shared, and said nothing by it: {clean(key)}", "dim", 2)


# --- lists ------------------------------------------------------------------------------------------------------------


def show_queue(screen: Screen, rows: Sequence[Row], total: int, at: datetime) -> None:
    screen.line(f"{plural(total, 'question')}, what touches most first", "bold")
    for r in rows:
        size = ", ".join(x for x in (bits(r["weight"]), plural(r["records"], "record")) if x)
        screen.line()
        screen.ends(f"{r['review']}  {size}", f"asked {ago(r['at'], at)}", "cyan")
        _beside(screen, r["left"], r["right"])
        screen.text(f"not by itself: {clean(r['why'])}", "yellow", 4)
        waterfall(screen, r["lines"], 4)
        counterfactual(screen, {**r, "act": None}, 4)


def show_orphans(screen: Screen, rows: Sequence[Row], total: int, at: datetime) -> None:
    """Entries that hang on a number or a desk alone: a record that lists it brings them home."""
    screen.heading(f"Tied to nobody: {plural(total, 'number or desk', 'numbers and desks')}")
    for r in rows:
        screen.ends(
            clean(r["text"]), f"{plural(r['entries'], 'entry', 'entries')}, the first {ago(r['since'], at)}", "cyan", 2
        )
        screen.line(r["rule"], "dim", 4)
    if total > len(rows):
        screen.line(f"and {number(total - len(rows))} more: --limit N shows them", "dim", 2)
    screen.text(
        "A record that alone lists the number or address, in any tool, brings them home with the next sync.", "dim", 2
    )


def _beside(screen: Screen, left: Row, right: Row) -> None:
    """Both sides next to each other."""
    room = (screen.columns - 6) // 2
    columns = [_card(side) for side in (left, right)]
    for i in range(max(map(len, columns))):
        one, other = (c[i] if i < len(c) else "" for c in columns)
        screen.pieces(
            (pad(one, room), "bold" if i == 0 else ""),
            ("  ", ""),
            (cut(other, room), "bold" if i == 0 else ""),
            indent=4,
        )


def _card(side: Row) -> list[str]:
    told = [clean(x) for x in (*side["addresses"], *side["ids"])]
    more = [f"and {len(told) - 4} more"] if len(told) > 4 else []
    return [clean(side["name"]) or clean(side["text"]), *told[:4], *more, plural(side["entries"], "entry", "entries")]


def show_hubs(screen: Screen, rows: Sequence[Row]) -> None:
    screen.text(
        "Too many share these: nobody is compared for having one. What else they have in common still counts.", "bold"
    )
    cells = [(r["what"], cut(clean(r["value"]), 44), number(r["skipped"])) for r in rows]
    screen.table(("key", "value", "times skipped"), cells, "<<>", 1)


def show_history(screen: Screen, rows: Sequence[Row]) -> None:
    for r in rows:
        by = "the hub" if r["actor"] == "hub" else clean(r["actor"])
        what = {
            "same": "joined", "different": "parted", "none": f"took back act {r['revokes']}", "several": "changed",
        }[r["verdict"]]  # fmt: skip
        style = "dim" if r["revoked_at"] else ""
        screen.ends(f"{r['act']}  {by}: {what}", day(r["at"], screen.zone), style or "cyan")
        for p in r["pairs"]:
            screen.text(f"{name_of(p['left'])} and {name_of(p['right'])}", style, 4)
        if r["decisions"] > len(r["pairs"]):
            screen.line(f"and {plural(r['decisions'] - len(r['pairs']), 'more pair')}", "dim", 4)
        if r["why"]:
            screen.text(clean(r["why"]), "dim", 4)
        if r["kept"] and r["verdict"] != "none":
            screen.line(r["kept"], "dim", 4)


_PROPOSED = {"join": "join", "part": "part", "ask": "ask about"}


def show_audit(screen: Screen, found: Row) -> None:
    screen.line(
        f"{plural(found['records'], 'record')} of {plural(found['parties'], 'party', 'parties')} weighed anew", "bold"
    )
    if not found["proposals"] and not found["settled"]:
        screen.line("Nothing differs from what was decided one by one.", "green", 2)
        return
    counts = [(number(found[what]), f"to {words}") for what, words in _PROPOSED.items() if found[what]]
    counts += [(number(found["settled"]), "open questions that need no answer any more")] if found["settled"] else []
    screen.fields(counts)
    if found["is_large"]:
        screen.text("That is very many at once: look twice. --yes alone does not make it.", "yellow", 2)
    for p in found["proposals"]:
        called = [clean(x["name"]) or x["public_id"] for x in p["parties"]]
        names = " and ".join([*called[:3], *([f"{len(called) - 3} more"] if len(called) > 3 else [])])
        screen.line()
        screen.ends(f"{_PROPOSED[p['what']]} {names}", bits(p["weight"]) if p["weight"] else "", "cyan", 2)
        screen.text(", ".join(clean(x) for x in p["identifiers"]), "", 4, lines=3)
        if p["why"]:
            screen.text(clean(p["why"]), "dim", 4)
    more = found["join"] + found["part"] + found["ask"] - len(found["proposals"])
    if more:
        screen.line(f"and {number(more)} more: --limit N shows them", "dim", 2)


# --- acts -------------------------------------------------------------------------------------------------------------


def called(party: Row) -> str:
    return clean(party["name"]) or str(party["public_id"])


def show_expected(screen: Screen, e: Row) -> None:
    """What an act changes, before it is made."""
    names = {p["public_id"]: called(p) for p in e["parties"]}
    before = {p["public_id"]: clean(p["was"]) or called(p) for p in e["parties"]}
    left = [p for p in e["parties"] if not p["is_emptied"]]
    if not e["moves"]:
        screen.text("Nobody gains or loses anything by it today: it counts for evidence to come.", "bold")
    for p in left:
        came = [m for m in e["moves"] if m["to"] == p["public_id"]]
        if not came:
            continue
        back = " (of their own from now on)" if p["is_new"] else ""
        back += f" (until now {clean(p['was'])})" if p["was"] not in {"", p["name"]} else ""
        screen.text(f"{names[p['public_id']]}{back} gets", "bold")
        for m in came:
            screen.ends(clean(m["text"]), f"from {before[m['from']]}", "cyan", 2)
    if e["entries"]:
        filed = plural(e["entries"], "timeline entry is", "timeline entries are")
        screen.line(f"{filed} filed under somebody else, or another company", indent=2)
    for f in e["fields"]:
        was = f"instead of {clean(f['before'])}" if f["before"] else "new here"
        screen.text(f"{f['field']} of {names[f['party']]}: {clean(f['after']) or '(empty)'}, {was}", "", 2)
    for r in e["refusals"]:
        new = ": the refusal counts for all of it" if r["is_new"] else ""
        screen.text(f"{names[r['party']]} is opted out of {r['channel']}{new}, and stays so", "yellow", 2)
    for connection, n in e["written"].items():
        screen.line(f"the next plan looks at {plural(n, 'entry', 'entries')} at {clean(connection)} again", "dim", 2)
