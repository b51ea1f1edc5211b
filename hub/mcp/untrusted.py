"""What strangers wrote, made fit to be read by a model: nothing hidden, no live link, a size, and a mark that says so."""

import re
import unicodedata
from typing import Any

MOST = 4_000  # characters of one text
_ENDS = re.compile("\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")  # all that somebody could take for the end of a line
_SCHEME = re.compile(
    r"\b(\w[\w+.-]{1,20}):(?=//)|\b(javascript|vbscript|data|mailto|file|tel|sms):(?=\S)", re.IGNORECASE
)
_WWW = re.compile(r"\b(www)\.(?=\w)", re.IGNORECASE)
_BARE = re.compile(r"(?<=\w)\.(?=[a-z]{2,24}(?::\d{1,5})?[/?#])", re.IGNORECASE)
_RELATIVE = re.compile(r"(?<![:/\w\]])/(?=/\w)")
_MARKDOWN = re.compile(r"\](?=[ \t\n]*[(\[])[ \t\n]*")
_TAG = re.compile(r"<(?=[!?]|/?[a-z][\w:-]*(?:[\s/>]|$))", re.IGNORECASE)
_EMPTY = re.compile(r"\n[ \t]*\n(?:[ \t]*\n)+")
_SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))  # they carry data that nobody sees
_BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
)  # letters that show nothing
_NOT_SHOWN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def clean(text: str, most: int = MOST) -> str:
    """The text as a person would see it, with links and tags that no program follows; at most so many characters."""
    ended = _ENDS.sub("\n", text[: most * 4])
    shown = "".join(ch for ch in ended if ch in "\n\t" or _is_shown(ch))
    shown = _SCHEME.sub(lambda m: f"{m[1] or m[2]}[:]", shown)
    for sign, instead in (
        (_WWW, r"\1[.]"),
        (_BARE, "[.]"),
        (_RELATIVE, "/ "),
        (_MARKDOWN, "] "),
        (_TAG, "< "),
        (_EMPTY, "\n\n"),
    ):
        shown = sign.sub(instead, shown)
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def _is_shown(ch: str) -> bool:
    if ch.isascii():
        return ch.isprintable()
    return (
        ch not in _BLANK and unicodedata.category(ch) not in _NOT_SHOWN and not any(ord(ch) in of for of in _SELECTORS)
    )


def line(text: str, most: int = 200) -> str:
    """The same on one line: for names, titles and subjects."""
    return " ".join(clean(text, most * 2).split())[:most]


def quoted(text: str) -> str:
    """Every line behind a sign: nothing that is in a text can end the quotation it stands in."""
    return "\n".join(f"> {row}" for row in text.split("\n"))


def marked(text: str, source: str, sender: str, most: int = MOST) -> dict[str, Any]:
    """{"untrusted_content": true, "source": the tool it came through, "sender", "text", "is_cut"}."""
    shown = clean(text, most)
    return {
        "untrusted_content": True, "source": source, "sender": line(sender), "text": shown, "is_cut": len(text) > most,
    }  # fmt: skip


def cleaned(found: Any) -> Any:
    """All texts in an answer, however deep; keys are ours."""
    if isinstance(found, str):
        return clean(found, 500)
    if isinstance(found, dict):
        return {key: address(value) if key == "url" else cleaned(value) for key, value in found.items()}
    return [cleaned(value) for value in found] if isinstance(found, list | tuple) else found


def address(url: Any) -> str:
    """Where an entry is seen in its tool, for a person to open; "" for what is no plain web address."""
    text = str(url or "")
    is_plain = len(text) <= 500 and text.isascii() and text.isprintable() and not set(text) & set(" \"'<>\\`{}|^")
    return text if is_plain and text.startswith(("https://", "http://")) else ""
