"""Campaigns and their reports: who got a mail, and what they did with it."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from starlette.requests import Request

from hub_mailchimp.emulator.answers import Row, linked, not_found, page
from hub_mailchimp.emulator.audience import Audiences, hash_of

_CAP = 1000  # opens, and clicks, of one recipient that a report keeps


class Campaigns:
    """The part of the account that is about mailings."""

    def __init__(self, now: Callable[[], datetime], audiences: Audiences) -> None:
        self.now = now
        self.audiences = audiences
        self.campaigns: dict[str, Row] = {}
        self.recipients: dict[str, list[Row]] = {}
        self.events: dict[str, list[Row]] = {}
        self.leaves: dict[str, list[Row]] = {}
        self.complaints: dict[str, list[Row]] = {}
        self._made = 0

    # What people do

    def send(
        self, list_id: str, subject: str, to: Iterable[str] = (), id: str = "", send_time: str = "", **more: Any
    ) -> str:
        """A campaign sent to these addresses; its id. `send_time`: ISO, now by default."""
        self._made += 1
        campaign_id = id or f"c{self._made:09x}"
        at = send_time or self.audiences.iso()
        audience = self.audiences.lists.get(list_id, {"name": ""})
        self.campaigns[campaign_id] = {
            "id": campaign_id, "web_id": self._made, "type": "regular", "create_time": at, "send_time": at,
            "archive_url": f"http://eepurl.com/{campaign_id}", "status": "sent", "content_type": "template",
            "recipients": {"list_id": list_id, "list_is_active": True, "list_name": audience["name"], "segment_text": ""},
            "settings": {"subject_line": subject, "title": subject, "from_name": "Pine Wharf",
                         "reply_to": "news@pinewharf.example"}, **more,
        }  # fmt: skip
        for shelf in (self.recipients, self.events, self.leaves, self.complaints):
            shelf[campaign_id] = []
        for email in to:
            self.recipient(campaign_id, hash_of(email), email)
        return campaign_id

    def recipient(self, campaign_id: str, email_id: str, email: str) -> None:
        self.recipients[campaign_id].append({"email_id": email_id, "email_address": email})

    def event(
        self,
        campaign_id: str,
        email_id: str,
        action: str,
        timestamp: str = "",
        url: str = "",
        ip: str = "",
        type: str = "",
        reason: str = "",
    ) -> None:
        """An open, click, bounce (with `type`), unsubscribe or abuse of one recipient."""
        at = timestamp or self.audiences.iso()
        if action == "unsubscribe":
            self.leaves[campaign_id].append({"email_id": email_id, "timestamp": at, "reason": reason})
        elif action == "abuse":
            self._made += 1
            self.complaints[campaign_id].append({"email_id": email_id, "date": at, "id": self._made})
        else:
            found = {"action": action, "type": type, "timestamp": at, "url": url, "ip": ip}
            self.events[campaign_id].append({"email_id": email_id} | {k: v for k, v in found.items() if v})

    def state(self) -> Row:
        return {"campaigns": self.campaigns, "recipients": self.recipients, "events": self.events,
                "unsubscribes": self.leaves, "complaints": self.complaints}  # fmt: skip

    # End points

    def endpoints(self) -> list[tuple[str, str, Callable[[Request, Any], Any]]]:
        found: list[tuple[str, str, Callable[[Request, Any], Any]]] = [
            ("campaigns", "GET", self._campaigns),
            ("campaigns/{id}", "GET", lambda r, b: linked(self._campaign(r))),
            ("reports", "GET", self._reports),
            ("reports/{id}", "GET", lambda r, b: linked(self._report(self._campaign(r)))),
        ]
        for path, key, rows in (
            ("sent-to", "sent_to", self._sent_to), ("email-activity", "emails", self._activity),
            ("unsubscribed", "unsubscribes", self._unsubscribed), ("abuse-reports", "abuse_reports", self._abuse),
        ):  # fmt: skip
            found.append((f"reports/{{id}}/{path}", "GET", self._listing(key, rows)))
            found.append((f"reports/{{id}}/{path}/{{who}}", "GET", self._single(rows)))
        return found

    def _listing(self, key: str, rows: Callable[[Row, Request], list[Row]]) -> Callable[[Request, Any], Row]:
        def answer(request: Request, body: Any) -> Row:
            campaign = self._campaign(request)
            return page(request, key, rows(campaign, request), campaign_id=campaign["id"])

        return answer

    def _single(self, rows: Callable[[Row, Request], list[Row]]) -> Callable[[Request, Any], Row]:
        def answer(request: Request, body: Any) -> Row:
            for row in rows(self._campaign(request), request):
                if request.path_params["who"] in {row["email_id"], str(row.get("id", ""))}:
                    return linked(row)
            raise not_found()

        return answer

    def _campaign(self, request: Request) -> Row:
        found = self.campaigns.get(request.path_params["id"])
        if found is None:
            raise not_found()
        return found

    def _filtered(self, request: Request) -> list[Row]:
        query = request.query_params
        rows = [c for c in self.campaigns.values() if query.get("status", c["status"]) == c["status"]]
        if since := query.get("since_send_time"):
            rows = [c for c in rows if _at(c["send_time"]) > _at(since)]
        if before := query.get("before_send_time"):
            rows = [c for c in rows if _at(c["send_time"]) < _at(before)]
        if query.get("sort_field"):
            rows.sort(key=lambda c: str(c[query["sort_field"]]), reverse=query.get("sort_dir") == "DESC")
        return rows

    def _campaigns(self, request: Request, body: Any) -> Row:
        rows = [c for c in self._filtered(request) if c["type"] != "automation"]
        return page(request, "campaigns", rows)

    def _reports(self, request: Request, body: Any) -> Row:
        return page(request, "reports", [self._report(c) for c in self._filtered(request)])

    def _report(self, c: Row) -> Row:
        events = self.events[c["id"]]

        def count(action: str, kind: str = "") -> int:
            return sum(1 for e in events if e["action"] == action and (not kind or e.get("type") == kind))

        return {
            "id": c["id"], "campaign_title": c["settings"]["title"], "type": c["type"],
            "list_id": c["recipients"]["list_id"], "list_is_active": True, "list_name": c["recipients"]["list_name"],
            "subject_line": c["settings"]["subject_line"], "preview_text": "", "send_time": c["send_time"],
            "emails_sent": len(self.recipients[c["id"]]), "abuse_reports": len(self.complaints[c["id"]]),
            "unsubscribed": len(self.leaves[c["id"]]),
            "bounces": {"hard_bounces": count("bounce", "hard"), "soft_bounces": count("bounce", "soft"),
                        "syntax_errors": 0},
            "opens": {"opens_total": count("open"), "unique_opens": 0, "open_rate": 0},
            "clicks": {"clicks_total": count("click"), "unique_clicks": 0, "click_rate": 0},
        }  # fmt: skip

    def _sent_to(self, c: Row, request: Request) -> list[Row]:
        rows = []
        for r in self.recipients[c["id"]]:
            mine = [e for e in self.events[c["id"]] if e["email_id"] == r["email_id"]]
            bounced = [e["type"] for e in mine if e["action"] == "bounce"]
            opens = [e["timestamp"] for e in mine if e["action"] == "open"]
            rows.append({
                **r, **self._where(c), "vip": False, "status": bounced[-1] if bounced else "sent", "merge_fields": {},
                "open_count": len(opens), "last_open": max(opens, default=""),
            })  # fmt: skip
        return rows

    def _activity(self, c: Row, request: Request) -> list[Row]:
        """A row for every recipient; with `since`, only later events, and the rows stay."""
        since = request.query_params.get("since")
        rows = []
        for r in self.recipients[c["id"]]:
            mine = [e for e in self.events[c["id"]] if e["email_id"] == r["email_id"]]
            kept: list[Row] = []
            for action in ("open", "click", "bounce"):
                kept += [e for e in mine if e["action"] == action][:_CAP]
            kept = [e for e in kept if not since or _at(e["timestamp"]) > _at(since)]
            shown = [{k: v for k, v in e.items() if k != "email_id"} for e in kept]
            rows.append({**r, **self._where(c), "activity": sorted(shown, key=lambda e: str(e["timestamp"]))})
        return rows

    def _unsubscribed(self, c: Row, request: Request) -> list[Row]:
        return [{**e, **self._address(c, e), **self._where(c), "vip": False, "merge_fields": {}}
                for e in self.leaves[c["id"]]]  # fmt: skip

    def _abuse(self, c: Row, request: Request) -> list[Row]:
        return [{**e, **self._address(c, e), **self._where(c), "vip": False, "merge_fields": {}}
                for e in self.complaints[c["id"]]]  # fmt: skip

    def _where(self, c: Row) -> Row:
        return {"campaign_id": c["id"], "list_id": c["recipients"]["list_id"], "list_is_active": True}

    def _address(self, c: Row, event: Row) -> Row:
        found = [r["email_address"] for r in self.recipients[c["id"]] if r["email_id"] == event["email_id"]]
        return {"email_address": found[0] if found else ""}


def _at(value: str) -> datetime:
    return datetime.fromisoformat(value)
