"""How people write: greeting, closing, signature, and how their mail program quotes the mail before.

In: the bare paragraphs of a turn. Out: the new text, and the whole body with signature and quotes as plain text and,
for programs that send it, HTML.
"""

import html
import re
from collections.abc import Sequence
from datetime import datetime
from random import Random

from hub.demo.mime import LOCAL
from hub.demo.people import LIST_ADDRESS, LIST_SUFFIX, SUPPORT, Language, Person

_WEEKDAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "de": ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"),
}
_MONTHS = {
    "en": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December"),
    "de": ("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November",
           "Dezember"),
}  # fmt: skip
_CLOSINGS = {
    "en": ("Best regards,", "Kind regards,", "Best wishes,", "All the best,"),
    "de": ("Viele Grüße", "Mit freundlichen Grüßen", "Freundliche Grüße"),
}
_OUTLOOK = {"en": ("From", "Sent", "To", "Subject"), "de": ("Von", "Gesendet", "An", "Betreff")}
_PHONE = {"en": "Sent from my phone", "de": "Von meinem Telefon gesendet"}
_QUOTED_LINES = 44
"""Quotes longer than this are cut, so that a long thread stays a few kilobytes per mail."""


def weekday(at: datetime, language: Language) -> str:
    return _WEEKDAYS[language][at.weekday()]


def month(number: int, language: Language) -> str:
    return _MONTHS[language][number - 1]


def day_and_month(at: datetime, language: Language) -> str:
    """ "12 November" or "12. November"."""
    return f"{at.day}{'.' if language == 'de' else ''} {month(at.month, language)}"


def reply_subject(subject: str, language: Language) -> str:
    """The subject of an answer; an existing "Re:" or "AW:" is not doubled."""
    if subject.startswith(("Re: ", "AW: ")):
        return subject
    return f"{'AW' if language == 'de' else 'Re'}: {subject}"


def new_text(
    sender: Person, to: Sequence[Person], paragraphs: Sequence[str], language: Language, first: bool, rng: Random
) -> str:
    """Greeting, paragraphs, closing and name. first: the sender's first mail in this thread."""
    lines = []
    if greeting := _greeting(to, paragraphs[0], language, first, rng):
        lines += [greeting, ""]
    lines += "\n\n".join(paragraphs).split("\n")
    name = sender.signs or (sender.name if language == "de" else sender.first)
    if language == "de" and sender.address == SUPPORT:
        name = "Ihr Brindlepost-Support"
    if first or sum(map(len, paragraphs)) > 110:
        lines += ["", rng.choice(_CLOSINGS[language]), name]
    else:
        lines += ["", name]
    return "\n".join(lines)


def _greeting(to: Sequence[Person], opening: str, language: Language, first: bool, rng: Random) -> str:
    if language == "de":
        # The scripts start in lower case where a greeting with its comma goes before.
        if not opening[0].islower():
            return ""
        return f"Guten Tag {to[0].salutation}," if to[0].salutation else "Guten Tag,"
    if opening.startswith(("Hello", "Hi ", "Welcome,", "Priya,")) or not (first or rng.random() < 0.4):
        return ""
    if to[0].address == LIST_ADDRESS:
        return "Hello all,"
    if len(to) > 1:
        return "Hello both," if len(to) == 2 else "Hello all,"
    if to[0].address == SUPPORT or to[0].signs:
        return "Hello,"
    return f"{'Hi' if rng.random() < 0.7 else 'Hello'} {to[0].first},"


def signature(sender: Person, language: Language) -> str:
    """The block after the text, delimiter included; "" for those who have none."""
    if sender.client == "phone":
        return _PHONE[language]
    if not sender.title:
        return ""
    name = sender.name.removesuffix(LIST_SUFFIX)
    if sender.client in ("outlook", "html"):
        return f"{name}\n{sender.title}\n{sender.organization} | {sender.phone}"
    return f"-- \n{name}\n{sender.title}, {sender.organization}\n{sender.phone}"


def quote(sender: Person, language: Language, before: "Quoted") -> str:
    """The mail before as the sender's program quotes it in plain text."""
    body = _short(before.body)
    if sender.client in ("outlook", "html"):
        labels = _OUTLOOK[language]
        values = (before.author.mailbox, _long_date(before.at, language), "; ".join(before.to), before.subject)
        block = "\n".join(f"{k}: {v}" for k, v in zip(labels, values, strict=True))
        rule = "-----Ursprüngliche Nachricht-----" if language == "de" else "-----Original Message-----"
        return f"{rule}\n{block}\n\n{body}"
    lines = [attribution(sender, language, before), *body.split("\n")]
    if sender.client == "phone":
        return "\n".join(_mark(line) for line in (lines[0], "", *lines[1:]))
    return "\n".join([lines[0], *(_mark(line) for line in lines[1:])])


def attribution(sender: Person, language: Language, before: "Quoted") -> str:
    """The line that introduces a quote, in the form of the sender's program."""
    t = before.at.astimezone(LOCAL)
    name, mailbox = before.author.name, before.author.mailbox
    if sender.client == "webmail":
        short = f"{_WEEKDAYS[language][t.weekday()][: 2 if language == 'de' else 3]}"
        if language == "de":
            return f"Am {short}., {t:%d.%m.%Y} um {t:%H:%M} Uhr schrieb {mailbox}:"
        return f"On {short}, {t.day} {month(t.month, 'en')[:3]} {t.year} at {t:%H:%M}, {mailbox} wrote:"
    if sender.client == "phone":
        if language == "de":
            return f"Am {t:%d.%m.%Y} um {t:%H:%M} schrieb {mailbox}:"
        return f"On {t.day} {month(t.month, 'en')[:3]} {t.year}, at {t:%H:%M}, {mailbox} wrote:"
    return f"Am {t:%d.%m.%Y} um {t:%H:%M} schrieb {name}:" if language == "de" else (
        f"On {t:%d/%m/%Y} {t:%H:%M}, {name} wrote:"
    )  # fmt: skip


class Quoted:
    """The mail before, as far as quoting needs it: author, time, recipients as text, subject, plain body."""

    __slots__ = ("at", "author", "body", "subject", "to")

    def __init__(self, author: Person, at: datetime, to: Sequence[str], subject: str, body: str) -> None:
        self.author, self.at, self.to, self.subject, self.body = author, at, to, subject, body


def compose(sender: Person, text: str, language: Language, before: Quoted | None) -> str:
    """The whole plain body. People with "classic" programs answer below the quote, all others above."""
    sign = signature(sender, language)
    own = f"{text}\n\n{sign}" if sign else text
    if before is None:
        return own
    quoted = quote(sender, language, before)
    return f"{quoted}\n\n{own}" if sender.client == "classic" else f"{own}\n\n{quoted}"


def as_html(sender: Person, text: str, language: Language, before: Quoted | None) -> str:
    """The whole HTML body, for the programs that send one; "" for the others."""
    if sender.client not in ("webmail", "outlook", "html"):
        return ""
    sign = signature(sender, language)
    own = "".join(f"<p>{_lines(p)}</p>\n" for p in text.split("\n\n"))
    if sender.client == "webmail":
        own = f'<div dir="ltr">{own}</div>'
        if sign:
            own += f'<div class="gmail_signature">{_lines(sign)}</div>'
    elif sign:
        own += f'<p style="color:#556">{_lines(sign)}</p>'
    return f"<html><body>{own}{_html_quote(sender, language, before)}</body></html>"


def _html_quote(sender: Person, language: Language, before: Quoted | None) -> str:
    if before is None:
        return ""
    body = _nested(_short(before.body).split("\n"))
    if sender.client == "webmail":
        head = _lines(attribution(sender, language, before))
        return (
            f'<br><div class="gmail_quote"><div dir="ltr" class="gmail_attr">{head}<br></div>'
            f'<blockquote class="gmail_quote" style="margin:0 0 0 .8ex;border-left:1px solid #ccc;padding-left:1ex">'
            f"{body}</blockquote></div>"
        )
    fields = quote(sender, language, before).split("\n\n", 1)[0].split("\n")[1:]
    return (
        '<div style="border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0 0 0">'
        f"<p>{'<br>'.join(html.escape(line) for line in fields)}</p></div>{body}"
    )


def _nested(lines: Sequence[str]) -> str:
    """Plain lines as HTML, runs of ">" lines as blockquotes."""
    out, depth = [], 0
    for line in lines:
        marks = re.match(r"(?:> ?)*", line)
        level = marks.group().count(">") if marks else 0
        out.append("<blockquote>" * (level - depth) + "</blockquote>" * (depth - level))
        out.append(html.escape(line[marks.end() if marks else 0 :]) + "<br>\n")
        depth = level
    return "".join(out) + "</blockquote>" * depth


def _lines(text: str) -> str:
    return html.escape(text).replace("\n", "<br>\n")


def _mark(line: str) -> str:
    return f">{line}" if line.startswith(">") else f"> {line}".rstrip()


def _short(body: str) -> str:
    lines = [line for line in body.split("\n") if not line.startswith(">>")]
    return "\n".join(lines[:_QUOTED_LINES])


def _long_date(at: datetime, language: Language) -> str:
    t = at.astimezone(LOCAL)
    return f"{weekday(t, language)}, {day_and_month(t, language)} {t.year} {t:%H:%M}"
