"""Which of the hub's fields stands in which property: the standard ones, and those an admin names in the settings.

The hub's names are listed for all tools in docs/fields.md.
"""

from collections.abc import Mapping

from hub.api import RecordRejected
from hub_hubspot.settings import HubSpotSettings

# fmt: off
_PERSON = {  # our field: HubSpot's property
    "first_name": "firstname", "last_name": "lastname", "phone": "phone", "mobile": "mobilephone",
    "job_title": "jobtitle", "company": "company", "website": "website", "industry": "industry",
    "address": "address", "city": "city", "state": "state", "zip": "zip", "country": "country",
    "language": "hs_language", "lifecycle_stage": "lifecyclestage",
}
_ORGANIZATION = {
    "website": "website", "phone": "phone", "industry": "industry", "description": "description",
    "address": "address", "city": "city", "state": "state", "zip": "zip", "country": "country",
    "lifecycle_stage": "lifecyclestage",
}
# fmt: on
# lifecyclestage only moves forward, and HubSpot's own automation owns it; the codes of languages are its own list.
_READ_ONLY = frozenset({"lifecyclestage", "hs_language"})
OBJECT = {"person": "contacts", "organization": "companies"}


def table(kind: str, settings: HubSpotSettings) -> dict[str, str]:
    """Our field -> property, of a "person" or an "organization". What the admin names wins over the standard."""
    own = {"person": settings.person_fields, "organization": settings.organization_fields}.get(kind, {})
    standard = {"person": _PERSON, "organization": _ORGANIZATION}.get(kind, {})
    taken = set(own.values())
    return {ours: theirs for ours, theirs in standard.items() if theirs not in taken} | own


def writable(kind: str, settings: HubSpotSettings) -> dict[str, str]:
    """That part of the table which may be written."""
    return {ours: theirs for ours, theirs in table(kind, settings).items() if theirs not in _READ_ONLY}


def properties_of(name: str, settings: HubSpotSettings) -> tuple[str, ...]:
    """The properties an object type is read for because fields stand in them."""
    return tuple(
        theirs for kind, plural in OBJECT.items() if plural == name for theirs in table(kind, settings).values()
    )


def read(ours: str, value: str) -> str:
    """A property's value in the hub's spelling: a day is a day, whatever type the property has."""
    if ours == "language":
        return value.replace("_", "-").lower()
    return value[:10] if is_day(value) else value


def is_day(value: str) -> bool:
    """Whether this is midnight UTC, which is how a date stands in a property for times."""
    return len(value) > 10 and value[10:] in {"T00:00:00Z", "T00:00:00.000Z"}


def named(given: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    """Property -> value for fields that are named one by one, blanks included. Raises RecordRejected for others."""
    if strange := sorted(set(given) - set(known)):
        raise RecordRejected(f"HubSpot has no place to write the field {', '.join(strange)}: name it in the settings")
    return {known[ours]: value for ours, value in given.items()}
