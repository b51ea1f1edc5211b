"""The capture policy: each rule named, in this order, before anything is stored."""

from dataclasses import fields
from typing import Any

import pytest
from world import US, mail, who

from hub.api import Identifier, Interaction, Participation
from hub.landing import CAPTURE, CapturePolicy, Verdict, judge, without_content
from hub.own import Own

OWN = Own(frozenset({US}), frozenset({"sam@free.example"}), frozenset({f"help@{US}"}))
COLLEAGUES = {"sender": f"kim@{US}", "to": (f"sam@{US}",)}


def policy(**rules: Any) -> CapturePolicy:
    sets: dict[str, Any] = {k: frozenset(v) if isinstance(v, set) else v for k, v in rules.items()}
    return CapturePolicy(own=OWN, **sets)


def letter(**more: Any) -> Interaction:
    return mail("m1", **more)


# The order of this table is the order of the rules: each row beats all rows below it.
RULES: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("private", "private_label", {"private_labels": {"Personal"}}, {"labels": ("PERSONAL",)}),
    ("private", "marked_private", {}, {"signals": ("private",)}),
    ("exclude", "block_label", {"block_labels": {"Spam"}}, {"labels": ("spam",)}),
    ("exclude", "require_label", {"require_label": "Customers"}, {}),
    ("exclude", "block_address", {"block_addresses": {"ana@kestrel.example"}}, {}),
    ("exclude", "block_domain", {"block_domains": {"kestrel.example"}}, {}),
    ("exclude", "auto", {}, {"signals": ("auto",)}),
    ("exclude", "bulk", {}, {"signals": ("bulk",)}),
    ("exclude", "internal", {}, COLLEAGUES),
    ("metadata", "metadata_only", {"metadata_only": True}, {}),
    ("metadata", "metadata_only_domain", {"metadata_only_domains": {"kestrel.example"}}, {}),
]


@pytest.mark.parametrize(("action", "rule", "rules", "of_mail"), RULES, ids=[r[1] for r in RULES])
def test_each_rule_is_named(action: Any, rule: str, rules: dict[str, Any], of_mail: dict[str, Any]) -> None:
    assert judge(policy(**rules), letter(**of_mail)) == Verdict(action, rule)


def test_without_a_rule_mail_is_captured() -> None:
    assert judge(policy(), letter()) == CAPTURE
    every = {k: v for _, _, rules, _ in RULES for k, v in rules.items() if k not in {"require_label", "metadata_only"}}
    other = letter(sender="bo@other.example", labels=("INBOX",))
    assert judge(policy(**every), other) == CAPTURE


@pytest.mark.parametrize("first", range(len(RULES)))
def test_the_first_rule_that_applies_is_the_one_named(first: int) -> None:
    rules: dict[str, Any] = {}
    of_mail: dict[str, Any] = {"labels": (), "signals": ()}
    for _, _, some, more in RULES[first:]:
        rules |= some
        of_mail["labels"] += more.get("labels", ())
        of_mail["signals"] += more.get("signals", ())
    of_mail = {k: v for k, v in of_mail.items() if v}
    if RULES[first][1] == "internal":
        of_mail |= COLLEAGUES
    assert judge(policy(**rules), letter(**of_mail)).rule == RULES[first][1]


@pytest.mark.parametrize("setting", ["exclude", "keep", "metadata"])
def test_bulk_mail_is_left_out_kept_or_reduced(setting: Any) -> None:
    expected = {"exclude": Verdict("exclude", "bulk"), "keep": CAPTURE, "metadata": Verdict("metadata", "bulk")}
    assert judge(policy(bulk=setting), letter(signals=("bulk",))) == expected[setting]


@pytest.mark.parametrize("signal", ["auto", "bounce"])
def test_automatic_answers_may_be_kept(signal: str) -> None:
    assert judge(policy(), letter(signals=(signal,))) == Verdict("exclude", "auto")
    assert judge(policy(auto="keep"), letter(signals=(signal,))) == CAPTURE


def test_internal_mail_may_be_kept() -> None:
    assert judge(policy(internal="keep"), letter(**COLLEAGUES)) == CAPTURE


def test_an_own_list_is_conversation_not_bulk() -> None:
    bulk = ("bulk", f"list:help@{US}")
    assert judge(policy(), letter(to=(f"help@{US}",), signals=bulk)) == CAPTURE
    assert judge(policy(), letter(to=(f"sam@{US}",), signals=bulk)) == CAPTURE
    assert judge(policy(), letter(to=(f"HELP@{US}",), signals=("bulk",))) == CAPTURE
    assert judge(policy(), letter(signals=("bulk", f"list:HELP@{US}"))) == CAPTURE
    assert judge(policy(), letter(signals=("bulk", "list:news@shop.example"))).rule == "bulk"


def test_a_colleague_writing_to_an_own_list_is_not_internal() -> None:
    assert judge(policy(), letter(sender=f"kim@{US}", to=(f"help@{US}",))) == CAPTURE


def test_addresses_are_compared_whatever_their_case() -> None:
    shouted = letter(sender=" Ana@KESTREL.example")
    assert judge(policy(block_addresses={"ana@kestrel.example"}), shouted).rule == "block_address"
    assert judge(policy(block_domains={"kestrel.example"}), shouted).rule == "block_domain"
    assert judge(policy(metadata_only_domains={"kestrel.example"}), shouted).rule == "metadata_only_domain"
    assert judge(policy(), letter(sender=f"KIM@{US.upper()}", to=(f" Sam@{US}",))).rule == "internal"


def test_a_blocked_domain_covers_what_lies_below_it_and_nothing_else() -> None:
    rules = policy(block_domains={"kestrel.example"})
    assert judge(rules, letter(sender="a@mail.kestrel.example")).rule == "block_domain"
    assert judge(rules, letter(sender="a@notkestrel.example")) == CAPTURE
    assert judge(rules, letter(sender="a@kestrel.example.org")) == CAPTURE


def test_anybody_in_the_mail_can_be_the_blocked_one() -> None:
    rules = policy(block_addresses={"lawyer@firm.example"})
    assert judge(rules, letter(cc=("lawyer@firm.example",))).rule == "block_address"


def test_own_addresses_elsewhere_are_internal_too() -> None:
    assert judge(policy(), letter(sender="sam@free.example", to=(f"kim@{US}",))).rule == "internal"


def test_an_interaction_without_addresses_is_no_internal_mail() -> None:
    assert judge(policy(), letter(participants=())) == CAPTURE


def test_the_envelope_has_no_words_of_the_mail() -> None:
    from hub.api import Attachment

    full = letter(body="All of it", attachments=(Attachment(external_id="1", filename="secret.pdf"),))
    kept = without_content(full)
    assert (kept.subject, kept.text, kept.body, kept.attachments) == ("", "", "", ())
    assert kept.participants == full.participants
    assert kept.occurred_at == full.occurred_at


def test_every_change_of_the_policy_changes_its_digest() -> None:
    changed: dict[str, Any] = {
        "own": Own(frozenset({US})), "internal": "keep", "bulk": "metadata", "auto": "keep", "require_label": "x",
        "metadata_only": True,
    }  # fmt: skip
    seen = {policy().digest()}
    for f in fields(CapturePolicy):
        value = changed.get(f.name, frozenset({"x"}))
        seen.add(CapturePolicy(**({"own": OWN} | {f.name: value})).digest())
    assert len(seen) == len(fields(CapturePolicy)) + 1
    one = CapturePolicy(own=Own(frozenset({"b.example", "a.example"})), block_labels=frozenset({"y", "x"}))
    two = CapturePolicy(own=Own(frozenset({"a.example", "b.example"})), block_labels=frozenset({"x", "y"}))
    assert one.digest() == two.digest()


@pytest.mark.parametrize("label", ["Private", "private/family", "PRIVATE/Family/School"])
def test_a_nested_label_counts_as_the_ones_it_lies_in(label: str) -> None:
    assert judge(policy(private_labels={"private"}), letter(labels=(label,))).rule == "private_label"
    assert judge(policy(private_labels={"private/family"}), letter(labels=("private",))) == CAPTURE
    assert judge(policy(private_labels={"priv"}), letter(labels=(label,))) == CAPTURE


@pytest.mark.parametrize(
    ("scheme", "role", "is_kept"),
    [
        ("phone", "from", True), ("acorn:people", "attendee", True), ("acorn:people", "about", True),
        ("acorn:people", "requester", True), ("acorn:users", "agent", False), ("acorn:users", "organizer", False),
    ],
)  # fmt: skip
def test_a_customer_named_without_an_address_makes_it_no_internal_matter(scheme: str, role: Any, is_kept: bool) -> None:
    """A call to our desk, and a meeting whose guests a tool names by number, are the customer's."""
    customer = Participation(identifier=Identifier(scheme, "77"), role=role)
    sent = letter(participants=(who(f"sam@{US}", "to"), customer))
    assert (judge(policy(), sent) == CAPTURE) is is_kept
