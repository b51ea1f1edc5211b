"""The inbox as `ihub serve` starts it: where the settings say, and only then."""

import asyncio
import socket

import httpx
from acorn import Vendor
from ringing import Ringing
from world import World

from hub.cli.serving import _receiving
from hub.plugins import Registry
from hub.store import Store


def test_it_listens_where_the_settings_say_and_only_then(store: Store) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    async def asked(world: World) -> tuple[str, list[int]]:
        world.engine.registry = Registry(connectors={"acorn": Ringing})
        async with _receiving(world.engine) as url:
            if not url:
                return url, []
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/hooks/") as client:
                return url, [(await client.get(name)).status_code for name in ("a", "stranger")]

    assert asyncio.run(asked(World(store, {"a": Vendor()}))) == ("", [])
    listening = World(store, {"a": Vendor()}, inbox={"port": port, "public_url": "https://hub.acme.example/"})
    assert asyncio.run(asked(listening)) == ("https://hub.acme.example", [200, 404])
