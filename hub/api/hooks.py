"""Hooks a plugin may implement. Few on purpose: each needs a docs entry and a test."""

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from hub.api.connector import Connector
    from hub.api.normaliser import Normaliser

PROJECT = "interaction_hub"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Hooks:
    """The hook specifications of entry-point groups `interaction_hub` and `interaction_hub.normalisers`."""

    @hookspec
    def hub_connectors(self) -> "list[type[Connector[Any]]]":
        """Connector classes this plugin brings."""
        return []

    @hookspec
    def hub_emulators(self) -> "dict[str, str]":
        """Connector name -> "module:class" of its emulator, loaded only when asked for."""
        return {}

    @hookspec
    def hub_normalisers(self) -> "list[Normaliser]":
        """Normalisers this plugin brings; found by entry-point group `interaction_hub.normalisers`."""
        return []
