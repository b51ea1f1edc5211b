"""The settings themselves: one frozen model per section of hub.toml, with every default in one place."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr
from pydantic import model_validator as check
from pydantic.functional_validators import AfterValidator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from hub.settings.fields import (
    PASSWORD,
    Address,
    ConnectionName,
    CronLine,
    Database,
    Domain,
    Every,
    FieldName,
    Issuer,
    LogLevel,
    PushKind,
    Region,
    Since,
    Zone,
)  # fmt: skip
from hub.settings.locate import KeyPath
from hub.settings.problems import Source, config_error
from hub.settings.schedule import Schedule, parse_cron, start_of
from hub.settings.words import Refused, did_you_mean

if TYPE_CHECKING:
    from hub.api.errors import ConfigError

MASK = "***"
_SECRET_KEY = re.compile(r"(?i)token|secret|password|passwd|credential|(^|_)(key|pat|dsn|pwd)($|_)")


class Section(BaseModel):
    """Base of all sections: nothing can be changed after reading, nothing unknown is accepted."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Hub(Section):
    """[hub]: where the hub keeps its data and how it speaks. timezone: for display; stored times are UTC."""

    data_dir: Path = Path("data")
    database: Database = Field(default="sqlite:///{data_dir}/hub.db", repr=False)
    log_level: LogLevel = "info"
    timezone: Zone = "UTC"

    @property
    def database_url(self) -> str:
        """The database URL with {data_dir} filled in. May hold a password: never log it."""
        return self.database.replace("{data_dir}", self.data_dir.as_posix())

    @property
    def zone(self) -> tzinfo:
        return ZoneInfo(self.timezone)


class Own(Section):
    """[own]: who "we" are.

    lists: mailing lists whose mail is conversation, not bulk. people: names of our own, by address.
    """

    domains: tuple[Domain, ...] = ()
    addresses: tuple[Address, ...] = ()
    lists: tuple[Address, ...] = ()
    people: dict[Address, str] = Field(default_factory=dict)


class Capture(Section):
    """[capture]: what is stored at all; applied before anything is written.

    internal: mail among own people only. bulk: newsletters and the like, by their standard headers;
    "metadata" keeps who and when. auto: auto-replies and bounces. block_*: never stored. private_labels:
    marks of personal mail, never stored. metadata_only: bodies are never stored, for all or for some domains.
    require_label: opt-in, only what carries this label is stored ("" for off). keep_failed: records that cannot be
    read, and so cannot be judged, are kept raw in quarantine; without it they are fetched again by `ihub replay`.
    """

    internal: Literal["exclude", "keep"] = "exclude"
    bulk: Literal["exclude", "keep", "metadata"] = "exclude"
    auto: Literal["exclude", "keep"] = "exclude"
    block_addresses: tuple[Address, ...] = ()
    block_domains: tuple[Domain, ...] = ()
    block_labels: tuple[str, ...] = ()
    private_labels: tuple[str, ...] = ("private", "personal")
    metadata_only: bool = False
    metadata_only_domains: tuple[Domain, ...] = ()
    require_label: str = ""
    keep_failed: bool = True


class Identity(Section):
    """[identity]: additions to the built-in policy lists, and how addresses are compared.

    strip_plus: ana+news@ is ana@. plus_counts_at: domains, each with everything below it, where it is another mailbox all
    the same. gmail_dots: at Gmail, a.na@ is ana@. default_region: the country of telephone numbers
    that do not say theirs, as two letters; "" for none, and no such number is ever taken for another country's.
    audit: what the nightly look at everybody does with what it finds: "apply" it (what the model joined, and nothing that a
    person decided), only "propose" it, or "off". audit_at: when, as cron on the wall clock of [hub] timezone.
    """

    free_domains_extra: tuple[Domain, ...] = ()
    role_localparts_extra: tuple[Annotated[str, AfterValidator(str.lower)], ...] = ()
    strip_plus: bool = True
    plus_counts_at: tuple[Domain, ...] = ()
    gmail_dots: bool = True
    default_region: Region = ""
    audit: Literal["apply", "propose", "off"] = "apply"
    audit_at: CronLine = parse_cron("0 3 * * *")

    @property
    def audit_schedule(self) -> Schedule:
        return Schedule(cron=self.audit_at)


class Contacts(Section):
    """[contacts]: who becomes a contact at the system of record.

    create: "all" is every external person with an interaction; "replied_to" only people somebody of ours has
    written to; "none" creates nobody and files only under contacts that exist.
    """

    create: Literal["all", "replied_to", "none"] = "all"


class SystemOfRecord(Section):
    """[system_of_record]: where the one timeline is kept.

    connection: a name under [connections], "" for none. push_since: older interactions are not pushed.
    brake_percent, brake_count: a plan that changes more than this of what is there stops and asks.
    """

    connection: str = ""
    push_since: Since | None = None
    approve: Literal["manual", "auto"] = "manual"
    brake_percent: float = Field(default=5.0, ge=0, le=100)
    brake_count: int = Field(default=50, ge=0)
    push: tuple[PushKind, ...] = ("person", "organization", "interaction")


class FieldRule(Section):
    """[fields.person.<field>], [fields.organization.<field>]: whose value of a field counts, and who is told of it.

    owner: a connection; what it says counts, an emptied field too. precedence: the first of these that has a value.
    Neither: the newest. write_to: connections whose records are kept at the value that counts.
    """

    owner: str = ""
    precedence: tuple[str, ...] = ()
    write_to: tuple[str, ...] = ()

    @check(mode="after")
    def _one_of_two(self) -> Self:
        if self.owner and self.precedence:
            raise Refused("and owner are both set", fix="keep one of owner and precedence", at=("precedence",))
        if self.owner and self.owner in self.write_to:
            raise Refused("names the owner, whose value is never overwritten", fix="leave it out", at=("write_to",))
        return self


class Fields(Section):
    """[fields]: rules for fields that several tools hold, by canonical name; docs/fields.md lists the names."""

    person: dict[FieldName, FieldRule] = Field(default_factory=dict)
    organization: dict[FieldName, FieldRule] = Field(default_factory=dict)


class Permissions(Section):
    """[consent]: connections that are told when somebody opts out of e-mail anywhere. Nothing is ever opted in."""

    write_to: tuple[str, ...] = ()


class Meetings(Section):
    """[meetings]: calendars that get the meetings to come which stand in another tool and in no calendar."""

    write_to: tuple[str, ...] = ()


class Timed(Section):
    """What has a schedule: `every` (a span) or `cron` (five fields, on the wall clock of [hub] timezone)."""

    every: Every | None = None
    cron: CronLine | None = None

    @check(mode="after")
    def _one_of_two(self) -> Self:
        if self.every and self.cron:
            raise Refused("and every are both set", fix="keep one of every and cron", at=("cron",))
        return self

    @property
    def schedule(self) -> Schedule | None:
        """None where neither is set."""
        return Schedule(every=self.every, cron=self.cron) if self.every or self.cron else None


class Scheduling(Timed):
    """[schedule]: the default for connections without their own; concurrency: connections synced at once."""

    concurrency: int = Field(default=4, ge=1, le=64)

    @property
    def default(self) -> Schedule:
        return self.schedule or Schedule(every=timedelta(minutes=5))


class Inbox(Section):
    """[inbox]: where `ihub serve` receives webhooks, at /hooks/<connection>; port 0 is off, polling alone does it too.

    host: what to listen on. public_url: how vendors reach it, through whatever stands in front (scheme and host).
    """

    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)
    public_url: str = ""


class Web(Section):
    """[web]: where `ihub serve` answers programs: REST under /api/v1, MCP at /mcp, /healthz, /readyz; port 0 is off. Needs the extra `web`.

    host: what to listen on. public_url: how people reach it, through whatever stands in front and speaks TLS.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)
    public_url: str = ""


Role = Literal["viewer", "agent", "operator", "admin", "auditor"]


class SignInProvider(Section):
    """[sign_in.providers.<name>]: an OpenID Connect provider that people may sign in through; docs/access.md.

    title: what the button says. issuer: as the provider's discovery document gives it. groups: the claim that lists
    somebody's groups; roles: group -> roles, with the provider having the last word; default_roles: of those whom no group
    gives one. creates: an account for whoever has none. link_by_email: the account of the same address is theirs.
    trusts_email: the provider does not say `email_verified`, and knows its own people alone.
    """

    title: str = ""
    issuer: Issuer
    client_id: str = Field(min_length=1)
    client_secret: SecretStr = SecretStr("")
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    groups: str = "groups"
    roles: dict[str, tuple[Role, ...]] = Field(default_factory=dict)
    default_roles: tuple[Role, ...] = ()
    creates: bool = True
    link_by_email: bool = False
    trusts_email: bool = False


class SignIn(Section):
    """[sign_in]: how people sign in besides with a password."""

    providers: dict[ConnectionName, SignInProvider] = Field(default_factory=dict)


class Hooks(Section):
    """[hooks]: webhooks out (`ihub hook`). keep_days: how long events and their log stay, and may be told again.

    allow_loopback: for development; endpoints may be on this machine, and without TLS.
    """

    keep_days: int = Field(default=30, ge=5, le=365)
    allow_loopback: bool = False


class Connection(Timed):
    """[connections.<name>]: one account of one connector. `settings` is checked by the connector's own model.

    since: how far back the first sync reads. streams: only these; empty for all. every, cron: own schedule.
    merge_duplicates: whether the tool may be told to merge its own duplicates, each time by a plan a person approves.
    private: what only this connection shows is seen by its owner alone, who signs in with that address.
    """

    connector: str = Field(min_length=1, description="`ihub connectors` lists the names")
    enabled: bool = True
    since: Since | None = None
    streams: tuple[str, ...] = ()
    merge_duplicates: bool = False
    private: bool = False
    owner: Address | None = None
    settings: dict[str, Any] = Field(default_factory=dict, repr=False)

    _name: str = PrivateAttr("")
    _source: Source = PrivateAttr(default_factory=Source)

    @check(mode="after")
    def _private_to_somebody(self) -> Self:
        if self.private and not self.owner:
            fix = 'write owner = "ana@acme.example" beside it, the address they sign in with'
            raise Refused("says whose it is nowhere", fix=fix, at=("private",))
        if self.owner and not self.private:
            raise Refused(
                "names somebody, and the connection is everybody's",
                fix="add private = true, or leave it out",
                at=("owner",),
            )
        return self

    @property
    def name(self) -> str:
        """The name under [connections]."""
        return self._name

    @property
    def source(self) -> Source:
        return self._source

    @property
    def path(self) -> KeyPath:
        return ("connections", self._name)

    def since_at(self, now: datetime) -> datetime | None:
        """The start of the backfill window, aware UTC; None reads everything."""
        return start_of(self.since, now)

    def error(self, key: str, message: str, fix: str) -> "ConfigError":
        """A ConfigError that points at `key` of this connection; `message` goes on after the field's name."""
        return config_error([self._source.problem((*self.path, key), message, fix, at_value=True)])


class Settings(BaseSettings):
    """Everything of hub.toml and HUB_*. Built in code, it takes what it is given and nothing else."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix="HUB_", env_nested_delimiter="__", case_sensitive=False
    )

    hub: Hub = Hub()
    own: Own = Own()
    capture: Capture = Capture()
    identity: Identity = Identity()
    contacts: Contacts = Contacts()
    system_of_record: SystemOfRecord = SystemOfRecord()
    fields: Fields = Fields()
    consent: Permissions = Permissions()
    meetings: Meetings = Meetings()
    schedule: Scheduling = Scheduling()
    inbox: Inbox = Inbox()
    web: Web = Web()
    hooks: Hooks = Hooks()
    sign_in: SignIn = SignIn()
    connections: dict[ConnectionName, Connection] = Field(default_factory=dict)

    _source: Source = PrivateAttr(default_factory=Source)

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is passed in: `load` reads file and environment, and knows where each value stood."""
        return (init_settings,)

    @check(mode="after")
    def _names_connections(self) -> "Settings":
        for name, at in self._named():
            if name not in self.connections:
                known = ", ".join(sorted(self.connections)) or "none yet"
                raise Refused(
                    f'names the connection "{name}", which is not in this configuration',
                    fix=f"add a section [connections.{name}], or name one of those that exist: {known}",
                    suggestion=did_you_mean(name, self.connections), at=at,
                )  # fmt: skip
        return self

    def _named(self) -> Iterator[tuple[str, KeyPath]]:
        """Every place that names a connection."""
        if self.system_of_record.connection:
            yield self.system_of_record.connection, ("system_of_record", "connection")
        for section, names in (("consent", self.consent.write_to), ("meetings", self.meetings.write_to)):
            yield from ((name, (section, "write_to")) for name in names)
        for kind, rules in (("person", self.fields.person), ("organization", self.fields.organization)):
            for field, rule in rules.items():
                named = {"owner": (rule.owner,), "precedence": rule.precedence, "write_to": rule.write_to}
                for key, names in named.items():
                    yield from ((name, ("fields", kind, field, key)) for name in names if name)

    def model_post_init(self, context: Any, /) -> None:
        for name, connection in self.connections.items():
            connection._name = name

    @property
    def source(self) -> Source:
        return self._source

    def error(self, path: KeyPath, message: str, fix: str) -> "ConfigError":
        """A ConfigError that points at `path`; `message` goes on after the field's dotted name."""
        return config_error([self._source.problem(path, message, fix, at_value=True)])

    def attach(self, source: Source) -> "Settings":
        """Remember where the values came from, for later error texts. For `load` only."""
        self._source = source
        for connection in self.connections.values():
            connection._source = source
        return self

    def schedule_of(self, name: str) -> Schedule:
        """The schedule of a connection: its own, or the default."""
        return self.connections[name].schedule or self.schedule.default

    def push_since_at(self, now: datetime) -> datetime | None:
        return start_of(self.system_of_record.push_since, now)

    def redacted(self) -> dict[str, Any]:
        """Plain JSON for display. Secrets and whatever the environment put into a connector are "***"."""
        shown: dict[str, Any] = self.model_dump(mode="json")
        shown["hub"]["database"] = PASSWORD.sub(rf"\1:{MASK}@", shown["hub"]["database"])
        for name, connection in shown["connections"].items():
            connection["settings"] = self._masked(connection["settings"], ("connections", name, "settings"))
        return shown

    def digest(self, *sections: str) -> str:
        """SHA-256 (hex) of the redacted settings, or of some sections: the same text means the same rules.

        A secret counts by its presence, so that rotating it is not a change of the rules.
        """
        shown = {key: value for key, value in self.redacted().items() if not sections or key in sections}
        return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()

    def _masked(self, value: Any, path: KeyPath) -> Any:
        if isinstance(value, Mapping):
            is_reference = len(value) == 1 and {"env", "file"}.issuperset(value) and len(path) > 3
            return value if is_reference else {k: self._masked(v, (*path, k)) for k, v in value.items()}
        is_secret = self._source.variables.get(path) or _SECRET_KEY.search(str(path[-1]))
        if is_secret and value not in ("", None):
            return MASK
        if isinstance(value, list):
            return [self._masked(item, (*path, i)) for i, item in enumerate(value)]
        return value
