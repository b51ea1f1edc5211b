"""Public errors. A class exists when the hub does something different on meeting it, and only then.

Errors carry connector, stream, external id, vendor status and request id; never a body or a secret.
"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(eq=False)
class HubError(Exception):
    """Base of all public errors; `message` says what is wrong and what to do about it."""

    message: str
    connector: str = ""
    stream: str = ""
    external_id: str = ""
    status: int | None = None
    request_id: str = ""

    def __str__(self) -> str:
        where = "/".join(x for x in (self.connector, self.stream, self.external_id) if x)
        status = f" (HTTP {self.status})" if self.status else ""
        return f"{where}: {self.message}{status}" if where else f"{self.message}{status}"


class ConfigError(HubError):
    """The connection stays off until an admin mends the named field in the named file."""


class AuthError(HubError):
    """Sign-in is refused: the connection pauses as needs-reconnect; never retried."""


class ScopeError(HubError):
    """One permission is missing: that stream pauses, the others run."""


@dataclass(eq=False)
class RateLimited(HubError):
    """The vendor says slow down: wait `retry_after_s`, then the same request; status waiting-until.

    Meanwhile nobody spends from the budgets this call spends from; with `is_account_wide`, from none of the account.
    """

    retry_after_s: float | None = None
    until: datetime | None = None
    is_account_wide: bool = False


@dataclass(eq=False)
class Transient(HubError):
    """Worth another try: backoff with jitter, bounded; after that the stream is degraded.

    is_unknown: the request may have been carried out; a write must be looked up before it is sent again.
    """

    is_unknown: bool = False


class CursorExpired(HubError):
    """The vendor no longer knows the cursor: full enumeration, deletes reconciled, gap recorded."""


class RecordRejected(HubError):
    """This record goes to quarantine with the vendor's own words; the page goes on."""


class Gone(HubError):
    """A push found nothing at its target: read again, reconcile, then decide."""


@dataclass(eq=False)
class Conflict(HubError):
    """A push lost a race or met an existing object (`existing_id` where the vendor names it)."""

    existing_id: str = ""


class ContractBroken(HubError):
    """An answer of a shape we do not know: the stream stops before the cursor moves."""


class WebhookRejected(HubError):
    """The request is not the vendor's: answered 401, nothing stored."""
