"""A base from before the reports: its figures are counted once, with the upgrade."""

import sqlalchemy as sa

from hub.store import Store, count_replies, tables_reports
from hub.store import tables as t
from hub.store.migrate import upgrade

# id, conversation, direction, kind, occurred_at, gone_at
ENTRIES = (
    (1, 1, "inbound", "message", 100, None), (2, 1, "outbound", "message", 100, None), (3, 1, "outbound", "call", 160, None),
    (4, 1, "outbound", "message", 150, 999), (5, 2, "outbound", "message", 10, None), (6, 2, "inbound", "comment", 20, None),
    (7, 3, "inbound", "open", 30, None), (8, 4, "inbound", "ticket", 40, None), (9, 4, "inbound", "message", 40, None),
    (10, None, "inbound", "message", 50, None),
)  # fmt: skip


def test_replies_and_volume_are_there_after_the_upgrade(database_url: str) -> None:
    store = Store.open(database_url, migrate=False)
    upgrade(store.engine, "0008")
    kept = [
        {"week": 4, "party_id": 7, "channel": "email", "direction": "inbound", "count": 3},
        {"week": -3, "party_id": 8, "channel": "chat", "direction": "outbound", "count": 1},
        {"week": 4, "party_id": 9, "channel": "email", "direction": "inbound", "count": 0},
    ]
    with store.write() as c:
        c.execute(sa.insert(t.conversation), [{"id": n, "created_at": 0} for n in (1, 2, 3, 4)])
        c.execute(sa.insert(t.interaction), [
            {"id": i, "conversation_id": conv, "direction": direction, "kind": kind, "occurred_at": at, "gone_at": gone,
             "public_id": f"i{i}", "channel": "phone" if i == 8 else "email", "rank": b"", "hash": b"", "changed_at": 0}
            for i, conv, direction, kind, at, gone in ENTRIES
        ])  # fmt: skip
        c.execute(sa.insert(t.volume), kept)
    upgrade(store.engine)
    expected = [(1, "email", 100, 160), (2, "email", 20, None), (4, "phone", 40, None)]
    with store.read() as c:
        replies = sa.select(*tables_reports.reply.c).order_by(tables_reports.reply.c.conversation_id)
        assert [tuple(r) for r in c.execute(replies)] == expected == sorted(map(tuple, count_replies(c)))
        rows = c.execute(
            sa.select(t.volume.c.week, t.volume.c.party_id, t.volume.c.count).order_by(t.volume.c.week)
        ).all()
        assert [tuple(r) for r in rows] == [(-3, 8, 1), (4, 7, 3)]
    store.close()
