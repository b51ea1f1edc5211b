"""A door over an empty store, with a clock that is moved by hand and passwords that cost next to nothing."""

from datetime import UTC, datetime
from typing import Any

from hub.access import Account, Door, Passwords, Viewer, accounts
from hub.api import FakeClock
from hub.store import Store

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
ROOT = Viewer.local("ines")
PASSWORD = "four quiet otters row"
ADDRESS = "203.0.113.7"


class People:
    """The door, and short ways to what most tests begin with."""

    def __init__(self, store: Store) -> None:
        self.clock = FakeClock(START)
        self.store = store
        self.door = Door(store, self.clock, Passwords(memory_kib=8, passes=1))

    def make(self, email: str = "ana@ourco.example", *roles: str, password: str = PASSWORD) -> Account:
        """An account that can sign in."""
        with self.store.write() as c:
            found, code = accounts.create(c, ROOT, email, "", roles or ("agent",), self.clock.now())
        return (
            accounts.set_password(self.store, self.door.passwords, code, password, self.clock.now())
            if password
            else found
        )

    def sign_in(self, email: str = "ana@ourco.example", password: str = PASSWORD, **more: Any) -> str:
        return self.door.sign_in(email, password, **{"address": ADDRESS, **more}).cookie

    def write(self, act: Any, *args: Any, **more: Any) -> Any:
        """act(c, *args, now) in a transaction of its own."""
        with self.store.write() as c:
            return act(c, *args, self.clock.now(), **more)

    def acts(self) -> list[str]:
        """The ledger's acts, oldest first."""
        from hub.access import ledger

        with self.store.read() as c:
            return [e.act for e in reversed(ledger.events(c, limit=500))]
