"""What the room refuses with. A door turns each into its own words: exit codes, statuses, problem documents."""

from dataclasses import dataclass

from hub.api import HubError


@dataclass(eq=False)
class Forbidden(HubError):
    """The viewer may not do this. permission: what is missing; roles: who has it."""

    permission: str = ""
    roles: tuple[str, ...] = ()


@dataclass(eq=False)
class Invalid(HubError):
    """What was given cannot be taken. field: which part of it; fix: what would do."""

    field: str = ""
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.field} {self.message}: {self.fix}"


@dataclass(eq=False)
class SignInRefused(HubError):
    """Nobody was let in. The same words whatever was wrong; retry_after_s: how long not even to try."""

    retry_after_s: float | None = None


class ProofNeeded(HubError):
    """The person signed in a while ago, and this act asks for proof that it is still they."""
