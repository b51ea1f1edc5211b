"""What strangers wrote, made fit to be read by a model: nothing hidden, no live link, a size, and a mark that says so."""

import re
import unicodedata
from typing import Any

MOST = 4_000  # characters of one text
_LINK = re.compile(r"\b(\w[\w+.-]{1,20}):(?=//)")
_WWW = re.compile(r"\b(www)\.(?=\w)", re.IGNORECASE)
_MARKDOWN = re.compile(r"\]\s*(?=[(\[])")
_SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))  # they carry data that nobody sees
_NOT_SHOWN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def clean(text: str, most: int = MOST) -> str:
    """The text as a person would see it, with links that no program follows; at most so many characters."""
    shown = "".join(ch for ch in text[: most * 4] if ch in "\n\t" or _is_shown(ch))
    shown = _MARKDOWN.sub("] ", _WWW.sub(r"\1[.]", _LINK.sub(r"\1[:]", shown)))
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def _is_shown(ch: str) -> bool:
    return unicodedata.category(ch) not in _NOT_SHOWN and not any(ord(ch) in of for of in _SELECTORS)


def marked(text: str, source: str, sender: str, most: int = MOST) -> dict[str, Any]:
    """{"untrusted_content": true, "source": the tool it came through, "sender", "text", "is_cut"}."""
    shown = clean(text, most)
    return {
        "untrusted_content": True, "source": source, "sender": clean(sender, 200), "text": shown,
        "is_cut": len(text) > most,
    }  # fmt: skip


def cleaned(found: Any) -> Any:
    """All texts in an answer, however deep; keys are ours."""
    if isinstance(found, str):
        return clean(found, 500)
    if isinstance(found, dict):
        return {key: cleaned(value) for key, value in found.items()}
    return [cleaned(value) for value in found] if isinstance(found, list | tuple) else found
