"""Settings of a Gmail connection, and the quota that belongs to its Google Cloud project.

Source: developers.google.com/workspace/gmail/api/reference/quota (the form in force since 1 May 2026).
"""

from datetime import date, timedelta
from typing import ClassVar, Self

from pydantic import Field, field_validator, model_validator

from hub.api import Budget
from hub.api.google import SCOPE_ROOT, GoogleSettings

READ_SCOPE = SCOPE_ROOT + "gmail.readonly"
DRAFT_SCOPE = SCOPE_ROOT + "gmail.compose"

API_HOST = "gmail.googleapis.com"

NEW_QUOTA_FROM = date(2026, 5, 1)
MINUTE = timedelta(minutes=1)

# fmt: off
UNITS = {  # units per call, projects created on or after 1 May 2026
    "getProfile": 1,    "labels.list": 1,     "sendAs.list": 1,    "history.list": 2,
    "messages.list": 5, "messages.get": 20,   "drafts.list": 5,    "drafts.get": 20,
    "drafts.create": 10, "drafts.delete": 10,
}
# fmt: on
OLDER_UNITS = {**UNITS, "messages.get": 5, "drafts.get": 5}

NEW_BUDGET = Budget("user-minute", 6_000, MINUTE, UNITS)
OLDER_BUDGET = Budget("user-minute", 15_000, MINUTE, OLDER_UNITS)


class GmailSettings(GoogleSettings):
    """One mailbox of one account.

    subject: whom a service account acts for, where that is not the mailbox itself.
    query narrows what is read, in Gmail's search syntax ("-label:private").
    project_created decides the quota; left out, the lower one (2026-05-01 and later) is kept.
    """

    api_host: ClassVar[str] = API_HOST

    mailbox: str
    subject: str = ""

    query: str = ""
    include_spam_trash: bool = False
    push_drafts: bool = False

    project_created: date | None = None
    batch_size: int = Field(default=50, ge=1, le=100)
    base_url: str = f"https://{API_HOST}/"

    pubsub_audience: str = ""
    pubsub_service_account: str = ""
    pubsub_jwks: str = ""

    @field_validator("mailbox", "subject")
    @classmethod
    def _address(cls, value: str) -> str:
        value = value.strip().lower()
        if value and (value.count("@") != 1 or any(c.isspace() for c in value)):
            raise ValueError("must be one e-mail address, such as sales@example.com")
        return value

    @model_validator(mode="after")
    def _is_somebodys(self) -> Self:
        if not self.mailbox:
            raise ValueError("mailbox: name the address to read")
        return self

    @property
    def login(self) -> str:
        return self.mailbox

    def scopes(self) -> tuple[str, ...]:
        """What this connection asks for: reading, and drafts only when it may write them."""
        return (READ_SCOPE, DRAFT_SCOPE) if self.push_drafts else (READ_SCOPE,)

    def budget(self) -> Budget:
        """Units per user and minute of the project behind the credentials."""
        older = self.project_created is not None and self.project_created < NEW_QUOTA_FROM
        return OLDER_BUDGET if older else NEW_BUDGET
