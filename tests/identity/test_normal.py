"""Match keys: what counts as the same address, domain or number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.identity import email_match, free_domains, registrable_domain, role_localparts
from hub.identity.normal import email
from hub.own import Own, is_list, is_no_reply


@pytest.mark.parametrize(
    ("address", "match"),
    [
        ("ana@kestrel.example", "ana@kestrel.example"), ("ana+news@kestrel.example", "ana@kestrel.example"),
        ("ana+a+b@kestrel.example", "ana@kestrel.example"), ("a.na@kestrel.example", "a.na@kestrel.example"),
        ("a.n.a+x@gmail.com", "ana@gmail.com"), ("ana@googlemail.com", "ana@gmail.com"),
        ("+ana@kestrel.example", "+ana@kestrel.example"), ("+@kestrel.example", "+@kestrel.example"),
        ("...@gmail.com", "...@gmail.com"), ("@gmail.com", "@gmail.com"), ("no address", "no address"), ("", ""),
        ('"a@b"@kestrel.example', '"a@b"@kestrel.example'),
    ],
)  # fmt: skip
def test_the_match_key_of_an_address(address: str, match: str) -> None:
    assert email_match(address) == match


def test_plus_and_dots_can_be_told_apart_by_configuration() -> None:
    assert email_match("a.na+x@gmail.com", strip_plus=False) == "ana+x@gmail.com"
    assert email_match("a.na+x@gmail.com", gmail_dots=False) == "a.na@gmail.com"
    here = frozenset({"kestrel.example"})
    assert email_match("ana+x@eu.kestrel.example", plus_counts_at=here) == "ana+x@eu.kestrel.example"
    assert email_match("ana+x@evil-kestrel.example", plus_counts_at=here) == "ana@evil-kestrel.example"


@given(st.emails())
def test_a_match_key_matches_itself(address: str) -> None:
    once = email_match(email(address))
    assert email_match(once) == once
    assert email_match(email(address.upper())) == email_match(email(address.upper().lower()))


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("kestrel.example", "kestrel.example"), ("mail.eu.kestrel.example", "kestrel.example"),
        ("mail.example.co.uk", "example.co.uk"), ("co.uk", ""), ("localhost", ""), ("", ""), ("192.0.2.7", ""),
        ("a" * 300 + ".example", ""), ("kestrel.com", "kestrel.com"), ("x.kestrel.com", "kestrel.com"),
    ],
)  # fmt: skip
def test_the_part_of_a_host_somebody_registered(host: str, domain: str) -> None:
    assert registrable_domain(host) == domain


def test_the_policy_lists_are_there() -> None:
    assert {"gmail.com", "outlook.com", "gmx.de"} <= free_domains()
    assert {"info", "sales", "support", "billing"} <= role_localparts()
    assert all(d == d.lower() and "@" not in d for d in free_domains() | role_localparts())


@pytest.mark.parametrize(
    ("address", "is_one"),
    [
        ("no-reply@x.example", True), ("noreply@x.example", True), ("do-not-reply@x.example", True),
        ("shop.no_reply@x.example", True), ("bounce@x.example", True), ("bounces+1=2@x.example", True),
        ("MAILER-DAEMON@x.example", True), ("nobody@x.example", True), ("norely@x.example", False),
        ("reply@x.example", False), ("ana@no-reply.example", False),
    ],
)  # fmt: skip
def test_addresses_nobody_reads(address: str, is_one: bool) -> None:
    assert is_no_reply(address) is is_one


@pytest.mark.parametrize(
    ("address", "is_one"),
    [
        ("dev@lists.kestrel.example", True),
        ("dev@googlegroups.com", True),
        ("dev@listening.example", False),
        ("lists@x.example", False),
    ],
)
def test_hosts_that_say_they_are_a_mailing_lists(address: str, is_one: bool) -> None:
    assert is_list(address) is is_one


@pytest.mark.parametrize(
    ("address", "side"),
    [
        ("sam@ourco.example", "own"), ("SAM@EU.OURCO.EXAMPLE", "own"), ("sam@notourco.example", "external"),
        ("sam@ourco.example.org", "external"), ("sam@free.example", "own"), ("other@free.example", "external"),
        ("help@ourco.example", "list"), ("Help@OURCO.example", "list"), ("", "external"), ("sam", "external"),
        ("sam@ourco.example.", "own"), ("help@ourco.example.", "list"), ("sam@free.example.", "own"),
        ("sam@EU.Bürocö.example", "own"), ("sam@xn--broc-8qa6a.example", "own"), ("sam@bürocö。example", "own"),
        ("desk@bürocö.example", "list"), ("sam@bu\u0308roco\u0308.example", "own"), ("sam@burocö.example", "external"),
        ("sam@.", "external"), ("sam@..example", "external"),
    ],
)  # fmt: skip
def test_on_which_side_of_the_table_an_address_sits(address: str, side: str) -> None:
    """A host is one host with a dot at its end, in another script's dots, and as DNS writes it ("xn--")."""
    own = Own(
        frozenset({"ourco.example", "bürocö.example"}), frozenset({"sam@free.example"}),
        frozenset({"help@ourco.example", "desk@xn--broc-8qa6a.example"}),
    )  # fmt: skip
    assert own.side(address) == side
    assert own.plus(frozenset({"other@free.example"})).side("other@free.example") == "own"
