"""A second count that shares nothing with the exports: the search index for tickets, lists for everything else."""

from hub.api import Census, Gone, Transient, Window
from hub_zendesk.client import SEARCH_SIZE, Client, Id, chunks, read
from hub_zendesk.texts import is_in, stamp


async def census(client: Client, stream: str, period: Window) -> Census | None:
    """Ids of a period by when the objects were made; None for metric events, which no list has."""
    if stream == "metric_events":
        return None
    if stream == "tickets":
        ids = {str(i) for i in await _searched(client, _made(period))}
    elif stream == "comments":
        ids = await _comments(client, period)
    else:
        ids = await _listed(client, stream, period)
    return Census(stream, period, frozenset(ids), len(ids))


async def count(client: Client, period: Window) -> int:
    """Tickets made in a period, as the search counts them."""
    answer = await client.get("search/count", {"query": f"type:ticket {_made(period)}".strip()})
    return int(answer["count"])


def _made(period: Window) -> str:
    terms = [f"created>={stamp(period.since)}"] if period.since else []
    return " ".join([*terms, *([f"created<{stamp(period.until)}"] if period.until else [])])


async def _searched(client: Client, query: str) -> list[int]:
    params = {"query": query, "filter[type]": "ticket"}
    found: list[int] = []
    async for rows in client.listed("search/export", "results", params, SEARCH_SIZE, "search-export"):
        found += [read(bytes(row), Id, "search/export").id for row in rows]
    return found


async def _comments(client: Client, period: Window) -> set[str]:
    """The comments of all tickets that can have one in the period, each ticket's list held against its own count.

    A ticket is changed when it is commented on. Raises Transient when a list does not hold what the ticket counts.
    """
    terms = [f"updated>={stamp(period.since)}"] if period.since else []
    terms += [f"created<{stamp(period.until)}"] if period.until else []
    found: set[str] = set()
    for part in chunks(await _searched(client, " ".join(terms))):
        for ticket_id, ticket in (await client.contexts(part)).items():
            try:
                comments = await client.comments(ticket_id)
            except Gone:
                continue
            if ticket.comment_count is not None and len(comments) < ticket.comment_count:
                raise Transient(
                    f"ticket {ticket_id} counts {ticket.comment_count} comments and gives {len(comments)}",
                    connector="zendesk", stream="comments",
                )  # fmt: skip
            found |= {f"{ticket_id}-{c.id}" for c in comments if is_in(c.created_at, period)}
    return found


async def _listed(client: Client, stream: str, period: Window) -> set[str]:
    found: set[str] = set()
    async for rows in client.listed(stream, stream):
        heads = [read(bytes(row), Id, stream) for row in rows]
        found |= {str(head.id) for head in heads if is_in(head.created_at, period)}
    return found
