"""POST /batch and /batch/gmail/v1: many calls in one multipart/mixed request, each with its own status.

Up to 100 calls; answers come in the order of the calls, Content-ID <x> as <response-x>.
"""

import hashlib
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

from hub_gmail.emulator.api import answer, token_of
from hub_gmail.emulator.errors import Answer, Refused, malformed
from hub_gmail.emulator.multipart import Part, cut, fields, split

if TYPE_CHECKING:
    from hub_gmail.emulator import GmailEmulator

MAX_CALLS = 100
_REQUEST = re.compile(r"([A-Z]+) (?:https?://[^/\s]+)?(/\S*)(?: HTTP/1\.[01])?\s*")


def carry_out(emulator: "GmailEmulator", path: str, headers: Mapping[str, str], body: bytes) -> Answer:
    try:
        if "authorization" in headers:
            # A dead token refuses the whole batch; parts may also bring their own.
            token_of(emulator, headers, path, "POST")
        parts = split(headers.get("content-type", ""), body)
        if len(parts) > MAX_CALLS:
            raise malformed(f"Inner request count exceeds the limit. Received: {len(parts)}, Limit: {MAX_CALLS}")
        calls = [_request(part) for part in parts]
    except Refused as refused:
        return refused.answer()
    boundary = f"batch_{hashlib.blake2b(body, digest_size=18).hexdigest()}"
    shared = {k: headers[k] for k in ("authorization",) if k in headers}
    out: list[bytes] = []
    for part, (method, target, own, content) in zip(parts, calls, strict=True):
        inner = answer(emulator, method, target, {**shared, **own}, content)
        head = f"--{boundary}\r\nContent-Type: application/http\r\n"
        if content_id := part.headers.get("content-id"):
            head += f"Content-ID: {_response_id(content_id)}\r\n"
        head += f"\r\nHTTP/1.1 {inner.status} {HTTPStatus(inner.status).phrase}\r\n"
        if inner.body:
            head += f"Content-Type: {inner.content_type}\r\nVary: Origin\r\nVary: X-Origin\r\nVary: Referer\r\n"
        out += [f"{head}Content-Length: {len(inner.body)}\r\n\r\n".encode(), inner.body, b"\r\n"]
    out += [f"--{boundary}--\r\n".encode()]
    return Answer(200, b"".join(out), f"multipart/mixed; boundary={boundary}")


def _response_id(content_id: str) -> str:
    return f"<response-{content_id[1:-1]}>" if content_id.startswith("<") else f"response-{content_id}"


def _request(part: Part) -> tuple[str, str, dict[str, str], bytes]:
    """(method, path and query, headers, body) of the call a part holds."""
    head, body = cut(part.content.lstrip(b"\r\n"))
    first, _, rest = head.partition(b"\n")
    request = _REQUEST.fullmatch(first.decode("latin-1"))
    if request is None or not part.headers.get("content-type", "").lower().startswith("application/http"):
        raise malformed("Failed to parse batch request, error: Failed in parsing a part's request line")
    return request[1], request[2], fields(rest), body
