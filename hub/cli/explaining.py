"""`ihub explain ID`: one entry from its sources through every decision to the destination."""

import argparse
from typing import Any

from hub.cli import FAILED, OK, USAGE
from hub.cli.opening import here, opened
from hub.cli.output import Screen
from hub.cli.people import ARROWS, answers, channel, day_or_moment
from hub.cli.running import fail
from hub.cli.text import clean, day, moment, number, plural

_SHARING = {
    "personal": "one person's own", "role": "a desk, never one person", "list": "a mailing list",
    "no_reply": "nobody reads it", "shared": "shared by several people", "free_domain": "a free-mail domain",
    "own": "one of yours", "unknown": "", "ambiguous": "does not say which country",
}  # fmt: skip


def args_explain(p: argparse.ArgumentParser) -> None:
    p.add_argument("id", metavar="ID", help="an entry's id as `ihub timeline` shows it")


def run_explain(args: argparse.Namespace, screen: Screen) -> int:
    from hub.service import customers

    with opened(args, screen) as engine:
        desk, wanted = here(engine), args.id.strip().lower()
        found = customers.beginning_with(desk, wanted)
        if wanted not in found and len(found) != 1:
            more = f"{wanted!r} begins several ids: {', '.join(found)}"
            none = f"there is no entry {wanted!r}: `ihub timeline WHO` shows the ids"
            return fail(screen, USAGE if found else FAILED, more if found else none)
        entry = customers.entry(desk, wanted if wanted in found else found[0])
    screen.emit(entry)
    show(screen, entry)
    return OK


def show(screen: Screen, e: dict[str, Any]) -> None:
    screen.line(clean(e["subject"]) or f"({e['kind']} without a subject)", "bold")
    flow = f"{ARROWS.get(e['direction'], '·')} {e['direction']}"
    screen.line(f"{day_or_moment(e, screen)}  ·  {channel(e)}  ·  {flow}  ·  {e['public_id']}", "dim")
    if e["is_gone"]:
        screen.line("It has left the timeline: the source no longer has it.", "yellow")
    screen.line("─" * screen.columns, "dim")
    if e["text"]:
        screen.text(e["text"], lines=4)
    elif e["is_metadata_only"]:
        screen.text("Only who and when is kept: the capture policy says so.", "yellow")
    if e["has_more"]:
        screen.line("(quoted text and signature are kept apart)", "dim")
    _sources(screen, e)
    _people(screen, e)
    _conversation(screen, e["conversation"])
    _files(screen, e["attachments"])
    _pushes(screen, e["pushes"])


def _sources(screen: Screen, e: dict[str, Any]) -> None:
    screen.heading(f"Where it comes from: {plural(len(e['sources']), 'source')}")
    for s in e["sources"]:
        echo = ", our own write coming back" if s["is_echo"] else ""
        rule = f" ({s['rule']})" if s["rule"] and not s["is_echo"] else ""
        screen.line(f"{clean(s['connection'])}/{clean(s['stream'])}  {clean(s['external_id'])}", "cyan", 2)
        screen.text(f"{s['disposition']}{rule}, first seen {moment(s['first_seen_at'], screen.zone)}{echo}", "dim", 4)
        if s["url"]:
            screen.line(clean(s["url"]), "dim", 4)
    if e["fused_by"]:
        why = "one entry because all carry" if len(e["sources"]) > 1 else "would be the same entry with"
        screen.text(f"{why} {', '.join(clean(k) for k in e['fused_by'])}", "dim", 2)


def _people(screen: Screen, e: dict[str, Any]) -> None:
    roles: dict[str, list[str]] = {}
    for p in e["people"]:
        roles.setdefault(p["address"], []).append(p["role"])
    screen.heading("Who takes part, and why we think so")
    if told := answers(e["people"]):
        screen.text(told, indent=2)
    for i in e["identity"]:
        role = "/".join(dict.fromkeys(roles.get(i["address"], ["about"])))
        name = clean(i["party"]["name"])
        is_named = name and name != clean(i["address"])
        who = f"{name}  {clean(i['address'])}" if is_named else clean(i["address"])
        screen.ends(f"{role:<9} {who}", _SHARING.get(i["sharing"], i["sharing"]), "", 2)
        for d in i["decisions"]:
            reasons = "; ".join(filter(None, (_reason(r) for r in d["reasons"]))) or "no reasons noted"
            weight = "" if d["weight"] is None else f", {d['weight']:.1f} bits"
            screen.text(f"{d['verdict']} by {d['rule']} ({d['by']}{weight}, act {d['act']}): {reasons}", "dim", 12)


def _reason(reason: Any) -> str:
    """A decision's reason as the hub noted it: a text, {field, level, value}, or a line of the waterfall."""
    if isinstance(reason, dict) and "weight" in reason:
        return f"{clean(reason['field'])} {clean(reason['level'])} {reason['weight']:+.1f}"
    if isinstance(reason, dict) and reason.get("field") == "without":
        return ""  # `ihub identity why-same` tells what it would be without
    if isinstance(reason, dict) and "level" in reason:
        named = ", ".join(clean(reason[k]) for k in ("field", "value") if reason.get(k))
        return f"{clean(reason['level'])} ({named})" if named else clean(reason["level"])
    return clean(reason)


def _conversation(screen: Screen, conversation: dict[str, Any] | None) -> None:
    if conversation is None:
        return
    first, last = day(conversation["first_at"], screen.zone), day(conversation["last_at"], screen.zone)
    screen.heading(f"Conversation {conversation['id']}: {plural(conversation['interactions'], 'entry', 'entries')}")
    screen.line(f"{first} to {last}", "dim", 2)
    joined = [clean(ref) for ref in conversation["joined_by"]]
    for ref in joined[:3]:
        screen.line(f"joined by {ref}", "dim", 2)
    if len(joined) > 3:
        at_least = "at least " if len(joined) == 20 else ""
        screen.line(f"and {at_least}{len(joined) - 3} more references", "dim", 2)


def _files(screen: Screen, files: list[dict[str, Any]]) -> None:
    if files:
        screen.heading(f"{plural(len(files), 'File')} (the content stays in the tool)")
        rows = [(f["filename"] or "(no name)", f["media_type"], f"{number(f['size'])} bytes") for f in files]
        screen.table(("name", "type", "size"), rows, "<<>")


def _pushes(screen: Screen, pushes: list[dict[str, Any]]) -> None:
    screen.heading("What was written of it")
    if not pushes:
        screen.line("Nothing was planned for the system of record.", "dim", 2)
    for p in pushes:
        at = f" as {clean(p['remote_id'])}" if p["remote_id"] else ""
        outcome = p["outcome"] or p["state"]
        what = f"plan {p['plan']} ({p['plan_status']}): {p['effect']} at {clean(p['destination'])}"
        screen.line(f"{what}: {outcome}{at}", indent=2)
        for a in p["attempts"]:
            answered = f"answered {a['outcome']}" if a["answered_at"] else "no answer came"
            screen.line(f"attempt {a['attempt']}: sent {moment(a['sent_at'], screen.zone)}, {answered}", "dim", 4)
        if p["error"]:
            screen.text(p["error"], "yellow", 4)
