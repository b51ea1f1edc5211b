"""Property definitions: those every portal has, and what a definition looks like on the wire.

Only the properties this project can meet are here; a real portal lists several hundred per type.
"""

from dataclasses import dataclass, field
from typing import Any

from hub_hubspot.emulator.tables import TYPES, ObjectType

LIFECYCLE = (
    "subscriber", "lead", "marketingqualifiedlead", "salesqualifiedlead", "opportunity", "customer", "evangelist",
    "other",
)  # fmt: skip
DISPOSITIONS = {
    "Busy": "9d9162e7-6cf3-4944-bf63-4dff82258764",
    "Connected": "f240bbac-87c9-4f6e-bf70-924b57d47db7",
    "Left live message": "a4c4c377-d246-4b32-a13b-75a56a4cd0ff",
    "Left voicemail": "b2cf5968-551e-4856-9783-52b3da59a7d0",
    "No answer": "73a0d17f-1163-4015-bdd5-ec830791da20",
    "Wrong number": "17b47fee-58de-441e-a44c-c6300d46f273",
}
MAX_UNIQUE = 10

_FIELDS = {"string": "text", "number": "number", "datetime": "date", "date": "date", "bool": "booleancheckbox",
           "enumeration": "select"}  # fmt: skip
_KINDS = {"s": "string", "n": "number", "t": "datetime", "b": "bool", "e": "enumeration"}

# One line per property: name, kind (s n t b e), "r" when read-only, options after "=".
# An enumeration without options takes its values from elsewhere (owners, pipelines).
_SHARED = """
hs_object_id n r|hs_createdate t r|hs_lastmodifieddate t r|hs_merged_object_ids s r|hs_object_source s r
hs_object_source_id s r|hs_object_source_label s r|hs_created_by_user_id n r|hs_updated_by_user_id n r
hs_unique_creation_key s r|hubspot_owner_id e|hubspot_team_id e|hubspot_owner_assigneddate t r
"""
_ENGAGEMENT = """
hs_timestamp t|hs_attachment_ids s|hs_body_preview s r|hs_body_preview_html s r|hs_body_preview_is_truncated b r
hs_activity_type s|hs_gdpr_deleted b r
"""
_OWN = {
    "contacts": f"""
createdate t r|lastmodifieddate t r|email s|firstname s|lastname s|phone s|mobilephone s|fax s|jobtitle s|company s
website s|address s|city s|state s|zip s|country s|salutation s|message s|industry s|hs_language s|hs_timezone s
lifecyclestage e={",".join(LIFECYCLE)}|hs_additional_emails s r|hs_email_domain s r|closedate t|hs_email_optout b r
hs_lead_status e=NEW,OPEN,IN_PROGRESS,OPEN_DEAL,UNQUALIFIED,ATTEMPTED_TO_CONTACT,CONNECTED,BAD_TIMING
associatedcompanyid n|notes_last_contacted t r|notes_last_updated t r|num_notes n r|num_contacted_notes n r
num_unique_conversion_events n r|hs_linkedin_url s
""",
    "companies": f"""
createdate t r|name s|domain s|website s|phone s|address s|city s|state s|zip s|country s|industry s|description s
numberofemployees n|annualrevenue n|lifecyclestage e={",".join(LIFECYCLE)}|hs_additional_domains s r
type e=PROSPECT,PARTNER,RESELLER,VENDOR,OTHER|num_associated_contacts n r|notes_last_contacted t r
notes_last_updated t r|timezone s|linkedin_company_page s|hs_parent_company_id n r
""",
    "deals": """
createdate t r|dealname s|amount n|closedate t|pipeline e|dealstage e|description s|deal_currency_code s
dealtype e=newbusiness,existingbusiness|hs_priority e=low,medium,high|hs_is_closed b r|hs_is_closed_won b r
hs_deal_stage_probability n r|amount_in_home_currency n r|num_associated_contacts n r
""",
    "tickets": """
createdate t r|subject s|content s|hs_pipeline e|hs_pipeline_stage e|closed_date t|hs_resolution s|hs_ticket_id n r
hs_ticket_category e=PRODUCT_ISSUE,BILLING_ISSUE,FEATURE_REQUEST,GENERAL_INQUIRY
hs_ticket_priority e=LOW,MEDIUM,HIGH,URGENT|source_type e=CHAT,EMAIL,FORM,PHONE
""",
    "communications": """
hs_communication_channel_type e=WHATS_APP,LINKEDIN_MESSAGE,SMS|hs_communication_logged_from e=CRM
hs_communication_body s
""",
    "tasks": """
hs_task_subject s|hs_task_body s|hs_task_status e=NOT_STARTED,IN_PROGRESS,WAITING,COMPLETED,DEFERRED
hs_task_priority e=NONE,LOW,MEDIUM,HIGH|hs_task_type e=EMAIL,CALL,TODO|hs_task_reminders s
hs_task_completion_date t r
""",
    "notes": "hs_note_body s",
    "meetings": """
hs_meeting_title s|hs_meeting_body s|hs_meeting_location s|hs_meeting_external_url s|hs_meeting_start_time t
hs_meeting_end_time t|hs_meeting_outcome e=SCHEDULED,COMPLETED,RESCHEDULED,NO_SHOW,CANCELED
hs_internal_meeting_notes s
""",
    "calls": f"""
hs_call_title s|hs_call_body s|hs_call_direction e=INBOUND,OUTBOUND|hs_call_duration n|hs_call_from_number s
hs_call_to_number s|hs_call_recording_url s|hs_call_callee_object_id n|hs_call_callee_object_type s
hs_call_status e=BUSY,CALLING_CRM_USER,CANCELED,COMPLETED,CONNECTING,FAILED,IN_PROGRESS,NO_ANSWER,QUEUED,RINGING
hs_call_disposition e={",".join(DISPOSITIONS.values())}
""",
    "emails": """
hs_email_direction e=EMAIL,INCOMING_EMAIL,FORWARDED_EMAIL|hs_email_status e=BOUNCED,FAILED,SCHEDULED,SENDING,SENT
hs_email_subject s|hs_email_text s|hs_email_html s|hs_email_headers s|hs_email_message_id s|hs_email_thread_id s
hs_email_from_email s r|hs_email_from_firstname s r|hs_email_from_lastname s r|hs_email_sender_email s r
hs_email_to_email s r|hs_email_to_firstname s r|hs_email_to_lastname s r|hs_email_cc_email s r
hs_email_bcc_email s r
""",
}

# Documented as not filterable in search.
NOT_FILTERABLE = frozenset({"hs_email_html", "hs_body_preview", "hs_body_preview_html", "hs_body_preview_is_truncated"})
MAX_LENGTH = {"hs_note_body": 65_536}
DEFAULT_GROUPS = {
    "contacts": "contactinformation", "companies": "companyinformation", "deals": "dealinformation",
    "tickets": "ticketinformation",
}  # fmt: skip


@dataclass(slots=True)
class Property:
    """One property definition. options: value -> label, for enumerations; empty means not checked here."""

    name: str
    type: str
    field_type: str
    group: str
    label: str
    description: str = ""
    is_read_only: bool = False
    is_unique: bool = False
    is_own: bool = False
    is_hidden: bool = False
    is_form_field: bool = False
    options: dict[str, str] = field(default_factory=dict)
    created_at: str = ""
    archived_at: str = ""

    def wire(self) -> dict[str, Any]:
        """As the properties API shows it."""
        row: dict[str, Any] = {
            "name": self.name, "label": self.label, "type": self.type, "fieldType": self.field_type,
            "description": self.description, "groupName": self.group, "options": self._options(),
            "displayOrder": -1, "calculated": False, "externalOptions": self.type == "enumeration" and not self.options,
            "hasUniqueValue": self.is_unique, "hidden": self.is_hidden, "formField": self.is_form_field,
            "hubspotDefined": not self.is_own, "archived": bool(self.archived_at),
            "modificationMetadata": {
                "archivable": self.is_own, "readOnlyDefinition": not self.is_own, "readOnlyValue": self.is_read_only,
            },
        }  # fmt: skip
        if self.created_at:
            row |= {"createdAt": self.created_at, "updatedAt": self.created_at}
        if self.archived_at:
            row["archivedAt"] = self.archived_at
        return row

    def _options(self) -> list[dict[str, Any]]:
        pairs = self.options.items()
        return [
            {"label": label, "value": value, "description": "", "displayOrder": place, "hidden": False}
            for place, (value, label) in enumerate(pairs)
        ]


def built_in() -> dict[str, dict[str, Property]]:
    """Fresh definitions per plural type name."""
    return {t.plural: _of(t) for t in TYPES}


def _of(kind: ObjectType) -> dict[str, Property]:
    text = _SHARED + (_ENGAGEMENT if kind.is_engagement else "") + _OWN[kind.plural]
    group = DEFAULT_GROUPS.get(kind.plural, kind.singular)
    found: dict[str, Property] = {}
    for entry in text.replace("\n", "|").split("|"):
        if not entry.strip():
            continue
        head, _, values = entry.strip().partition("=")
        name, code, *flags = head.split()
        type_ = _KINDS[code]
        titles = {v: k for k, v in DISPOSITIONS.items()}
        options = {v: titles.get(v, v.replace("_", " ").capitalize()) for v in values.split(",") if v}
        if type_ == "bool":
            options = {"true": "Yes", "false": "No"}
        label = name.removeprefix("hs_").replace("_", " ").capitalize()
        found[name] = Property(name, type_, _FIELDS[type_], group, label, is_read_only="r" in flags, options=options)
    return found
