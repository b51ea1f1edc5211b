"""What each refusal means over HTTP, for pages and programs alike."""

from hub.access import Forbidden, Invalid, ProofNeeded, SignInRefused
from hub.access.once import StillRunning
from hub.api import AuthError, ConfigError, HubError, RateLimited, Transient
from hub.identity import NotPossible
from hub.service.desk import NotFound

REFUSALS = (HubError, NotPossible)
_STATUS: tuple[tuple[type[Exception], int], ...] = (  # the first that fits
    (NotFound, 404), (ProofNeeded, 403), (Forbidden, 403), (SignInRefused, 401), (Invalid, 422), (NotPossible, 409),
    (StillRunning, 409), (ConfigError, 409), (RateLimited, 503), (Transient, 502), (AuthError, 502), (HubError, 502),
)  # fmt: skip


def status_of(refusal: Exception) -> int:
    """The HTTP status of one of `REFUSALS`."""
    return next(code for kind, code in _STATUS if isinstance(refusal, kind))
