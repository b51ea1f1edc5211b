"""Identifiers in, parties out, by recorded and explainable decisions.

In: the identifiers a page of interactions mentions, and the person and organization records of the tools.
Out: the party behind each, created where unknown; merges caused by a record, for reconcile to follow; the acts of people.
Parties follow from evidence and the decisions that stand (`graph`, `derive`); what rules leave open is weighed (`match`,
`linker`); what is not sure is asked.
"""

from hub.identity.anew import blur_decisions, drop_empty, drop_hubs, drop_orphans, leave_home, unlist, unsay
from hub.identity.audit import Audit, audit
from hub.identity.audit import apply as apply_audit
from hub.identity.decisions import Change, NotPossible, answer, different, merge, split, undo
from hub.identity.derive import current
from hub.identity.index import Rules
from hub.identity.normal import email_match, free_domains, registrable_domain, role_localparts
from hub.identity.records import observe
from hub.identity.resolve import Moved, Who, join_own, resolve

__all__ = [
    "Audit", "Change", "Moved", "NotPossible", "Rules", "Who", "answer", "apply_audit", "audit", "blur_decisions",
    "current", "different", "drop_empty", "drop_hubs", "drop_orphans", "email_match", "free_domains", "join_own", "leave_home", "merge",
    "observe", "registrable_domain", "resolve", "role_localparts", "split", "undo", "unlist", "unsay",
]  # fmt: skip
