"""One sync, start to end, in plain async Python; leases and heartbeats; runs without any scheduler.

In: settings. Out: pages carried through landing, identity and reconcile in one transaction each; plans applied to
the system of record; statuses and exit codes that never say "fine" when something is missing.
"""

from hub.engine.engine import Engine, SyncResult
from hub.engine.pull import StreamResult

__all__ = ["Engine", "StreamResult", "SyncResult"]
