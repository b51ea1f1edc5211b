"""What every connector of a Google API shares: signing in, and what Google's refusals say.

In: a connection's settings, an answer with a status >= 400. Out: a token source, a refresh token from the consent page, the
reasons of a refusal. Quotas and everything an API has for itself stay with its connector.
"""

from hub.api.google.consent import Grant, connect
from hub.api.google.refusals import SLOW_DOWN, SPENT, Refusal, needs_a_person, refusal
from hub.api.google.settings import SCOPE_ROOT, SIGN_IN_HOST, GoogleSettings

__all__ = [
    "SCOPE_ROOT", "SIGN_IN_HOST", "SLOW_DOWN", "SPENT", "GoogleSettings", "Grant", "Refusal", "connect", "needs_a_person",
    "refusal",
]  # fmt: skip
