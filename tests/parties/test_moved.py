"""Permissions of a database that kept them among the items, one a record, are kept as told."""

from datetime import UTC, datetime

import msgspec
import sqlalchemy as sa

from hub import parties
from hub.api import Consent, Identifier
from hub.store import Store, micros
from hub.store import tables as t
from hub.store.migrate import upgrade

AT = datetime(2026, 3, 1, 12, 30, 0, 250_000, tzinfo=UTC)


def test_an_older_database_brings_its_refusals_along(database_url: str) -> None:
    store = Store.open(database_url, migrate=False)
    upgrade(store.engine, "0003")
    ana = Identifier("email", "ana@kestrel.example")
    told = Consent(external_id="7", identifier=ana, channel="email", state="opted_out", at=AT, evidence="left")
    rows = (
        (t.connection, {"id": 1, "name": "news", "connector": "acorn"}),
        (t.stream, {"id": 1, "connection_id": 1, "name": "members"}),
        (t.record, {"id": 1, "stream_id": 1, "external_id": "7", "hash": b"", "disposition": "new", "first_seen_at": 0,
                    "last_seen_at": 0}),
        (t.party, {"id": 1, "public_id": "p1", "kind": "person", "created_at": 0, "changed_at": 0}),
        (t.identifier, {"id": 1, "scheme": ana.scheme, "value": ana.value, "match_value": ana.value,
                        "sharing": "personal", "party_id": 1}),
        (t.item, {"record_id": 1, "kind": "consent", "entity": msgspec.json.encode(told)}),
        (t.item_party, {"record_id": 1, "identifier_id": 1}),
    )  # fmt: skip
    with store.write() as c:
        for table, row in rows:
            c.execute(sa.insert(table).values(**row))
    store.close()
    store = Store.open(database_url)
    with store.read() as c:
        assert parties.standing(c, [1]) == {(1, "email"): parties.Standing("opted_out", micros(AT))}
        assert [(h["evidence"], h["at"], h["is_current"]) for h in parties.history(c, 1)] == [("left", AT, True)]
        assert c.execute(sa.select(sa.func.count()).select_from(t.item)).scalar_one() == 0
    store.close()
