"""Identifiers in, parties out, by recorded and explainable decisions.

In: the identifiers a page of interactions mentions, and the person and organization records of the tools.
Out: the party behind each, created where unknown; merges caused by a record, for reconcile to follow.
Today's rules are deterministic; evidence, scores and review add decisions to the same tables.
"""

from hub.identity.anew import blur_decisions, drop_empty, drop_orphans, leave_home, unlist, unsay
from hub.identity.index import Rules
from hub.identity.normal import email_match, free_domains, registrable_domain, role_localparts
from hub.identity.resolve import Moved, Who, join_own, observe, resolve

__all__ = [
    "Moved", "Rules", "Who", "blur_decisions", "drop_empty", "drop_orphans", "email_match", "free_domains", "join_own",
    "leave_home", "observe", "registrable_domain", "resolve", "role_localparts", "unlist", "unsay",
]  # fmt: skip
