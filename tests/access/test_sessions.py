"""Sessions: made anew at sign-in, ended by time, by people and with their account; forms and proofs."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from databases import on_sqlite
from door import ADDRESS, PASSWORD, ROOT, START, People

from hub.access import Forbidden, ProofNeeded, Session, SignInRefused, accounts, sessions
from hub.store import Store
from hub.store.tables_access import account, session


def visit(people: People, cookie: str) -> Session:
    found = people.door.visit(cookie)
    assert found is not None
    return found.session


def test_the_id_is_made_anew_at_sign_in_and_the_old_one_is_worth_nothing(people: People) -> None:
    ana = people.make()
    planted = people.door.stranger(ADDRESS, "Firefox")
    before = people.door.visit(planted)
    assert before is not None
    assert (before.account, before.viewer) == (None, None)
    cookie = people.sign_in(cookie=planted, agent="Firefox " + "x" * 400)
    assert cookie != planted
    assert people.door.visit(planted) is None
    after = people.door.visit(cookie)
    assert after is not None
    assert after.viewer == ana.viewer()
    assert (after.session.method, after.session.address, len(after.session.agent)) == ("password", ADDRESS, 256)
    assert before.session.csrf != after.session.csrf


def test_only_the_hash_of_an_id_is_kept(people: People) -> None:
    people.make()
    cookie = people.sign_in()
    csrf = visit(people, cookie).csrf
    with people.store.read() as c:
        kept = repr(c.execute(sa.select(session)).all())
    assert len(cookie) == 43
    assert cookie not in kept
    assert csrf not in kept
    assert csrf not in cookie


@pytest.mark.parametrize(("step", "steps", "alive"), [
    (timedelta(hours=11, minutes=59), 14, True), (timedelta(hours=12), 1, False), (timedelta(hours=11), 16, False),
])  # fmt: skip
def test_twelve_hours_unused_or_seven_days_in_all(people: People, step: timedelta, steps: int, alive: bool) -> None:
    people.make()
    cookie = people.sign_in()
    for _ in range(steps):
        people.clock.advance(step.total_seconds())
        last = people.door.visit(cookie)
    assert (last is not None) == alive
    people.clock.advance(12 * 3600)
    people.door.sweep()
    with people.store.read() as c:
        assert c.execute(sa.select(session)).first() is None


def test_a_stranger_s_session_lasts_an_hour(people: People) -> None:
    cookie = people.door.stranger()
    people.clock.advance(3599)
    assert people.door.visit(cookie) is not None
    people.clock.advance(1)
    assert people.door.visit(cookie) is None


@on_sqlite
def test_being_seen_is_written_at_most_once_a_minute(people: People) -> None:
    people.make()
    cookie = people.sign_in()
    seen = []
    for seconds in (0, 59, 1, 30, 29, 1):
        people.clock.advance(seconds)
        people.door.visit(cookie)
        with people.store.read() as c:
            seen.append(c.execute(sa.select(session.c.seen_at)).scalar_one() // 10**6 - int(START.timestamp()))
    assert seen == [0, 0, 60, 60, 60, 120]


def test_sessions_are_listed_and_ended_one_or_all(people: People) -> None:
    ana = people.make()
    ben = people.make("ben@ourco.example")
    cookies = [people.sign_in() for _ in range(3)]
    theirs = people.sign_in("ben@ourco.example")
    with people.store.read() as c:
        listed = sessions.of_account(c, ana.id, people.clock.now())
    assert {s.id for s in listed} == {visit(people, k).id for k in cookies}
    assert all(s.csrf == "" for s in listed)
    one = visit(people, cookies[0]).id
    assert people.write(accounts.end_sessions, ana.viewer(), ana.id, only=one) == 1
    assert people.door.visit(cookies[0]) is None
    assert people.write(accounts.end_sessions, ana.viewer(), ana.id, but=cookies[1]) == 1
    assert people.door.visit(cookies[1]) is not None
    with pytest.raises(Forbidden):
        people.write(accounts.end_sessions, ben.viewer(), ana.id)
    assert people.write(accounts.end_sessions, ben.viewer(), ben.id, only=visit(people, cookies[1]).id) == 0
    assert people.write(accounts.end_sessions, ROOT, ana.id) == 1
    assert people.door.visit(theirs) is not None
    people.door.sign_out(theirs)
    assert people.door.visit(theirs) is None
    people.door.sign_out(theirs)  # twice is no error
    assert people.acts().count("sign-out") == 1


def test_a_session_left_over_of_a_disabled_account_opens_nothing(people: People) -> None:
    people.make()
    cookie = people.sign_in()
    with people.store.write() as c:
        c.execute(sa.update(account).values(is_active=False))
    assert people.door.visit(cookie) is None


def test_a_form_has_to_come_from_a_page_of_this_session(people: People) -> None:
    people.make()
    one, two = visit(people, people.sign_in()), visit(people, people.sign_in())
    assert one.has_csrf(one.csrf)
    for wrong in (two.csrf, "", one.csrf[:-1], one.csrf + "x", "\ud800"):
        assert not one.has_csrf(wrong)
    with people.store.read() as c:
        [listed, _] = sessions.of_account(c, one.account_id or 0, people.clock.now())
    assert not listed.has_csrf("")


def test_some_acts_ask_for_a_proof_that_is_ten_minutes_old_at_most(people: People) -> None:
    people.make()
    cookie = people.sign_in()
    visit(people, cookie).must_be_fresh(people.clock.now())
    people.clock.advance(600)
    with pytest.raises(ProofNeeded, match="sign in again"):
        visit(people, cookie).must_be_fresh(people.clock.now())
    with pytest.raises(SignInRefused):
        people.door.prove(cookie, "not it, not it")
    assert not visit(people, cookie).is_fresh(people.clock.now())
    before = visit(people, cookie)
    anew = people.door.prove(cookie, PASSWORD, address=ADDRESS)
    assert people.door.visit(cookie) is None  # made anew, as at sign-in
    after = visit(people, anew)
    assert after.is_fresh(people.clock.now())
    assert (after.id, after.expires_at) == (before.id, before.expires_at)  # the same session, with the same end
    stranger = people.door.stranger()
    with pytest.raises(SignInRefused):
        people.door.prove(stranger, PASSWORD)
    with pytest.raises(ProofNeeded):
        visit(people, stranger).must_be_fresh(people.clock.now())


def test_cookies_that_are_none(people: People, store: Store) -> None:
    people.make()
    people.sign_in()
    for odd in ("", "x", "\0", "\ud800", "' or 1=1 --", "x" * 100_000):
        assert people.door.visit(odd) is None
    with store.read() as c:
        assert c.execute(sa.select(sa.func.count()).select_from(session)).scalar() == 1
