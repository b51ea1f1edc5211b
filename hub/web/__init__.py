"""Pages, for people who would rather look than read commands: rendered here, readable without JavaScript, nothing fetched
from elsewhere.

In: a browser's request with a session's cookie. Out: HTML of what one use case answered (`hub.service`). No rule and no query
lives here. A page module lists its `routes`, made with `show` and `act` of `hub.web.page`.
"""

from hub.web.app import create_app

__all__ = ["create_app"]
