"""REST: the use cases over HTTP under /api/v1, described by OpenAPI.

In: an engine and the door that knows tokens. Out: an ASGI app. A route asks one use case and nothing else; who may ask is
the use case's to say. Needs the extra `web`.
"""

from hub.rest.app import create_app

__all__ = ["create_app"]
