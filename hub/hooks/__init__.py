"""Webhooks out: other programs are told when something changes here, signed, in order for each customer, until they heard it.

In: marks that the store's triggers leave with every change (`hub.store.marks`), and endpoints somebody set up. Out: thin
events (CloudEvents, Standard Webhooks signatures), a log of every try. Nothing is noted while nobody listens.
"""

from hub.hooks import line
from hub.hooks.courier import FAILING_DAYS, SCHEDULE_S, TRIES, Courier
from hub.hooks.endpoints import Endpoint, Endpoints, NoSuchEndpoint, endpoint, endpoints, source
from hub.hooks.guard import Refused, check_url
from hub.hooks.kinds import MEANING, TYPES, conversation_id, issue_id, item_id, patterns
from hub.hooks.past import STATES, counts, deliveries, event, newest, prune, replay, resend
from hub.hooks.relay import Relayed, relay
from hub.hooks.sender import Answer, Sender

__all__ = [
    "FAILING_DAYS", "MEANING", "SCHEDULE_S", "STATES", "TRIES", "TYPES", "Answer", "Courier", "Endpoint", "Endpoints",
    "NoSuchEndpoint", "Refused", "Relayed", "Sender", "check_url", "conversation_id", "counts", "deliveries", "endpoint",
    "endpoints", "event", "issue_id", "item_id", "line", "newest", "patterns", "prune", "relay", "replay", "resend", "source",
]  # fmt: skip
