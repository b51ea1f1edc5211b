"""Takes people and secrets out of recorded exchanges, both ways, and leaves the wire format standing.

Denied by default: of a JSON answer stay its keys, numbers, times, ids and single words such as "subscribed"; names,
addresses, phone numbers and everything written in sentences are replaced by stable stand-ins (the same person is the
same stand-in throughout one recording). Bodies that are neither JSON nor a form nor multipart are left out.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

HIDDEN = "hidden"
CREDENTIAL = re.compile(
    r"(access|refresh|id|bearer|auth|oauth|api)_?-?token|^token$|secret|passw|api_?-?key|assertion|authorization|cookie"
    r"|signature|private_?-?key|^jwt$|^sig$",
    re.IGNORECASE,
)
_KEYS = re.compile(  # what keys look like wherever they stand
    r"Bearer\s+\S+|eyJ[\w-]{8,}\.[\w-]+\.[\w-]*|ya29\.[\w.-]+|1//[\w-]{10,}|pat-[a-z0-9]{2,4}-[\w-]{8,}"
    r"|\b[0-9a-f]{32}-[a-z]{2}\d{1,3}\b"
)
_EMAIL = re.compile(r"[\w.+%=~'-]+(?:@|%40)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_HASH = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{32}(?![0-9A-Za-z])")
_PLAIN = re.compile(
    r"|true|false|null|[-+]?\d{1,24}(\.\d+)?|\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?\s?(Z|[+-]\d\d:?\d\d)?)?"
)
_IP = re.compile(r"\d{1,3}(\.\d{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F:]*:[0-9a-fA-F:.]+")
_PHONE = re.compile(r"\+\d[\d ()/.-]{5,}\d")
_FILE = re.compile(r"name\*?=(\"[^\"]*\"|[^;\s]+)")
_URLSAFE = str.maketrans("-_", "+/")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")

_NOT_PEOPLE = {"propertyname", "groupname", "eventname", "objectname", "mimetypename"}
_NAMES = re.compile(r"(name|login|alias|company|nick|fname|lname)$")
_TEXTS = re.compile(r"subject|summary|title|body|text|html|^note|desc|snippet|comment$|^message$|^content$|location|street"
                    r"|city|addr|zip|postal|birth|^lat|^lon|region|question|answer|feedback|reason$")  # fmt: skip
_PHONES = re.compile(r"phone|mobile|fax|tel$|number$|sms")
_SITES = re.compile(r"domain|website|site$|^hd$")
_ACCOUNTS = {"portalid", "hubid", "accountid", "loginid", "tenantid", "subdomain"}
_PEOPLE = {"from", "to", "cc", "bcc", "sender", "replyto", "deliveredto", "returnpath"}
_REFERENCES = {"messageid", "references", "inreplyto"}
_MEDIA = {"contenttype", "contentdisposition", "mimetype", "date"}


class Scrubber:
    """Stand-ins of one recording. secrets: values that must not be found anywhere, whatever field they are in."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self.secrets = {s for s in secrets if len(s) >= 6}
        self.hosts: set[str] = set()
        self.seen: dict[str, dict[str, str]] = {}
        self.known: dict[str, str] = {}

    def number(self, kind: str, value: str) -> int:
        """1 for the first value of this kind, 2 for the second, and always the same for the same."""
        found = self.seen.setdefault(kind, {})
        return int(found.setdefault(value, str(len(found) + 1)))

    def email(self, address: str) -> str:
        """The stand-in; people of one domain stay of one domain, and the hash of an address becomes its stand-in's."""
        address = address.lower().replace("%40", "@")
        local, _, domain = address.rpartition("@")
        found = f"person{self.number('person', local)}@company{self.number('domain', domain)}.example"
        self.seen.setdefault("hash", {})[_md5(address)] = _md5(found)
        return found

    def account(self, value: str) -> str:
        """A stand-in for the account's own id, remembered for wherever else it stands."""
        n = self.number("account", value)
        stand_in = str(1_000_000 + n) if value.isdecimal() else f"account{n}"
        if len(value) > 4 or not value.isdecimal():  # a short number stands for many things
            self.known[value] = stand_in
        return stand_in

    def plain(self, text: str) -> str:
        """Replaces what can be told by its form alone: secrets, addresses, their hashes, known names and ids."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        text = _EMAIL.sub(
            lambda m: self.email(m[0]).replace("@", "%40" if "%40" in m[0] else "@"), _KEYS.sub(HIDDEN, text)
        )
        hashes = self.seen.setdefault("hash", {})
        text = _HASH.sub(lambda m: hashes.setdefault(m[0], _md5(f"hash {len(hashes)}")), text)
        for value, stand_in in self.known.items():
            if value in text:
                follows = r"(?!\w)" if value.isdecimal() or " " in value else r"(?=\.\w)"  # a name in an address's host
                text = re.sub(rf"(?<![\w-]){re.escape(value)}{follows}", stand_in, text)
        return text

    def url(self, url: str) -> str:
        parts = urlsplit(url)
        self.hosts.add(parts.netloc)
        path = "/".join(quote(self.plain(unquote(p)), safe="@:,+$!*'()=;~") for p in parts.path.split("/"))
        query = urlencode(self._form(parts.query))
        return urlunsplit((parts.scheme, self.plain(parts.netloc), path, query, ""))

    def body(self, body: bytes, kind: str, is_error: bool = False) -> bytes:
        """kind: the content type. Shape and order of the values stay."""
        if not body:
            return body
        text = body.decode("utf-8", "replace")
        if kind.startswith("multipart/"):
            return self._multipart(text, kind, is_error).encode()
        if "x-www-form-urlencoded" in kind:
            return urlencode(self._form(text)).encode()
        found = _json(text)
        if found is None:
            return self.plain(text)[:300].encode() if is_error else b"left out of the recording: not JSON"
        return json.dumps(self.answer(found, is_error), ensure_ascii=False, indent=1).encode()

    def answer(self, found: Any, is_error: bool) -> Any:
        """A whole JSON document. Its addresses come first, so that a hash that stands before its address is known."""
        for text in _texts(found):
            for address in _EMAIL.findall(text):
                self.email(address)
        return self.value("", found, is_error)

    def value(self, key: str, value: Any, is_error: bool = False) -> Any:
        """One JSON value. is_error: sentences are the vendor's own words, and stay but for addresses and ids."""
        if isinstance(value, dict):
            if set(value) == {"name", "value"} and isinstance(value["name"], str):  # a header, a property
                return {"name": self.plain(value["name"]), "value": self.value(value["name"], value["value"], is_error)}
            return {self.plain(k): self.value(k, v, is_error or key in {"error", "errors"}) for k, v in value.items()}
        if isinstance(value, list):
            return [self.value(key, v, is_error or key in {"error", "errors"}) for v in value]
        plain_key = re.sub(r"[^a-z0-9]", "", key.lower())
        if isinstance(value, bool) or not isinstance(value, str | int):
            return value
        if plain_key in _ACCOUNTS and value:
            found = self.account(str(value))
            return int(found) if isinstance(value, int) else found
        if isinstance(value, int):
            found = self.known.get(str(value), "")
            return int(found) if found.isdecimal() else value
        return self._text(key, plain_key, value, is_error)

    def _text(self, key: str, plain_key: str, value: str, is_error: bool) -> str:
        if CREDENTIAL.search(key):
            return HIDDEN if value else value
        if _PHONE.fullmatch(value) or (_PHONES.search(plain_key) and len(value) > 4 and value[-1].isdecimal()):
            return f"+1555010{self.number('phone', value):04}"
        if _PLAIN.fullmatch(value):
            return value
        if _IP.fullmatch(value):
            return f"192.0.2.{self.number('ip', value) % 250 + 1}"
        if value[0] in "{[" and (inner := _json(value)) is not None:
            return json.dumps(self.value(key, inner, is_error), ensure_ascii=False)
        if plain_key in _MEDIA:
            return _FILE.sub('name="file"', self.plain(value))
        if is_error or plain_key in _REFERENCES:
            return self.plain(value)
        if plain_key in _PEOPLE:
            found = [self.email(a) for a in _EMAIL.findall(value)]
            return ", ".join(f"Name {self.number('name', a)} <{a}>" for a in found) if found else self._say(value)
        if "://" in value:
            is_vendors = urlsplit(value).netloc in self.hosts and " " not in value
            return self.url(value) if is_vendors else f"https://site{self.number('site', value)}.example/"
        if _EMAIL.fullmatch(value):
            return self.email(value)
        if _NAMES.search(plain_key) and plain_key not in _NOT_PEOPLE:
            found_name = f"Name {self.number('name', value)}"
            if " " in value and len(value) > 6:
                self.known[value] = found_name
            return found_name
        if _SITES.search(plain_key) and "." in value:
            return f"company{self.number('domain', value.lower())}.example"
        if plain_key in {"data", "raw"} and _BASE64.fullmatch(value):
            return base64.urlsafe_b64encode(self._say(value).encode()).decode()
        if _TEXTS.search(plain_key) or any(c.isspace() for c in value):
            return self._say(value)
        return self._token(value)

    def _say(self, value: str) -> str:
        return f"Text {self.number('text', value)}"

    def _token(self, value: str) -> str:
        """An opaque word, which may be base64 of something with an address in it."""
        inner = _unpacked(value) if _BASE64.fullmatch(value) else ""
        if inner.isprintable() and (clean := self.plain(inner)) != inner:
            return base64.urlsafe_b64encode(clean.encode()).decode()
        return self.plain(value)

    def _form(self, text: str) -> list[tuple[str, str]]:
        pairs = parse_qsl(text, keep_blank_values=True)
        return [(self.plain(k), HIDDEN if v and is_credential(k) else self.plain(v)) for k, v in pairs]

    def _multipart(self, text: str, kind: str, is_error: bool) -> str:
        """Each part's own JSON; heads keep their lines but for lengths, which no longer hold."""
        mark = "--" + kind.partition("boundary=")[2].partition(";")[0].strip(' "')
        parts = []
        for part in text.split(mark):
            head, gap, body = part.rpartition("\r\n\r\n") if "{" not in part else _split(part)
            head = re.sub(r"(?i)\r\ncontent-length:[^\r\n]*", "", self.plain(head))
            given = _json(body) if gap else None
            if given is not None:
                failed = re.search(r"HTTP/[\d.]+ [45]\d\d", head) is not None
                body = json.dumps(self.answer(given, is_error or failed), ensure_ascii=False) + "\r\n"
            elif len(body) > 4:  # more than the end of the whole
                body = "left out of the recording: not JSON\r\n"
            parts.append(head + gap + body)
        return mark.join(parts)

    def leaks(self, text: str) -> int:
        """How many secrets and people still stand in `text`, as base64 too: the last gate before a file is kept."""
        text += unquote(text) + "".join(_unpacked(word) for word in re.findall(r"[A-Za-z0-9_-]{12,}", text))
        people = {f"{p}@" for p in self.seen.get("person", {}) if len(p) > 3 and not re.fullmatch(r"person\d+", p)}
        names = {name for name in self.known if " " in name}
        return sum(value in text for value in self.secrets | people | names)


def is_credential(name: str) -> bool:
    """Whether a form's or an address's parameter of this name is a secret; `code` and `key` are only there."""
    return name in {"code", "key"} or CREDENTIAL.search(name) is not None


def _split(part: str) -> tuple[str, str, str]:
    """A part of a batch in what stands before its JSON, the gap, and its JSON."""
    head, _, body = part.partition("{")
    return head.rstrip("\r\n"), "\r\n\r\n", "{" + body


def _unpacked(word: str) -> str:
    """What a word says as base64; "" when it is none, or none of a text."""
    try:
        return base64.b64decode(word.rstrip("=").translate(_URLSAFE) + "=" * (-len(word.rstrip("=")) % 4)).decode()
    except (binascii.Error, ValueError):
        return ""


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(inner)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


__all__ = ["CREDENTIAL", "HIDDEN", "Scrubber", "is_credential"]
