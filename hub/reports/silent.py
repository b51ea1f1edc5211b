"""Open deals nobody talked about for a while: value, owner, and the last contact with its place on the timeline."""

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Any

import msgspec
import sqlalchemy as sa

from hub.reports.accounts import named, owners
from hub.reports.definition import Asked, Chart, Column, Figure, Found, Parameter, Report
from hub.store import among, instant, micros
from hub.store import tables as t

# What counts as contact: something was said or written, between us and somebody else; as the brief's "last talk".
SAID = ("message", "call", "meeting", "comment", "note", "ticket")
DAY = timedelta(days=1)
_i, _k, _p = t.item.c, t.link.c, t.party.c


def _query(asked: Asked) -> Found:
    now, days = asked.now, asked.values["days"]
    about = _about(asked)
    contacts = _last_contacts(asked, {p for parties in about.values() for p in parties})
    silent: dict[int, int | None] = {}
    limit = micros(now - days * DAY)
    for deal, parties in about.items():
        last = max((contacts[p] for p in parties if p in contacts), default=None)
        if last is None or last < limit:
            silent[deal] = last
    order = sorted(silent, key=lambda d: (silent[d] is not None, silent[d] or 0, d))
    shown = order[: asked.values["top"]]
    amounts, bands = _worth(asked, order), _bands(silent, days, micros(now))
    return Found(
        rows=_rows(asked, shown, silent, about),
        figures=[
            Figure("silent", "Silent deals", len(order), "whole"),
            Figure("open", "Open deals", len(about), "whole"),
            *(Figure(f"worth_{cur.lower()}", f"Worth in {cur}", f"{total:f}", "money") for cur, total in amounts),
        ],
        total=len(order),
        bars=[(label, {"deals": n}) for label, n in bands] if order else [],
    )  # fmt: skip


def _about(asked: Asked) -> dict[int, set[int]]:
    """Each open deal with the parties it is about."""
    query = (
        sa.select(_i.record_id, t.identifier.c.party_id)
        .select_from(t.item)
        .outerjoin(t.item_party, t.item_party.c.record_id == _i.record_id)
        .outerjoin(t.identifier, t.identifier.c.id == t.item_party.c.identifier_id)
        .where(_i.kind == "deal", _i.is_closed.is_(sa.false()), _i.gone_at.is_(None), *asked.visible(t.item))
    )
    found: dict[int, set[int]] = defaultdict(set)
    for deal, party in asked.c.execute(query):
        found[deal].update(() if party is None else (party,))
    return found


def _contact(asked: Asked, column: Any) -> Any:
    """The newest contact of the party in the query around it."""
    x = t.interaction.alias()
    return (
        sa.select(column)
        .select_from(t.link)
        .join(x, x.c.id == _k.interaction_id)
        .where(
            _k.party_id == _p.id, _k.occurred_at <= micros(asked.now), _k.direction != "internal", x.c.kind.in_(SAID),
            *asked.visible(t.link),
        )
        .order_by(_k.occurred_at.desc(), _k.interaction_id.desc())
        .limit(1)
        .correlate(t.party)
        .scalar_subquery()
    )  # fmt: skip


def _last_contacts(asked: Asked, parties: set[int]) -> dict[int, int]:
    query = sa.select(_p.id, _contact(asked, _k.occurred_at)).where(among(_p.id))
    return {p: at for p, at in asked.c.execute(query, {"values": sorted(parties)}) if at is not None}


def _rows(
    asked: Asked, shown: list[int], silent: dict[int, int | None], about: dict[int, set[int]]
) -> list[dict[str, Any]]:
    parties = sorted({p for deal in shown for p in about[deal]})
    x = t.interaction.c
    newest = sa.select(_p.id, _contact(asked, _k.interaction_id).label("entry")).where(among(_p.id)).subquery()
    last = sa.select(newest.c.id, x.public_id, x.occurred_at, x.channel).join(t.interaction, x.id == newest.c.entry)
    entries = {r.id: r for r in asked.c.execute(last, {"values": parties})}
    items = {r.record_id: r for r in asked.c.execute(sa.select(t.item).where(among(_i.record_id)), {"values": shown})}
    names = named(asked.c, parties)
    people = owners(asked.c, [r.owner_identifier_id for r in items.values() if r.owner_identifier_id is not None])
    rows = []
    for deal in shown:
        item, plain = items[deal], msgspec.json.decode(items[deal].entity)
        who = _account(about[deal], names)
        entry = max(
            (entries[p] for p in about[deal] if p in entries), key=lambda r: (r.occurred_at, r.id), default=None
        )
        at = silent[deal]
        owner = people.get(item.owner_identifier_id)
        rows.append({
            "deal": item.title, "stage": item.state, "amount": plain.get("amount", "") or None,
            "currency": plain.get("currency", ""), "owner": owner.name if owner else "",
            "account": who.name if who else "", "account_id": who.public_id if who else None,
            "last_contact_at": None if at is None else instant(at), "channel": entry.channel if entry else "",
            "entry_id": entry.public_id if entry else None,
            "silent_days": None if at is None else (asked.now - instant(at)) // DAY, "url": item.url,
        })  # fmt: skip
    return rows


def _account(parties: set[int], names: Any) -> Any:
    """Whom a deal is shown with: the company among those it is about, else the first person."""
    known = sorted((names[p].kind != "organization", p) for p in parties if p in names)
    return names[known[0][1]] if known else None


def _worth(asked: Asked, deals: list[int]) -> list[tuple[str, Decimal]]:
    """The silent deals' amounts by currency; what is no number is worth nothing here."""
    total: dict[str, Decimal] = defaultdict(Decimal)
    query = sa.select(_i.entity).where(among(_i.record_id))
    for (entity,) in asked.c.execute(query, {"values": deals}):
        plain = msgspec.json.decode(entity, type=_Priced)
        try:
            amount = Decimal(plain.amount or "0")
        except InvalidOperation:
            continue
        if amount.is_finite() and plain.currency.isascii() and plain.currency.isalpha() and abs(amount) < 10**15:
            total[plain.currency.upper()[:3]] += amount
    return sorted(((cur, n) for cur, n in total.items() if n), key=lambda pair: (-pair[1], pair[0]))[:5]


class _Priced(msgspec.Struct):
    amount: str = ""
    currency: str = ""


def _bands(silent: dict[int, int | None], days: int, now: int) -> list[tuple[str, int]]:
    """How many were silent for how long, in steps of the span asked for."""
    steps = [days, 2 * days, 4 * days, 8 * days]
    labels = [f"{a} to {b} days" for a, b in pairwise(steps)] + [f"over {steps[-1]} days", "never"]
    counts = [0] * len(labels)
    span = days * 86_400_000_000
    for last in silent.values():
        if last is None:
            counts[-1] += 1
        else:
            times = (now - last) / span
            counts[0 if times <= 2 else 1 if times <= 4 else 2 if times <= 8 else 3] += 1
    return list(zip(labels, counts, strict=True))


SILENT = Report(
    name="silent-deals",
    title="Silent deals",
    sentence="Open deals with whose people nobody has spoken for so many days, the longest silence first.",
    version=1,
    parameters=(
        Parameter("days", "Days of silence", "whole", "no contact for so many days", 14, 1, 3650),
        Parameter("top", "Deals shown", "whole", "at most this many", 200, 1, 10_000),
    ),
    columns=(
        Column("deal", "Deal", "text", is_told=True),
        Column("silent_days", "Silent", "days", "whole days"),
        Column("amount", "Amount", "money", "in the currency beside it"),
        Column("currency", "In", "text", is_told=True),
        Column("owner", "Owner", "text", is_told=True),
        Column("account", "Account", "text", is_told=True, about="account_id"),
        Column("account_id", "Account id", "id", of="customer"),
        Column("last_contact_at", "Last contact", "instant", about="entry_id"),
        Column("channel", "By", "text"),
        Column("stage", "Stage", "text", is_told=True),
        Column("entry_id", "Entry id", "id", of="entry"),
        Column("url", "In the tool", "url"),
    ),
    query=_query,
    chart=Chart("columns", "Deals", "whole"),
    left_out=(
        "Contact is what was said or written with anybody the deal is about, a company's people included, on any matter.",
        "Campaigns, opens and clicks are no contact; neither is what is only planned.",
        "A deal that two tools hold each counts twice.",
    ),
    empty="No open deal is silent. Deals come from connections whose tool has them: `ihub connectors` lists which.",
)  # fmt: skip
