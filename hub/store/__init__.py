"""The database: tables, migrations, units of work; the only room that knows SQLite from PostgreSQL.

In: a URL. Out: a `Store` whose `write()` and `read()` give SQLAlchemy Core connections, the tables, leases with
fencing, the shared rate-budget ledger and the encrypted token store.
"""

from hub.store import marks, tables, tables_access, tables_hooks, tables_reports, tables_search, texts
from hub.store.bulk import add, add_ids, bump, bump_volume, change, chunks, insert, put
from hub.store.codec import digest, instant, instant_or_none, micros, pack, short_id, squeeze, unpack, week_of
from hub.store.database import Store
from hub.store.leases import LeaseLost, acquire, new_holder, release, renew
from hub.store.ready import among, fetch, pairs_among, plain, scalar, tell
from hub.store.replies import answers, begins, count_replies, keep_replies
from hub.store.vendor_state import Secrets, StoreLedger, StoreTokens

__all__ = [
    "LeaseLost", "Secrets", "Store", "StoreLedger", "StoreTokens", "acquire", "add", "add_ids", "among", "answers", "begins",
    "bump", "bump_volume", "change", "chunks", "count_replies", "digest", "fetch", "insert", "instant", "instant_or_none",
    "keep_replies", "marks", "micros",
    "new_holder", "pack", "pairs_among", "plain", "put", "release", "renew", "scalar", "short_id", "squeeze",
    "tables", "tables_access", "tables_hooks", "tables_reports", "tables_search", "tell", "texts", "unpack", "week_of",
]  # fmt: skip
