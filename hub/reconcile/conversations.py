"""Conversations: interactions that share any reference belong together, whichever arrives first.

A missing parent joins its children: the reference itself is the node. The subject never joins two conversations.
"""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store import add, add_ids, among, fetch, keep_replies, tell
from hub.store.tables import conversation, interaction, thread_ref

_KNOWN = sa.select(thread_ref.c.ref, thread_ref.c.conversation_id).where(among(thread_ref.c.ref))


_JOIN = (
    sa.update(interaction).where(among(interaction.c.conversation_id)).values(conversation_id=sa.bindparam("into")),
    sa.update(thread_ref).where(among(thread_ref.c.conversation_id)).values(conversation_id=sa.bindparam("into")),
    sa.delete(conversation).where(among(conversation.c.id)),
)


def assign(c: Connection, refs: Mapping[int, Sequence[str]], current: Mapping[int, int], now: int) -> dict[int, int]:
    """Interaction id -> conversation id, joining stored conversations where a page's references tie them.

    refs: each interaction's references. current: conversations of interactions already stored.
    """
    wanted = sorted({ref[:512] for own in refs.values() for ref in own})
    known: dict[str, int] = dict(fetch(c, _KNOWN, values=wanted)) if wanted else {}
    parent: dict[object, object] = {}

    def find(node: object) -> object:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    def join(a: object, b: object) -> None:
        parent[find(a)] = find(b)

    for iid, own in refs.items():
        find(("i", iid))
        if iid in current:
            join(("i", iid), ("c", current[iid]))
        for ref in own:
            join(("i", iid), ref[:512])
            if ref[:512] in known:
                join(ref[:512], ("c", known[ref[:512]]))
    stored: dict[object, list[int]] = {}
    for node in list(parent):
        if isinstance(node, tuple) and node[0] == "c":
            stored.setdefault(find(node), []).append(node[1])
    roots = {iid: find(("i", iid)) for iid in refs}
    fresh = [root for root in dict.fromkeys(roots.values()) if root not in stored]
    home = {root: min(ids) for root, ids in stored.items()}
    home.update(zip(fresh, add_ids(c, conversation, [{"created_at": now}] * len(fresh)), strict=True))
    for root, ids in stored.items():
        if losers := [i for i in ids if i != home[root]]:
            _absorb(c, home[root], losers)
    rows = [{"ref": ref, "conversation_id": home[find(ref)]} for ref in wanted if ref not in known]
    add(c, thread_ref, rows)
    return {iid: home[root] for iid, root in roots.items()}


def _absorb(c: Connection, winner: int, losers: list[int]) -> None:
    for statement in _JOIN:
        tell(c, statement, [{"values": losers, "into": winner}])
    keep_replies(c, [winner, *losers])
