"""What is said of webhooks, and what may be asked of them."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from hub.rest.models import Count, Cursor, Given, Model, Number


class Endpoint(Model):
    """state: active; paused by somebody; disabled by the hub, which says why in `reason`."""

    endpoint: str
    url: str
    description: str
    events: list[str]
    owner: str = Field(description="whose private mailbox it hears of, too; empty: the team's alone")
    state: Literal["active", "paused", "disabled"]
    reason: str
    created_at: datetime
    last_ok_at: datetime | None
    failing_since: datetime | None
    held_until: datetime | None


class EndpointShown(Endpoint):
    deliveries: dict[str, Count] = Field(description="how many are in each state")


class EndpointMade(Endpoint):
    secret: str = Field(description="shown this once")


class EndpointPage(Model):
    endpoints: list[EndpointShown]


class Rotated(Model):
    endpoint: str
    secret: str = Field(description="shown this once")


class EventTypes(Model):
    events: dict[str, str]


class Attempt(Model):
    """status: null without an answer."""

    at: datetime
    ms: Count
    status: int | None
    error: str
    answer: str


class Delivery(Model):
    event: str
    cursor: int
    type: str
    subject: str
    at: datetime
    state: Literal["waiting", "due", "done", "failed"]
    tries: Count
    next_at: datetime | None
    ended_at: datetime | None
    attempts: list[Attempt]


class Deliveries(Model):
    deliveries: list[Delivery]


class Replayed(Model):
    events: Count


class Trial(Model):
    endpoint: str
    status: int | None
    ms: Count
    error: str
    is_ok: bool


# What a caller sends.


class HookGiven(Given):
    """events: patterns such as deal.created, contact.* or *.deleted. is_own: of your own private mailbox, too."""

    url: str = Field(min_length=8, max_length=2000)
    events: list[str] = Field(["*"], min_length=1, max_length=50)
    description: str = Field("", max_length=256)
    is_own: bool = False


class HookEdited(Given):
    """What is left out stays."""

    url: str | None = Field(None, min_length=8, max_length=2000)
    events: list[str] | None = Field(None, min_length=1, max_length=50)
    description: str | None = Field(None, max_length=256)


class HookPaused(Given):
    why: str = Field("", max_length=200)


class HookReplayed(Given):
    """Cursors, as the deliveries have them: behind `after`, up to `until`."""

    after: Cursor
    until: Number | None = None
