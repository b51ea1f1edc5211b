"""Customers: found, and what was said, done and promised with them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub import reports
from hub.access.errors import Invalid
from hub.access.roles import BODIES_READ, CUSTOMERS_READ
from hub.reports import Seen
from hub.reports.timeline import entries, text_of
from hub.service.desk import Desk, NotFound
from hub.store import tables as t

Row = dict[str, Any]
MOST = 200  # entries of one page
_CONVERSATION = 500  # entries of one conversation that are shown


def search(desk: Desk, text: str, limit: int = 10) -> list[Row]:
    """People and organizations by name, address, number or id; exact ones alone where there are any."""
    with desk.reading(CUSTOMERS_READ) as (c, seen):
        return [_shown(p) for p in reports.find(c, text, min(limit, MOST), seen)]


def search_text(
    desk: Desk, text: str, *, limit: int = 20, before: str | None = None, party: str | None = None
) -> Row:  # fmt: skip
    """Entries by their words, newest first (`hub.reports.search`): {"entries": [...], "next": the mark of the next page}.

    text: words, all of them; "some words in this order"; -word without it; of the last one the beginning is enough.
    Entries are as on a timeline, with `party` (whose: {"public_id", "name", "kind"} or None) and `excerpt` ([{"text",
    "hit"}]). Any text can be asked, one without a word finds nothing. Raises NotFound (party), Invalid (limit, before).
    """
    if not 1 <= limit <= MOST:
        raise Invalid(f"is {limit}", field="limit", fix=f"a whole number from 1 to {MOST}")
    with desk.reading(BODIES_READ) as (c, seen):
        try:
            return reports.search(c, text, limit=limit, before=before, party=party, seen=seen)
        except KeyError:
            raise _nobody(str(party)) from None
        except ValueError:
            fix = "take it from `next` of the page before"
            raise Invalid("is no mark of a page", field="before", fix=fix) from None


def brief(desk: Desk, party: str) -> Row:
    """The four answers with their sources (`hub.reports.brief`). Raises NotFound."""
    with desk.reading(CUSTOMERS_READ) as (c, seen):
        try:
            found = reports.brief(c, party, desk.now, seen)
        except KeyError:
            raise _nobody(party) from None
        if found["last"] is not None:
            found["last"] = _readable(desk, [found["last"]])[0]
        return found


def timeline(
    desk: Desk, party: str, *, limit: int = 50, before: str | None = None, channel: str | None = None,
    direction: str | None = None, kind: str | None = None, since: datetime | None = None, purpose: str | None = None,
    connection: str | None = None, person: str | None = None,
) -> Row:  # fmt: skip
    """A page of the timeline, newest first (`hub.reports.timeline`). Raises NotFound, and Invalid for a strange mark."""
    if not 1 <= limit <= MOST:
        raise Invalid(f"is {limit}", field="limit", fix=f"a whole number from 1 to {MOST}")
    with desk.reading(CUSTOMERS_READ) as (c, seen):
        try:
            page = reports.timeline(
                c, party, limit=limit, before=before, channel=channel, direction=direction, kind=kind, since=since,
                purpose=purpose, connection=connection, person=person, seen=seen,
            )  # fmt: skip
        except KeyError:
            raise _nobody(party) from None
        except ValueError:
            fix = "take it from `next` of the page before"
            raise Invalid("is no mark of a page", field="before", fix=fix) from None
        page["entries"] = _readable(desk, page["entries"])
        return page


def recent(desk: Desk, limit: int = 12) -> Row:
    """{"customers": those in touch last with their last entry (`hub.reports.recent`), "is_connected": whether any tool is}."""
    with desk.reading(CUSTOMERS_READ) as (c, seen):
        found = reports.recent(c, desk.now, min(limit, MOST), seen)
        last = _readable(desk, [row["entry"] for row in found])
        rows = [{**row, "entry": said} for row, said in zip(found, last, strict=True)]
        return {"customers": rows, "is_connected": bool(desk.engine.names())}


def gaps(desk: Desk) -> list[Row]:
    """Stretches of time that a connection does not cover (`hub.reports.gaps`); the four answers come with them."""
    with desk.reading(CUSTOMERS_READ) as (c, seen):
        return reports.gaps(c, desk.now, seen)


def members(desk: Desk, organization: str) -> list[Row]:
    """People of an organization, at most `MOST`, who was in touch last first. Raises NotFound."""
    with desk.reading(CUSTOMERS_READ) as (c, seen):
        try:
            return reports.members(c, organization, MOST, seen)
        except KeyError:
            raise _nobody(organization) from None


def entry(desk: Desk, interaction: str) -> Row:
    """Why an entry is here: sources, people, decisions, pushes (`hub.reports.explain`). Raises NotFound."""
    with desk.reading(CUSTOMERS_READ) as (c, seen):
        try:
            found = reports.explain(c, interaction, seen)
        except KeyError:
            raise _no_entry(interaction) from None
        if not desk.viewer.may(BODIES_READ):
            found["text"] = ""
        return _readable(desk, [found])[0]


def body(desk: Desk, interaction: str) -> Row:
    """{"text": what is new in it, "whole": with quoted text and signature}. Raises NotFound; needs more than the timeline."""
    with desk.reading(BODIES_READ) as (c, seen):
        text, whole = text_of(c, _entry_id(c, interaction, seen))
        return {"text": text, "whole": whole}


def conversation(desk: Desk, interaction: str, *, limit: int = _CONVERSATION, after: str = "") -> list[Row]:
    """The entries of the conversation that an entry belongs to, oldest first. after: an entry, for those behind it.

    Raises NotFound.
    """
    with desk.reading(CUSTOMERS_READ) as (c, seen):
        iid = _entry_id(c, interaction, seen)
        i = t.interaction.c
        of = c.execute(sa.select(i.conversation_id).where(i.id == iid)).scalar()
        whole = sa.select(i.id).where(i.conversation_id == of, i.gone_at.is_(None), seen(t.interaction))
        if after:
            last = c.execute(sa.select(i.occurred_at, i.id).where(i.id == _entry_id(c, after, seen))).one()
            whole = whole.where(sa.tuple_(i.occurred_at, i.id) > sa.tuple_(*map(sa.literal, last)))
        ids = list(c.execute(whole.order_by(i.occurred_at, i.id).limit(limit)).scalars()) if of else [iid]
        return _readable(desk, entries(c, ids, seen))


def beginning_with(desk: Desk, prefix: str, limit: int = 10) -> list[str]:
    """Public ids of entries that begin so, the exact one alone if there is one: people type the short form."""
    if not prefix:
        return []
    with desk.reading(CUSTOMERS_READ) as (c, seen):
        i = t.interaction.c
        query = sa.select(i.public_id).where(i.public_id.startswith(prefix, autoescape=True), seen(t.interaction))
        found = list(c.execute(query.order_by(i.public_id).limit(limit)).scalars())
        return [prefix] if prefix in found else found


def _entry_id(c: Connection, interaction: str, seen: Seen) -> int:
    i = t.interaction.c
    found = c.execute(sa.select(i.id).where(i.public_id == interaction, seen(t.interaction))).scalar()
    if found is None:
        raise _no_entry(interaction)
    return int(found)


def _readable(desk: Desk, found: Iterable[Row]) -> list[Row]:
    """Without the first words of messages for whoever may not read them."""
    if desk.viewer.may(BODIES_READ):
        return list(found)
    return [{**row, "snippet": ""} for row in found]


def _shown(party: Row) -> Row:
    return {key: value for key, value in party.items() if key != "owner_identifier_id"}


def _nobody(party: str) -> NotFound:
    return NotFound(f"there is no person or organization {party!r}: search gives their ids")


def _no_entry(interaction: str) -> NotFound:
    return NotFound(f"there is no entry {interaction!r}: a timeline gives their ids")
