"""On which database a test of a store runs: on both, unless a test says that SQLite is enough."""

import pytest

# For scenes whose every kind of statement other tests of the same file send to PostgreSQL as well. Not for what may
# differ there: kills and crashes, several workers, properties, odd letters, very long values, days and zones.
on_sqlite = pytest.mark.parametrize("kept_store", ["sqlite"], indirect=True)
