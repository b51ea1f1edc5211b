"""The webhook inbox: one address per connection, at which a tool says "look again".

In: calls as the vendors send them. Out: notices in the database, kept before the call is answered and before any work
is done; a bell rung, which the caller hands in. What a call says is never believed, nor stored: it only makes the hub
look, and polling alone reaches the same state.
"""

from hub.inbox.app import Limits, Lookup, create_app
from hub.inbox.notices import Rung, done, due, keep, let_go, postpone, prune, rows_of, rung
from hub.inbox.serving import serving

__all__ = [
    "Limits", "Lookup", "Rung", "create_app", "done", "due", "keep", "let_go", "postpone", "prune", "rows_of", "rung",
    "serving",
]  # fmt: skip
