"""A raw message as Gmail shows it: headers, the parts tree of `format=full`, the snippet.

Parsing is the standard library's (`email`, compat32), on demand only.
- Header names keep the case and order of the raw message; values are unfolded (line breaks out, white space kept).
- Encoded words are shown decoded, a decoded name with specials quoted again.
- Inline text is given as UTF-8 whatever its Content-Type says, and the header keeps the old charset: Gmail does so,
  and clients that decode by the header garble ISO-2022-JP (github.com/openclaw/gogcli/issues/446). Attachments keep
  their bytes.
"""

import base64
import email.message
import email.parser
import html
import re
from email.errors import HeaderParseError
from email.header import decode_header
from typing import Any

ADDRESS_HEADERS = frozenset({"from", "to", "cc", "bcc", "reply-to", "sender", "resent-from", "resent-to"})
SNIPPET_LENGTH = 200
_SPECIALS = re.compile(r'[()<>@,:;\\".\[\]]')
_TAGS = re.compile(r"<(?:style|script|head)\b.*?</(?:style|script|head)\s*>|<!--.*?-->|<[^>]*>", re.S | re.I)
_SPACE = re.compile(r"\s+")
_MARK = "part:"
ATTACHMENT_MARK = re.compile(rb'"attachmentId":"part:([0-9.]*)"')

Json = dict[str, Any]


def b64(data: bytes) -> str:
    """base64url without padding, as Gmail sends it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Limits:
    """Which parts go behind an attachmentId: named ones above `attachment` bytes, any above `body` bytes."""

    def __init__(self, attachment: int, body: int, encoded_words: bool = False) -> None:
        self.attachment = attachment
        self.body = body
        self.encoded_words = encoded_words


def render(raw: bytes, limits: Limits) -> tuple[str, Json]:
    """(snippet, payload). Attachment ids in the payload are marks `part:<partId>`, replaced at each answer."""
    try:
        message = parse(raw)
        payload = _part(message, "", limits)
        return _snippet(payload), payload
    except RecursionError:
        # Multiparts nested hundreds deep: shown as one part, as a mail service would rather than fail.
        head, _, body = raw.partition(b"\n\n")
        flat = parse(head + b"\n\n")
        shown = {
            "partId": "", "mimeType": "text/plain", "filename": "",
            "headers": _headers(flat, limits), "body": {"size": len(body), "data": b64(body)},
        }  # fmt: skip
        return "", shown


def parse(raw: bytes) -> email.message.Message:
    return email.parser.BytesParser().parsebytes(raw)


def part_bytes(raw: bytes, part_id: str) -> bytes | None:
    """The content of one part, transfer encoding undone; None when the message has no such part."""
    part: email.message.Message = parse(raw)
    for step in part_id.split(".") if part_id else []:
        children = _children(part)
        if int(step) >= len(children):
            return None
        part = children[int(step)]
    return _content(part)


def _part(part: email.message.Message, part_id: str, limits: Limits) -> Json:
    name = _filename(part)
    kind = part.get_content_type()
    shown: Json = {"partId": part_id, "mimeType": kind, "filename": name, "headers": _headers(part, limits)}
    children = _children(part)
    if part.is_multipart() and children and not kind.startswith("message/"):
        shown["body"] = {"size": 0}
    else:
        data = _content(part)
        if len(data) > (limits.attachment if name else limits.body):
            shown["body"] = {"attachmentId": _MARK + part_id, "size": len(data)}
        elif children:
            shown["body"] = {"size": 0}
        else:
            if not name and kind.startswith("text/"):
                data = _utf8(data, part.get_content_charset())
            shown["body"] = {"size": len(data), "data": b64(data)} if data else {"size": 0}
    if children:
        prefix = f"{part_id}." if part_id else ""
        shown["parts"] = [_part(child, f"{prefix}{n}", limits) for n, child in enumerate(children)]
    return shown


def _children(part: email.message.Message) -> list[email.message.Message]:
    """Parts of a multipart; the inner message of message/rfc822. Status reports stay one part."""
    if not part.is_multipart():
        return []
    kind = part.get_content_type()
    if kind.startswith("message/") and kind not in {"message/rfc822", "message/global"}:
        return []
    payload: Any = part.get_payload()
    return list(payload)


def _content(part: email.message.Message) -> bytes:
    if part.is_multipart():
        payload: Any = part.get_payload()
        if part.get_content_maintype() != "message":
            return b""
        return b"".join(bytes(inner) for inner in payload)
    data: Any = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


# Chosen, not verified at Gmail: labels are read as browsers read them, and bytes that are UTF-8 under a Latin label
# stay as they are.
_WIDER = {"gb2312": "gb18030", "gbk": "gb18030", "iso-8859-1": "us-ascii", "windows-1252": "us-ascii"}


def _utf8(data: bytes, charset: str | None) -> bytes:
    name = (charset or "us-ascii").lower()
    name = _WIDER.get(name, name)
    if name in {"utf-8", "utf8", "us-ascii", "ascii"}:
        try:
            data.decode()
        except UnicodeDecodeError:
            text = data.decode("utf-8", "replace") if name.startswith("utf") else _western(data)
            return text.encode()
        return data
    try:
        return data.decode(name, "replace").encode("utf-8", "replace")
    except (LookupError, ValueError):
        return data.decode("latin-1").encode()


def _western(data: bytes) -> str:
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _filename(part: email.message.Message) -> str:
    return clean(decode_words(str(part.get_filename() or "")))


def _headers(part: email.message.Message, limits: Limits) -> list[dict[str, str]]:
    shown = []
    for name, value in part.raw_items():
        text = clean(unfold(str(value)))
        if "=?" in text and not limits.encoded_words:
            text = decode_words(text, is_address=name.lower() in ADDRESS_HEADERS)
        shown.append({"name": clean(name), "value": text})
    return shown


def unfold(value: str) -> str:
    return value.replace("\r", "").replace("\n", "").strip() if "\n" in value or "\r" in value else value.strip()


def clean(text: str) -> str:
    """Bytes the parser could not read as ASCII (surrogates): UTF-8 if they are, else Latin-1. Always encodable."""
    if text.isascii():
        return text
    data = text.encode("utf-8", "surrogateescape") if _is_escaped(text) else text.encode("utf-8", "replace")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _is_escaped(text: str) -> bool:
    return all("\udc80" <= c <= "\udcff" for c in text if "\ud800" <= c <= "\udfff")


def decode_words(value: str, is_address: bool = False) -> str:
    """RFC 2047 words decoded; what cannot be decoded stays as it is."""
    if "=?" not in value:
        return value
    try:
        pieces = decode_header(value)
    except (HeaderParseError, ValueError):
        return value
    out = ""
    for piece, charset in pieces:
        if isinstance(piece, str):
            out += piece
        elif charset is None:
            out += piece.decode("raw-unicode-escape", "replace")
        else:
            word = _utf8(piece, charset).decode("utf-8", "replace")
            word = word.replace("\r", " ").replace("\n", " ")
            if is_address and _SPECIALS.search(word) and out.count('"') % 2 == 0:
                escaped = word.replace("\\", "\\\\").replace('"', '\\"')
                word = f'"{escaped}"'
            out += word
    return clean(out)


def _snippet(payload: Json) -> str:
    """The first words of the text, white space collapsed, HTML-escaped as Gmail gives it."""
    leaves = list(_leaves(payload))
    for kind in ("text/plain", "text/html"):
        for leaf in leaves:
            data = leaf["body"].get("data")
            if leaf["mimeType"] == kind and data and not leaf["filename"]:
                # 8,000 base64 characters hold 6,000 bytes; a cut in a character is replaced.
                text = base64.urlsafe_b64decode(data[:8000] + "==").decode("utf-8", "replace")
                if kind == "text/html":
                    text = html.unescape(_TAGS.sub(" ", text))
                text = _SPACE.sub(" ", text).strip()[:SNIPPET_LENGTH]
                if text:
                    return html.escape(text, quote=True).replace("&#x27;", "&#39;")
    return ""


def _leaves(part: Json) -> list[Json]:
    if "parts" not in part:
        return [part]
    return [leaf for child in part["parts"] for leaf in _leaves(child)]
