"""A folder of its own as the working directory, and a way to load a configuration written on the spot."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from hub.settings import Settings, load


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    return tmp_path


@pytest.fixture
def read(folder: Path) -> Callable[..., Settings]:
    """read(toml, env): what `load` makes of config/hub.toml with this text."""

    def _read(toml: str, env: Mapping[str, str] | None = None) -> Settings:
        (folder / "config/hub.toml").write_text(toml, encoding="utf-8")
        return load(env=env or {})

    return _read
