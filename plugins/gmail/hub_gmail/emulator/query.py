"""The part of Gmail's search syntax that programs use: `q` of messages.list, threads.list and drafts.list.

Known: after: before: newer_than: older_than: rfc822msgid: in: label: is: from: to: cc: bcc: subject:,
each with `-` in front, quoted values, and `{a b}` / OR not. Unknown words are refused rather than ignored, since
an emulator that ignores a filter would let a wrong query pass. `after:` takes in its own second or day, `before:`
does not. A date YYYY/MM/DD begins at midnight Pacific standard time; bare digits are epoch seconds.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

from hub_gmail.emulator.errors import invalid
from hub_gmail.emulator.history import DAY_MS
from hub_gmail.emulator.mailbox import Head, Mailbox, Message

PACIFIC = timezone(timedelta(hours=-8))
_TERM = re.compile(r'(-?)(?:([a-z0-9_]+):)?(?:"([^"]*)"|(\S+))', re.I)
_AGE = re.compile(r"(\d+)([dmy])", re.I)
_DAYS = {"d": 1, "m": 30, "y": 365}
_PLACES = {"draft": "DRAFT", "drafts": "DRAFT", "chats": "CHAT", "chat": "CHAT"}
_STATES = {"unread": ("UNREAD", True), "read": ("UNREAD", False), "starred": ("STARRED", True),
           "important": ("IMPORTANT", True), "sent": ("SENT", True), "draft": ("DRAFT", True)}  # fmt: skip

Test = Callable[[Message], bool]


class Query:
    """A parsed query. reaches_out: names spam, trash or anywhere itself, so that they are not left out."""

    def __init__(self, text: str, mailbox: Mailbox, now_ms: int, head: Callable[[Message], Head]) -> None:
        self._mailbox = mailbox
        self._now_ms = now_ms
        self._head = head
        self.reaches_out = False
        self._tests: list[tuple[bool, Test]] = []
        for minus, operator, quoted, bare in _TERM.findall(text):
            self._tests.append((not minus, self._test((operator or "").lower(), quoted or bare)))

    def matches(self, message: Message) -> bool:
        return all(test(message) is wanted for wanted, test in self._tests)

    def _test(self, operator: str, value: str) -> Test:
        if operator in {"after", "newer"}:
            at = _instant(value)
            return lambda m: m.internal_ms >= at
        if operator in {"before", "older"}:
            at = _instant(value)
            return lambda m: m.internal_ms < at
        if operator in {"newer_than", "older_than"}:
            age = _AGE.fullmatch(value)
            if age is None:
                raise invalid(f"Invalid query: {operator}:{value}")
            edge = self._now_ms - int(age[1]) * _DAYS[age[2].lower()] * DAY_MS
            return (lambda m: m.internal_ms >= edge) if operator == "newer_than" else (lambda m: m.internal_ms < edge)
        if operator == "rfc822msgid":
            wanted = value.strip("<>")
            return lambda m: m.rfc822_id.strip().strip("<>") == wanted
        if operator == "in":
            return self._place(value.lower())
        if operator == "label":
            return self._label(value)
        if operator == "is" and value.lower() in _STATES:
            label, has = _STATES[value.lower()]
            return lambda m: (label in m.labels) is has
        field = {"from": "from_", "to": "to", "cc": "cc", "subject": "subject", "bcc": "bcc"}.get(operator)
        if field is None:
            raise invalid(
                f"Invalid query: this emulator does not search for {operator + ':' if operator else ''}{value}"
            )
        return lambda m: value.lower() in getattr(self._head(m), field).lower()

    def _place(self, value: str) -> Test:
        if value in {"anywhere", "spam", "trash"}:
            self.reaches_out = True
        if value == "anywhere":
            return lambda m: True
        return self._label(_PLACES.get(value, value))

    def _label(self, value: str) -> Test:
        if value.upper() in {"SPAM", "TRASH"}:
            self.reaches_out = True
        # Label names are written with hyphens for spaces in a query.
        plain = value.lower().replace("-", " ")
        for label in self._mailbox.labels.values():
            if label.id == value.upper() or label.id == value or label.name.lower().replace("-", " ") == plain:
                label_id = label.id
                return lambda m: label_id in m.labels
        return lambda m: False


def _instant(value: str) -> int:
    """Epoch milliseconds."""
    if value.isdigit():
        return int(value) * 1000
    try:
        year, month, day = (int(x) for x in re.split(r"[/-]", value))
        return int(datetime(year, month, day, tzinfo=PACIFIC).astimezone(UTC).timestamp() * 1000)
    except ValueError:
        raise invalid(f"Invalid query: not a date: {value}") from None
