"""How the demo ends: with its pages up, and a link that makes the first account."""

import re
import socket
from pathlib import Path
from typing import Any

import httpx

from hub.cli import demo, stage
from hub.demo import Company


def test_the_demo_ends_with_a_way_in(synced, monkeypatch, capsys) -> None:
    seen: dict[str, Any] = {}

    async def serve(engine: Any, **given: Any) -> None:
        given["on_ready"]("http://127.0.0.1:1/api")
        seen["told"] = capsys.readouterr().out
        link = re.search(r"http\S+/sign-in/code\?code=\S+", seen["told"])
        assert link
        async with httpx.AsyncClient() as client:
            seen["page"] = (await client.get(link.group())).text
        seen["code"] = link.group().rpartition("=")[2]

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("HUB_WEB__PORT", str(port))
    monkeypatch.setattr("hub.flows.serve", serve)
    assert demo._serve(Path("hub.toml"), port) == 0
    assert f"\nWeb: http://127.0.0.1:{port}\n" in seen["told"]
    assert "Set up the first account" in seen["page"]
    assert f'value="{seen["code"]}"' in seen["page"]


def test_the_demo_s_settings_name_a_port_that_is_free(tmp_path: Path, company: Company, monkeypatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr(stage, "PORT", taken.getsockname()[1])
        port = stage.port()
    assert port not in {0, stage.PORT}
    config = stage.configure(tmp_path, company, {"hubspot": "http://127.0.0.1:1", "gmail": "http://127.0.0.1:2"}, port)
    assert f"[web]\nport = {port}\n" in config.read_text()
