"""Reading: incremental exports, lists in both kinds of pages, search."""

import base64
import re
from collections.abc import Callable, Iterable

from hub.testing import FaultBoard
from hub_zendesk.emulator.answers import bad_value, not_found, too_deep, too_many
from hub_zendesk.emulator.desk import EXPORT_DELAY_S, Desk, Row

MOST_EXPORTED = 1000
MOST_LISTED = 100
DEEPEST = 10_000
_TERM = re.compile(r'(\w+)(>=|>|<|:)("[^"]*"|\S+)')


class Reads:
    """The answers of one account's GET calls. `query`: the parameters of the call."""

    def __init__(self, desk: Desk, faults: FaultBoard) -> None:
        self.desk = desk
        self.faults = faults
        self.search_lag_s = 20

    # Faults

    def _ids(self, kind: str, what: str) -> set[str]:
        args = self.faults.args(kind) or {}
        return {str(i) for i in args.get("ids", ())} if args.get("type", what) == what else set()

    def shown(self, what: str, rows: Iterable[Row]) -> list[Row]:
        vanished, poisoned = self._ids("vanish", what), self._ids("poison", what)
        given = [r for r in rows if str(r["id"]) not in vanished] if vanished else list(rows)
        return [spoiled(r) if str(r["id"]) in poisoned else r for r in given] if poisoned else given

    def _exported(self, what: str, rows: Iterable[Row]) -> list[Row]:
        hidden = self._ids("hide", what)
        return self.shown(what, (r for r in rows if str(r["id"]) not in hidden))

    # Exports

    def _start(self, query: dict[str, str]) -> int:
        try:
            start = int(query["start_time"])
        except (KeyError, ValueError) as exc:
            raise bad_value("Missing or invalid start_time") from exc
        if start > self.desk.now() - EXPORT_DELAY_S:
            raise bad_value("Too recent start_time. Use a start_time older than 1 minute ago.")
        return start

    def _size(self, query: dict[str, str]) -> int:
        return min(max(int(query.get("per_page", MOST_EXPORTED)), 1), MOST_EXPORTED)

    def by_cursor(self, what: str, query: dict[str, str]) -> Row:
        """Oldest change first. Asked again with the last cursor when nothing is new, it answers null for a cursor."""
        if "cursor" in query:
            place = _opened(query["cursor"])
        else:
            place = (self._start(query), 0)
        size, until = self._size(query), self.desk.now() - EXPORT_DELAY_S
        table = self.desk.tickets if what == "tickets" else self.desk.users
        found: list[tuple[int, int]] = []
        for at_and_id in self.desk.logs[what].after(place, until):
            if len(found) > size:
                break
            row = table[at_and_id[1]]
            if not (what == "tickets" and query.get("exclude_deleted") == "true" and row["status"] == "deleted"):
                found.append(at_and_id)
        is_end = len(found) <= size
        found = found[:size]
        rows = []
        for at, row_id in found:
            row = table[row_id]
            rows.append({**row, "generated_timestamp": at} if what == "tickets" else row)
        cursor = _closed(found[-1]) if found else None
        if self.faults.hits("page_loop", what) and "cursor" in query:
            cursor, is_end = query["cursor"], False
        url = f"{self.desk.url}/incremental/{what}/cursor.json?cursor={cursor}" if cursor else None
        return {
            what: self._exported(what, rows), "after_cursor": cursor, "after_url": url, "before_cursor": None,
            "before_url": None, "end_of_stream": is_end,
        }  # fmt: skip

    def by_time(self, what: str, query: dict[str, str]) -> Row:
        """Rows of the page edge come again; next_page is never null. A page of one single second is let grow."""
        start, size, until = self._start(query), self._size(query), self.desk.now() - EXPORT_DELAY_S
        rows = self._timed(what, start, until)
        page = rows[:size]
        if page and page[-1][0] == start:
            page = [r for r in rows if r[0] == start]
            page += rows[len(page) : len(page) + 1]
        is_end = len(page) == len(rows)
        end = page[-1][0] if page else start
        if self.faults.hits("page_loop", what):
            end, is_end = start, False
        key = {"ticket_events": "ticket_events", "ticket_metric_events": "ticket_metric_events"}.get(what, what)
        return {
            key: self._exported(what, self._with_comments(what, [r[2] for r in page], query)), "count": len(page),
            "end_of_stream": is_end, "end_time": end,
            "next_page": f"{self.desk.url}/incremental/{what}.json?start_time={end}",
        }  # fmt: skip

    def _timed(self, what: str, start: int, until: int) -> list[tuple[int, int, Row]]:
        if what == "organizations":
            log = self.desk.logs["organizations"].after((start, 0), until)
            return [(at, number, self.desk.organizations[number]) for at, number in log]
        rows = self.desk.events if what == "ticket_events" else self.desk.metric_events
        low, high = _at_least(rows, start), _at_least(rows, until + 1)
        return rows[low:high]

    def _with_comments(self, what: str, rows: list[Row], query: dict[str, str]) -> list[Row]:
        """Without the sideload a comment is only hinted at; hidden and broken comments are faults."""
        if what != "ticket_events":
            return rows
        is_full = "comment_events" in query.get("include", "")
        gone = self._ids("hide", "comments") | self._ids("vanish", "comments")
        poisoned = self._ids("poison", "comments")
        if is_full and not gone and not poisoned:
            return rows
        found = []
        for row in rows:
            children = []
            for child in row["child_events"]:
                if child["event_type"] == "Comment":
                    if not is_full:
                        hint = {"comment_present": True, "comment_public": child["public"]}
                        child = {"id": child["id"], "event_type": "Comment", **hint}
                    elif str(child["id"]) in poisoned:
                        child = spoiled(child)
                children.append(child)
            if not any(c["event_type"] == "Comment" and str(c["id"]) in gone for c in children):
                found.append({**row, "child_events": children})
        return found

    # Lists

    def page(
        self, key: str, rows: list[Row], query: dict[str, str], name: Callable[[Row], int] = lambda r: int(r["id"])
    ) -> Row:
        """Cursor pages when asked for with page[size], else pages by number, which end at 10,000 rows."""
        if "page[size]" in query:
            size = int(query["page[size]"])
            if size > (MOST_EXPORTED if key == "results" else MOST_LISTED):
                raise too_many(size, MOST_LISTED)
            start = 0
            if after := query.get("page[after]"):
                last = _opened(after)[1]
                start = next((n + 1 for n, r in enumerate(rows) if name(r) == last), len(rows))
            part = rows[start : start + size]
            has_more = start + size < len(rows)
            # Filled on the last page too: who goes by it alone never stops.
            after = _closed((0, name(part[-1]))) if part else None
            before = _closed((0, name(part[0]))) if part else None
            links = {"next": f"{self.desk.url}/{key}.json?page[after]={after}" if after else None, "prev": None}
            return {
                key: part,
                "meta": {"has_more": has_more, "after_cursor": after, "before_cursor": before},
                "links": links,
            }
        size = min(int(query.get("per_page", MOST_LISTED)), MOST_LISTED)
        number = int(query.get("page", 1))
        if number * size > DEEPEST:
            raise too_deep()
        part = rows[(number - 1) * size : number * size]
        more = f"{self.desk.url}/{key}.json?page={number + 1}" if number * size < len(rows) else None
        return {key: part, "count": len(rows), "next_page": more, "previous_page": None}

    def tickets(self, query: dict[str, str]) -> Row:
        if "external_id" in query:
            rows = [self.desk.tickets[i] for i in self.desk.externals.get(query["external_id"], ())]
        else:
            rows = list(self.desk.tickets.values())
        rows = [r for r in rows if r["status"] != "deleted"]
        order = query.get("sort", "id")
        rows.sort(key=lambda r: (r.get(order.lstrip("-")) or "", r["id"]), reverse=order.startswith("-"))
        page = self.page("tickets", self.shown("tickets", rows), query)
        page["tickets"] = [self._sideloaded(r, query) for r in page["tickets"]]
        return page

    def show_many(self, what: str, query: dict[str, str]) -> Row:
        table: dict[int, Row] = getattr(self.desk, what)
        if "ids" in query:
            ids = [int(i) for i in query["ids"].split(",") if i.strip().isdecimal()]
            if len(ids) > MOST_LISTED:
                raise too_many(len(ids), MOST_LISTED)
            rows = [table[i] for i in ids if i in table]
        else:
            wanted = {i.strip().lower() for i in query.get("external_ids", "").split(",")}
            rows = [r for r in table.values() if (r["external_id"] or "").lower() in wanted]
        rows = [self._sideloaded(r, query) for r in rows if r.get("status") != "deleted"]
        return {what: self.shown(what, rows), "count": len(rows), "next_page": None, "previous_page": None}

    def _sideloaded(self, row: Row, query: dict[str, str]) -> Row:
        if "comment_count" not in query.get("include", ""):
            return row
        return {**row, "comment_count": len(self.shown("comments", self.desk.comments[row["id"]]))}

    def comments(self, ticket_id: int, query: dict[str, str]) -> Row:
        self.desk.live(ticket_id)
        rows = sorted(self.desk.comments[ticket_id], key=lambda c: (c["created_at"], c["id"]))
        if query.get("sort", "").startswith("-"):
            rows.reverse()
        return self.page("comments", self.shown("comments", rows), query)

    def listed(self, what: str, query: dict[str, str]) -> Row:
        rows = sorted(getattr(self.desk, what).values(), key=lambda r: int(r["id"]))
        if what == "users":
            rows = [r for r in rows if r["active"]]
        if what == "satisfaction_ratings":
            start, end = int(query.get("start_time", 0)), int(query.get("end_time", 2**40))
            rows = [r for r in rows if start <= self.desk.moment(r["created_at"]) < end]
            if score := query.get("score"):
                rows = [r for r in rows if r["score"] == score]
        return self.page(what, self.shown(what, rows), query)

    def identities(self, user_id: int, query: dict[str, str]) -> Row:
        """How a user may be reached, the primary address first."""
        if user_id not in self.desk.users:
            raise not_found()
        rows = [
            {
                "id": user_id * 1000 + n, "url": f"{self.desk.url}/users/{user_id}/identities/{n}.json", "user_id": user_id,
                "type": "email", "value": address, "verified": True, "primary": not n, "deliverable_state": "deliverable",
            }
            for n, address in enumerate(self.desk.addresses(user_id))
        ]  # fmt: skip
        return self.page("identities", rows, query)

    def counted(self, rows: int) -> Row:
        return {"count": {"value": rows, "refreshed_at": self.desk.text()}}

    def one(self, what: str, number: int) -> Row:
        row: Row | None = getattr(self.desk, what).get(number)
        if row is None or row.get("status") == "deleted":
            raise not_found()
        if not self.shown(what, [row]):
            raise not_found()
        return row

    # Search: an index that lags

    def found(self, query: dict[str, str]) -> list[Row]:
        """Tickets for a query of `type:`, `created` and `updated` terms; newest changes are not indexed yet."""
        terms = _TERM.findall(query.get("query", ""))
        indexed = self.desk.now() - self.search_lag_s
        rows = []
        for ticket_id, ticket in self.desk.tickets.items():
            if ticket["status"] == "deleted" or self.desk.logs["tickets"].now_at[ticket_id] > indexed:
                continue
            if all(_matches(ticket, *term) for term in terms):
                rows.append(ticket)
        return self.shown("tickets", sorted(rows, key=lambda r: int(r["id"])))

    def search_export(self, query: dict[str, str]) -> Row:
        if "filter[type]" not in query:
            raise bad_value("filter[type] is required")
        if after := query.get("page[after]"):
            made, _ = _opened(after)
            if made and self.desk.now() - made > 3600:
                raise bad_value("The cursor has expired")
        rows = self.found(query) if query["filter[type]"] == "ticket" else []
        page = self.page("results", rows, query)
        if page["results"]:
            page["meta"]["after_cursor"] = _closed((self.desk.now(), int(page["results"][-1]["id"])))
        page["results"] = [{**r, "result_type": "ticket"} for r in page["results"]]
        page["facets"] = None
        return page

    def search_users(self, query: dict[str, str]) -> Row:
        wanted = query.get("query", "")
        email = wanted.removeprefix("email:").strip('"').lower()
        if "external_id" in query:
            rows = [u for u in self.desk.users.values() if u["active"] and u["external_id"] == query["external_id"]]
        else:
            indexed = self.desk.now() - self.search_lag_s
            log = self.desk.logs["users"].now_at
            rows = [
                u
                for u in self.desk.users.values()
                if u["active"] and email in self.desk.addresses(u["id"]) and log[u["id"]] <= indexed
            ]
        return self.page("users", rows, {k: v for k, v in query.items() if not k.startswith("page[")})

    def search_organizations(self, query: dict[str, str]) -> Row:
        rows = list(self.desk.organizations.values())
        if name := query.get("name"):
            rows = [o for o in rows if o["name"].lower().startswith(name.lower())]
        return self.page("organizations", rows, query)

    def suspended(self, query: dict[str, str]) -> Row:
        return self.page("suspended_tickets", self.desk.suspended, query)

    def deleted_tickets(self, query: dict[str, str]) -> Row:
        rows = [
            {
                "id": t["id"], "subject": t["subject"], "description": None, "deleted_at": t["updated_at"],
                "actor": {"id": 1, "name": "Hub"}, "previous_state": "open",
            }
            for t in self.desk.tickets.values()
            if t["status"] == "deleted" and t["subject"] != "SCRUBBED"
        ]  # fmt: skip
        return self.page("deleted_tickets", rows, query)


def spoiled(row: Row) -> Row:
    """A row in a shape nobody documented."""
    return {**row, "created_at": {"odd": True}, "updated_at": {"odd": True}}


def _closed(place: tuple[int, int]) -> str:
    return base64.b64encode(f"{place[0]}.0||{place[1]}".encode()).decode()


def _opened(cursor: str) -> tuple[int, int]:
    try:
        at, _, number = base64.b64decode(cursor, validate=True).decode().partition("||")
        return int(float(at)), int(number)
    except ValueError as exc:
        raise bad_value("The cursor is invalid") from exc


def _at_least(rows: list[tuple[int, int, Row]], at: int) -> int:
    low, high = 0, len(rows)
    while low < high:
        middle = (low + high) // 2
        if rows[middle][0] < at:
            low = middle + 1
        else:
            high = middle
    return low


def _matches(ticket: Row, name: str, operator: str, value: str) -> bool:
    value = value.strip('"')
    if name == "type":
        return value == "ticket"
    if name in {"created", "updated"}:
        held = str(ticket[f"{name}_at"])
        if operator == ":":
            return held[:10] == value
        return held >= value if operator == ">=" else held < value if operator == "<" else held > value
    if name in {"status", "external_id"}:
        return bool(ticket[name] == value)
    if name == "tags":
        return value in ticket["tags"]
    raise bad_value(f"unknown search term {name}")
