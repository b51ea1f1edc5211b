"""A Mail to an Interaction: identity, people, time, signals."""

from datetime import UTC, datetime

import pytest

from hub.api import Identifier, Interaction, RecordRejected
from hub.api.mail import Mail, normal_subject, parse_mime, to_interaction


def build(*headers: tuple[str, str], text: str = "Hello", **args: object) -> Interaction:
    base = [("From", "Ann Ash <Ann@Example.com>"), ("Date", "Mon, 1 Mar 2021 10:00:00 +0100")]
    names = {name for name, _ in headers}
    chosen = [*(h for h in base if h[0] not in names), *headers]
    return to_interaction(Mail(chosen, text), external_id="x1", **args)  # type: ignore[arg-type]


def people(interaction: Interaction) -> list[tuple[str, str, str]]:
    return [(p.role, p.identifier.value, p.name) for p in interaction.participants]


def test_whole_interaction() -> None:
    got = build(
        ("To", "Bob <bob@example.org>, BOB@example.org, Carl <carl@example.org>"),
        ("Cc", "bob@example.org"),
        ("Subject", "=?utf-8?q?Gr=C3=BC=C3=9Fe?="),
        ("Message-ID", "<Own.1@example.com>"),
        ("In-Reply-To", "bare@example.org"),
        ("References", "<r1@example.org> <r2@example.org>"),
        text="Yes.\n\nOn 1 Mar 2021 at 9:00, Bob wrote:\n> ok?",
        labels=("INBOX",),
        thread_refs=("gmail-thread:1a",),
        url="https://mail.example/1",
    )
    assert (got.kind, got.channel, got.external_id) == ("message", "email", "x1")
    assert got.occurred_at == datetime(2021, 3, 1, 9, tzinfo=UTC)
    assert got.zone == "+01:00"
    assert people(got) == [
        ("from", "ann@example.com", "Ann Ash"),
        ("to", "bob@example.org", "Bob"),
        ("to", "carl@example.org", "Carl"),
        ("cc", "bob@example.org", ""),
    ]
    assert got.participants[0].identifier == Identifier("email", "ann@example.com")
    assert got.subject == "Grüße"
    assert got.dedup_keys == ("message-id:Own.1@example.com",)
    assert got.thread_refs == (
        "message-id:Own.1@example.com",
        "message-id:r1@example.org",
        "message-id:r2@example.org",
        "message-id:bare@example.org",
        "gmail-thread:1a",
    )
    assert got.text == "Yes."
    assert got.body.endswith("> ok?")
    assert got.labels == ("INBOX",)
    assert got.signals == ()


def test_body_equal_to_text_is_not_kept_twice() -> None:
    assert build(text="Hello").body == ""


def test_no_message_id() -> None:
    got = build(("References", "<r1@example.org>"))
    assert got.dedup_keys == ()
    assert got.thread_refs == ("message-id:r1@example.org",)


LIST = (
    ("List-Post", "<mailto:users@lists.example>"),
    ("List-Id", "Users <users.lists.example>"),
    ("To", "users@lists.example"),
)


@pytest.mark.parametrize(
    ("extra", "sender"),
    [
        (
            (("Reply-To", "Dan Dee <Dan@Example.net>"), ("X-MailFrom", "other@example.net")),
            ("dan@example.net", "Dan Dee"),
        ),
        ((("Reply-To", "users@lists.example, dan@example.net"),), ("dan@example.net", "Dan")),
        ((("X-MailFrom", "dan@example.net"),), ("dan@example.net", "Dan")),
        ((("X-Original-From", "Dan D <dan@example.net>"),), ("dan@example.net", "Dan D")),
        ((("Cc", "dan@example.net"),), ("dan@example.net", "Dan")),
        ((), ("users@lists.example", "Dan")),
    ],
)
def test_true_sender_behind_a_list(extra: tuple[tuple[str, str], ...], sender: tuple[str, str]) -> None:
    got = build(("From", '"Dan via Users" <users@lists.example>'), *LIST, *extra)
    assert people(got)[0] == ("from", *sender)
    assert ("rewritten-from" in got.signals) == (sender[0] != "users@lists.example")
    assert "list:users@lists.example" in got.signals


def test_via_without_list_headers() -> None:
    got = build(
        ("From", "'Dan' via Sales <sales@example.com>"), ("To", "sales@example.com"), ("Reply-To", "dan@example.net")
    )
    assert people(got)[0] == ("from", "dan@example.net", "Dan")


def test_reply_to_of_an_ordinary_message_is_not_its_sender() -> None:
    got = build(("Reply-To", "other@example.net"), ("To", "bob@example.org"))
    assert people(got)[0][1] == "ann@example.com"
    newsletter = build(
        ("From", "News <news@brand.example>"), ("List-Id", "<news.brand.example>"), ("To", "bob@example.org"),
        ("Reply-To", "answers@brand.example"), ("List-Unsubscribe", "<https://brand.example/u>"),
    )  # fmt: skip
    assert people(newsletter)[0][1] == "news@brand.example"
    assert newsletter.signals == ("bulk",)


def test_list_id_names_the_list_when_it_was_written_to() -> None:
    assert "list:users@lists.example" in build(*LIST[1:]).signals


@pytest.mark.parametrize(
    ("headers", "signal"),
    [
        ([("List-Unsubscribe", "<mailto:x@example.com>")], "bulk"),
        ([("Precedence", "Bulk")], "bulk"),
        ([("Feedback-ID", "1:2:3:x")], "bulk"),
        ([("Auto-Submitted", "auto-replied")], "auto"),
        ([("X-Auto-Response-Suppress", "OOF, AutoReply")], "auto"),
        ([("Return-Path", "<>")], "auto"),
        ([("Precedence", "auto_reply")], "auto"),
        ([("Content-Type", 'multipart/report; report-type="delivery-status"; boundary=b')], "bounce"),
        ([("X-Failed-Recipients", "a@example.com")], "bounce"),
        ([("Date", "nonsense")], "undated"),
    ],
)
def test_signals(headers: list[tuple[str, str]], signal: str) -> None:
    assert signal in build(*headers).signals


def test_auto_submitted_no_is_a_person() -> None:
    assert build(("Auto-Submitted", "no")).signals == ()


def test_time_falls_back() -> None:
    received = ("Received", "from a by b; Tue, 2 Mar 2021 08:00:00 +0000")
    older = ("Received", "from c by a; Tue, 2 Mar 2021 07:00:00 +0000")
    bad = ("Date", "Mon, 31 Dec 1979 16:00:00 -0800")
    at = datetime(2022, 1, 1, tzinfo=UTC)
    assert build(bad, received, older).occurred_at == datetime(2021, 3, 2, 8, tzinfo=UTC)
    assert build(bad, received, received_at=at).occurred_at == at
    assert build(bad).occurred_at is None
    assert build(bad).zone == ""


def test_no_from() -> None:
    assert build(("From", ""), ("To", "bob@example.org")).participants[0].role == "to"
    assert build(("From", '"a"@b@c')).participants == ()


def test_header_injection_is_flattened() -> None:
    got = build(("Subject", "=?utf-8?q?hi=0D=0ABcc:_evil@example.net?="))
    assert "\n" not in got.subject
    assert "\r" not in got.subject


def test_forward_keeps_the_forwarded_words() -> None:
    body = "FYI\n\nFrom: Bob\nSent: Monday\nTo: Ann\nSubject: x\n\nthe news"
    assert "the news" in build(("Subject", "Fwd: x"), text=body).text
    assert "the news" not in build(("Subject", "Re: x"), text=body).text


def test_html_only() -> None:
    got = to_interaction(
        Mail([("From", "a@example.com")], html="<p>Hi</p><blockquote>old</blockquote>"), external_id="x"
    )
    assert got.text == "Hi"
    assert got.body == "Hi\n\n> old"


def test_a_message_must_look_like_one() -> None:
    with pytest.raises(RecordRejected):
        to_interaction(parse_mime(b"Foo: bar\n\nx"), external_id="x")


def test_subjects_of_a_thread_agree() -> None:
    assert normal_subject(build(("Subject", "Re: Plan")).subject) == normal_subject(build(("Subject", "Plan")).subject)
