"""Who may do what: accounts, sign-in, sessions, tokens, roles, and which rows somebody sees.

In: a store, a clock, what somebody typed or brought along. Out: a `Viewer`, the first argument of every use case, and
`visible(viewer)`, the condition every query takes. `Door` lets people and programs in; `accounts`, `tokens`, `sessions`
and `ledger` are for who manages them; `oidc` signs in through a provider and is brought in by who needs it.
"""

from hub.access import accounts, attempts, ledger, roles, sessions, tokens
from hub.access.accounts import Account
from hub.access.errors import Forbidden, Invalid, ProofNeeded, SignInRefused
from hub.access.passwords import Passwords
from hub.access.seeing import keep_private, sees_all, visible
from hub.access.sessions import Session
from hub.access.signing import Door, SignedIn, Visit
from hub.access.tokens import Token
from hub.access.viewer import Sees, Viewer

__all__ = [
    "Account", "Door", "Forbidden", "Invalid", "Passwords", "ProofNeeded", "Sees", "Session", "SignInRefused", "SignedIn",
    "Token", "Viewer", "Visit", "accounts", "attempts", "keep_private", "ledger", "roles", "sees_all", "sessions", "tokens",
    "visible",
]  # fmt: skip
