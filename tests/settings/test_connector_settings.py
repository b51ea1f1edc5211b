"""A connector's own settings: the same errors, and secrets that are read only here."""

# ruff: noqa: ISC004 - the texts stand here as they appear, a line each

import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Literal, Self

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from hub.api import ConfigError, ConnectorSettings, SecretStr
from hub.settings import Connection, Settings, connector_settings

HEAD = '[connections.desk]\nconnector = "desk"\n[connections.desk.settings]\n'
VARIABLE = "HUB_CONNECTIONS__DESK__SETTINGS__"


class Retry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    times: int = 3
    password: SecretStr = SecretStr("")


class DeskSettings(ConnectorSettings):
    token: SecretStr = Field(description="made under Admin > API")
    subdomain: str = "acme"
    file: str = ""
    key_file: str = ""
    archive: Path | None = None
    size: int = Field(default=10, ge=1)
    tier: Literal[100, 190] = 100
    is_paid: bool = False
    scopes: tuple[str, ...] = ()
    until: date | None = None
    spare: SecretStr | None = None
    extra_secrets: tuple[SecretStr, ...] = ()
    retry: Retry = Retry()
    mirrors: dict[str, Retry] = Field(default_factory=dict)

    @field_validator("subdomain")
    @classmethod
    def _is_one_word(cls, value: str) -> str:
        if "." in value:
            raise ValueError("must be the first word of the address")
        return value

    @field_validator("spare")
    @classmethod
    def _is_long(cls, value: SecretStr | None) -> SecretStr | None:
        if value and len(value.get_secret_value()) < 8:
            raise ValueError(f"{value.get_secret_value()} is too short")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.is_paid and self.tier == 100:
            raise ValueError("tier: a paid account has 190")
        if self.file and self.archive:
            raise ValueError("set either file or archive")
        return self


Read = Callable[..., Settings]


def desk(read: Read, toml: str, env: dict[str, str] | None = None) -> DeskSettings:
    return connector_settings(read(HEAD + toml, env or {}).connections["desk"], DeskSettings)


def test_secret_from_a_variable(read: Read) -> None:
    got = desk(read, 'token = { env = "DESK_TOKEN" }\n', {"DESK_TOKEN": "canary"})
    assert got.token.get_secret_value() == "canary"
    assert "canary" not in repr(got)


def test_secret_from_a_file(read: Read, folder: Path) -> None:
    (folder / "token").write_text("canary\r\n")
    assert desk(read, 'token = { file = "token" }\n').token.get_secret_value() == "canary"


def test_secret_straight_from_the_environment(read: Read, folder: Path) -> None:
    assert desk(read, "", {VARIABLE + "TOKEN": "canary"}).token.get_secret_value() == "canary"
    (folder / "token").write_text("from a file\n")
    got = desk(read, 'token = { env = "OTHER" }\n', {VARIABLE + "TOKEN_FILE": "token"})
    assert got.token.get_secret_value() == "from a file"


def test_secrets_deep_inside(read: Read) -> None:
    got = desk(
        read,
        'token = { env = "T" }\nextra_secrets = [{ env = "A" }, { env = "B" }]\n'
        'retry = { times = 5, password = { env = "A" } }\nmirrors.eu.password = { env = "B" }\n',
        {"T": "t", "A": "a", "B": "b"},
    )
    assert [secret.get_secret_value() for secret in got.extra_secrets] == ["a", "b"]
    assert (got.retry.times, got.retry.password.get_secret_value()) == (5, "a")
    assert got.mirrors["eu"].password.get_secret_value() == "b"


def test_environment_values_find_their_type(read: Read, folder: Path) -> None:
    env = {
        VARIABLE + name: value
        for name, value in {
            "TOKEN": "t", "SUBDOMAIN": "12345", "SIZE": "20", "TIER": "190", "IS_PAID": "true",
            "SCOPES": "read, write", "ARCHIVE": "mail.mbox", "UNTIL": "2026-01-31", "RETRY__TIMES": "9",
        }.items()
    }  # fmt: skip
    got = desk(read, "", env)
    assert (got.subdomain, got.size, got.tier, got.is_paid) == ("12345", 20, 190, True)
    assert (got.scopes, got.archive, got.until) == (("read", "write"), folder / "mail.mbox", date(2026, 1, 31))
    assert got.retry.times == 9


def test_settings_called_file_are_not_references(read: Read) -> None:
    got = desk(read, 'token = { env = "T" }\nfile = "a"\nkey_file = "b"\n', {"T": "t", VARIABLE + "KEY_FILE": "c"})
    assert (got.file, got.key_file) == ("a", "c")


def test_secrets_of_a_connection_that_is_off_are_not_needed(read: Read) -> None:
    settings = read(HEAD + 'token = { env = "NOT_SET" }\n')
    assert settings.connections["desk"].settings == {"token": {"env": "NOT_SET"}}


def test_built_in_code() -> None:
    connection = Connection(connector="desk", settings={"token": "plain", "archive": "mail.mbox"})
    got = connector_settings(connection, DeskSettings)
    assert (got.token.get_secret_value(), got.archive) == ("plain", Path("mail.mbox"))
    with pytest.raises(ConfigError):
        connector_settings(Connection(connector="desk", settings={"tokn": "x"}), DeskSettings)


AT = "connections.desk.settings"
KNOWN = (
    "archive, extra_secrets, file, is_paid, key_file, mirrors, retry, scopes, size, spare, subdomain, tier, "
    "token, until"
)
# fmt: off
CASES = [
    ("plain secret", 'token = "canary"\n', {},
     f"config/hub.toml:4:9: {AT}.token is a secret and must not stand in this file\n"
     '  Fix: write token = { env = "DESK_TOKEN" } or token = { file = "/path/to/desk_token" }'),
    ("plain secret deep inside", 'token = { env = "T" }\nretry.password = "canary"\n', {"T": "t"},
     f"config/hub.toml:5:18: {AT}.retry.password is a secret and must not stand in this file\n"
     '  Fix: write password = { env = "DESK_RETRY_PASSWORD" } or password = { file = "/path/to/desk_retry_password" }'),
    ("plain secret in a list", 'token = { env = "T" }\nextra_secrets = [{ env = "T" }, "canary"]\n', {"T": "t"},
     f"config/hub.toml:5:33: {AT}.extra_secrets[1] is a secret and must not stand in this file\n"
     '  Fix: write { env = "DESK_EXTRA_SECRETS_1" } or { file = "/path/to/desk_extra_secrets_1" } there'),
    ("missing secret", "", {},
     f"config/hub.toml:3:1: {AT}.token is missing\n"
     f'  Fix: add token = {{ env = "DESK_TOKEN" }} under [{AT}] (made under Admin > API)'),
    ("variable that is not set", 'token = { env = "DESK_TOKN" }\n', {"DESK_TOKEN": "canary"},
     f"config/hub.toml:4:9: {AT}.token refers to the environment variable DESK_TOKN, which is not set "
     "(there is DESK_TOKEN)\n"
     "  Fix: set DESK_TOKN before the hub starts, or correct the name here"),
    ("file that is not there", 'token = { file = "/nowhere/token" }\n', {},
     f"config/hub.toml:4:9: {AT}.token refers to the file /nowhere/token, which does not exist\n"
     "  Fix: put the value into that file, or correct the path"),
    ("unknown key", 'token = { env = "T" }\nsubdomian = "canary"\n', {"T": "t"},
     f"config/hub.toml:5:1: {AT}.subdomian is not a setting. Did you mean subdomain?\n"
     f"  Fix: rename it. [{AT}] takes: {KNOWN}"),
    ("wrong number", 'token = { env = "T" }\nsize = 0\n', {"T": "t"},
     f"config/hub.toml:5:8: {AT}.size must be 1 or more; found the number 0\n"
     "  Fix: write size = 1"),
    ("wrong choice of numbers", 'token = { env = "T" }\ntier = 150\n', {"T": "t"},
     f"config/hub.toml:5:8: {AT}.tier must be 100 or 190; found the number 150\n"
     "  Fix: write tier = 100"),
    ("the connector's own check of a key", 'token = { env = "T" }\nsubdomain = "acme.desk.example"\n', {"T": "t"},
     f'config/hub.toml:5:13: {AT}.subdomain must be the first word of the address; found the text "acme.desk.example"\n'
     "  Fix: change subdomain"),
    ("the connector's own check of the whole", 'token = { env = "T" }\nis_paid = true\ntier = 100\n', {"T": "t"},
     f"config/hub.toml:6:8: {AT}.tier is not accepted: a paid account has 190\n"
     "  Fix: change tier"),
    ("the connector's own check, no key named", 'token = { env = "T" }\nfile = "a"\narchive = "b"\n', {"T": "t"},
     f"config/hub.toml:3:1: {AT} is not accepted: set either file or archive\n"
     "  Fix: change what stands in this section"),
    ("a check that repeats a secret", 'token = { env = "T" }\nspare = { env = "S" }\n', {"T": "t", "S": "canary"},
     f"config/hub.toml:5:9: {AT}.spare is not accepted: *** is too short\n"
     "  Fix: change the value of environment variable S"),
    ("number by reference", 'token = { env = "T" }\nsize = { env = "N" }\n', {"T": "t", "N": "canary"},
     f"config/hub.toml:5:8: {AT}.size must be a whole number; found the value of environment variable N (not shown)\n"
     "  Fix: change the value of environment variable N"),
    ("date", 'token = { env = "T" }\nuntil = "soon"\n', {"T": "t"},
     f'config/hub.toml:5:9: {AT}.until must be a date such as 2025-01-31; found the text "soon"\n'
     "  Fix: write until = 2025-01-31"),
    ("environment: wrong number", "", {VARIABLE + "TOKEN": "canary", VARIABLE + "SIZE": "many"},
     f'environment variable {VARIABLE}SIZE: {AT}.size must be a whole number; found the text "many"\n'
     f"  Fix: correct the value of {VARIABLE}SIZE"),
    ("environment: unknown key", "", {VARIABLE + "TOKEN": "canary", VARIABLE + "SIZ": "1"},
     f"environment variable {VARIABLE}SIZ: {AT}.siz is not a setting. Did you mean size?\n"
     f"  Fix: rename it to {VARIABLE}SIZE. [{AT}] takes: {KNOWN}"),
    ("environment: both forms", "", {VARIABLE + "TOKEN": "canary", VARIABLE + "TOKEN_FILE": "x"},
     f"environment variable {VARIABLE}TOKEN: {AT}.token is set twice: {VARIABLE}TOKEN and the same with _FILE\n"
     "  Fix: keep one of the two variables"),
]
# fmt: on


@pytest.mark.parametrize(("toml", "env", "says"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_says(read: Read, toml: str, env: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        desk(read, toml, env)
    assert str(caught.value) == says
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "is empty"), (b"\xff\xfe", "is not UTF-8 text"), (b"x" * (1 << 20) + b"x", "is larger than 1 MiB")],
)
def test_secret_files_that_cannot_be_used(read: Read, folder: Path, content: bytes, reason: str) -> None:
    (folder / "token").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        desk(read, 'token = { file = "token" }\n')
    assert str(caught.value).splitlines()[0] == (
        f"config/hub.toml:4:9: {AT}.token refers to the file {folder / 'token'}, which {reason}"
    )


def test_no_trace_of_the_secret_in_the_chain(read: Read) -> None:
    with pytest.raises(ConfigError) as caught:
        desk(read, 'token = { env = "T" }\nspare = { env = "S" }\n', {"T": "canary", "S": "canary"})
    seen: BaseException | None = caught.value
    while seen:
        assert not isinstance(seen, ValidationError), "pydantic's error repeats its input"
        seen = seen.__cause__ or seen.__context__


def test_it_is_quick(read: Read) -> None:
    connection = read(HEAD + 'token = { env = "T" }\n', {"T": "t"}).connections["desk"]
    started = time.process_time()
    for _ in range(50):
        connector_settings(connection, DeskSettings)
    assert (time.process_time() - started) / 50 < 0.01
