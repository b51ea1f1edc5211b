"""Schedules: what makes due connections run without anybody asking.

In: an engine that knows what is due and can run one connection (`EngineLike`). Out: `serve`, which keeps a Prefect
server and runs the engine on its schedule, each sync visible there as a run of its own. Prefect only knocks; due times,
leases and results stay in the hub's database, so a dead or wiped Prefect loses nothing.

The only room that imports Prefect, and only on its own thread: importing `hub.flows` costs no Prefect import.
"""

from hub.flows.contract import EngineLike, SyncResultLike
from hub.flows.server import ServeError
from hub.flows.service import serve

__all__ = ["EngineLike", "ServeError", "SyncResultLike", "serve"]
