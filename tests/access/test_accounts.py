"""Accounts, from the first one on: codes, roles, disabling; what ends with what, and what is written down."""

import threading

import pytest
import sqlalchemy as sa
from door import PASSWORD, ROOT, START, People

from hub.access import (
    Door,
    Forbidden,
    Invalid,
    Passwords,
    Sees,
    SignInRefused,
    Viewer,
    accounts,
    ledger,
    roles,
    sessions,
    tokens,
)
from hub.store import Store
from hub.store.tables_access import account, account_code


def test_the_first_account_is_made_with_a_code_and_is_an_admin(people: People) -> None:
    code = people.write(accounts.first_code, ROOT)
    typed = code.lower().replace("-", " ")
    signed = people.door.set_up(typed, " Ana@OurCo.example ", "Ana Silva", PASSWORD)
    assert (signed.account.email, signed.account.roles, signed.account.name) == (
        "ana@ourco.example",
        ("admin",),
        "Ana Silva",
    )
    visit = people.door.visit(signed.cookie)
    assert visit is not None
    assert visit.viewer == signed.account.viewer()
    assert people.acts() == ["account-code", "account-made", "account-password", "sign-in"]
    for again in (code, people.write):
        with pytest.raises(Invalid, match="code|exist already"):
            if again is code:
                people.door.set_up(code, "eve@ourco.example", "Eve", PASSWORD)
            else:
                people.write(accounts.first_code, ROOT)


def test_a_set_up_code_makes_one_account_however_many_use_it_at_once(people: People) -> None:
    code = people.write(accounts.first_code, ROOT)
    made: list[str] = []

    def race(email: str) -> None:
        try:
            made.append(people.door.set_up(code, email, "First", PASSWORD).account.email)
        except Invalid as exc:
            made.append(exc.field)

    racers = [threading.Thread(target=race, args=(f"a{n}@ourco.example",)) for n in range(4)]
    for each in racers:
        each.start()
    for each in racers:
        each.join()
    assert sorted(made)[1:] == ["code"] * 3
    with people.store.read() as c:
        assert len(accounts.listed(c)) == 1


def test_a_newer_set_up_code_makes_the_older_one_worthless(people: People) -> None:
    old, new = people.write(accounts.first_code, ROOT), people.write(accounts.first_code, ROOT)
    with pytest.raises(Invalid, match="code is wrong"):
        people.door.set_up(old, "ana@ourco.example", "Ana", PASSWORD)
    assert people.door.set_up(new, "ana@ourco.example", "Ana", PASSWORD).account.roles == ("admin",)


def test_whoever_gets_an_account_sets_the_password_with_a_code(people: People) -> None:
    with people.store.write() as c:
        made, code = accounts.create(c, ROOT, "Ben@ourco.example", "", ["agent", "operator"], START)
    assert (made.name, made.has_password, made.roles) == ("ben", False, ("agent", "operator"))
    with pytest.raises(SignInRefused):
        people.sign_in("ben@ourco.example")
    with pytest.raises(Invalid, match="password has 5 characters"):
        people.door.with_code(code, "short")
    with pytest.raises(Invalid, match="own address or name"):
        people.door.with_code(code, "ben@ourco.example")
    signed = people.door.with_code(code, PASSWORD)  # a refused password has not used the code up
    assert signed.account.has_password
    with pytest.raises(Invalid, match="wrong, was used, or is older"):
        people.door.with_code(code, PASSWORD)
    assert people.sign_in("BEN@ourco.example")


def test_codes_last_a_day_and_are_kept_as_hashes_only(people: People) -> None:
    people.make(password="")
    with people.store.write() as c:
        [ana] = accounts.listed(c)
        code = accounts.code(c, ROOT, ana.id, people.clock.now())
        kept = c.execute(sa.select(account_code.c.hash)).scalars().all()
    assert len(kept) == 1
    assert code.encode() not in bytes(kept[0])
    people.clock.advance(24 * 3600 - 1)
    with pytest.raises(Invalid, match="wrong"):
        people.door.with_code("AAAAA-AAAAA-AAAAA-AAAAA-AAAAA", PASSWORD)
    people.clock.advance(1)
    with pytest.raises(Invalid, match="older than 24 hours.*ihub user code"):
        people.door.with_code(code, PASSWORD)
    people.door.sweep()
    with people.store.read() as c:
        assert c.execute(sa.select(account_code)).first() is None


def test_a_forgotten_password_is_set_anew_and_ends_what_the_old_one_opened(people: People) -> None:
    ana = people.make()
    cookie = people.sign_in()
    first = people.write(accounts.code, ROOT, ana.id)
    second = people.write(accounts.code, ROOT, ana.id)
    with pytest.raises(Invalid, match="code"):
        people.door.with_code(first, "five loud herons fly")
    people.door.with_code(second, "five loud herons fly")
    assert people.door.visit(cookie) is None
    with pytest.raises(SignInRefused):
        people.sign_in()
    assert people.sign_in(password="five loud herons fly")


def test_disabling_ends_sessions_tokens_and_codes_at_once(people: People) -> None:
    people.make("root@ourco.example", "admin")
    ana = people.make()
    cookie = people.sign_in()
    token, _ = people.write(tokens.create, ROOT, ana.id, "script", ["health.read"])
    code = people.write(accounts.code, ROOT, ana.id)
    assert people.door.bearer(token)
    gone = people.write(accounts.disable, ROOT, ana.id)
    assert not gone.is_active
    assert people.door.visit(cookie) is None
    assert people.door.bearer(token) is None
    with pytest.raises(SignInRefused):
        people.sign_in()
    assert people.acts()[-1] == "sign-in-refused"
    with pytest.raises(Invalid, match="code"):
        people.door.with_code(code, PASSWORD)
    with pytest.raises(Invalid, match="disabled"):
        people.write(accounts.code, ROOT, ana.id)
    with pytest.raises(Invalid, match="disabled"):
        people.write(tokens.create, ROOT, ana.id, "script", ["health.read"])
    people.clock.advance(3600)
    people.write(accounts.enable, ROOT, ana.id)
    assert people.door.bearer(token) is None  # what was ended stays ended
    assert people.sign_in()
    with people.store.read() as c:
        told = [e for e in ledger.events(c, account_id=ana.id) if e.act == "account-disabled"]
    assert [(e.detail, e.actor) for e in told] == [({"sessions": 1, "tokens": 1}, "local:ines")]


def test_new_roles_count_from_the_next_request_on(people: People) -> None:
    people.make("root@ourco.example", "admin")
    ana = people.make()
    cookie = people.sign_in()
    token, _ = people.write(tokens.create, ROOT, ana.id, "script", ["identity.decide", "health.read"])
    people.write(accounts.set_roles, ROOT, ana.id, ["auditor"])
    visit = people.door.visit(cookie)
    assert visit is not None
    assert visit.viewer is not None
    assert visit.viewer.permissions == roles.allowed(["auditor"])
    bearer = people.door.bearer(token)
    assert bearer is not None
    assert bearer.permissions == {"health.read"}


def test_somebody_stays_admin(people: People) -> None:
    root = people.make("root@ourco.example", "admin")
    for act, args in ((accounts.disable, ()), (accounts.set_roles, (["viewer"],))):
        with pytest.raises(Invalid, match="last admin.*make somebody else admin first"):
            people.write(act, ROOT, root.id, *args)
    other = people.make("other@ourco.example", "admin", "agent")
    people.write(accounts.disable, ROOT, root.id)
    with pytest.raises(Invalid, match="last admin"):
        people.write(accounts.set_roles, ROOT, other.id, ["agent"])


def test_who_may_not_manage_accounts_is_refused_before_anything_else(people: People) -> None:
    root, ana = people.make("root@ourco.example", "admin"), people.make()
    before = people.acts()
    acts = (
        (accounts.create, ("eve@ourco.example", "", ["agent"])), (accounts.code, (root.id,)), (accounts.disable, (root.id,)),
        (accounts.enable, (root.id,)), (accounts.set_roles, (ana.id, ["admin"])), (accounts.end_sessions, (root.id,)),
        (accounts.first_code, ()),
    )  # fmt: skip
    for act, args in acts:
        with pytest.raises(Forbidden, match=r"users\.manage"):
            people.write(act, ana.viewer(), *args)
    assert people.acts() == before


def test_a_narrow_token_of_an_admin_makes_no_admin(people: People) -> None:
    root = people.make("root@ourco.example", "admin")
    narrow = Viewer(
        root.id, "script", frozenset({roles.USERS_MANAGE, *roles.allowed(["viewer"])}), Sees(), root.public_id
    )
    made, _ = people.write(accounts.create, narrow, "eve@ourco.example", "", ["viewer"])
    for act, args in (
        (accounts.create, ("max@ourco.example", "", ["admin"])), (accounts.set_roles, (made.id, ["admin"])),
        (accounts.code, (root.id,)), (accounts.disable, (root.id,)),
    ):  # fmt: skip
        with pytest.raises(Forbidden, match="such an account may"):
            people.write(act, narrow, *args)


def test_addresses_are_one_in_any_case_and_never_one_across_scripts(people: People) -> None:
    people.make("Ana@OurCo.example")
    with pytest.raises(Invalid, match="has an account already"):
        people.make("ANA@ourco.EXAMPLE")
    for odd in ("ana", "ana@", "@ourco.example", "ana@localhost", "ana@ourco..example", "a b@ourco.example", "ana@-x.example",
                "\u0430na@ourco.example", "an\u212a@ourco.example", "ana@m\u00fcnchen.example", f"{'x' * 65}@ourco.example",
                f"ana@{'x' * 60}.{'y' * 60}.{'z' * 60}.{'w' * 60}.example", "ana@ourco.example\n", ""):  # fmt: skip
        if odd.strip() == "ana@ourco.example":
            assert accounts.fold(odd) == "ana@ourco.example"
        else:
            with pytest.raises(Invalid, match="email is no address"):
                accounts.fold(odd)
    assert accounts.fold("ana@xn--mnchen-3ya.example") == "ana@xn--mnchen-3ya.example"


def test_names_are_people_s_and_harmless(people: People) -> None:
    made, _ = people.write(accounts.create, ROOT, "zoe@ourco.example", " Zoë \x1b[31m\n Über ", ["viewer"])
    assert made.name == "Zoë [31m Über"
    with pytest.raises(Invalid, match="name must have 1 to 128"):
        people.write(accounts.create, ROOT, "max@ourco.example", "x" * 129, ["viewer"])


def test_the_ledger_names_nobody_by_address_and_pages(people: People) -> None:
    people.make()
    for typed in ("my-password-by-mistake", "eve@ourco.example"):
        with pytest.raises(SignInRefused):
            people.sign_in(typed)
    with people.store.read() as c:
        rows = ledger.events(c)
        assert all("@" not in repr(e) and "mistake" not in repr(e) for e in rows)
        assert [e.account_id for e in rows if e.act == "sign-in-refused"] == [None, None]
        page = ledger.events(c, limit=2, before=rows[0].id)
        assert page == rows[1:3]
        actors = {e.actor for e in rows}
        assert accounts.names(c, actors) == {accounts.listed(c)[0].public_id: "ana"}
        with pytest.raises(KeyError):
            ledger.note(c, START, "something else", "")


def test_nothing_in_the_hub_changes_or_drops_a_row_of_the_ledger() -> None:
    import re
    from pathlib import Path

    import hub

    sources = {p: p.read_text("utf-8") for p in Path(hub.__file__).parent.rglob("*.py")}
    assert not [
        p for p, text in sources.items() if re.search(r"(update|delete|change|put)\((c, ?)?\w*\.?access_event", text)
    ]


def test_what_is_asked_for_and_not_there(people: People) -> None:
    with people.store.read() as c:
        with pytest.raises(Invalid, match="account is not there"):
            accounts.get(c, 7)
        with pytest.raises(Invalid, match="'eve@ourco.example' has no account"):
            accounts.named(c, "eve@ourco.example")
        assert not accounts.has_any(c)


def test_changing_the_password_keeps_this_session_and_ends_the_others(people: People) -> None:
    people.make()
    here, there = people.sign_in(), people.sign_in()
    with pytest.raises(SignInRefused):
        people.door.change_password(here, "not the old one", "five loud herons fly")
    with pytest.raises(Invalid, match="the one you have"):
        people.door.change_password(here, PASSWORD, PASSWORD)
    with pytest.raises(Invalid, match="at least 12"):
        people.door.change_password(here, PASSWORD, "short")
    anew = people.door.change_password(here, PASSWORD, "five loud herons fly")
    assert people.door.visit(anew) is not None
    assert people.door.visit(here) is None
    assert people.door.visit(there) is None
    assert people.sign_in(password="five loud herons fly")
    with pytest.raises(SignInRefused):
        people.door.change_password("no such cookie", PASSWORD, "six brave moles dig")


class SetAnew(Passwords):
    """While a password is looked at, which takes its time, its owner sets another."""

    def __init__(self, people: People, code: str) -> None:
        super().__init__(memory_kib=8, passes=1)
        self.people, self.code = people, code

    def fits(self, kept: str | None, password: str) -> bool:
        found = super().fits(kept, password)
        self.people.door.with_code(self.code, "five loud herons fly")
        return found


@pytest.mark.parametrize("act", ["sign_in", "prove", "change_password"])
def test_a_password_set_anew_meanwhile_opens_nothing_any_more(people: People, act: str) -> None:
    ana = people.make()
    cookie = people.sign_in()
    slow = Door(people.store, people.clock, SetAnew(people, people.write(accounts.code, ROOT, ana.id)))
    given = {
        "sign_in": (ana.email, PASSWORD),
        "prove": (cookie, PASSWORD),
        "change_password": (cookie, PASSWORD, "six brave moles dig"),
    }
    with pytest.raises(SignInRefused):
        getattr(slow, act)(*given[act])
    assert people.sign_in(password="five loud herons fly")
    with people.store.read() as c:
        assert len(sessions.of_account(c, ana.id, people.clock.now())) == 2  # the code's, and the one just now


def test_a_hash_of_older_parameters_is_replaced_when_its_owner_signs_in(people: People, store: Store) -> None:
    ana = people.make()
    newer = Door(store, people.clock, Passwords(memory_kib=16, passes=1))
    newer.sign_in(ana.email, PASSWORD)
    with store.read() as c:
        kept = c.execute(sa.select(account.c.password)).scalar()
    assert "m=16,t=1" in str(kept)
    assert newer.sign_in(ana.email, PASSWORD)
