"""Header values: addresses, message ids, dates, subjects. Linear in the input, never raising.

Values are given as they stand in the header, unfolded or not, with RFC 2047 words still encoded.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from hub.api.mail.decode import decode_words

MAX_ADDRESSES = 2000
MAX_IDS = 1000
MAX_HEADER_CHARS = 4000

# Control characters, line and paragraph separators, and the marks that reorder what a reader sees.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+")
_SPACES = re.compile(r"\s+")


def decoded(value: str, max_chars: int = MAX_HEADER_CHARS) -> str:
    """The readable value: RFC 2047 decoded, one line, no control or reordering characters.

    A decoded CR LF cannot start a new header wherever the result is written next.
    """
    text = decode_words(value[: max_chars * 8])
    if not (text.isascii() and text.isprintable()):
        text = _UNSAFE.sub(" ", text)
    return " ".join(text.split())[:max_chars]


_UNQUOTED = r"""(?P<angle><[^<>]*+>) | (?P<stop>[,;:()<>"]) | (?P<text>[^,;:()<>"]++)"""
_TOKEN = re.compile(rf"""(?P<quoted>"(?:[^"\\]|\\.)*+") | {_UNQUOTED}""", re.X | re.S)
_TOKEN_UNQUOTED = re.compile(_UNQUOTED, re.X)
_ADDRESS = re.compile(r"[^\s<>,;@\"]{1,200}@[^\s<>,;@\"]{1,255}")


def addresses(values: Iterable[str], limit: int = MAX_ADDRESSES) -> list[tuple[str, str]]:
    """(name, address) of every usable address in these header values, in order, at most `limit`.

    An address has exactly one @ and no white space; `"a"@b@c` and empty ones are left out. Groups are
    flattened. The address is what stands in <...>, whatever the display name pretends to be; a name that is
    itself an address is dropped.
    """
    found: list[tuple[str, str]] = []
    for value in values:
        if len(found) >= limit:
            break
        before = len(found)
        _scan(value, found, limit)
        if len(found) == before and "=?" in value:
            _scan(decode_words(value), found, limit)  # whole header encoded by a broken mailer
    return found


def _tokens(value: str) -> Iterator[re.Match[str]]:
    """The value's tokens. After a quote that is never closed no other is looked for: that keeps it linear."""
    for match in _TOKEN.finditer(value):
        yield match
        if match.group() == '"':
            yield from _TOKEN_UNQUOTED.finditer(value, match.end())
            return


def _scan(value: str, found: list[tuple[str, str]], limit: int) -> None:
    phrase: list[str] = []
    comments: list[str] = []
    angle: str | None = None
    depth = 0
    for match in _tokens(value):
        kind, piece = match.lastgroup, match.group()
        if depth:
            if piece == ")":
                depth -= 1
            elif piece == "(":
                depth += 1
            else:
                comments.append(piece)
        elif kind == "text":
            phrase.append(piece)
        elif kind == "quoted":
            # a quoted local part stays quoted, so that it is not taken for a plain one
            follows = value[match.end() : match.end() + 1]
            phrase.append(piece if follows == "@" else piece[1:-1].replace('\\"', '"').replace("\\\\", "\\"))
        elif kind == "angle":
            angle = piece[1:-1] if angle is None or "@" not in angle else angle
        elif piece == "(":
            depth = 1
        elif piece in ",;":
            _finish(phrase, comments, angle, found)
            if len(found) >= limit:
                return
            phrase, comments, angle = [], [], None
        elif piece == ":" and angle is None:
            phrase = []  # a group's name
    _finish(phrase, comments, angle, found)


def _finish(phrase: list[str], comments: list[str], angle: str | None, found: list[tuple[str, str]]) -> None:
    text = "".join(phrase).strip()
    if angle is not None:
        address = _clean_address(angle)
    else:
        bare = [t for t in text.split() if "@" in t]
        address = _clean_address(bare[0]) if len(bare) == 1 else ""
        text = ""
    if address:
        name = decoded(text or "".join(comments), 200).strip(" '\"")
        if "@" in name and " " not in name:
            name = ""
        found.append((name, address))


def _clean_address(text: str) -> str:
    if not text.isascii() or not text.isprintable() or " " in text:
        text = _SPACES.sub("", text)
    text = text.strip("'\"")
    if text.startswith("@") and ":" in text:
        text = text.rsplit(":", 1)[1]  # obsolete source route
    if text[:7].lower() == "mailto:":
        text = text[7:].partition("?")[0]
    if "(" in text:
        text = _COMMENT.sub("", text)
    if not _ADDRESS.fullmatch(text) or _UNSAFE.search(text):
        return ""
    return text


_COMMENT = re.compile(r"\([^()]{0,200}\)")
_ID = re.compile(r"<([^<>]+)>")


def message_ids(value: str, bare: bool = True, limit: int = MAX_IDS) -> list[str]:
    """Ids of a References or In-Reply-To value, without brackets and white space, at most `limit`.

    bare: where no <...> stands, tokens with exactly one @ count too (some web mailers write them so).
    """
    found = []
    for match in _ID.finditer(value):
        if one := _clean_id(match.group(1)):
            found.append(one)
        if len(found) >= limit:
            return found
    if found or not bare or "@" not in value:
        return found
    tokens = (t.strip('<>,;"') for t in value.split() if t.count("@") == 1)
    return [one for t in tokens if (one := _clean_id(t))][:limit]


def message_id(value: str) -> str:
    """The one id of a Message-ID value, without brackets and white space, case kept; "" when empty."""
    match = _ID.search(_SPACES.sub("", value))
    return _clean_id(match.group(1) if match else value.strip().strip("<>"))


def _clean_id(text: str) -> str:
    if not (text.isascii() and text.isprintable() and " " not in text):
        text = _UNSAFE.sub("", _SPACES.sub("", text))
    if len(text) > 998:  # longer than a line may be: still one name, the same everywhere
        return "sha256-" + hashlib.sha256(text.encode()).hexdigest()
    return text


_WIDEST_OFFSET = timedelta(hours=14)


def date_and_zone(value: str) -> tuple[datetime | None, str]:
    """A Date value as aware UTC and the sender's offset "+HH:MM"; (None, "") when not usable.

    Not usable: undecodable, year before 1990 or after 2030, offset beyond 14 hours. Without an offset ("-0000" or
    none) the time is read as UTC and the zone is "".
    """
    text = value[:300].strip()
    if "(" in text:
        text = _COMMENT.sub(" ", _COMMENT.sub(" ", text)).strip()
    if not text:
        return None, ""
    try:
        at = datetime.fromisoformat(text) if text[:5].endswith("-") else parsedate_to_datetime(text)
        offset = at.utcoffset()
        if offset is None:
            at = at.replace(tzinfo=UTC)
        elif abs(offset) > _WIDEST_OFFSET:
            return None, ""
        at = at.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
        return None, ""
    if not 1990 <= at.year <= 2030:
        return None, ""
    if offset is None:
        return at, ""
    minutes = int(offset.total_seconds() // 60)
    sign = "-" if minutes < 0 else "+"
    return at, f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def date(value: str) -> datetime | None:
    """A Date value as aware UTC, None when undecodable or out of range (see `date_and_zone`)."""
    return date_and_zone(value)[0]


_PREFIX = re.compile(
    r"""(?: \[[^\]]{1,40}\]
          | (?:re|fwd?|aw|wg|sv|vs|vb|antw|tr|rif|ynt|res|enc|odp|pd|rv|doorst|回复|转发|答复)
            (?:\s?[\[(^]\d{1,4}[\])]?)? \s* [:：]
        ) \s* """,
    re.X | re.I,
)
_FORWARD = re.compile(r"\s*(?:\[[^\]]{1,40}\]\s*)?(?:fwd?|wg|tr|enc|pd|rv|doorst|vb|转发)\s*[:：]", re.I)


def normal_subject(value: str) -> str:
    """The subject that replies share: decoded, reply and forward marks and list tags removed, lower case."""
    text = decoded(value)
    at = 0
    while match := _PREFIX.match(text, at):
        at = match.end()
    return text[at:].strip().lower()


def is_forward_subject(value: str) -> bool:
    """Whether the outermost mark of a decoded subject says "forwarded"."""
    return _FORWARD.match(value[:100]) is not None
