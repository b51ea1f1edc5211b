"""Interactions per account and week, by channel. From the weekly rollup, which counts weeks as UTC has them.

A week of another zone is the UTC week of the same name, more or less the hours by which the two begin and end apart;
those are counted one by one. So the figures are exact in every zone, and the rollup is one.
"""

import itertools
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from hub.reports.accounts import ACCOUNT, customer, named
from hub.reports.definition import ZONE, Asked, BadParameter, Chart, Column, Figure, Found, Parameter, Report
from hub.reports.weeks import Week, weeks
from hub.store import among, micros, plain
from hub.store import tables as t

MOST_WEEKS = 53
_EPOCH = 719_163  # 1970-01-01 as `date.toordinal` counts
_DAY = 86_400_000_000
_v, _k, _p = t.volume.c, t.link.c, t.party.c

_KEPT = (
    sa.select(_v.party_id, _v.channel, _v.direction, _v["count"])
    .join(t.party, _p.id == _v.party_id)
    .where(_v.week == sa.bindparam("week"), ACCOUNT)
)
_KEPT_OF = sa.select(_v.week, _v.party_id, _v.channel, _v.direction, _v["count"]).where(
    _v.week >= sa.bindparam("first"), _v.week <= sa.bindparam("last"), among(_v.party_id)
)
_EDGE = (
    sa.select(_k.party_id, t.interaction.c.channel, t.interaction.c.direction, sa.literal(1))
    .select_from(t.interaction)
    .join(t.link, _k.interaction_id == t.interaction.c.id)
    .where(
        t.interaction.c.occurred_at >= sa.bindparam("since"), t.interaction.c.occurred_at < sa.bindparam("until"),
        sa.exists().where(_p.id == _k.party_id, ACCOUNT),  # row by row: the entries of some hours first, not all parties
    )
)  # fmt: skip
_EDGE_OF = sa.select(_k.party_id, _k.channel, _k.direction, sa.literal(1)).where(
    among(_k.party_id), _k.occurred_at >= sa.bindparam("since"), _k.occurred_at < sa.bindparam("until")
)

OTHERS = "All others"


class _Part(NamedTuple):
    """Of the week at this place of the list: (party, channel, direction, interactions), to be added or (sign -1) taken off."""

    at: int
    sign: int
    rows: Sequence[tuple[int, str, str, int]]


_Cells = Counter[tuple[int, str, str]]  # (place of the week, channel, direction) -> interactions


def _query(asked: Asked) -> Found:
    values = asked.values
    last = min(values["until"], asked.today)
    if values["since"] > last:
        raise BadParameter("since", f"a day up to {last} is wanted")
    asked_for = weeks(values["since"], last, asked.zone)
    if len(asked_for) > MOST_WEEKS:
        raise BadParameter("since", f"at most {MOST_WEEKS} weeks are counted at once; these are {len(asked_for)}")
    one = [customer(asked.c, values["account"], asked.seen)] if values["account"] else None
    if asked.sees_all:
        edges = list(_edges(asked, asked_for, one))
        sizes, cells = _added(itertools.chain(edges, _kept(asked, asked_for, one)))
        kept = _largest(sizes, values["top"])
        details = _apart(itertools.chain(edges, _kept(asked, asked_for, kept)), kept)
    else:
        parts = _recounted(asked, asked_for, one)
        sizes, cells = _added(parts)
        kept = _largest(sizes, values["top"])
        details = _apart(parts, kept)
    return _found(asked, asked_for, sizes, cells, details)


def _kept(asked: Asked, asked_for: list[Week], of: Collection[int] | None) -> Iterator[_Part]:
    """What the rollup has of the UTC weeks of these names. of: only of these parties."""
    place = {w.monday.toordinal() - _EPOCH: at for at, w in enumerate(asked_for)}
    if of is None:
        for week, at in place.items():
            yield _Part(at, 1, plain(asked.c, _KEPT, week=week))
    else:
        for week, *row in plain(asked.c, _KEPT_OF, first=min(place), last=max(place), values=sorted(of)):
            yield _Part(place[week], 1, [tuple(row)])


def _edges(asked: Asked, asked_for: list[Week], of: list[int] | None) -> Iterator[_Part]:
    """What puts the rollup right at both ends of each week and at `now`: what is planned did not happen yet."""
    for at, wanted in enumerate(asked_for):
        begin = (wanted.monday.toordinal() - _EPOCH) * _DAY
        end, stop = begin + 7 * _DAY, min(wanted.end, micros(asked.now) + 1)
        for since, until, sign in (
            (begin, wanted.begin, -1), (wanted.begin, begin, 1), (stop, end, -1), (end, stop, 1)
        ):  # fmt: skip
            if since < until:
                span = {"since": since, "until": until}
                rows = plain(asked.c, _EDGE, **span) if of is None else plain(asked.c, _EDGE_OF, values=of, **span)
                yield _Part(at, sign, rows)


def _recounted(asked: Asked, asked_for: list[Week], of: Collection[int] | None) -> list[_Part]:
    """One by one, for who does not see everything: the rollup counts for all together."""
    begins = [w.begin for w in asked_for]
    query = sa.select(_k.party_id, _k.occurred_at, _k.channel, _k.direction).where(
        _k.occurred_at >= begins[0], _k.occurred_at < min(asked_for[-1].end, micros(asked.now) + 1),
        *asked.visible(t.link), _k.party_id.in_(sa.select(_p.id).where(ACCOUNT) if of is None else list(of)),
    )  # fmt: skip
    rows: list[list[tuple[int, str, str, int]]] = [[] for _ in asked_for]
    for party, at, channel, direction in asked.c.execute(query):
        rows[bisect_right(begins, at) - 1].append((party, channel, direction, 1))
    return [_Part(at, 1, part) for at, part in enumerate(rows)]


def _added(parts: Iterable[_Part]) -> tuple[dict[int, int], _Cells]:
    """(account -> interactions, all accounts' cells together)."""
    sizes: dict[int, int] = defaultdict(int)
    cells: _Cells = Counter()
    for at, sign, rows in parts:
        week: dict[tuple[str, str], int] = defaultdict(int)
        for party, channel, direction, n in rows:
            sizes[party] += sign * n
            week[channel, direction] += sign * n
        for (channel, direction), n in week.items():
            cells[at, channel, direction] += n
    return sizes, cells


def _largest(sizes: dict[int, int], top: int) -> list[int]:
    return sorted((p for p, n in sizes.items() if n), key=lambda p: (-sizes[p], p))[:top]


def _apart(parts: Iterable[_Part], of: list[int]) -> dict[int, _Cells]:
    """Each of these accounts' own cells."""
    found: dict[int, _Cells] = {party: Counter() for party in of}
    for at, sign, rows in parts:
        for party, channel, direction, n in rows:
            if party in found:
                found[party][at, channel, direction] += sign * n
    return found


def _found(
    asked: Asked, asked_for: list[Week], sizes: dict[int, int], cells: _Cells, details: dict[int, _Cells]
) -> Found:
    size: Counter[str] = Counter()
    directions: Counter[str] = Counter()
    by_week: Counter[tuple[int, str]] = Counter()
    for (at, channel, direction), n in cells.items():
        size[channel] += n
        directions[direction] += n
        by_week[at, channel] += n
    channels = sorted((ch for ch, n in size.items() if n), key=lambda ch: (-size[ch], ch))
    rows = _rows(asked, asked_for, cells, details)
    return Found(
        rows=rows,
        figures=[
            Figure("interactions", "Interactions", sum(size.values()), "whole"),
            Figure("accounts", "Accounts in touch", sum(n > 0 for n in sizes.values()), "whole"),
            Figure("inbound", "From them", directions["inbound"], "whole"),
            Figure("outbound", "From us", directions["outbound"], "whole"),
        ],
        total=len(rows),
        bars=[(w.name, {ch: by_week[at, ch] for ch in channels}) for at, w in enumerate(asked_for)] if channels else [],
        notes=(f"The week {asked_for[-1].name} is not over.",) if asked_for[-1].end > micros(asked.now) else (),
    )


def _rows(asked: Asked, asked_for: list[Week], together: _Cells, details: dict[int, _Cells]) -> list[dict[str, Any]]:
    """By account, the largest first, then by week and channel; the accounts beyond `top` are one together, the last."""
    rest = Counter(together)
    for cells in details.values():
        rest.subtract(cells)
    names = named(asked.c, details)
    accounts = [(names[p].name, names[p].public_id, cells) for p, cells in details.items()] + [(OTHERS, None, rest)]
    rows = []
    for account, account_id, cells in accounts:
        split: dict[tuple[int, str], dict[str, int]] = {}
        for (at, channel, direction), n in cells.items():
            split.setdefault((at, channel), {"inbound": 0, "outbound": 0, "internal": 0})[direction] += n
        for (at, channel), by_direction in sorted(split.items()):
            if n := sum(by_direction.values()):
                week = asked_for[at]
                rows.append({
                    "account": account, "account_id": account_id, "week": week.name, "week_begins": week.monday,
                    "channel": channel, "interactions": n, **by_direction,
                })  # fmt: skip
    return rows


VOLUME = Report(
    name="volume",
    title="Interaction volume per account",
    sentence="How many interactions each account had in each week, by channel.",
    version=1,
    parameters=(
        Parameter("since", "From", "date", "the week of this day is the first; else twelve weeks, the current one included", 77),
        Parameter("until", "To", "date", "the week of this day is the last; else the current one", 0),
        Parameter("account", "Account", "customer", "the public id of one person or company; else all accounts", ""),
        Parameter("top", "Accounts shown", "whole", "this many of the largest; the rest together is one more", 10, 1, 100_000),
        ZONE,
    ),
    columns=(
        Column("account", "Account", "text", is_told=True, about="account_id"),
        Column("account_id", "Account id", "id", of="customer"),
        Column("week", "Week", "week", "ISO week"),
        Column("week_begins", "Monday", "date"),
        Column("channel", "Channel", "text"),
        Column("interactions", "Interactions", "whole", "interactions"),
        Column("inbound", "From them", "whole", "interactions"),
        Column("outbound", "From us", "whole", "interactions"),
        Column("internal", "Among us", "whole", "interactions"),
    ),
    query=_query,
    chart=Chart("columns", "Interactions", "whole"),
    left_out=(
        "An interaction with people of two companies counts for both.",
        "What is planned for later counts once its time has come.",
        "Role addresses and mailing lists that belong to no company are no accounts.",
    ),
    empty="No interaction in these weeks. `ihub sync` reads what is new; an earlier `since` looks further back.",
)  # fmt: skip
