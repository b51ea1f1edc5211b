"""[sign_in] and private connections: what is read, and what is refused with the fix."""

from collections.abc import Callable

import pytest

from hub.access import roles
from hub.access.oidc import Provider
from hub.api import ConfigError
from hub.settings import Settings
from hub.settings.model import SignInProvider

Read = Callable[..., Settings]
ACME = """
[sign_in.providers.acme]
issuer = "https://id.acme.example"
client_id = "hub"
client_secret = { env = "SECRET" }
roles = { "Sales Team" = ["agent"], it = ["operator", "admin"] }
"""


def test_a_provider_is_read_with_its_secret_by_reference(read: Read) -> None:
    settings = read(ACME, {"SECRET": "canary9"})
    found = settings.sign_in.providers["acme"]
    assert found.client_secret.get_secret_value() == "canary9"
    assert found.roles == {"Sales Team": ("agent",), "it": ("operator", "admin")}
    assert "canary9" not in str(settings.redacted()) + repr(settings)
    values = {**found.model_dump(exclude={"client_secret"}), "title": found.title or "acme"}
    assert Provider(name="acme", **values).roles == found.roles  # the same words on both sides
    with pytest.raises(ConfigError, match="SECRET, which is not set"):
        read(ACME, {})


@pytest.mark.parametrize(("wrong", "said"), [
    ('issuer = "http://id.acme.example"', "https://"), ('issuer = "id.acme.example"', "https://"),
    ('issuer = "https://id.acme.example?x=1"', "https://"), ('client_secret = "in the file"', "must not stand in this file"),
    ('default_roles = ["root"]', "default_roles"), ('rolse = {}', "rolse"),
])  # fmt: skip
def test_what_is_wrong_names_the_field_and_the_fix(read: Read, wrong: str, said: str) -> None:
    key = wrong.partition(" =")[0]
    kept = "\n".join(line for line in ACME.splitlines() if not line.startswith(f"{key} ="))
    with pytest.raises(ConfigError, match=said) as caught:
        read(f"{kept}\n{wrong}\n", {"SECRET": "s"})
    assert f"sign_in.providers.acme.{key}" in str(caught.value)


def test_the_roles_of_the_settings_are_those_there_are() -> None:
    from typing import get_args

    annotation = SignInProvider.model_fields["default_roles"].annotation
    assert list(get_args(get_args(annotation)[0])) == list(roles.ROLES)


@pytest.mark.parametrize(("given", "said"), [
    ("private = true", "says whose it is nowhere"), ('owner = "ana@acme.example"', "add private = true"),
    ('private = true\nowner = "ana"', "must be a bare address"),
])  # fmt: skip
def test_a_private_connection_has_an_owner(read: Read, given: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read(f'[connections.mail]\nconnector = "gmail"\n{given}\n')


def test_a_private_connection_is_read(read: Read) -> None:
    found = read('[connections.mail]\nconnector = "gmail"\nprivate = true\nowner = "Ana@Acme.example"\n').connections[
        "mail"
    ]
    assert (found.private, found.owner) == (True, "ana@acme.example")
