"""Signing in and out with a password, and who a cookie or a token stands for."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.access import accounts, attempts, sessions, tokens
from hub.access.accounts import Account
from hub.access.errors import Invalid, SignInRefused
from hub.access.ledger import note
from hub.access.passwords import Passwords
from hub.access.sessions import Session
from hub.access.viewer import Viewer
from hub.api import Clock
from hub.store import Store, micros
from hub.store.tables_access import account, account_code, oidc_state


@dataclass(frozen=True)
class SignedIn:
    """cookie: the new session's id, for the browser and for nothing else."""

    cookie: str
    account: Account


@dataclass(frozen=True)
class Visit:
    """Who a request's cookie stands for. account: None before sign-in."""

    session: Session
    account: Account | None

    @property
    def viewer(self) -> Viewer | None:
        return self.account.viewer() if self.account else None


class Door:
    """What a door needs to let people in: one for each process."""

    def __init__(self, store: Store, clock: Clock | None = None, passwords: Passwords | None = None) -> None:
        self.store = store
        self.clock = clock or Clock()
        self.passwords = passwords or Passwords()

    def now(self) -> datetime:
        return self.clock.now()

    # --- browsers ---------------------------------------------------------------------------------------------------

    def visit(self, cookie: str) -> Visit | None:
        """None for a cookie that stands for nothing (any more)."""
        found = sessions.find(self.store, cookie, self.now())
        if found is None or found.account_id is None:
            return Visit(found, None) if found else None
        with self.store.read() as c:
            of = accounts.get(c, found.account_id)
        return Visit(found, of) if of.is_active else None

    def stranger(self, address: str = "", agent: str = "") -> str:
        """A cookie for a browser nobody has signed in with, so that its forms have a token, too."""
        with self.store.write() as c:
            return sessions.begin(c, self.now(), address=address, agent=agent)

    def sign_in(self, email: str, password: str, *, address: str = "", agent: str = "", cookie: str = "") -> SignedIn:
        """cookie: the one the browser had. Raises SignInRefused, the same for whatever was wrong, with the same work."""
        judged = self._judged(email, password, address)
        with self.store.write() as c:
            self._accept(c, judged)
            return self.let_in(c, judged.account, "password", address=address, agent=agent, cookie=cookie)

    def let_in(
        self, c: Connection, found: Account, method: str, *, address: str = "", agent: str = "", cookie: str = ""
    ) -> SignedIn:  # fmt: skip
        """A session for somebody who has proved to be it. Raises SignInRefused for a disabled account."""
        now = self.now()
        alive = sa.update(account).where(account.c.id == found.id, account.c.is_active)
        if not c.execute(alive.values(signed_in_at=micros(now))).rowcount:
            raise SignInRefused(attempts.REFUSED)
        raw = sessions.begin(c, now, found.id, method=method, address=address, agent=agent, instead_of=cookie)
        note(c, now, "sign-in", found.public_id, found.id, address, method=method)
        return SignedIn(raw, accounts.get(c, found.id))

    def prove(self, cookie: str, password: str, *, address: str = "") -> str:
        """Somebody signed in proves again to be it, for acts that ask for it: the cookie from now on. Raises SignInRefused."""
        judged = self._judged(self._who(cookie).email, password, address)
        with self.store.write() as c:
            self._accept(c, judged)
            note(c, self.now(), "proof", judged.account.public_id, judged.account.id, address, method="password")
            return sessions.prove(c, cookie, self.now())

    def sign_out(self, cookie: str, *, address: str = "") -> None:
        with self.store.write() as c:
            of = sessions.end(c, cookie)
            if of is not None:
                note(c, self.now(), "sign-out", accounts.get(c, of).public_id, of, address)

    def with_code(self, code: str, password: str, *, address: str = "", agent: str = "", cookie: str = "") -> SignedIn:
        """Set a password with a one-time code, and sign in. Raises Invalid."""
        found = accounts.set_password(self.store, self.passwords, code, password, self.now())
        return self._in(found, address, agent, cookie)

    def set_up(
        self, code: str, email: str, name: str, password: str, *, address: str = "", agent: str = "", cookie: str = ""
    ) -> SignedIn:
        """Make the first account with its one-time code, and sign in. Raises Invalid."""
        found = accounts.set_up(self.store, self.passwords, code, email, name, password, self.now())
        return self._in(found, address, agent, cookie)

    def change_password(self, cookie: str, old: str, new: str, *, address: str = "") -> str:
        """The cookie from now on; other sessions of the account end.

        Raises SignInRefused for a wrong old one, Invalid for the new one.
        """
        who = self._who(cookie)
        self.passwords.check(new, who.email, who.name)
        if old == new:
            raise Invalid("is the one you have", field="password", fix="choose another")
        judged = self._judged(who.email, old, address)
        anew = self.passwords.hash(new)
        with self.store.write() as c:
            self._accept(c, judged)
            accounts.change_password(c, judged.account, anew, self.now(), cookie)
            return sessions.prove(c, cookie, self.now())

    # --- programs ---------------------------------------------------------------------------------------------------

    def bearer(self, token: str) -> Viewer | None:
        """Who the bearer of a token is; None for a token that opens nothing (any more)."""
        return tokens.viewer(self.store, token, self.now())

    # --- keeping house ----------------------------------------------------------------------------------------------

    def sweep(self) -> None:
        """Take out what has ended: sessions, codes, states, counts of failures. Once a day is enough."""
        now = self.now()
        with self.store.write() as c:
            sessions.sweep(c, now)
            attempts.sweep(c, now)
            for table in (account_code, oidc_state):
                c.execute(sa.delete(table).where(table.c.expires_at <= micros(now)))

    # --- inside -----------------------------------------------------------------------------------------------------

    def _in(self, found: Account, address: str, agent: str, cookie: str) -> SignedIn:
        with self.store.write() as c:
            return self.let_in(c, found, "code", address=address, agent=agent, cookie=cookie)

    def _who(self, cookie: str) -> Account:
        visit = self.visit(cookie)
        if visit is None or visit.account is None:
            raise SignInRefused(attempts.REFUSED)
        return visit.account

    def _judged(self, email: str, password: str, address: str) -> "_Judged":
        """The account whose password it is; a failure is counted and written down. Raises SignInRefused."""
        try:
            folded = accounts.fold(email)
        except Invalid:
            folded = ""  # no account is called so; counted together
        now = self.now()
        attempts.begin(self.store, folded, address, now)
        with self.store.read() as c:
            found = accounts.find(c, folded) if folded else None
            kept = accounts.kept_password(c, found.id) if found else None
        fits = self.passwords.fits(kept, password)
        if found is None or kept is None or not fits or not found.is_active:
            with self.store.write() as c:
                note(c, now, "sign-in-refused", "", found.id if found else None, address)
            raise SignInRefused(attempts.REFUSED)
        renewed = self.passwords.hash(password) if self.passwords.is_outdated(kept) else kept
        return _Judged(found, kept, renewed, address)

    def _accept(self, c: Connection, judged: "_Judged") -> None:
        """What follows from a right password, unless it was set anew while it was looked at. Raises SignInRefused."""
        mine = sa.select(account.c.password).where(account.c.id == judged.account.id).with_for_update()
        if c.execute(mine).scalar() != judged.kept:
            raise SignInRefused(attempts.REFUSED)
        attempts.succeeded(c, judged.account.email, judged.address, self.now())
        if judged.renewed != judged.kept:
            c.execute(sa.update(account).where(account.c.id == judged.account.id).values(password=judged.renewed))


@dataclass(frozen=True)
class _Judged:
    """Whose password it was. kept: as it was kept then; renewed: as it is to be kept from now on."""

    account: Account
    kept: str
    renewed: str
    address: str


def inside(path: str) -> str:
    """A path of our own; "/" for anything that could lead elsewhere."""
    is_ours = path.startswith("/") and path[1:2] not in ("/", "\\") and path.isprintable() and "\\" not in path
    return path if is_ours else "/"
