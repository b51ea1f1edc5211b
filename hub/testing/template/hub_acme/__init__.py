"""Acme for interaction-hub: its messages, in. The entry point in pyproject.toml names this module."""

from typing import Any

from hub.api import Connector, hookimpl
from hub.testing.template.hub_acme.connector import Acme


@hookimpl
def hub_connectors() -> list[type[Connector[Any]]]:
    return [Acme]


@hookimpl
def hub_emulators() -> dict[str, str]:
    """Named, not imported: the stand-in brings a web server along."""
    return {"acme": "hub.testing.template.hub_acme.emulator:AcmeEmulator"}
