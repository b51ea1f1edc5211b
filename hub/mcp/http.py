"""The server over streamable HTTP: a token for every call, foreign hosts and origins refused."""

from typing import Any
from urllib.parse import urlsplit

import anyio
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import AnyHttpUrl

from hub.access import Door
from hub.api import AuthError
from hub.engine import Engine
from hub.mcp.server import create_server
from hub.service import Desk


class _Tokens:
    def __init__(self, door: Door) -> None:
        self._door = door

    async def verify_token(self, token: str) -> AccessToken | None:
        viewer = await anyio.to_thread.run_sync(self._door.bearer, token)
        if viewer is None:
            return None
        return AccessToken(token=token, client_id=viewer.via, scopes=sorted(viewer.permissions), subject=viewer.actor)


def create_app(engine: Engine, door: Door, url: str) -> Any:
    """An ASGI app that answers at /mcp, with a lifespan of its own. url: scheme, host and port it is reached by."""

    def desk() -> Desk:
        token = get_access_token()
        viewer = door.bearer(token.token) if token else None  # asked again: it may have been revoked since
        if viewer is None:
            raise AuthError("the token opens nothing any more")
        return Desk(engine, viewer)

    here = AnyHttpUrl(url)
    server = create_server(
        desk, token_verifier=_Tokens(door),
        auth=AuthSettings(issuer_url=here, resource_server_url=AnyHttpUrl(f"{url.rstrip('/')}/mcp"), validate_token_resource=False),
    )  # fmt: skip
    host = urlsplit(url).netloc
    security = TransportSecuritySettings(allowed_hosts=[host], allowed_origins=[url.rstrip("/")])
    return server.streamable_http_app(json_response=True, stateless_http=True, transport_security=security)
