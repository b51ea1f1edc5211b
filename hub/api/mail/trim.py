"""A reply split into what is new, what it quotes and its signature.

One pass over the lines; every look-back and look-ahead is bounded by a few lines and characters, so that the
cost is linear whatever the text. Languages: see `phrases`. When in doubt text stays in `new`: the full
body is kept elsewhere, but what is taken for new is what people read.
"""

import re
from dataclasses import dataclass

from hub.api.mail import phrases

_MAX_LINES = 20_000  # what follows is taken as one line
_LOOK = 400  # characters of a line that matter for its kind
_ATTRIBUTION_LINES = 6
_ATTRIBUTION_CHARS = 450
_SIGNATURE_LINES = 30
_FOOTER_LINES = 14
_RULES = frozenset("-_=~#*+—–")


@dataclass(frozen=True, slots=True)
class Trimmed:
    """new: what the writer added (quotes answered in between stay, for context). quoted, signature: the rest."""

    new: str
    quoted: str = ""
    signature: str = ""


def _any(words: tuple[str, ...]) -> str:
    return "|".join(re.escape(w) for w in sorted(words, key=len, reverse=True))


_VERB = re.compile(rf"(?:{_any(phrases.WROTE)})")
_VERB_END = re.compile(rf"(?:{_any(phrases.WROTE)})\s?[:：]$")
_START = re.compile(rf"[\s*]{{0,4}}(?:{_any(phrases.ON)}|(?:{_any(phrases.DAYS)})[a-zä-ÿ]{{0,9}}[.,]|\d)")
_DATED = re.compile(r"\d{1,2}[./: ]\d{2}|\d{4}|\d{1,2}月")
_CLOCK = re.compile(r"\d{1,2}[:.h]\d{2}")
_ISO_START = re.compile(r"\s{0,4}\d{4}[-/.]\d{1,2}[-/.]\d{1,2}\b")
_MARKED = re.compile(r"[\s>]{0,8}[-_*=]{2,}\s{0,4}(?P<words>[^\d\W][^-_*=]{4,90}?)\s{0,4}[-_*=:]{2,}.{0,80}$")
_RULE = re.compile(r"\s{0,8}([-_=~#*+—–])\1{4,200}\s*$")
_HEADER = re.compile(r"[\s*]{0,4}(?P<key>[^\d\W][\w'’ -]{0,18}?)\s{0,2}\*{0,2}\s{0,1}[:：]\*{0,2}(?:\s|$|.)")
_FROM_KEYS = frozenset(phrases.FROM)
_KEYS = frozenset(phrases.FROM + phrases.OTHER)
_SIGNATURE_MARKS = {"--", "—", "––", "-- ", "ᐧ"}

# kinds of a line
_BLANK, _TEXT, _QUOTE = 0, 1, 2


def split_reply(text: str, *, is_forward: bool = False) -> Trimmed:
    """Split a plain text body. is_forward: the subject says so; a header block in it is then content, not a quote.

    Cost: linear in len(text).
    """
    lines = text.split("\n", _MAX_LINES)
    return _Splitter(lines, is_forward).run()


class _Splitter:
    def __init__(self, lines: list[str], is_forward: bool) -> None:
        self.lines = lines
        self.is_forward = is_forward
        self.kinds: list[int] = []
        self.dropped: list[tuple[int, int]] = []  # attribution lines
        self.texts = 0  # lines of kind _TEXT so far
        self.cut = len(lines)  # everything from here on is quoted
        self.kept_from = len(lines)  # a forwarded message starts here: content to the end

    def run(self) -> Trimmed:
        self._scan()
        signature = self._find_signature()
        return self._result(signature)

    def _scan(self) -> None:
        """Give each line its kind, up to the first mark after which all is quoted or forwarded."""
        lines, kinds = self.lines, self.kinds
        at = 0
        while at < len(lines):
            line = lines[at][:_LOOK]
            bare = line.strip()
            if not bare:
                kinds.append(_BLANK)
            elif bare[0] == ">" and not self._is_fold(at, bare):
                kinds.append(_QUOTE)
            else:
                if (bare[-1] in ":：>" or len(lines[at]) > _LOOK) and self._attribution(at):
                    if self.cut < len(lines):
                        break
                    at += 1
                    continue
                if (bare[0] in "-_*=" or bare[-1] in ":：") and self._marker(at, bare):
                    break
                if _header_key(bare) and self._header_block(at):
                    break
                kinds.append(_TEXT)
                self.texts += 1
            at += 1

    def _is_fold(self, at: int, bare: str) -> bool:
        """A line like "> wrote:" below an address closes a folded attribution; it quotes nothing."""
        if not at or self.kinds[at - 1] != _TEXT or bare[-1] not in ":：" or len(bare) > 40:
            return False
        rest = bare.lstrip("> ").lower()
        return rest in ":：" or _VERB_END.fullmatch(rest) is not None

    def _attribution(self, at: int) -> bool:
        """Whether line `at` ends an "On ... wrote:", folded over at most `_ATTRIBUTION_LINES` lines."""
        first = self._attribution_start(at)
        if first < 0:
            return False
        self.texts -= self.kinds[first:].count(_TEXT)
        del self.kinds[first:]
        follows = next((x for x in self.lines[at + 1 : at + 6] if x.strip()), "")
        if self.texts and not follows.lstrip().startswith(">"):
            self.cut = first  # quoted without marks: everything below
            return True
        self.kinds.extend([_BLANK] * (at + 1 - first))
        self.dropped.append((first, at + 1))
        return True

    def _attribution_start(self, at: int) -> int:
        """The first line of the attribution that ends in line `at`, -1 when there is none."""
        joined = ""
        found = -1
        for first in range(at, max(-1, at - _ATTRIBUTION_LINES), -1):
            if first < at and (self.kinds[first] == _QUOTE or (self.dropped and first < self.dropped[-1][1])):
                break
            joined = f"{self.lines[first][:_LOOK].strip()} {joined}".strip()
            if len(joined) > _ATTRIBUTION_CHARS:
                break
            low = joined.lower()
            if _is_dated_attribution(low):
                return first
            if found < 0 and _is_bare_attribution(low):
                found = first  # unless its date stands above
        return found

    def _marker(self, at: int, bare: str) -> bool:
        low = bare.lower()
        match = _MARKED.match(low)
        words = match["words"].strip() if match else low.rstrip(":").strip() if low.endswith(":") else ""
        if not words or len(words) > 95:
            return False
        if words.startswith(phrases.FORWARDED):
            self.kept_from = at
            return True
        if match and words.startswith(phrases.ORIGINAL):
            if self.is_forward:
                self.kept_from = at
            else:
                self.cut = at
            return True
        return False

    def _header_block(self, at: int) -> bool:
        """Three or more of From, Sent, To, Subject ... in neighbouring lines: an embedded message starts."""
        seen: set[str] = set()
        misses = 0.0
        for line in self.lines[at : at + 12]:
            bare = line[:_LOOK].strip()
            if not bare:
                misses += 0.5
            elif key := _header_key(bare):
                seen.add(key)
            else:
                misses += 1
            if misses > 1:
                break
        if len(seen) < 3 or not seen & _FROM_KEYS:
            return False
        start = at
        while start and start > at - 4 and (
            self.kinds[start - 1] == _BLANK or _RULE.match(self.lines[start - 1][:_LOOK])
        ):  # fmt: skip
            start -= 1
        before = _TEXT in self.kinds[:start]
        if self.is_forward or not before:
            self.kept_from = start
        else:
            self.cut = start
        del self.kinds[start:]
        return True

    def _end(self) -> int:
        return min(self.cut, self.kept_from)

    def _find_signature(self) -> tuple[int, int] | None:
        """Where the signature stands: from its mark to the quote that follows it, or to the end."""
        kinds, end = self.kinds, self._end()
        last_text = max((i for i in range(end) if kinds[i] == _TEXT), default=-1)
        stops = self._next_quotes(end)
        for at in range(end):
            if kinds[at] != _TEXT or len(self.lines[at]) > _LOOK or stops[at] - at > 2 * _SIGNATURE_LINES:
                continue
            bare = self.lines[at].strip()
            if last_text < stops[at] and (bare in _SIGNATURE_MARKS or self._is_footer(at, stops[at], bare)):
                return (at, stops[at])
        return self._one_liner(end)

    def _next_quotes(self, end: int) -> list[int]:
        """For each line the next one that is a quote or introduces one, or `end`."""
        stops = [end] * end
        starts = {first for first, _ in self.dropped}
        stop = end
        for at in range(end - 1, -1, -1):
            if self.kinds[at] == _QUOTE or at in starts:
                stop = at
            stops[at] = stop
        return stops

    def _is_footer(self, at: int, stop: int, bare: str) -> bool:
        """A ruled line with a few short lines below it, as signatures and list footers have."""
        if bare[:1] not in _RULES or not _RULE.match(bare) or (at and self.kinds[at - 1] == _TEXT and bare[0] != "_"):
            return False
        below = [x.strip() for x in self.lines[at + 1 : stop] if x.strip()]
        return 0 <= len(below) <= _FOOTER_LINES and not any(len(x) > 160 or _RULE.match(x) for x in below)

    def _one_liner(self, end: int) -> tuple[int, int] | None:
        """ "Sent from my ..." lines, where they are the last words before the quote or the end."""
        at = end
        while at and self.kinds[at - 1] != _TEXT:
            at -= 1
        stop = at
        while at:
            bare = self.lines[at - 1].strip() if self.kinds[at - 1] == _TEXT else ""
            if self.kinds[at - 1] == _QUOTE or (bare and not _is_sent_from(bare)):
                break
            at -= 1
        while at < stop and not self.lines[at].strip():
            at += 1
        return (at, stop) if at < stop else None

    def _result(self, signature: tuple[int, int] | None) -> Trimmed:
        lines, kinds, end = self.lines, self.kinds, self._end()
        is_new = bytearray(b"\x01" * end)
        for first, stop in self.dropped:
            for i in range(first, min(stop, end)):
                is_new[i] = 0
        if signature:
            for i in range(*signature):
                is_new[i] = 0
        answered = _answered_quotes(kinds, is_new, end, self.dropped)
        for i in range(end):
            if kinds[i] == _QUOTE and i not in answered:
                is_new[i] = 0
        new = [lines[i].rstrip() for i in range(end) if is_new[i]] + lines[self.kept_from :]
        in_signature = range(*signature) if signature else range(0)
        quoted = [lines[i] for i in range(end) if not is_new[i] and i not in in_signature]
        quoted += lines[self.cut :] if self.cut < self.kept_from else []
        return Trimmed(
            "\n".join(new).strip("\n").rstrip(),
            "\n".join(quoted).strip("\n"),
            "\n".join(lines[i] for i in in_signature).strip("\n"),
        )


def _answered_quotes(
    kinds: list[int], is_new: bytearray, end: int, dropped: list[tuple[int, int]]
) -> "set[int] | frozenset[int]":
    """Quote lines to keep: those with new text below them, unless one introduced quote opens the message.

    A single quote under an "On ... wrote:" at the top, with the whole answer below, is an ordinary
    bottom-posted reply: the answer alone is new.
    """
    last_text = max((i for i in range(end) if kinds[i] == _TEXT and is_new[i]), default=-1)
    blocks: list[tuple[int, int]] = []
    at = 0
    while at < last_text:
        if kinds[at] != _QUOTE:
            at += 1
            continue
        stop = at
        while stop < last_text and kinds[stop] != _TEXT:
            stop += 1
        blocks.append((at, stop))
        at = stop
    if not blocks:
        return frozenset()
    first_text = next(i for i in range(end) if kinds[i] == _TEXT and is_new[i])
    is_introduced = bool(dropped) and dropped[0][0] <= blocks[0][0]
    if len(blocks) == 1 and is_introduced and first_text > blocks[0][0]:
        return frozenset()
    return {i for first, stop in blocks for i in range(first, stop)}


def _is_dated_attribution(low: str) -> bool:
    """Whether a joined, lower-cased line is "<date> ... wrote:" or one of its kin."""
    if low[-1:] in ":：":
        is_start = _START.match(low) is not None
        if is_start and _VERB_END.search(low[-40:]):
            return _DATED.search(low) is not None or "@" in low
        if _CLOCK.search(low) is None:
            return False
        if _VERB.search(low) and (is_start or low.endswith("uhr:")):
            return "@" in low or low.startswith(("den ", "op ", "på "))
        return is_start and low.endswith((">:", "> :", ">："))
    return low.endswith(">") and "@" in low and len(low) < 160 and _ISO_START.match(low) is not None


def _is_bare_attribution(low: str) -> bool:
    """Whether it is "Name <address> wrote:", without a date."""
    name, angle, _ = low.partition("<")
    return bool(
        angle and "@" in low and len(low) < 160 and "," not in name and name.strip() and _VERB_END.search(low[-40:])
    )


def _header_key(bare: str) -> str:
    """The key of a "From: ..." line in any of our languages, lower case; "" for other lines."""
    if ":" not in bare[:24] and "：" not in bare[:24]:
        return ""
    match = _HEADER.match(bare)
    if match is None:
        return ""
    key = match["key"].strip(" *").lower()
    return key if key in _KEYS else ""


def _is_sent_from(bare: str) -> bool:
    if len(bare) > 140:
        return False
    low = bare.lower()
    return low.startswith(phrases.SENT_FROM_START) or low.endswith(phrases.SENT_FROM_END)
