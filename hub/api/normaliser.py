"""How an identifier, name or domain becomes what it is compared by. The value as given is always kept and used for sending."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

NormaliserKind = Literal["email", "phone", "person_name", "company_name", "social_handle", "domain"]
Sharing = Literal["", "personal", "role", "no_reply", "free_domain", "disposable", "shared", "public_handle"]


@dataclass(frozen=True, slots=True)
class Normalised:
    """value: what is compared; "" for junk, which matches nothing. sharing: how many may stand behind it; "" is not known.

    Only a "personal" value may make two records one by itself. Of person_name the value is "given|middle names|family",
    lower case, with "" for what is not there; of all other kinds it is any text without control characters.
    """

    value: str = ""
    sharing: Sharing = ""


@dataclass(frozen=True, slots=True)
class Normaliser:
    """name: unique among all that are installed ("acme.phone"). scheme: of social_handle, the network it is for ("" for all others).

    normalise: (text as given, region) -> Normalised. region: two letters or ""; only phones need it. It must be pure and
    idempotent: the value of a value is itself. Text is at most 512 characters, without control characters.
    replaces: the name of the one that it stands in for; without it a kind that is taken cannot be taken again.
    """

    name: str
    kind: NormaliserKind
    normalise: Callable[[str, str], Normalised]
    scheme: str = ""
    replaces: str = ""
