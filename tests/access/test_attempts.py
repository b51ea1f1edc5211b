"""Guessing is slowed down; being guessed at locks nobody out."""

import threading

import pytest
import sqlalchemy as sa
from door import ADDRESS, PASSWORD, People
from hypothesis import given
from hypothesis import strategies as st

from hub.access import SignInRefused, attempts
from hub.access.attempts import ACCOUNT_FREE, PLACE_FREE, REFUSED, TOO_MANY, WAITS, place_of
from hub.store.tables_access import attempt

EVIL = "198.51.100.66"


def fail(
    people: People, email: str = "ana@ourco.example", address: str = EVIL, password: str = "wrong, all wrong"
) -> SignInRefused:
    with pytest.raises(SignInRefused) as caught:
        people.sign_in(email, password, address=address)
    return caught.value


def test_the_answer_is_the_same_whatever_was_wrong(people: People) -> None:
    from door import ROOT

    from hub.access import accounts

    people.make("root@ourco.example", "admin")
    people.make()
    people.make("new@ourco.example", password="")
    gone = people.make("gone@ourco.example")
    people.write(accounts.disable, ROOT, gone.id)
    refusals = [
        fail(people), fail(people, "nobody@ourco.example"), fail(people, "new@ourco.example"), fail(people, "not an address"),
        fail(people, "gone@ourco.example", password=PASSWORD), fail(people, ""), fail(people, "\ud800@x\0"),
    ]  # fmt: skip
    assert {(r.message, r.retry_after_s) for r in refusals} == {(REFUSED, None)}


@pytest.mark.parametrize("email", ["ana@ourco.example", "nobody@ourco.example"])
def test_after_five_failures_the_next_try_waits_longer_each_time_to_a_quarter_of_an_hour(
    people: People, email: str
) -> None:
    people.make()
    for n in range(ACCOUNT_FREE):
        assert fail(people, email, f"192.0.2.{n}").message == REFUSED
    waited = []
    for _ in range(12):
        early = fail(people, email.upper(), "192.0.2.99", PASSWORD)  # not even the right one
        assert early.message == TOO_MANY
        assert early.retry_after_s is not None
        waited.append(int(early.retry_after_s))
        people.clock.advance(waited[-1] - 1)
        assert fail(people, email, "192.0.2.99").retry_after_s == 1
        people.clock.advance(1)
        assert fail(people, email, f"192.0.2.{len(waited) % 3}").message == REFUSED
    assert waited == sorted(waited)
    assert sorted(set(waited)) == [int(w.total_seconds()) for w in WAITS]
    assert waited[-3:] == [900, 900, 900]


def test_success_takes_the_failures_away(people: People) -> None:
    people.make()
    for _ in range(3):
        for _ in range(ACCOUNT_FREE - 1):
            fail(people, address=ADDRESS)
        people.sign_in()
    assert fail(people, address=ADDRESS).message == REFUSED


def test_one_failure_is_forgotten_every_quarter_of_an_hour(people: People) -> None:
    people.make()
    for _ in range(ACCOUNT_FREE):
        fail(people)
    people.clock.advance(15 * 60)
    assert fail(people).message == REFUSED
    assert fail(people).message == TOO_MANY  # four and one are five again
    people.clock.advance(15 * 60 * ACCOUNT_FREE)
    for _ in range(ACCOUNT_FREE - 1):
        assert fail(people).message == REFUSED
    people.sign_in(address=EVIL)


def test_an_office_that_mistypes_all_day_is_not_kept_out(people: People) -> None:
    people.make()
    for n in range(200):
        assert fail(people, f"u{n}@ourco.example", ADDRESS).message == REFUSED
        people.clock.advance(16 * 60)
        people.sign_in()


def test_guessing_as_fast_as_allowed_is_a_hundred_guesses_a_day(people: People) -> None:
    people.make()
    guesses, until = 0, people.clock.now().timestamp() + 86_400
    while people.clock.now().timestamp() < until:
        refused = fail(people, address=f"192.0.2.{guesses % 200}")
        guesses += refused.message == REFUSED
        people.clock.advance(refused.retry_after_s or 0)
    assert guesses <= 96 + ACCOUNT_FREE + len(WAITS)


def test_who_is_guessed_at_for_ever_still_gets_in_from_where_they_have_been(people: People) -> None:
    people.make()
    people.sign_in()
    for n in range(60):
        people.clock.advance(450)
        fail(people, address=f"192.0.2.{n}")
    assert fail(people, address="192.0.2.200", password=PASSWORD).message == TOO_MANY
    assert people.sign_in()
    for _ in range(ACCOUNT_FREE):
        fail(people, address=ADDRESS)
    assert fail(people, address=ADDRESS, password=PASSWORD).message == TOO_MANY  # a count of its own, not none
    people.clock.advance(16)
    assert people.sign_in()
    people.clock.advance(31 * 86_400)
    for n in range(ACCOUNT_FREE):
        fail(people, address=f"192.0.2.{n}")
    assert fail(people, address=ADDRESS, password=PASSWORD).message == TOO_MANY  # known for 30 days


def test_one_place_cannot_try_one_password_on_everybody(people: People) -> None:
    people.make("eve@ourco.example")
    for n in range(PLACE_FREE - 1):
        assert fail(people, f"u{n}@ourco.example", "2001:db8:1:2::1").message == REFUSED
        people.sign_in(
            "eve@ourco.example", address="2001:db8:1:2:ffff::9"
        )  # the same subscriber; success resets nothing
    assert fail(people, "one-more@ourco.example", "2001:db8:1:2::3").message == REFUSED
    assert fail(people, "another@ourco.example", "2001:db8:1:2:3::4").message == TOO_MANY
    assert fail(people, "another@ourco.example", "2001:db8:1:3::4").message == REFUSED


def test_many_at_once_are_no_more_than_one_after_the_other(people: People) -> None:
    people.make()
    said: list[str] = []

    def guess() -> None:
        try:
            people.sign_in(password="wrong, all wrong", address=EVIL)
        except SignInRefused as exc:
            said.append(exc.message)

    guessers = [threading.Thread(target=guess) for _ in range(12)]
    for each in guessers:
        each.start()
    for each in guessers:
        each.join()
    assert (said.count(REFUSED), said.count(TOO_MANY)) == (ACCOUNT_FREE, 7)


def test_what_no_longer_counts_is_swept(people: People) -> None:
    people.make()
    people.sign_in()
    fail(people, "nobody@ourco.example")
    people.clock.advance(900)
    people.door.sweep()
    with people.store.read() as c:
        assert [r.known_until is not None for r in c.execute(sa.select(attempt))] == [True]
    people.clock.advance(30 * 86_400)
    people.door.sweep()
    with people.store.read() as c:
        assert c.execute(sa.select(attempt)).first() is None


def test_only_hashes_of_addresses_are_kept(people: People) -> None:
    fail(people, "typed-a-password-here@x.example")
    with people.store.read() as c:
        kept = repr(c.execute(sa.select(attempt)).all())
    assert EVIL not in kept
    assert "typed" not in kept


@pytest.mark.parametrize(("address", "place"), [
    ("203.0.113.7", "203.0.113.7"), ("::ffff:203.0.113.7", "203.0.113.7"), ("2001:db8::1", "2001:db8::/64"),
    ("fe80::1%eth0", "fe80::/64"), ("", "unknown"), ("unix:", "unknown"), ("203.0.113.7, 10.0.0.1", "unknown"),
])  # fmt: skip
def test_places(address: str, place: str) -> None:
    assert place_of(address) == place


@given(st.text())
def test_any_text_is_some_place(address: str) -> None:
    assert place_of(address)
    assert attempts.KNOWN > attempts.FORGOTTEN
