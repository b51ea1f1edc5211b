"""The tables of who may do what: accounts and how they sign in, sessions, tokens, what was tried, what was done.

What opens a door (codes, session ids, tokens, states) is stored as its SHA-256 alone: a copy of the database opens nothing.
"""

from sqlalchemy import Boolean, Column, ForeignKey, Index, LargeBinary, String, Table, Text

from hub.store.tables import Id, Micros, metadata

account = Table(
    "account", metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("public_id", String(32), nullable=False, unique=True),
    Column("email", String(254), nullable=False, unique=True),  # folded: hub.access.accounts.fold
    Column("name", String(128), nullable=False),
    Column("roles", String(128), nullable=False),  # sorted, a space between them
    Column("password", String(256)),  # argon2id, with its parameters; None: none was set
    Column("password_at", Micros),
    Column("is_active", Boolean, nullable=False, server_default="1"),
    Column("created_at", Micros, nullable=False),
    Column("changed_at", Micros, nullable=False),
    Column("signed_in_at", Micros),
)  # fmt: skip

account_link = Table(  # a sign-in provider's name for an account
    "account_link", metadata,
    Column("issuer", String(256), primary_key=True),
    Column("subject", String(256), primary_key=True),
    Column("account_id", Id, ForeignKey("account.id"), nullable=False),
    Column("linked_at", Micros, nullable=False),
    Index("ix_account_link_account", "account_id"),
)  # fmt: skip

account_code = Table(  # lets somebody set a password, once
    "account_code", metadata,
    Column("hash", LargeBinary(32), primary_key=True),
    Column("account_id", Id, ForeignKey("account.id")),  # None: makes the first account of all
    Column("created_at", Micros, nullable=False),
    Column("expires_at", Micros, nullable=False),
    Index("ix_account_code_account", "account_id"),
)  # fmt: skip

session = Table(
    "session", metadata,
    Column("hash", LargeBinary(32), primary_key=True),
    Column("public_id", String(32), nullable=False, unique=True),
    Column("account_id", Id, ForeignKey("account.id")),  # None: nobody has signed in yet
    Column("method", String(64), nullable=False, server_default=""),  # password, code, oidc:<provider>
    Column("created_at", Micros, nullable=False),
    Column("seen_at", Micros, nullable=False),
    Column("expires_at", Micros, nullable=False),  # however much it is used
    Column("proved_at", Micros),  # when the person last proved to be it
    Column("address", String(64), nullable=False, server_default=""),
    Column("agent", String(256), nullable=False, server_default=""),
    Index("ix_session_account", "account_id"),
    Index("ix_session_expires", "expires_at"),
)  # fmt: skip

api_token = Table(
    "api_token", metadata,
    Column("id", String(8), primary_key=True),
    Column("hash", LargeBinary(32), nullable=False),
    Column("account_id", Id, ForeignKey("account.id"), nullable=False),
    Column("name", String(64), nullable=False),
    Column("scopes", Text, nullable=False),  # permissions, a space between them
    Column("created_at", Micros, nullable=False),
    Column("expires_at", Micros, nullable=False),
    Column("used_at", Micros),
    Column("revoked_at", Micros),
    Index("ix_api_token_account", "account_id"),
)  # fmt: skip

attempt = Table(  # sign-ins that failed, by account, by place, and by account from a place it is known from
    "attempt", metadata,
    Column("key", LargeBinary(16), primary_key=True),
    Column("cool_at", Micros, nullable=False),  # when all failures are forgotten: each puts it off by as much
    Column("blocked_until", Micros),
    Column("known_until", Micros),  # the account was signed in to from there
)  # fmt: skip

oidc_state = Table(  # a sign-in that has gone to its provider and is not back yet
    "oidc_state", metadata,
    Column("hash", LargeBinary(32), primary_key=True),
    Column("session_hash", LargeBinary(32), nullable=False),  # the browser that may bring it back
    Column("provider", String(64), nullable=False),
    Column("nonce", String(64), nullable=False),
    Column("verifier", String(128), nullable=False),
    Column("redirect_uri", Text, nullable=False),
    Column("return_to", Text, nullable=False),
    Column("is_proof", Boolean, nullable=False),  # somebody signed in who proves to be there
    Column("created_at", Micros, nullable=False),
    Column("expires_at", Micros, nullable=False),
    Index("ix_oidc_state_expires", "expires_at"),
)  # fmt: skip

answered = Table(  # calls that may be made twice: what the first one was answered (hub.access.once)
    "answered", metadata,
    Column("key", LargeBinary(32), primary_key=True),  # hash of the token and the caller's key
    Column("request", LargeBinary(32), nullable=False),  # hash of what was asked
    Column("begun_at", Micros, nullable=False),
    Column("answer", LargeBinary),  # encrypted with the token and the key; None while it is being done
    Index("ix_answered_begun", "begun_at"),
)  # fmt: skip

access_event = Table(  # the ledger of who got in, who did not, and who was given what; only ever added to
    "access_event", metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("at", Micros, nullable=False),
    Column("act", String(32), nullable=False),
    Column("actor", String(128), nullable=False),  # an account's public id, "local:<user>", or "" for a stranger
    Column("account_id", Id, ForeignKey("account.id")),  # whom it is about
    Column("address", String(64), nullable=False, server_default=""),
    Column("detail", Text, nullable=False, server_default="{}"),
    Index("ix_access_event_account", "account_id", "id"),
)  # fmt: skip
