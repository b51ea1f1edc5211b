"""Who asks: the first argument of every use case."""

from dataclasses import dataclass, field

from hub.access.errors import Forbidden
from hub.access.roles import ALL, PERMISSIONS


@dataclass(frozen=True)
class Sees:
    """Which rows somebody sees: those of the team, and of the private connections that `mailbox` owns.

    mailbox: an e-mail address, folded; "" owns none. everything: whoever sits at the machine, and can open the database.
    """

    mailbox: str = ""
    everything: bool = False


@dataclass(frozen=True)
class Viewer:
    """account_id: None for the operator at the machine. actor: what is written down as who did it.

    via: how they came, "session", "token <id>" or "local".
    """

    account_id: int | None
    name: str
    permissions: frozenset[str]
    sees: Sees
    actor: str = ""
    via: str = field(default="", compare=False)

    @classmethod
    def local(cls, user: str = "") -> "Viewer":
        """The operator at the machine: may do everything and sees everything."""
        return cls(None, user or "local", ALL, Sees(everything=True), f"local:{user}"[:128], "local")

    def may(self, permission: str) -> bool:
        return permission in self.permissions

    def must(self, permission: str) -> None:
        """Raises Forbidden unless the viewer has the permission; it names the permission and who can help."""
        if permission in self.permissions:
            return
        row = PERMISSIONS[permission]  # one there is not is a mistake of ours
        who = " or ".join(row.roles)
        message = f"this needs {permission} (may {row.what}), which the role {who} has: an admin can give it"
        if self.via.startswith("token") or not row.roles:
            message = f"this needs {permission}, which this token does not have: make one with that scope"
        raise Forbidden(message, permission=permission, roles=row.roles)
