"""What the hub may know of this connector before it runs."""

from hub.api import Manifest, Scope, Stream
from hub_zendesk.merging import MERGING
from hub_zendesk.settings import ZendeskSettings

TICKETS, USERS, ORGANIZATIONS = "tickets:read", "users:read", "organizations:read"
RATINGS = "satisfaction_ratings:read"

MANIFEST = Manifest(
    name="zendesk",
    title="Zendesk Support",
    channels=("helpdesk", "email", "chat", "phone", "sms", "social", "web", "system"),
    streams=(
        Stream("users", deletes="confirmed", census="ids", needs=(USERS,), carries="parties", merge=MERGING),
        Stream("organizations", deletes="confirmed", census="ids", needs=(ORGANIZATIONS,), carries="parties"),
        Stream("tickets", deletes="confirmed", census="ids", needs=(TICKETS,), carries="objects"),
        # A deleted ticket takes its comments along without naming them: only a full enumeration tells.
        Stream("comments", deletes="suspected", census="ids", needs=(TICKETS,)),
        Stream("satisfaction_ratings", deletes="undetectable", census="ids", needs=(RATINGS,)),
        Stream("metric_events", deletes="undetectable", needs=(TICKETS,)),
    ),
    auth=("oauth", "client_credentials", "token"),
    scopes=(
        Scope(TICKETS, "reads tickets, their public and internal comments, and what happened to them when"),
        Scope(USERS, "knows who wrote: customers, and your own agents"),
        Scope(ORGANIZATIONS, "knows which company a customer belongs to"),
        Scope(RATINGS, "reads satisfaction ratings; without it they stay a gap", False),
        Scope("tickets:write", "writes internal notes and tasks; never a public reply", False),
        Scope("users:write", "writes fields of customers you mapped, and merges duplicates you approved", False),
        Scope("organizations:write", "writes fields of organizations you mapped", False),
    ),
    budgets=ZendeskSettings.model_construct(plan="suite-team", high_volume=False).budgets(),
    pushes=("organization", "person", "interaction", "task"),
    can_undo=True,
    can_be_system_of_record=True,
    webhooks=True,
    vendor_api="Support API v2 (specification of 2024-03, changes up to 2026-08)",
    docs="https://developer.zendesk.com/api-reference/",
)
