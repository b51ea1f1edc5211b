"""The one table of who may do what. Doors ask for permissions, people have roles, scopes of tokens are permissions."""

from collections.abc import Iterable
from typing import NamedTuple

from hub.access.errors import Invalid

CUSTOMERS_READ = "customers.read"
BODIES_READ = "bodies.read"
FIELDS_CHOOSE = "fields.choose"
IDENTITY_REVIEW = "identity.review"
IDENTITY_DECIDE = "identity.decide"
PLANS_READ = "plans.read"
PLANS_PROPOSE = "plans.propose"
PLANS_APPROVE = "plans.approve"
CONNECTIONS_READ = "connections.read"
CONNECTIONS_MANAGE = "connections.manage"
QUARANTINE_REPLAY = "quarantine.replay"
REPORTS_READ = "reports.read"
HEALTH_READ = "health.read"
LEDGER_READ = "ledger.read"
HOOKS_MANAGE = "hooks.manage"
POLICY_MANAGE = "policy.manage"
USERS_MANAGE = "users.manage"
TOKENS_OWN = "tokens.own"

ROLES = {
    "viewer": "looks customers up and reads what was said",
    "agent": "works with customers: also says who is who and proposes changes",
    "operator": "keeps the hub running: connections, quarantine, plans; reads no message texts",
    "admin": "everything, people and policy included",
    "auditor": "checks: health, figures, ledger; changes nothing and reads no message texts",
}


class Permission(NamedTuple):
    """what: a sentence about it, going on after "may". roles: who has it, in the order of `ROLES`."""

    name: str
    what: str
    roles: tuple[str, ...]


def _row(name: str, what: str, roles: str) -> Permission:
    return Permission(name, what, tuple(role for role in ROLES if role in roles.split()))


PERMISSIONS = {
    row.name: row
    for row in (
        _row(CUSTOMERS_READ, "find people and companies, read timelines and the four answers", "viewer agent operator admin auditor"),
        _row(BODIES_READ, "read and search the full text of messages and notes", "viewer agent admin"),
        _row(FIELDS_CHOOSE, "say which value of a field is right", "agent operator admin"),
        _row(IDENTITY_REVIEW, "see who was joined, why, and what is asked", "agent operator admin auditor"),
        _row(IDENTITY_DECIDE, "merge, split and undo, and answer questions about who is who", "agent operator admin"),
        _row(PLANS_READ, "see what is to be written to the tools, and what was", "agent operator admin auditor"),
        _row(PLANS_PROPOSE, "make a plan, which writes nothing until it is approved", "agent operator admin"),
        _row(PLANS_APPROVE, "approve, reject, apply and undo plans and what the brake holds", "operator admin"),
        _row(CONNECTIONS_READ, "see connections, their settings without secrets, and permissions there", "operator admin auditor"),
        _row(CONNECTIONS_MANAGE, "connect, pause, sync and disconnect accounts of tools", "operator admin"),
        _row(QUARANTINE_REPLAY, "see records that could not be taken in, and take them in again", "operator admin"),
        _row(REPORTS_READ, "read reports and figures", "viewer agent operator admin auditor"),
        _row(HEALTH_READ, "see how every stream is doing and what is missing", "viewer agent operator admin auditor"),
        _row(LEDGER_READ, "read who did what", "admin auditor"),
        _row(HOOKS_MANAGE, "say where webhooks go, and resend them", "admin"),
        _row(POLICY_MANAGE, "change what is captured, how long it is kept, and whose fields count", "admin"),
        _row(USERS_MANAGE, "make and disable accounts, and give roles", "admin"),
        _row(TOKENS_OWN, "make and revoke tokens of one's own", "viewer agent operator admin auditor"),
    )
}  # fmt: skip
ALL = frozenset(PERMISSIONS)


def allowed(roles: Iterable[str]) -> frozenset[str]:
    """The permissions of these roles together."""
    held = set(roles)
    return frozenset(name for name, row in PERMISSIONS.items() if held.intersection(row.roles))


def checked_roles(roles: Iterable[str]) -> tuple[str, ...]:
    """The roles, each once, in the order of `ROLES`. Raises Invalid for none, or for one there is not."""
    asked = {role.strip().lower() for role in roles}
    if unknown := sorted(asked - set(ROLES)):
        raise Invalid(f"names {unknown[0]!r}, which there is not", field="role", fix=f"one of {', '.join(ROLES)}")
    if not asked:
        raise Invalid("is missing", field="role", fix=f"one of {', '.join(ROLES)}")
    return tuple(role for role in ROLES if role in asked)


def checked_scopes(scopes: Iterable[str]) -> frozenset[str]:
    """The permissions named. Raises Invalid for none, or for one there is not."""
    asked = frozenset(scope.strip().lower() for scope in scopes)
    if unknown := sorted(asked - ALL):
        raise Invalid(f"names {unknown[0]!r}, which there is not", field="scope", fix="`ihub user roles` lists them")
    if not asked:
        raise Invalid("is missing", field="scope", fix="name what the token is for; `ihub user roles` lists them")
    return asked
