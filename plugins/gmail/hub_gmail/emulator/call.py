"""One API call on its way through the emulator: who asks, for which mailbox, with what."""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from hub_gmail.emulator.errors import Answer, Refused, invalid, malformed, not_found
from hub_gmail.emulator.mailbox import Mailbox, Message

if TYPE_CHECKING:
    from hub_gmail.emulator import GmailEmulator

UPLOAD_LIMITS = {"messages.send": 36_700_160, "messages.insert": 157_286_400, "messages.import": 157_286_400,
                 "drafts.create": 36_700_160, "drafts.update": 36_700_160, "drafts.send": 36_700_160}  # fmt: skip


@dataclass
class Call:
    """path: the request path (faults match on it). ids: what the path's braces held. scopes: short names.

    body: the JSON body ({} when none). upload: the message of an upload request.
    """

    emulator: "GmailEmulator"
    mailbox: Mailbox
    method: str
    path: str
    name: str
    ids: Mapping[str, str]
    query: Mapping[str, list[str]]
    body: dict[str, Any]
    upload: bytes | None
    scopes: frozenset[str]

    @property
    def now_ms(self) -> int:
        return int(self.emulator.now().timestamp() * 1000)

    def one(self, name: str, default: str = "") -> str:
        return self.query.get(name, [default])[-1]

    def flag(self, name: str) -> bool:
        value = self.one(name, "false").lower()
        if value not in {"true", "false", "1", "0"}:
            raise malformed(f"Invalid value at '{snake(name)}' (TYPE_BOOL), \"{value}\"")
        return value in {"true", "1"}

    def page_size(self) -> int:
        """maxResults: 100 when absent or 0, never more than 500."""
        value = self.one("maxResults", "100")
        if not value.isdigit():
            raise malformed(f"Invalid value at 'max_results' (TYPE_UINT32), \"{value}\"")
        return min(int(value) or 100, 500)

    def enum(self, name: str, values: tuple[str, ...], default: str) -> str:
        value = self.one(name, default)
        if value.lower() not in {v.lower() for v in values}:
            raise malformed(f"Invalid value at '{snake(name)}' (TYPE_ENUM), \"{value}\"")
        return next(v for v in values if v.lower() == value.lower())

    def message(self, message_id: str) -> Message:
        """The message, 404 when there is none or a fault made it vanish."""
        if self.emulator.selects("vanish", self.path)(message_id):
            raise not_found()
        return self.mailbox.get(message_id)

    def raw_message(self, holder: dict[str, Any]) -> bytes:
        """The RFC 5322 bytes of a send, insert or draft: `raw` of the JSON, or the upload."""
        data = self.upload
        if data is None:
            data = from_b64(holder.get("raw"), "message.raw" if holder is not self.body else "raw")
        limit = UPLOAD_LIMITS[self.name]
        if len(data) > limit:
            raise Refused(413, f"The message exceeds the limit of {limit} bytes.", "uploadTooLarge")
        return data


def from_b64(value: Any, field: str) -> bytes:
    """base64url, padded or not. Raises 400 for anything else."""
    if value is None or value == "":
        raise invalid("'raw' RFC822 payload message string or uploading message via /upload/* URL required")
    if not isinstance(value, str):
        raise malformed(f"Invalid value at '{field}' (TYPE_BYTES)")
    try:
        # Google reads both alphabets.
        text = value.replace("+", "-").replace("/", "_").rstrip("=")
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise malformed(f"Invalid value at '{field}' (TYPE_BYTES), Base64 decoding failed") from None


def snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


def json_body(data: bytes) -> dict[str, Any]:
    if not data.strip():
        return {}
    try:
        body = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise malformed("Invalid JSON payload received. Unexpected end or token.") from None
    if not isinstance(body, dict):
        raise malformed("Invalid JSON payload received. An object is required.")
    return body


Handler = Callable[[Call], Answer]
