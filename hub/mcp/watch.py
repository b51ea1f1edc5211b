"""Every call is written down, one that is refused too; and nobody calls without end."""

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import anyio
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS

from hub.access import ledger
from hub.api import HubError
from hub.service import Desk

MOST = 300  # calls of one caller in a minute
_MINUTE = timedelta(minutes=1)
_CALLS = {"tools/call": "tool", "prompts/get": "prompt"}


class Watch:
    """In front of all that a caller asks. desk_of: who asks; raises HubError for nobody. names: of all there is to call."""

    def __init__(self, desk_of: Callable[[], Desk], names: frozenset[str]) -> None:
        self._desk_of, self._names = desk_of, names
        self._calls: dict[str, deque[datetime]] = {}

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        if ctx.method not in _CALLS:
            return await call_next(ctx)
        named = (ctx.params or {}).get("name")
        is_there = isinstance(named, str) and named in self._names
        tool = str(named) if is_there else "one there is not"
        if not await anyio.to_thread.run_sync(self._note, "tool-called", tool):
            raise MCPError(-32000, f"more than {MOST} calls in a minute: wait, and ask for less")
        try:
            if not is_there:
                raise MCPError(INVALID_PARAMS, f"there is no such {_CALLS[ctx.method]}")
            result = await call_next(ctx)
        except Exception:
            await anyio.to_thread.run_sync(self._note, "tool-refused", tool)
            raise
        is_error = result.get("isError") if isinstance(result, dict) else getattr(result, "is_error", False)
        if is_error:
            await anyio.to_thread.run_sync(self._note, "tool-refused", tool)
        return result

    def _note(self, act: str, tool: str) -> bool:
        """Write it down; False for a call too many. Raises what `desk_of` raises as MCPError: nobody calls."""
        try:
            desk = self._desk_of()
        except HubError as exc:
            raise MCPError(-32001, str(exc)) from exc
        viewer, now = desk.viewer, desk.now
        is_too_much = act == "tool-called" and not self._may_call(f"{viewer.actor} {viewer.via}", now)
        with desk.engine.store.write() as c:
            written = "tool-refused" if is_too_much else act
            ledger.note(c, now, written, viewer.actor, viewer.account_id, tool=tool, via=viewer.via)
        return not is_too_much

    def _may_call(self, who: str, now: datetime) -> bool:
        calls = self._calls.setdefault(who, deque())
        while calls and now - calls[0] >= _MINUTE:
            calls.popleft()
        if len(calls) >= MOST:
            return False
        calls.append(now)
        return True
