"""What HubSpot's documentation says about object types and association types, as data.

Source: the vendor's pages "Using object APIs", "Search the CRM" and "Associate records" (as stored 2026-03-30).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class ObjectType:
    """One kind of CRM object.

    created, modified: names of its system time properties. defaults: properties a list or search gives when none
    are asked for. required: on create; "a|b" is one of the two. words: properties the search `query` looks at.
    """

    plural: str
    singular: str
    type_id: str
    created: str
    modified: str
    defaults: tuple[str, ...]
    required: tuple[str, ...]
    words: tuple[str, ...]
    is_engagement: bool = False

    @property
    def label(self) -> str:
        """As it is spelled in error messages."""
        return self.singular.upper()

    @property
    def always(self) -> tuple[str, ...]:
        """Properties that come back whatever was asked for."""
        return (self.created, self.modified, "hs_object_id")


def _engagement(
    plural: str, singular: str, type_id: str, required: tuple[str, ...], words: tuple[str, ...]
) -> ObjectType:
    times = ("hs_createdate", "hs_lastmodifieddate")
    return ObjectType(plural, singular, type_id, *times, (*times, "hs_object_id"), required, words, True)


TYPES: tuple[ObjectType, ...] = (
    ObjectType(
        "contacts", "contact", "0-1", "createdate", "lastmodifieddate",
        ("createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname"), (),
        ("firstname", "lastname", "email", "phone", "hs_additional_emails", "fax", "mobilephone", "company"),
    ),
    ObjectType(
        "companies", "company", "0-2", "createdate", "hs_lastmodifieddate",
        ("name", "domain", "createdate", "hs_lastmodifieddate", "hs_object_id"), ("domain|name",),
        ("website", "phone", "name", "domain"),
    ),
    ObjectType(
        "deals", "deal", "0-3", "createdate", "hs_lastmodifieddate",
        ("dealname", "amount", "closedate", "pipeline", "dealstage", "createdate", "hs_lastmodifieddate",
         "hs_object_id"), ("dealname", "dealstage", "pipeline"),
        ("dealname", "pipeline", "dealstage", "description", "dealtype"),
    ),
    ObjectType(
        "tickets", "ticket", "0-5", "createdate", "hs_lastmodifieddate",
        ("content", "hs_pipeline", "hs_pipeline_stage", "hs_ticket_category", "hs_ticket_priority", "subject",
         "createdate", "hs_lastmodifieddate", "hs_object_id"), ("subject", "hs_pipeline_stage", "hs_pipeline"),
        ("subject", "content", "hs_pipeline_stage", "hs_ticket_category", "hs_ticket_id"),
    ),
    _engagement("communications", "communication", "0-18", ("hs_timestamp", "hs_communication_channel_type"), ()),
    _engagement("tasks", "task", "0-27", ("hs_timestamp",), ("hs_task_body", "hs_task_subject")),
    _engagement("notes", "note", "0-46", ("hs_timestamp",), ("hs_note_body",)),
    # A meeting without hs_timestamp takes its start time.
    _engagement("meetings", "meeting", "0-47", ("hs_timestamp|hs_meeting_start_time",),
                ("hs_meeting_title", "hs_meeting_body")),
    _engagement("calls", "call", "0-48", ("hs_timestamp",), ("hs_call_title", "hs_body_preview")),
    _engagement("emails", "email", "0-49", ("hs_timestamp", "hs_email_direction"), ("hs_email_subject",)),
)  # fmt: skip

BY_PLURAL = {t.plural: t for t in TYPES}
BY_NAME = {name: t for t in TYPES for name in (t.plural, t.singular, t.type_id)}
MERGEABLE = frozenset({"contacts", "companies", "deals", "tickets"})


@dataclass(frozen=True)
class LinkType:
    """One HUBSPOT_DEFINED association type, in one direction. `label` is None for the unlabelled default."""

    type_id: int
    source: str
    target: str
    label: str | None
    inverse: int


# plural, plural, id there, id back
_DEFAULT = (
    ("contacts", "contacts", 449, 449), ("companies", "companies", 450, 450), ("deals", "deals", 451, 451),
    ("tickets", "tickets", 452, 452),
    ("contacts", "companies", 279, 280), ("contacts", "deals", 4, 3), ("contacts", "tickets", 15, 16),
    ("contacts", "calls", 193, 194), ("contacts", "emails", 197, 198), ("contacts", "meetings", 199, 200),
    ("contacts", "notes", 201, 202), ("contacts", "tasks", 203, 204), ("contacts", "communications", 82, 81),
    ("companies", "deals", 342, 341), ("companies", "tickets", 340, 339), ("companies", "calls", 181, 182),
    ("companies", "emails", 185, 186), ("companies", "meetings", 187, 188), ("companies", "notes", 189, 190),
    ("companies", "tasks", 191, 192), ("companies", "communications", 88, 87),
    ("deals", "tickets", 27, 28), ("deals", "calls", 205, 206), ("deals", "emails", 209, 210),
    ("deals", "meetings", 211, 212), ("deals", "notes", 213, 214), ("deals", "tasks", 215, 216),
    ("deals", "communications", 86, 85),
    ("tickets", "calls", 219, 220), ("tickets", "emails", 223, 224), ("tickets", "meetings", 225, 226),
    ("tickets", "notes", 227, 228), ("tickets", "tasks", 229, 230), ("tickets", "communications", 84, 83),
)  # fmt: skip

CHILD_TO_PARENT = 14
# plural, plural, id there, id back, label there, label back
_LABELLED = (
    ("contacts", "companies", 1, 2, "Primary", "Contact with Primary Company"),
    ("deals", "companies", 5, 6, "Primary", "Deal with Primary Company"),
    ("tickets", "companies", 26, 25, "Primary", "Ticket with Primary Company"),
    ("contacts", "companies", 931, 930, "Billing contact", "Billing contact"),
    ("companies", "companies", CHILD_TO_PARENT, 13, "Parent Company", "Child Company"),
)

LINK_TYPES: dict[int, LinkType] = {}
DEFAULT_LINK: dict[tuple[str, str], int] = {}
PRIMARY_LINK = {("contacts", "companies"): 1, ("deals", "companies"): 5, ("tickets", "companies"): 26}

for _a, _b, _there, _back in _DEFAULT:
    DEFAULT_LINK[_a, _b], DEFAULT_LINK[_b, _a] = _there, _back
    LINK_TYPES[_there] = LinkType(_there, _a, _b, None, _back)
    LINK_TYPES[_back] = LinkType(_back, _b, _a, None, _there)
for _a, _b, _there, _back, _label, _reverse in _LABELLED:
    LINK_TYPES[_there] = LinkType(_there, _a, _b, _label, _back)
    LINK_TYPES[_back] = LinkType(_back, _b, _a, _reverse, _there)


def link_types(source: str, target: str) -> list[LinkType]:
    """Every association type from one object type to another, the default first."""
    found = [t for t in LINK_TYPES.values() if (t.source, t.target) == (source, target)]
    return sorted(found, key=lambda t: (t.label is not None, t.type_id))
