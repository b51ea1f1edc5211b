"""Settings of one mailbox: where it is, how to sign in, which folders to read, what may be written.

Lines are TLS from the first byte ("tls") or from STARTTLS on ("starttls"); "plain" only to this very machine.
"""

from datetime import timedelta
from ipaddress import ip_address
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, field_validator, model_validator

from hub.api import Budget, ConnectorSettings, SecretStr

Security = Literal["tls", "starttls", "plain"]
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
KILOBYTE = 1024
COMMANDS_PER_MINUTE = 600

_IMAP_PORTS: dict[str, int] = {"tls": 993, "starttls": 143, "plain": 143}
_SMTP_PORTS: dict[str, int] = {"tls": 465, "starttls": 587, "plain": 25}


class ImapSettings(ConnectorSettings):
    """One mailbox and one way to sign in: `password`, an OAuth `access_token`, or an OAuth client with a refresh token.

    address: whose mailbox it is; user: the sign-in name where that is not the address. aliases: further addresses
    the account sends as. folders: read only these (decoded names, levels separated by "/"); exclude: all but these.
    ca_file: certificates to trust instead of the machine's, for a server with a certificate of its own.
    push: "off"; "drafts", for a person to send; "send", which sends over SMTP at once.
    megabytes_per_day: what the provider lets one download; unset, no limit is kept.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    address: str
    host: str
    port: int = Field(default=0, ge=0, le=65535)
    security: Security = "tls"
    ca_file: str = ""
    user: str = ""
    aliases: tuple[str, ...] = ()

    password: SecretStr = SecretStr("")
    access_token: SecretStr = SecretStr("")
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    refresh_token: SecretStr = SecretStr("")
    token_url: str = ""

    folders: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    include_junk: bool = False
    include_trash: bool = False
    drafts_folder: str = ""
    sent_folder: str = ""

    push: Literal["off", "drafts", "send"] = "off"
    smtp_host: str = ""
    smtp_port: int = Field(default=0, ge=0, le=65535)
    smtp_security: Security = "tls"
    save_sent: bool = True

    connections: int = Field(default=3, ge=2, le=15)  # the hub asks for single records while it reads pages
    commands_per_minute: int = Field(default=COMMANDS_PER_MINUTE, ge=60, le=60_000)
    megabytes_per_day: int | None = Field(default=None, ge=10)
    max_message_megabytes: int = Field(default=50, ge=1, le=150)
    timeout_s: float = Field(default=60.0, gt=0, le=600)

    @field_validator("address")
    @classmethod
    def _address(cls, value: str) -> str:
        value = value.strip().lower()
        if value.count("@") != 1 or any(c.isspace() for c in value) or value[0] == "@" or value[-1] == "@":
            raise ValueError("must be one e-mail address, such as sales@example.com")
        return value

    @field_validator("host", "smtp_host")
    @classmethod
    def _host(cls, value: str) -> str:
        value = value.strip().lower()
        if any(c in value for c in "/@ \t\r\n"):
            raise ValueError("must be a host name alone, such as imap.example.com")
        return value

    @field_validator("user")
    @classmethod
    def _user(cls, value: str) -> str:
        if any(ord(c) < 32 for c in value):
            raise ValueError("must not hold control characters")
        return value.strip()

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if not self.host:
            raise ValueError("host: name the IMAP server")
        ways = [
            bool(self.password.get_secret_value()),
            bool(self.access_token.get_secret_value()),
            bool(self.client_id),
        ]
        if sum(ways) != 1:
            raise ValueError("set exactly one of password, access_token, or client_id (OAuth)")
        if self.client_id:
            self._check_token_url()
        if self.security == "plain" and not is_loopback(self.host):
            raise ValueError("security: plain is for this very machine; use tls or starttls")
        if self.push == "send":
            if not self.smtp_host:
                raise ValueError('smtp_host: name the SMTP server, or set push = "drafts"')
            if self.smtp_security == "plain" and not is_loopback(self.smtp_host):
                raise ValueError("smtp_security: plain is for this very machine; use tls or starttls")
        if self.folders and self.exclude:
            raise ValueError("set folders or exclude, not both")
        return self

    def _check_token_url(self) -> None:
        url = urlsplit(self.token_url)
        if not url.hostname:
            raise ValueError("token_url: name the address where refresh tokens are traded")
        if url.scheme != "https" and not is_loopback(url.hostname):
            raise ValueError("token_url: must begin with https://")

    @property
    def sign_in_name(self) -> str:
        return self.user or self.address

    @property
    def imap_port(self) -> int:
        return self.port or _IMAP_PORTS[self.security]

    @property
    def mail_port(self) -> int:
        return self.smtp_port or _SMTP_PORTS[self.smtp_security]

    @property
    def max_message_bytes(self) -> int:
        return self.max_message_megabytes * KILOBYTE * KILOBYTE

    def budgets(self) -> tuple[Budget, ...]:
        """Commands per minute; kilobytes per day where the provider counts them."""
        commands = command_budget(self.commands_per_minute)
        if self.megabytes_per_day is None:
            return (commands,)
        volume = Budget("kilobytes", self.megabytes_per_day * KILOBYTE, DAY, {"kilobytes": 1}, default_units=0)
        return (commands, volume)


def command_budget(per_minute: int) -> Budget:
    return Budget("commands", per_minute, MINUTE, {"kilobytes": 0})


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this very machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
