"""The public contract: the only room a connector imports.

In: what a vendor gives and takes. Out: the canonical schema, the connector base class, manifest, errors and the
HTTP client every connector shares. Imports nothing else of the hub.
"""

from hub.api.auth import OAuthRefresh, ServiceAccount, StaticToken, TokenSource, TokenStore
from hub.api.budget import Budgeter, Ledger, MemoryLedger
from hub.api.canonical import (
    SCHEMA_VERSION,
    Answer,
    Attachment,
    Channel,
    Consent,
    Conversation,
    Deal,
    Direction,
    Entity,
    Identifier,
    Interaction,
    Kind,
    Note,
    Organization,
    Participation,
    Person,
    Purpose,
    Redirect,
    Role,
    Service,
    Statement,
    Task,
    Ticket,
    Tombstone,
    Unmapped,
    json_schema,
)  # fmt: skip
from hub.api.clock import Clock, FakeClock
from hub.api.connector import (
    Census,
    Change,
    Connector,
    ConnectorSettings,
    Estimate,
    Found,
    Gap,
    JournalEntry,
    Link,
    Notice,
    Page,
    Permission,
    PermissionMatrix,
    Pull,
    Pushable,
    RawRecord,
    Receipt,
    SecretStr,
    WebhookRequest,
    Window,
)  # fmt: skip
from hub.api.errors import (
    AuthError,
    ConfigError,
    Conflict,
    ContractBroken,
    CursorExpired,
    Gone,
    HubError,
    RateLimited,
    RecordRejected,
    ScopeError,
    Transient,
    WebhookRejected,
)  # fmt: skip
from hub.api.hooks import Hooks, hookimpl, hookspec
from hub.api.http import Http, HttpProfile, MemoryTokens, Response, Services, retry_after
from hub.api.manifest import API_VERSION, Budget, Deletes, Manifest, Merge, Scope, Stream
from hub.api.normaliser import Normalised, Normaliser

__all__ = [
    "API_VERSION", "SCHEMA_VERSION", "Answer", "Attachment", "AuthError", "Budget", "Budgeter", "Census", "Change", "Channel",
    "Clock", "ConfigError", "Conflict", "Connector", "ConnectorSettings", "Consent", "ContractBroken",
    "Conversation", "CursorExpired", "Deal", "Deletes", "Direction", "Entity", "Estimate", "FakeClock", "Found",
    "Gap", "Gone", "Hooks", "Http", "HttpProfile", "HubError", "Identifier", "Interaction", "JournalEntry", "Kind",
    "Ledger", "Link", "Manifest", "MemoryLedger", "MemoryTokens", "Merge", "Normalised", "Normaliser", "Note", "Notice", "OAuthRefresh",
    "Organization", "Page", "Participation", "Permission", "PermissionMatrix", "Person", "Pull", "Purpose",
    "Pushable", "RateLimited", "RawRecord", "Receipt", "RecordRejected", "Redirect", "Response", "Role", "Scope",
    "ScopeError", "SecretStr", "Service", "ServiceAccount", "Services", "Statement", "StaticToken", "Stream",
    "Task", "Ticket", "TokenSource", "TokenStore", "Tombstone", "Transient", "Unmapped", "WebhookRejected",
    "WebhookRequest", "Window", "hookimpl", "hookspec", "json_schema", "retry_after",
]  # fmt: skip
