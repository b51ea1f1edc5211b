"""Made-up tickets and mail: always the same for the same number. No real person, no real domain."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random

US = "acme.example"
MAILBOX = f"agent@{US}"
START = datetime(2025, 1, 1, tzinfo=UTC)
VOCABULARY = (
    "account invoice renewal ticket shipping please refund order update login error customer meeting schedule price "
    "contract demo pilot onboarding export import webhook api token crash slow thanks regards question follow up "
    "tomorrow team manager product release version browser mobile desktop password reset billing address delivery "
    "attachment screenshot calendar invite sync duplicate merge contact company timeline owner escalate priority"
)
WORDS = VOCABULARY.split()
NOBODY = dict.fromkeys(("external_id", "forum_topic_id", "problem_id", "due_at"))


def words(random: Random, count: int) -> str:
    return " ".join(random.choices(WORDS, k=count))


def person(n: int) -> tuple[str, str]:
    """(name, address) of person `n`; ten people to a company."""
    return f"User {n}", f"user{n}@org{n // 10}.example"


def someone(random: Random, total: int) -> int:
    """One of `total / 5` people; the first ones write far more often than the last."""
    return int(max(total // 5, 20) * random.random() ** 2)


def instant(n: int) -> datetime:
    return START + timedelta(seconds=37 * n)


def iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def ticket(n: int, total: int) -> dict[str, object]:
    """A help desk's ticket: about 2.4 kB of JSON, most of it fields nobody filled in."""
    random = Random(n)
    who = someone(random, total)
    name, address = person(who)
    return {
        "url": f"https://acme.desk.example/api/v2/tickets/{n}.json", "id": n, **NOBODY,
        "via": {"channel": random.choice(["email", "web", "chat", "api"]), "source": {
            "from": {"address": address, "name": name},
            "to": {"name": "Acme", "address": f"support@{US}"}, "rel": None,
        }},
        "created_at": iso(instant(n)), "updated_at": iso(instant(n + 500)), "generated_timestamp": 1735689600 + 37 * n,
        "type": random.choice(["problem", "question", "incident", None]), "subject": words(random, 6),
        "raw_subject": words(random, 6), "description": words(random, 90),
        "priority": random.choice(["low", "normal", "high", "urgent"]),
        "status": random.choice(["new", "open", "pending", "solved", "closed"]), "recipient": f"support@{US}",
        "requester_id": 10**9 + who, "submitter_id": 10**9 + who, "assignee_id": 5 * 10**8 + who % 40,
        "organization_id": 2 * 10**9 + who // 10, "group_id": 3 * 10**8 + who % 7, "collaborator_ids": [],
        "follower_ids": [], "email_cc_ids": [], "has_incidents": False, "is_public": True,
        "tags": random.sample(WORDS, 4),
        "custom_fields": [
            {"id": 360000000 + k, "value": random.choice([None, "a", "b", words(random, 2)])} for k in range(12)
        ],
        "satisfaction_rating": {"score": "unoffered"}, "sharing_agreement_ids": [], "custom_status_id": 4,
        "fields": [{"id": 360000000 + k, "value": None} for k in range(6)], "followup_ids": [], "ticket_form_id": 77,
        "brand_id": 88, "allow_channelback": False, "allow_attachments": True, "from_messaging_channel": False,
    }  # fmt: skip


def ticket_page(first: int, size: int, total: int) -> bytes:
    """Tickets `first` to `first + size` of `total`, as a cursor export answers."""
    last = min(first + size, total)
    page = {
        "tickets": [ticket(n, total) for n in range(first, last)],
        "after_cursor": str(last),
        "has_more": last < total,
        "end_of_stream": last >= total,
    }
    return json.dumps(page, separators=(",", ":")).encode()


def mail(n: int, total: int) -> bytes:
    """An answer in a thread of four: plain and HTML, quoted text, an encoded subject; about 6 kB."""
    random = Random(n)
    who = someone(random, total)
    name, address = person(who)
    at = format_datetime(instant(n))
    new, quoted = words(random, 120), "".join(f"> {words(random, 10)}\r\n" for _ in range(12))
    intro = f"On Mon, 6 Jan 2025 at 10:00, Acme <support@{US}> wrote:"
    plain = f"Hi,\r\n\r\n{new}\r\n\r\n{intro}\r\n{quoted}"
    html = (
        f'<html><head><style>p{{margin:0}}</style></head><body><div dir="ltr"><p>Hi,</p><p>{new}</p></div><br>'
        f'<div class="gmail_quote"><div>{intro}</div><blockquote>{quoted.replace("> ", "<br>")}</blockquote></div>'
        "</body></html>"
    )
    subject = base64.b64encode(f"Re: café {words(Random(n // 4), 4)}".encode()).decode()
    thread = n - n % 4
    earlier = " ".join(f"<m{k}@mail.example>" for k in range(thread, n))
    head = [
        ("Delivered-To", MAILBOX), ("Return-Path", f"<{address}>"), ("MIME-Version", "1.0"),
        ("Received", f"by mx.{US} with ESMTP id x{n}; {at}"), ("Message-ID", f"<m{n}@mail.example>"),
        *([("In-Reply-To", f"<m{n - 1}@mail.example>"), ("References", earlier)] if earlier else []),
        ("Date", at), ("Subject", f"=?UTF-8?B?{subject}?="), ("From", f"{name} <{address}>"),
        ("To", f"Acme Support <support@{US}>, Agent <{MAILBOX}>"), ("Cc", f"cc{who}@org{who // 10}.example"),
        ("Content-Type", 'multipart/alternative; boundary="b1"'),
    ]  # fmt: skip
    parts = (
        f'--b1\r\nContent-Type: text/plain; charset="UTF-8"\r\n\r\n{plain}\r\n'
        f'--b1\r\nContent-Type: text/html; charset="UTF-8"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        f"{base64.encodebytes(html.encode()).decode()}\r\n--b1--\r\n"
    )
    return ("".join(f"{k}: {v}\r\n" for k, v in head) + "\r\n" + parts).encode()


def mails(total: int) -> Iterator[bytes]:
    return (mail(n, total) for n in range(total))
