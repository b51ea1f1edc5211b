"""What an admin sets for one Mailchimp account."""

import re
from typing import Annotated

from pydantic import ConfigDict, Field, SecretStr, model_validator

from hub.api import ConnectorSettings

_DATA_CENTER = re.compile(r"[a-z]{2}[0-9]{1,3}")
# fmt: off
MERGE_FIELDS = {"first_name": "FNAME", "last_name": "LNAME", "phone": "PHONE", "birthday": "BIRTHDAY"}
# fmt: on
SAID = frozenset({"email_status", "language", "vip", "tags"})  # fields that stand in no merge field
FieldName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=64)]
API = "https://{dc}.api.mailchimp.com/"


class MailchimpSettings(ConnectorSettings):
    """One account, by API key or by OAuth token.

    audiences: ids of those to read and write; none means all. merge_fields: our field -> merge tag, both ways.
    key_field: the merge tag our key is stored under, at most ten characters; create_key_field: `check` may make it.
    activity_days: campaigns sent so long ago are still asked for new opens and clicks. page_size: rows a call.
    connections: how many of the ten open connections Mailchimp allows this hub may use.
    webhook_secret: the last part of the webhook's address, after `?secret=`. webhook_signing_secret: given by
    Mailchimp once when a signed webhook is made; set, every call must carry a valid signature besides.
    base_url, login_url: for a stand-in; "{dc}" is the data centre, known by the key or by the token's metadata.
    """

    model_config = ConfigDict(hide_input_in_errors=True)  # the input is the key

    api_key: SecretStr = SecretStr("")
    oauth_token: SecretStr = SecretStr("")
    audiences: tuple[str, ...] = ()
    merge_fields: dict[FieldName, str] = MERGE_FIELDS
    key_field: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,9}$")] = "IHUBKEY"
    create_key_field: bool = True
    activity_days: Annotated[int, Field(ge=1, le=500)] = 30
    page_size: Annotated[int, Field(ge=10, le=1000)] = 1000
    connections: Annotated[int, Field(ge=1, le=10)] = 5
    webhook_secret: SecretStr = SecretStr("")
    webhook_signing_secret: SecretStr = SecretStr("")
    base_url: str = API
    login_url: str = "https://login.mailchimp.com/"

    @model_validator(mode="after")
    def _fields_are_free(self) -> "MailchimpSettings":
        tags = list(self.merge_fields.values())
        if bad := sorted({t for t in tags if t == self.key_field or tags.count(t) > 1}):
            raise ValueError(f"merge_fields: {bad[0]} is kept for the hub itself, or named twice")
        if bad := sorted(SAID & set(self.merge_fields)):
            raise ValueError(f"merge_fields: {bad[0]} is what Mailchimp itself says of a member")
        return self

    @model_validator(mode="after")
    def _one_way_in(self) -> "MailchimpSettings":
        key, token = self.api_key.get_secret_value(), self.oauth_token.get_secret_value()
        if bool(key) == bool(token):
            raise ValueError("set api_key or oauth_token, one of the two")
        if key and not self.api_url():
            raise ValueError("api_key must end in its data centre, as in ...-us19: copy it again")
        return self

    def data_center(self) -> str:
        """The part of the API key after its last dash, "" when that is no data centre."""
        _, dash, center = self.api_key.get_secret_value().rpartition("-")
        return center if dash and _DATA_CENTER.fullmatch(center) else ""

    def api_url(self) -> str:
        """Where the API is, ending in "/3.0/"; "" when only the token's metadata knows."""
        base = f"{self.base_url.rstrip('/')}/3.0/"
        if "{dc}" not in base:
            return base
        return base.replace("{dc}", self.data_center()) if self.data_center() else ""
