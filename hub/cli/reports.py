"""`ihub report`: every report of the catalogue as a table, as JSON or as a CSV file; and `report summary`."""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hub import reports
from hub.cli import OK, UsageError
from hub.cli.opening import opened
from hub.cli.output import Screen
from hub.cli.text import books, clean, cut, day, listed, number, pad, width

ROWS = 40  # on a terminal; --csv and --json have all


def args_report(p: argparse.ArgumentParser) -> None:
    p.add_argument("what", nargs="?", metavar="NAME", help="which report; without one they are listed")
    p.add_argument("--csv", metavar="FILE", help='write it as a CSV file; "-" is stdout')
    p.add_argument("--bom", action="store_true", help="mark the CSV file as UTF-8, as Excel wants it")
    told = p.add_argument_group("what is asked (each report says which it takes)")
    for name, parameter in _parameters().items():
        value = "N" if parameter.kind == "whole" else name.partition("_")[0].upper()
        value = "DATE" if parameter.kind == "date" else value
        told.add_argument(
            _option(name), dest=f"ask_{name}", metavar=value, help=f"{_takers(name)}: {parameter.title.lower()}"
        )
    summary = p.add_argument_group("of the summary")
    summary.add_argument(
        "--person", metavar="ADDR", action="append", default=[], help="one address's figures; repeatable"
    )
    summary.add_argument("--people-file", metavar="F", help='a file of addresses, one a line; "#" begins a comment')


def _parameters() -> dict[str, Any]:
    """Each parameter that some report takes; one name means the same in all of them."""
    return {p.name: p for report in reversed(reports.REPORTS.values()) for p in report.parameters}


def _takers(name: str) -> str:
    return ", ".join(r.name for r in reports.REPORTS.values() if any(p.name == name for p in r.parameters))


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def run_report(args: argparse.Namespace, screen: Screen) -> int:
    given = {name: value for name in _parameters() if (value := getattr(args, f"ask_{name}")) is not None}
    if args.what is None or args.what == "summary":
        if given or args.csv:
            wrong = "--csv" if args.csv else _option(next(iter(given)))
            raise UsageError(f"{wrong} belongs to a report: {', '.join(reports.REPORTS)}")
        return _catalogue(screen) if args.what is None else _summary(args, screen)
    if args.what not in reports.REPORTS:
        from difflib import get_close_matches

        near = get_close_matches(args.what, [*reports.REPORTS, "summary"], 1)
        raise UsageError(
            f"there is no report {clean(args.what)!r}; "
            + (f"did you mean {near[0]}?" if near else "`ihub report` lists them")
        )
    if args.person or args.people_file:
        raise UsageError("--person and --people-file belong to `ihub report summary`")
    with opened(args, screen) as engine:
        zone = engine.settings.hub.zone
        screen.progress("counting")
        with engine.store.read() as c:
            try:
                answer = reports.ask(c, args.what, given, now=datetime.now(UTC), zone=zone)
            except reports.BadParameter as exc:
                raise UsageError(f"{_option(exc.name)}: {exc.message}") from exc
    if args.csv:
        return _csv(answer, args, screen)
    screen.emit(reports.document(answer))
    show(screen, reports.page(answer, ROWS))
    return OK


def _catalogue(screen: Screen) -> int:
    screen.emit({"reports": reports.listing()})
    for r in reports.REPORTS.values():
        screen.heading(f"ihub report {r.name}")
        screen.text(r.sentence, "", 2)
        if r.parameters:
            screen.text("takes " + ", ".join(_option(p.name) for p in r.parameters), "dim", 2)
    screen.heading("ihub report summary")
    screen.text("The whole timeline in figures.", "", 2)
    screen.text("takes --person, --people-file", "dim", 2)
    screen.hint("--json prints one as JSON, --csv FILE writes it for a spreadsheet.")
    return OK


def _csv(answer: Any, args: argparse.Namespace, screen: Screen) -> int:
    from hub.api.errors import ConfigError

    data = reports.csv_file(answer, bom=args.bom)
    if args.csv == "-":
        if args.json:
            raise UsageError("--csv - and --json cannot both write to stdout")
        screen.clear()
        out = screen.out
        if (
            raw := getattr(out, "buffer", None)
        ) is not None:  # a terminal's or a pipe's own bytes: lines end as they stand
            out.flush()
            raw.write(data)
        else:
            out.write(data.decode())
        return OK
    try:
        Path(args.csv).expanduser().write_bytes(data)
    except OSError as exc:
        raise ConfigError(f"--csv {args.csv} cannot be written: {exc.strerror or exc}") from exc
    screen.emit({"file": args.csv, "rows": len(answer.found.rows), "bytes": len(data)})
    screen.line(f"{number(len(answer.found.rows))} rows written to {clean(args.csv)}")
    return OK


def show(screen: Screen, page: dict[str, Any]) -> None:
    """A report as text: figures, the chart's numbers as bars, the table, and what is not in it."""
    screen.line(page["title"], "bold")
    screen.text(page["sentence"])
    screen.text(f"Fresh as of {page['fresh_as_of']}; days of {page['zone']}", "dim")
    if page["empty"]:
        screen.line()
        screen.text(page["empty"])
        return
    screen.line()
    screen.fields([(f["title"], f["text"]) for f in page["figures"]])
    _table(screen, page)
    if page["shown"] < page["total"]:
        screen.line(
            f"{number(page['total'] - page['shown'])} more rows: --csv FILE or --json has what was asked for", "dim", 2
        )
    screen.line()
    for note in page["notes"]:
        screen.text(note, "yellow")
    screen.text("Not in it, or counted so: " + " ".join(page["left_out"]), "dim")


def _table(screen: Screen, page: dict[str, Any]) -> None:
    """Columns that do not fit beside the others in 80 go, the last first: --csv and --json have them."""
    columns = [
        i
        for i, head in enumerate(page["head"])
        if not all(row[i]["url"] or row[i]["text"] == "–" for row in page["rows"])
    ]
    cells = [[clean(row[i]["text"]) for i in columns] for row in page["rows"]]
    heads = [page["head"][i] for i in columns]
    wide = [min(28, max(width(h["title"]), *(width(row[i]) for row in cells))) for i, h in enumerate(heads)]
    kept = len(wide)
    while kept > 1 and sum(wide[:kept]) + 2 * kept > screen.columns:
        kept -= 1
    screen.line()
    titles = (pad(h["title"], n, ">" if h["is_numeric"] else "<") for h, n in zip(heads[:kept], wide, strict=False))
    screen.line("  ".join(titles).rstrip(), "dim", 2)
    for row in cells:
        line = (
            pad(cut(text, n), n, ">" if h["is_numeric"] else "<")
            for text, n, h in zip(row[:kept], wide, heads, strict=False)
        )
        screen.line("  ".join(line).rstrip(), "", 2)
    if kept < len(heads):
        missing = ", ".join(h["title"] for h in heads[kept:])
        screen.text(f"Not shown for lack of room: {missing}", "dim", 2)


# --- summary --------------------------------------------------------------------------------------------------------


def _summary(args: argparse.Namespace, screen: Screen) -> int:
    people = [*args.person, *(_listed_in(args.people_file) if args.people_file else [])]
    with opened(args, screen) as engine:
        screen.progress("counting")
        with engine.store.read() as c:
            found = reports.summary(c, engine.own(), people=people)
    screen.emit(found)
    show_summary(screen, found)
    return OK


def _listed_in(file: str) -> list[str]:
    from hub.api.errors import ConfigError

    try:
        lines = Path(file).expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"--people-file {file} cannot be read: {reason}") from exc
    bare = (line.partition("#")[0].strip() for line in lines)
    return [address for address in bare if address]


def show_summary(screen: Screen, s: dict[str, Any]) -> None:
    if not s["records"]:
        screen.line("Nothing was read yet.")
        screen.hint("`ihub sync` pulls all connections; `ihub import mail FILE` reads a mailbox file.")
        return
    screen.line("What came in, and what became of it", "bold")
    rows = []
    for r in s["records"]:
        rows.append((f"{clean(r['connection'])}/{clean(r['stream'])}", books(r["seen"], r["dispositions"])))
        if rules := {k.partition(":")[2]: n for k, n in r["rules"].items() if not k.startswith("duplicate:")}:
            rows.append(("", f"by rule: {listed(rules)}"))
    screen.fields(rows)
    screen.heading("The timeline")
    response = s["response"]
    median = f", median {number(response['median_hours'])} hours" if response["median_hours"] is not None else ""
    began = response["started"]
    singles, largest = number(s["conversations_of_one"]), number(s["largest_conversation"])
    first, last = day(s["first_at"], screen.zone), day(s["last_at"], screen.zone)
    by_us = f"you {number(began['outbound'])}, internal {number(began['internal'])}"
    screen.fields([
        ("interactions", f"{number(s['interactions'])}, {first} to {last}"),
        ("channels", listed(s["by_channel"])),
        ("kinds", listed(s["by_kind"])),
        ("direction", listed(s["by_direction"])),
        ("conversations", f"{number(s['conversations'])}, {singles} of one entry, the largest of {largest}"),
        ("begun by", f"customers {number(began['inbound'])}, {by_us}"),
        ("answered", f"{number(response['answered'])} of {number(began['inbound'])} that customers began{median}"),
        ("Message-IDs", number(s["message_ids"])),
        ("with files", number(s["with_files"])),
        ("addresses", f"{number(s['senders'])} have sent, {number(s['correspondents'])} take part"),
        ("parties", listed(s["parties"])),
    ])  # fmt: skip
    if s["people"]:
        screen.heading("People")
        people = [
            (p["address"], number(p["sent"]), number(p["received"]), number(p["conversations"]),
             day(p["first_at"], screen.zone), day(p["last_at"], screen.zone))
            for p in s["people"]
        ]  # fmt: skip
        screen.table(("address", "sent", "received", "threads", "first", "last"), people, "<>>>>>")
    screen.line()
    screen.line(f"state {s['state_hash']}", "dim")
