"""The mail every mailbox holds besides conversations, and the mail that breaks programs.

Newsletters, machine notices, an out-of-office, a bounce, private mail, a note to oneself, a missing Message-ID, a
malformed message: each letter carries a tag that names it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta
from random import Random
from zlib import crc32

from hub.demo import mime, voice
from hub.demo.letter import Letter, post, with_tags
from hub.demo.people import (
    BILLING,
    FORMER,
    FRIEND,
    INES,
    NADIA,
    NEWSLETTER,
    TOMAS,
    Organization,
    Person,
)  # fmt: skip
from hub.demo.script import chance
from hub.demo.working_days import Calendar

CANARY = "canary-plum-4417"
"""Stands in every field of the private mail; finding it anywhere outside the mailbox is a leak."""
PRIVATE_LABEL = "Private"

_ISSUES = (
    ("Cold mornings, short range", "What eleven fleets learned about electric vans in winter, and a table to copy."),
    ("The quiet yard", "How a dairy moved its loading to before six without waking the village."),
    ("Tyres, tolls and tachographs", "Three rules that change next quarter, in plain words."),
    ("Who is afraid of the last mile?", "A walk with a driver who does 140 stops a day and likes it."),
    ("Bridges you should know", "New weight limits, sorted by region."),
    ("Crates that come back", "Deposit systems compared: barcodes, counting and trust."),
    ("Paper is patient", "Why delivery notes survive, and what to print on them."),
    ("The two o'clock text", "Customers read arrival texts. Here is what they answer."),
    ("Hiring on the early shift", "Five dispatchers on how they found their people."),
    ("A map is an opinion", "Where planners overrule the machine, and when they are right."),
    ("Heat, ice and lettuce", "Temperature logs for small fleets."),
    ("Reading a fuel bill", "Four numbers that matter and nine that do not."),
    ("The year in detours", "Readers' favourite wrong turns."),
    ("Gloves off", "Which touch screens work with cold fingers. We tried nine."),
)  # fmt: skip


def odd_letters(
    calendar: Calendar, customers: Sequence[Organization], threads: dict[str, list[Letter]], seed: int
) -> list[Letter]:
    """All single letters of the window. threads: the conversations so far by "kind-name-organization"."""
    by_key = {o.key: o for o in customers}
    # The last issue arrives on the second day.
    letters = [newsletter(n, calendar.back(62 - 5 * n, time(6, 30)), seed) for n in range(len(_ISSUES) - 1)]
    for part in (_notices, _former_contact, _private, _note_to_self, _blind_copy):
        letters += part(calendar, _rng(seed, part))
    letters.append(_without_id(calendar, by_key["pinewharf"], _rng(seed, _without_id)))
    letters.append(_malformed(calendar, by_key["saltmere"]))
    letters.append(_broken_charset(calendar, by_key["vantry"], _rng(seed, _broken_charset)))
    letters += _out_of_office(calendar, threads, _rng(seed, _out_of_office))
    letters += _poor_replies(calendar, by_key["quillon"], _rng(seed, _poor_replies))
    return letters


def _rng(seed: int, part: Callable[..., object]) -> Random:
    return chance(seed, "odd", part.__name__)


def newsletter(number: int, at: datetime, seed: int) -> Letter:
    """Issue `number` (from 0) of a trade newsletter to the founder, with the standard headers of bulk mail."""
    title, teaser = _ISSUES[number % len(_ISSUES)]
    text = (
        f"THE LOADING DOCK, issue {number + 201}\n\n{title}\n\n{teaser}\n\n"
        f"Read on: https://loadingdock.example/{number + 201}\n\n"
        "You receive this letter because you subscribed at a trade fair.\n"
        "Unsubscribe: https://loadingdock.example/leave"
    )
    page = (
        f'<html><body style="font-family:serif"><h1>The Loading Dock</h1><h2>{title}</h2><p>{teaser}</p>'
        f'<p><a href="https://loadingdock.example/{number + 201}">Read on</a></p>'
        '<p style="font-size:small">You receive this letter because you subscribed at a trade fair. <a href="https://loadingdock.example/leave">Unsubscribe</a>'
        '</p><img src="https://loadingdock.example/open.gif" width="1" height="1" alt=""></body></html>'
    )
    headers = [
        ("List-Id", "The Loading Dock <weekly.loadingdock.example>"), ("Precedence", "bulk"),
        ("List-Unsubscribe", "<https://loadingdock.example/leave>, <mailto:leave@loadingdock.example>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    ]  # fmt: skip
    return post(
        f"newsletter/{number + 1}", at, NEWSLETTER, [NADIA], f"The Loading Dock: {title}", text, html=page,
        headers=headers, tags=["newsletter"], labels=["CATEGORY_PROMOTIONS"], rng=chance(seed, "newsletter", number),
    )  # fmt: skip


def _notices(calendar: Calendar, rng: Random) -> list[Letter]:
    letters = []
    for number, k in enumerate((57, 36, 15), 1):
        text = (
            f"Your monthly statement {2600 + number} is ready.\n\n"
            f"Amount due: £{118 + 7 * number}.40, taken by direct debit on the 5th.\n\n"
            "This mail was sent by a machine. Nobody reads answers to it."
        )
        headers = [("Auto-Submitted", "auto-generated"), ("X-Auto-Response-Suppress", "All")]
        letters.append(post(
            f"notice/{number}", calendar.back(k, time(4, 12, number)), BILLING, [NADIA],
            f"Statement {2600 + number} is ready", text, headers=headers, tags=["notification"],
            labels=["CATEGORY_UPDATES"], rng=rng,
        ))  # fmt: skip
    return letters


def _former_contact(calendar: Calendar, rng: Random) -> list[Letter]:
    """A mail to somebody who has left the customer, and the bounce that comes back (RFC 3464)."""
    gone = Person("Greta Holm", FORMER)
    text = (
        "Hi Greta,\n\nI am collecting the names for our next user meeting. "
        "May I put you on the list for Eastfield?\n\nBest regards,\nInes"
    )
    sent = post(
        "bounce-corvane/1", calendar.back(29, time(10, 4, 11)), INES, [gone], "Next user meeting", text,
        body=voice.compose(INES, text, "en", None), html=voice.as_html(INES, text, "en", None), rng=rng,
    )  # fmt: skip
    daemon = Person("Mail Delivery System", "mailer-daemon@brindlepost.example")
    words = f"Your message to {FORMER} could not be delivered.\n\nThe server answered: 550 5.1.1 no such mailbox.\n"
    status = (
        "Reporting-MTA: dns; mx.brindlepost.example\r\n\r\n"
        f"Final-Recipient: rfc822; {FORMER}\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 no such mailbox\r\n"
    )
    at = calendar.back(29, time(10, 4, 19))
    bounce = post(
        "bounce-corvane/2", at, daemon, [INES], "Undelivered mail returned to sender", words.strip(), parent=sent,
        headers=[("Auto-Submitted", "auto-replied"), ("X-Failed-Recipients", FORMER)], tags=["bounce"], rng=rng,
    )  # fmt: skip
    head, _, _ = bounce.core.partition(b"Content-Type:")
    original = sent.core.partition(b"MIME-Version")[0]
    report = mime.multipart(
        "report", f"dsn-{crc32(original):08x}",
        [
            b"Content-Type: text/plain; charset=us-ascii\r\n\r\n" + words.replace("\n", "\r\n").encode(),
            b"Content-Type: message/delivery-status\r\n\r\n" + status.encode(),
            b"Content-Type: text/rfc822-headers\r\n\r\n" + original,
        ],
        "; report-type=delivery-status",
    )  # fmt: skip
    return [with_tags(sent, "undeliverable"), replace(bounce, core=head + report)]


def _private(calendar: Calendar, rng: Random) -> list[Letter]:
    """Two letters of the founder's own life, labelled private by her, with the canary in every field."""
    joan = replace(FRIEND, name=f"Joan Brock ({CANARY})", address=f"joan.{CANARY}@homestead.example")
    note = mime.File(f"{CANARY}.txt", "text/plain", f"Results for {CANARY}: all is well.\n".encode())
    subject = f"Your results {CANARY}"
    text = (
        f"Dear Nadia,\n\nthe doctor's letter came today, {CANARY}. I attach it. Nothing to worry about.\n\nLove,\nJoan"
    )
    first = post(
        "private/1", calendar.back(21, time(19, 22, 5)), joan, [NADIA], subject, text, files=[note], rng=rng,
        body=voice.compose(joan, text, "en", None), tags=["private"], labels=[PRIVATE_LABEL],
    )  # fmt: skip
    quoted = voice.Quoted(joan, first.sent_at, [NADIA.mailbox], subject, first.body)
    answer = f"What a relief, {CANARY}! I will call you tonight.\n\nNadia"
    plain = replace(NADIA, client="plain", title="")
    second = post(
        "private/2", calendar.back(21, time(20, 3, 41)), plain, [joan], f"Re: {subject}", answer, parent=first, rng=rng,
        body=voice.compose(plain, answer, "en", quoted), tags=["private"], labels=[PRIVATE_LABEL],
    )  # fmt: skip
    return [first, second]


def _note_to_self(calendar: Calendar, rng: Random) -> list[Letter]:
    text = "Ask Tomás about the map switch before the early shift.\nBook the train to Milton Yard."
    return [
        post(
            "self/1", calendar.back(13, time(17, 48, 30)), NADIA, [NADIA], "Do not forget", text, tags=["self"], rng=rng
        )
    ]


def _blind_copy(calendar: Calendar, rng: Random) -> list[Letter]:
    """A mail to a supplier with the founder in blind copy: the header stands in the sent copy only."""
    venue = Person("Harriet Bloom", "harriet@hall34.example")
    text = (
        "Hi Harriet,\n\nWe would like to book the hall for our next user meeting, for about sixty people.\n\n"
        "Could you hold a Thursday for us?\n\nBest regards,\nInes"
    )
    letter = post(
        "venue/1", calendar.back(31, time(11, 37, 2)), INES, [venue], "Hall for a meeting", text, bcc=[NADIA],
        body=voice.compose(INES, text, "en", None), html=voice.as_html(INES, text, "en", None), tags=["bcc"], rng=rng,
    )  # fmt: skip
    return [letter]


def _without_id(calendar: Calendar, customer: Organization, rng: Random) -> Letter:
    """Mail from a customer's stock program, which forgets the Message-ID."""
    sender = Person("Pinewharf stock program", f"stock@{customer.domain}")
    text = "Stock report for Quay Street: 41 crates out, 38 crates back, 3 crates missing.\nAsked for by Callum Reid."
    return post(
        "no-id/1", calendar.back(11, time(16, 0, 1)), sender, [INES], "Crates missing at Quay Street", text,
        with_id=False, tags=["missing_id"], rng=rng,
    )  # fmt: skip


def _malformed(calendar: Calendar, customer: Organization) -> Letter:
    """A scanner's mail: a date no parser reads, raw Latin-1 in a header, a line without a colon, a multipart that
    never ends and base64 that breaks off. Sender, recipient and id can be read."""
    sender = Person("Scanner Harbour House", f"scanner@{customer.domain}")
    ident = f"<scan-0042@{customer.domain}>"
    core = (
        b"From: Scanner Harbour House <" + sender.address.encode() + b">\r\n"
        b"To: " + TOMAS.address.encode() + b"\r\n"
        b"Date: yesterday, after lunch\r\n"
        b"Subject: Gel\xe4nder scan f\xfcr Tom\xe1s\r\n"
        b"Message-ID: " + ident.encode() + b"\r\n"
        b"this line is no header\r\n"
        b'Content-Type: multipart/mixed; boundary="scan"\r\n'
        b"MIME-Version: 1.0\r\n\r\n"
        b"--scan\r\nContent-Type: text/plain; charset=x-scanner-7\r\n\r\n"
        b"Card reader at the r\xe4ar gate, see picture.\r\n"
        b"--scan\r\nContent-Type: image/jpeg; name=\"scan0042.jpg\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        b"/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQN!!"
    )  # fmt: skip
    return Letter(
        key="malformed/1", thread="malformed", sent_at=calendar.back(17, time(13, 8, 40)), sender=sender, to=(TOMAS,),
        subject="Geländer scan für Tomás", text="Card reader at the räar gate, see picture.", body="", core=core,
        message_id=ident, tags=frozenset({"malformed"}),
    )  # fmt: skip


def _broken_charset(calendar: Calendar, customer: Organization, rng: Random) -> Letter:
    """A holiday greeting whose header promises ASCII while the body holds UTF-8 bytes."""
    sender = customer.people[2]
    text = "Dear all,\n\nCanal Works is closed on Friday. The café next door is open.\n\nYusuf"
    letter = post(
        "closed-vantry/1", calendar.back(41, time(12, 15, 9)), sender, [INES], "Closed on Friday", text, rng=rng,
        tags=["wrong_charset"],
    )  # fmt: skip
    top = letter.core.partition(b"Content-Type:")[0]
    body = text.replace("\n", "\r\n").encode()
    raw = (
        top + b"Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + body + b"\r\n"
    )
    return replace(letter, core=raw)


def _out_of_office(calendar: Calendar, threads: dict[str, list[Letter]], rng: Random) -> list[Letter]:
    """A machine's answer in German, half a minute after the mail that was followed by the person's longest silence."""
    sent = [
        x for letters in threads.values() for x in letters
        if x.sender.name == INES.name and x.to[0].address == "j.pohl@osterfeld-getraenke.example"
    ]  # fmt: skip
    if not sent:
        return []
    away = sent[0].to[0]
    his = [x.sent_at for letters in threads.values() for x in letters if x.sender.address == away.address]

    def silence(x: Letter) -> timedelta:
        return min((at for at in his if at > x.sent_at), default=calendar.end) - x.sent_at

    asked = max(sent, key=silence)
    until = voice.day_and_month(asked.sent_at + silence(asked) - timedelta(days=1), "de")
    text = (
        f"Guten Tag,\n\nich bin bis zum {until} nicht im Haus. In dringenden Fällen hilft Ihnen Anna Weber weiter.\n\n"
        "Mit freundlichen Grüßen\nJürgen Pohl"
    )
    headers = [("Auto-Submitted", "auto-replied"), ("X-Autoreply", "yes"), ("Precedence", "auto_reply")]
    at = min(asked.sent_at + timedelta(seconds=31), calendar.end)
    return [post(
        f"{asked.thread}/away", at, away, [asked.sender], f"Automatische Antwort: {asked.subject}",
        text, parent=asked, headers=headers, tags=["auto_reply"], rng=rng,
    )]  # fmt: skip


def _poor_replies(calendar: Calendar, customer: Organization, rng: Random) -> list[Letter]:
    """A thread whose answers carry the chain badly: a bare id without brackets, then no References at all."""
    analyst = customer.people[2]
    opening = "Hi Ines,\n\nHere is the analysis of late arrivals by hour. Between 14 and 16 h is worst.\n\nVictor"
    letters = [post(
        "poor-quillon/1", calendar.back(39, time(9, 2, 17)), analyst, [INES], "Late arrivals by hour", opening,
        body=voice.compose(analyst, opening, "en", None), rng=rng,
    )]  # fmt: skip
    rows = (
        (INES, analyst, "Thank you, Victor. May I show the chart to Tomás?\n\nInes", time(11, 40, 5), "bare_reply_id"),
        (analyst, INES, "Of course. The raw table is on our drive.\n\nVictor", time(13, 21, 33), "no_references"),
    )  # fmt: skip
    for position, (sender, to, text, clock, tag) in enumerate(rows, 2):
        before = letters[-1]
        quoted = voice.Quoted(
            before.sender, before.sent_at, [p.mailbox for p in before.to], before.subject, before.body
        )
        letters.append(post(
            f"poor-quillon/{position}", calendar.back(39, clock), sender, [to], "Re: Late arrivals by hour", text,
            body=voice.compose(sender, text, "en", quoted), parent=before, rng=rng, tags=[tag], with_references=False,
            in_reply_to=before.message_id.strip("<>") if tag == "bare_reply_id" else None,
        ))  # fmt: skip
    return letters
