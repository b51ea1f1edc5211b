"""The database: tables, migrations, units of work; the only room that knows SQLite from PostgreSQL.

In: a URL. Out: a `Store` whose `write()` and `read()` give SQLAlchemy Core connections, the tables, leases with
fencing, the shared rate-budget ledger and the encrypted token store.
"""

from hub.store import tables
from hub.store.bulk import add, add_ids, bump, bump_volume, change, chunks, insert, put
from hub.store.codec import digest, instant, instant_or_none, micros, pack, short_id, squeeze, unpack, week_of
from hub.store.database import Store
from hub.store.leases import LeaseLost, acquire, new_holder, release, renew
from hub.store.ready import among, fetch, pairs_among, tell
from hub.store.vendor_state import Secrets, StoreLedger, StoreTokens

__all__ = [
    "LeaseLost", "Secrets", "Store", "StoreLedger", "StoreTokens", "acquire", "add", "add_ids", "among", "bump",
    "bump_volume", "change", "chunks", "digest", "fetch", "insert", "instant", "instant_or_none", "micros", "new_holder", "pack", "pairs_among",
    "put", "release", "renew", "short_id", "squeeze", "tables", "tell", "unpack", "week_of",
]  # fmt: skip
