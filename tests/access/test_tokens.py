"""Tokens for programs: their form, what they are worth, when they end."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from door import ROOT, START, People

from hub.access import Forbidden, Invalid, Viewer, accounts, roles, tokens
from hub.access.keys import new_code, new_token, read_code, read_token
from hub.store.tables_access import account, api_token


def make(people: People, *scopes: str, **more: object) -> tuple[str, tokens.Token]:
    ana = people.make()
    made: tuple[str, tokens.Token] = people.write(
        tokens.create, ROOT, ana.id, "nightly export", scopes or ("customers.read",), **more
    )
    return made


def test_a_token_is_told_from_anything_else_by_its_form() -> None:
    number, token = new_token()
    assert len(token) == 5 + 8 + 1 + 32 + 6
    assert read_token(token) == number
    assert new_token()[1] != token


def test_a_token_with_one_sign_wrong_is_none() -> None:
    _, token = new_token()
    for at, right in enumerate(token):
        for wrong in {"0", "a", "Z", "_", "-", "\n", " ", "\u00e9"} - {right}:
            assert read_token(token[:at] + wrong + token[at + 1 :]) is None
    for wrong in (token + "a", token[:-1], " " + token, token + "\n"):
        assert read_token(wrong) is None


def test_codes_survive_being_typed() -> None:
    code = new_code()
    assert len(code) == 29
    assert read_code(f" {code.lower().replace('-', ' ')}\n") == code
    assert read_code("\ud800") == ""


def test_a_bearer_is_the_owner_with_less(people: People) -> None:
    token, kept = make(people, "customers.read", "identity.decide")
    bearer = people.door.bearer(token)
    assert bearer is not None
    assert bearer.permissions == {"customers.read", "identity.decide"}
    assert (bearer.account_id, bearer.name, bearer.via) == (kept.account_id, "ana", f"token {kept.id}")
    assert bearer.sees.mailbox == "ana@ourco.example"
    assert not bearer.sees.everything


def test_a_token_is_never_worth_more_than_its_owner_may_do_at_that_moment(people: People) -> None:
    people.make("root@ourco.example", "admin")
    token, kept = make(people, "customers.read", "identity.decide", "plans.propose")
    people.write(accounts.set_roles, ROOT, kept.account_id, ["viewer"])
    bearer = people.door.bearer(token)
    assert bearer is not None
    assert bearer.permissions == {"customers.read"}
    people.write(accounts.set_roles, ROOT, kept.account_id, ["admin"])
    bearer = people.door.bearer(token)
    assert bearer is not None
    assert bearer.permissions == {
        "customers.read",
        "identity.decide",
        "plans.propose",
    }  # nor more than it was made with


def test_nobody_gives_a_token_what_they_or_its_owner_may_not(people: People) -> None:
    ana = people.make()
    with pytest.raises(Invalid, match=r"users\.manage is more than ana@ourco\.example may do.*customers\.read"):
        people.write(tokens.create, ROOT, ana.id, "x", ["users.manage"])
    narrow = Viewer(
        ana.id, "ana", frozenset({"tokens.own", "health.read"}), ana.viewer().sees, ana.public_id, "token x"
    )
    with pytest.raises(Invalid, match="one of: health.read, tokens.own"):
        people.write(tokens.create, narrow, ana.id, "x", ["customers.read"])
    ben = people.make("ben@ourco.example", "admin")
    with pytest.raises(Forbidden, match="made by its owner"):
        people.write(tokens.create, ben.viewer(), ana.id, "x", ["health.read"])
    nothing = Viewer(ana.id, "ana", frozenset({"health.read"}), ana.viewer().sees)
    with pytest.raises(Forbidden, match=r"tokens\.own"):
        people.write(tokens.create, nothing, ana.id, "x", ["health.read"])
    assert people.write(tokens.create, ana.viewer(), ana.id, "x", ["health.read"])


@pytest.mark.parametrize(("more", "said"), [
    ({"lasts": timedelta(days=366)}, "days must be 1 to 365"), ({"lasts": timedelta(0)}, "days must be"),
    ({"lasts": timedelta(days=-1)}, "days must be"),
])  # fmt: skip
def test_how_long_one_lasts(people: People, more: dict[str, timedelta], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        make(people, **more)


def test_names_and_scopes_are_needed(people: People) -> None:
    ana = people.make()
    for name, scopes, said in (
        ("", ["health.read"], "name"),
        ("x" * 65, ["health.read"], "name"),
        ("x", [], "scope"),
        ("x", ["a.b"], "scope"),
    ):
        with pytest.raises(Invalid, match=f"^{said} "):
            people.write(tokens.create, ROOT, ana.id, name, scopes)


def test_it_ends_after_ninety_days_or_when_it_was_said(people: People) -> None:
    token, kept = make(people)
    assert kept.expires_at - kept.created_at == timedelta(days=90)
    people.clock.advance(90 * 86_400 - 1)
    assert people.door.bearer(token)
    assert kept.state(people.clock.now()) == "live"
    people.clock.advance(1)
    assert people.door.bearer(token) is None
    assert kept.state(people.clock.now()) == "expired"


def test_a_token_left_over_of_a_disabled_account_opens_nothing(people: People) -> None:
    token, _ = make(people)
    with people.store.write() as c:
        c.execute(sa.update(account).values(is_active=False))
    assert people.door.bearer(token) is None


def test_it_is_revoked_by_its_owner_or_an_admin(people: People) -> None:
    token, kept = make(people)
    ben = people.make("ben@ourco.example")
    for other in (kept.id, "nosuchid"):
        with pytest.raises(Forbidden, match=r"users\.manage"):
            people.write(tokens.revoke, ben.viewer(), other)
    assert people.door.bearer(token)
    with people.store.read() as c:
        ana = accounts.get(c, kept.account_id)
    people.write(tokens.revoke, ana.viewer(), kept.id)
    assert people.door.bearer(token) is None
    for twice in (kept.id, "nosuchid"):
        with pytest.raises(Invalid, match="was revoked already|is not there"):
            people.write(tokens.revoke, ROOT, twice)
    with people.store.read() as c:
        assert [t.state(people.clock.now()) for t in tokens.listed(c, ana.id)] == ["revoked"]
        assert tokens.listed(c, ben.id) == []
    assert people.acts()[-2:] != ["token-revoked"] * 2


def test_only_its_hash_is_kept_and_its_use_is_written_at_most_once_a_minute(people: People) -> None:
    token, kept = make(people)
    used = []
    for seconds in (0, 59, 1, 59):
        people.clock.advance(seconds)
        people.door.bearer(token)
        with people.store.read() as c:
            row = c.execute(sa.select(api_token)).one()
        used.append(row.used_at // 10**6 - int(START.timestamp()))
    assert used == [0, 0, 60, 60]
    assert token not in repr(row)
    assert token.split("_")[2] not in repr(row)
    assert kept.id in repr(row)


def test_a_good_form_with_a_known_id_and_another_secret_opens_nothing(people: People) -> None:
    from hub.access import keys

    token, kept = make(people)
    start = f"ihub_{kept.id}_{'A' * 32}"
    forged = start + keys._checksum(start)
    assert read_token(forged) == kept.id
    assert people.door.bearer(forged) is None
    for odd in ("", "Bearer x", token.upper(), "\ud800", new_token()[1]):
        assert people.door.bearer(odd) is None
    assert roles.TOKENS_OWN in roles.ALL
