"""The kinds of value the settings are made of: domain, address, schedule, database URL; each refuses in words."""

import re
from datetime import date, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import PlainSerializer
from pydantic.functional_validators import AfterValidator, BeforeValidator

from hub.settings.schedule import Cron, parse_cron, parse_since, parse_span, span_text
from hub.settings.words import Refused, did_you_mean

_DOMAIN = re.compile(r"(?=.{1,253}$)[^\s@/:,;<>.]{1,63}(\.[^\s@/:,;<>.]{1,63})+")
_ADDRESS = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+")
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
PASSWORD = re.compile(r"(://[^/@\s]*?):[^/@\s]+@")


def _domain(value: str) -> str:
    domain = value.strip().lower().removeprefix("@").rstrip(".")
    if not _DOMAIN.fullmatch(domain):
        near = re.sub(r"^[a-z]+://|^.*@|[/:?#].*$", "", re.sub(r"^[a-z]+://", "", domain)).removeprefix("*.")
        meant = near if _DOMAIN.fullmatch(near) else ""
        raise Refused("must be a bare domain such as example.com", suggestion=meant)
    return domain


def _address(value: str) -> str:
    address = value.strip().lower()
    if not _ADDRESS.fullmatch(address):
        near = _ADDRESS.search(address)
        raise Refused("must be a bare address such as ana@example.com", suggestion=near[0] if near else "")
    return address


def _zone(value: str) -> str:
    try:
        return ZoneInfo(value).key
    except (KeyError, OSError, ValueError):  # the first is "no such zone", the others are odd names
        from zoneinfo import available_timezones

        must = 'must be a time zone name such as "Europe/Lisbon" or "UTC"'
        near = did_you_mean(value, available_timezones())
        raise Refused(must, suggestion=near, example="UTC") from None


def _region(value: str) -> str:
    from importlib.resources import files

    code = value.strip().upper()
    table = (files("tzdata") / "zoneinfo" / "iso3166.tab").read_text("utf-8")
    names = dict(line.split("\t") for line in table.splitlines() if line and not line.startswith("#"))
    if code and code not in names:
        meant = [known for known, name in names.items() if re.search(rf"\b{re.escape(code)}\b", name.upper())]
        must = 'must be a country as two letters (ISO 3166), such as "DE", or "" for none'
        raise Refused(must, suggestion=min(meant, key=lambda known: len(names[known]), default=""), example="DE")
    return code


def _database(value: str) -> str:
    scheme, colon, rest = value.partition("://")
    kind = scheme.partition("+")[0]
    if not colon or kind not in {"sqlite", "postgresql"}:
        must = "must be a database URL that starts with sqlite:/// or postgresql://"
        raise Refused(must, fix='leave it out for SQLite, or write database = "postgresql://user@host/name"')
    is_fixed = rest in {"", "/:memory:"} or rest.startswith("/{data_dir}") or re.match(r"/(/|[A-Za-z]:)", rest)
    if kind == "sqlite" and not is_fixed:
        must = "must name an absolute path: a relative one changes with the folder the hub starts in"
        raise Refused(must, fix='write database = "sqlite:///{data_dir}/hub.db"')
    return value


def _issuer(value: str) -> str:
    if not re.fullmatch(r"https://[^\s/@?#]+(/[^\s?#]*)?|http://(localhost|127\.0\.0\.1)(:\d+)?(/[^\s?#]*)?", value):
        must = "must be the provider's address that starts with https://, as its discovery document gives it"
        raise Refused(must, fix='write issuer = "https://id.example.com"')
    return value


def _connection_name(value: str) -> str:
    return _plain_name(value, "has a name that is", "rename the section to [connections.{}]", "name")


def _field_name(value: str) -> str:
    return _plain_name(value, "has a field whose name is", "write it as {}", "job_title")


def _plain_name(value: str, what: str, fix: str, example: str) -> str:
    if _NAME.fullmatch(value):
        return value
    better = re.sub(r"[^a-z0-9]+", "_", value.lower()).strip("_0123456789") or example
    raise Refused(f"{what} not made of lower-case letters, digits and single underscores", fix=fix.format(better))


def _low(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


Domain = Annotated[str, AfterValidator(_domain)]
Address = Annotated[str, AfterValidator(_address)]
Every = Annotated[timedelta, BeforeValidator(parse_span), PlainSerializer(span_text)]
CronLine = Annotated[Cron, BeforeValidator(parse_cron), PlainSerializer(str)]
Issuer = Annotated[str, AfterValidator(_issuer)]
Since = Annotated[
    date | timedelta,
    BeforeValidator(parse_since),
    PlainSerializer(lambda v: span_text(v) if isinstance(v, timedelta) else v.isoformat()),
]
Database = Annotated[str, AfterValidator(_database)]
Zone = Annotated[str, AfterValidator(_zone)]
Region = Annotated[str, AfterValidator(_region)]
LogLevel = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_low)]
FieldName = Annotated[str, AfterValidator(_field_name)]
ConnectionName = Annotated[str, AfterValidator(_connection_name)]
PushKind = Literal["person", "organization", "interaction", "task"]
