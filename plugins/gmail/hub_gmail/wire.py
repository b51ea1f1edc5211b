"""The shapes of Gmail's answers that this connector reads, and how they are asked for.

Only the fields used are named; msgspec skips the rest without building it. Numbers arrive as strings
("historyId": "86290"), and the decoders take both. Source: Gmail API v1 discovery document.
"""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec

from hub.api import ContractBroken, Http

USERS = "gmail/v1/users/me/"
T = TypeVar("T")


class Ref(msgspec.Struct, gc=False):
    """A message by name. `labelIds` is present inside history records only."""

    id: str
    labelIds: list[str] = []


class Listing(msgspec.Struct):
    """messages.list. An empty mailbox still answers with `resultSizeEstimate`."""

    messages: list[Ref] = []
    nextPageToken: str = ""
    resultSizeEstimate: int | None = None


class Event(msgspec.Struct, gc=False):
    message: Ref
    labelIds: list[str] = []


class Record(msgspec.Struct):
    """One history record. Some carry only `messages`: the vendor's own bumps."""

    id: int
    messages: list[Ref] = []
    messagesAdded: list[Event] = []
    messagesDeleted: list[Event] = []
    labelsAdded: list[Event] = []
    labelsRemoved: list[Event] = []


class History(msgspec.Struct):
    """history.list. The `history` key is absent when there is nothing new."""

    historyId: int
    history: list[Record] = []
    nextPageToken: str = ""


class Profile(msgspec.Struct):
    emailAddress: str
    historyId: int
    messagesTotal: int = 0


class Head(msgspec.Struct, gc=False):
    """What pulling needs to know of a message; the rest of its JSON stays as it came."""

    id: str
    labelIds: list[str] = []
    historyId: int = 0
    internalDate: int = 0


class Header(msgspec.Struct, gc=False):
    name: str
    value: str = ""


class Body(msgspec.Struct, gc=False):
    """`data` is base64url, often unpadded; large and attached bodies have an `attachmentId` instead."""

    size: int = 0
    data: str = ""
    attachmentId: str = ""


class Part(msgspec.Struct):
    partId: str = ""
    mimeType: str = ""
    filename: str = ""
    headers: list[Header] = []
    body: Body | None = None
    parts: list["Part"] = []


class Message(msgspec.Struct):
    """A whole message. `hubLabelNames` is ours: the names of its user labels when it was read."""

    id: str
    threadId: str = ""
    labelIds: list[str] = []
    snippet: str = ""
    internalDate: int | None = None
    payload: Part | None = None
    hubLabelNames: dict[str, str] = {}


class Label(msgspec.Struct):
    id: str
    name: str = ""
    type: str = ""


class Labels(msgspec.Struct):
    labels: list[Label] = []


class Alias(msgspec.Struct):
    sendAsEmail: str
    verificationStatus: str = ""
    isPrimary: bool = False


class Aliases(msgspec.Struct):
    sendAs: list[Alias] = []


class Draft(msgspec.Struct):
    id: str
    message: Message | None = None


class Drafts(msgspec.Struct):
    drafts: list[Draft] = []


class Shape(Generic[T]):
    """A decoder for one shape, built once."""

    def __init__(self, type_: type[T]) -> None:
        self.decode = msgspec.json.Decoder(type_, strict=False).decode


LISTING, HISTORY, PROFILE = Shape(Listing), Shape(History), Shape(Profile)
LABELS, ALIASES = Shape(Labels), Shape(Aliases)
DRAFT, DRAFTS = Shape(Draft), Shape(Drafts)
HEAD, MESSAGE = Shape(Head), Shape(Message)


async def read(http: Http, path: str, shape: Shape[T], *, cost: str, params: Mapping[str, Any] | None = None) -> T:
    """GET users/me/`path` as `shape`. Raises ContractBroken for an answer that does not have it."""
    response = await http.request("GET", USERS + path, params=params, cost=cost)
    try:
        return shape.decode(response.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        kind = response.headers.get("content-type", "no content type")
        raise ContractBroken(f"{path}: unexpected answer ({kind}): {exc}", status=response.status) from exc
