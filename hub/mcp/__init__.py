"""MCP: a small set of use cases for the assistants that teams use. It reads, and proposes; nothing it offers writes to a tool.

In: who asks. Out: a server for stdio or streamable HTTP. What strangers wrote comes marked, without hidden characters and
live links, and cut to a size: it is data, never instructions. Needs the extra `web`.
"""

from hub.mcp.http import create_app
from hub.mcp.server import create_server

__all__ = ["create_app", "create_server"]
