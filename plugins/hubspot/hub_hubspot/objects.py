"""The objects we follow: type ids, time properties, what is read of each, which associations, which scopes.

Source: HubSpot's pages "Using object APIs", "Search the CRM" and the guides of each engagement.
"""

from dataclasses import dataclass

MERGED = "hs_merged_object_ids"
OPT_OUT = "hs_email_optout"
PARENT = "hs_parent_company_id"  # follows the association "child to parent company"; nobody writes it
_WRITE = "crm.objects.contacts.write"
_SCHEMA = "crm.schemas.contacts.write"


@dataclass(frozen=True, slots=True)
class ObjectType:
    """One kind of CRM object.

    modified: the property incremental reads filter on (contacts spell it differently). links: object types whose
    associations we keep with a record. reads, writes, schema: the scope each of them takes.
    """

    name: str
    type_id: str
    properties: tuple[str, ...]
    links: tuple[str, ...] = ()
    modified: str = "hs_lastmodifieddate"
    is_engagement: bool = False
    is_mergeable: bool = False
    reads: tuple[str, ...] = ("crm.objects.contacts.read",)
    writes: str = _WRITE
    schema: str = _SCHEMA


def _engagement(name: str, type_id: str, *own: str, reads: tuple[str, ...] = ()) -> ObjectType:
    return ObjectType(
        name, type_id, ("hs_timestamp", "hubspot_owner_id", *own), ("contacts", "companies", "tickets"),
        is_engagement=True, reads=("crm.objects.contacts.read", *reads),
    )  # fmt: skip


# fmt: off
OBJECTS: dict[str, ObjectType] = {o.name: o for o in (
    ObjectType(
        "contacts", "0-1",
        ("email", "hs_additional_emails", "firstname", "lastname", "phone", "mobilephone", "jobtitle", "company",
         "lifecyclestage", "hubspot_owner_id", "associatedcompanyid", OPT_OUT, MERGED),
        ("companies",), modified="lastmodifieddate", is_mergeable=True,
    ),
    ObjectType(
        "companies", "0-2",
        ("name", "domain", "hs_additional_domains", "website", "phone", "industry", "city", "country",
         "lifecyclestage", "hubspot_owner_id", PARENT, MERGED),
        is_mergeable=True, reads=("crm.objects.companies.read",), writes="crm.objects.companies.write",
        schema="crm.schemas.companies.write",
    ),
    ObjectType(
        "deals", "0-3",
        ("dealname", "dealstage", "pipeline", "amount", "deal_currency_code", "closedate", "hs_is_closed",
         "hubspot_owner_id", MERGED),
        ("contacts", "companies"), is_mergeable=True, reads=("crm.objects.deals.read",),
        writes="crm.objects.deals.write", schema="crm.schemas.deals.write",
    ),
    ObjectType(
        "tickets", "0-5",
        ("subject", "content", "hs_pipeline", "hs_pipeline_stage", "hs_ticket_priority", "createdate", "closed_date",
         "hubspot_owner_id", MERGED),
        ("contacts", "companies"), is_mergeable=True, reads=("tickets",), writes="tickets", schema="tickets",
    ),
    ObjectType(
        "tasks", "0-27",
        ("hs_timestamp", "hubspot_owner_id", "hs_task_subject", "hs_task_body", "hs_task_status", "hs_task_type",
         "hs_task_priority"),
        ("contacts", "companies"),
    ),
    _engagement("emails", "0-49", "hs_email_direction", "hs_email_status", "hs_email_subject", "hs_email_text",
                "hs_email_html", "hs_email_headers", "hs_email_message_id", "hs_email_thread_id",
                "hs_email_from_email", "hs_email_to_email", "hs_email_cc_email", reads=("sales-email-read",)),
    _engagement("calls", "0-48", "hs_call_title", "hs_call_body", "hs_call_direction", "hs_call_disposition",
                "hs_call_duration", "hs_call_from_number", "hs_call_to_number", "hs_call_recording_url",
                "hs_call_status"),
    _engagement("meetings", "0-47", "hs_meeting_title", "hs_meeting_body", "hs_meeting_location",
                "hs_meeting_external_url", "hs_meeting_start_time", "hs_meeting_end_time", "hs_meeting_outcome",
                "hs_internal_meeting_notes"),
    _engagement("notes", "0-46", "hs_note_body"),
    _engagement("communications", "0-18", "hs_communication_channel_type", "hs_communication_logged_from",
                "hs_communication_body"),
)}
# fmt: on

BY_ID = {o.type_id: o.name for o in OBJECTS.values()}
ENGAGEMENTS = tuple(o.name for o in OBJECTS.values() if o.is_engagement)
# What each kind of change can become here, and the kinds an association may point at.
PUSHED: dict[str, tuple[str, ...]] = {
    "organization": ("companies",), "person": ("contacts",), "interaction": ENGAGEMENTS, "task": ("tasks",),
}  # fmt: skip
LINKED = {"person": "contacts", "organization": "companies", "deal": "deals", "ticket": "tickets"}

# Type ids of unlabelled associations, from -> to; for links sent along with a create.
# fmt: off
LINK_IDS = {
    ("emails", "contacts"): 198,         ("emails", "companies"): 186,
    ("emails", "deals"): 210,            ("emails", "tickets"): 224,
    ("calls", "contacts"): 194,          ("calls", "companies"): 182,
    ("calls", "deals"): 206,             ("calls", "tickets"): 220,
    ("meetings", "contacts"): 200,       ("meetings", "companies"): 188,
    ("meetings", "deals"): 212,          ("meetings", "tickets"): 226,
    ("notes", "contacts"): 202,          ("notes", "companies"): 190,
    ("notes", "deals"): 214,             ("notes", "tickets"): 228,
    ("tasks", "contacts"): 204,          ("tasks", "companies"): 192,
    ("tasks", "deals"): 216,             ("tasks", "tickets"): 230,
    ("communications", "contacts"): 81,  ("communications", "companies"): 87,
    ("communications", "deals"): 85,     ("communications", "tickets"): 83,
    ("contacts", "companies"): 279,      ("contacts", "deals"): 4,
    ("contacts", "tickets"): 15,         ("companies", "contacts"): 280,
    ("companies", "deals"): 342,         ("companies", "tickets"): 340,
}
# fmt: on
