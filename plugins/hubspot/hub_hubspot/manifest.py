"""What the hub may know of this connector before it runs."""

from datetime import timedelta
from typing import Literal

from hub.api import Manifest, Scope, Stream
from hub_hubspot.consent import SCOPE
from hub_hubspot.merging import MERGING
from hub_hubspot.objects import OBJECTS
from hub_hubspot.settings import HOST, HubSpotSettings

SEARCH_CAP = 10_000
_OVERLAP = timedelta(minutes=HubSpotSettings.model_fields["lookback_minutes"].default)
_PARTIES = frozenset({"contacts", "companies"})


def _stream(name: str) -> Stream:
    kind = OBJECTS[name]
    carries: Literal["interactions", "parties", "objects"] = (
        "interactions" if kind.is_engagement else "parties" if name in _PARTIES else "objects"
    )
    return Stream(
        name,
        # Deleted e-mails do not go to the recycle bin: nothing tells of them but a full enumeration.
        deletes="suspected" if name == "emails" else "confirmed",
        overlap=_OVERLAP,
        census="ids",
        cap=SEARCH_CAP,
        needs=kind.reads,
        carries=carries,
        merge=MERGING if name in _PARTIES else None,
    )


MANIFEST = Manifest(
    name="hubspot",
    title="HubSpot",
    channels=("email", "phone", "video", "in_person", "calendar", "sms", "chat", "social", "system"),
    streams=(
        Stream("owners", deletes="confirmed", needs=("crm.objects.owners.read",), carries="reference"),
        *(_stream(name) for name in OBJECTS),
    ),
    auth=("token", "oauth"),
    scopes=(
        Scope("crm.objects.contacts.read", "read contacts, and the calls, meetings, notes, tasks and messages on them"),
        Scope("crm.objects.companies.read", "read companies, and which contacts belong to them"),
        Scope("crm.objects.owners.read", "know who is responsible: owners are your own colleagues"),
        Scope("sales-email-read", "read the content of logged e-mails; without it they stay a gap", False),
        Scope("crm.objects.deals.read", "read deals; without it they stay a gap", False),
        Scope("tickets", "read tickets; without it they stay a gap", False),
        Scope(
            "crm.objects.contacts.write",
            "write contacts, and engagements onto their timelines; merge approved duplicates",
            False,
        ),
        Scope("crm.objects.companies.write", "write companies", False),
        Scope("crm.schemas.contacts.write", "create our unique property once, so that nothing is doubled", False),
        Scope("crm.schemas.companies.write", "create our unique property once, so that nothing is doubled", False),
        Scope(SCOPE, "unsubscribe who has opted out elsewhere; never subscribes anybody", False),
    ),
    budgets=HubSpotSettings.model_construct().budgets(),
    hosts=(HOST,),
    pushes=("organization", "person", "interaction", "task", "consent"),
    can_undo=True,
    can_be_system_of_record=True,
    webhooks=True,
    vendor_api="CRM v3 and v4, or date-based 2026-03 and 2026-09",
    docs="https://developers.hubspot.com/docs/api-reference/overview",
)
