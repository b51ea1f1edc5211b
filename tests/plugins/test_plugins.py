"""Finding and isolating plugins, with distributions made on the spot and found by their real entry points."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hub import plugins
from hub.api import API_VERSION, ConfigError
from hub.testing import Emulator

GOOD = """
from hub.api import Connector, Manifest, Stream, hookimpl

class Desk(Connector):
    manifest = Manifest(
        name="{name}", title="Desk", channels=("email",), streams=(Stream("tickets"), Stream("users")),
        pushes=("interaction",), api_version={api},
    )

@hookimpl
def hub_connectors():
    return [Desk]

@hookimpl
def hub_emulators():
    return {{"{name}": "{module}_emulator:DeskEmulator"}}
"""
EMULATOR = """
from hub.testing import Emulator

class DeskEmulator(Emulator):
    name = "desk"

not_a_class = 3
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """install(name, code, point=name): a distribution `dist-<name>` with one module and one entry point."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def _install(name: str, code: str, point: str = "", value: str = "") -> None:
        (tmp_path / f"made_{name}.py").write_text(code)
        (tmp_path / f"made_{name}_emulator.py").write_text(EMULATOR)
        info = tmp_path / f"dist_{name}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: dist-{name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[interaction_hub]\n{point or name} = {value or 'made_' + name}\n")
        for module in (f"made_{name}", f"made_{name}_emulator"):
            monkeypatch.delitem(sys.modules, module, raising=False)

    return _install


def good(name: str, module: str = "", api: int = API_VERSION) -> str:
    return GOOD.format(name=name, module=module or f"made_{name}", api=api)


def load(*names: str) -> plugins.Registry:
    """Only what this test made: the connectors installed beside it are no part of it."""
    return plugins.load(names)


def test_a_good_plugin(install: Install) -> None:
    install("desk", good("desk"))
    registry = load("desk")
    assert registry.problems == []
    assert registry.get("desk") is registry.connectors["desk"]
    assert registry.get("desk").manifest.title == "Desk"
    [row] = registry.rows()
    assert row == plugins.Row(
        name="desk", title="Desk", distribution="dist-desk", version="1.2", channels=("email",),
        streams=("tickets", "users"), pushes=("interaction",), has_emulator=True,
    )  # fmt: skip


def test_emulators_are_imported_when_asked_for(install: Install) -> None:
    install("desk", good("desk"))
    registry = load("desk")
    assert "made_desk_emulator" not in sys.modules
    assert list(registry.emulators) == ["desk"]
    assert "made_desk_emulator" not in sys.modules
    assert issubclass(registry.emulator("desk"), Emulator)
    assert registry.emulators["desk"] is registry.emulator("desk")


def test_an_emulator_that_cannot_be_loaded(install: Install) -> None:
    install("desk", good("desk", "made_nowhere"))
    install("till", good("till").replace("DeskEmulator", "not_a_class"))
    registry = load("desk", "till")
    with pytest.raises(ConfigError) as caught:
        registry.emulator("desk")
    assert str(caught.value) == (
        "the emulator of desk (made_nowhere_emulator:DeskEmulator) cannot be loaded: "
        "ModuleNotFoundError: No module named 'made_nowhere_emulator'"
    )
    with pytest.raises(ConfigError, match="is not a class"):
        registry.emulator("till")
    with pytest.raises(ConfigError) as caught:
        registry.emulator("dsk")
    assert str(caught.value) == 'there is no emulator called "dsk". Did you mean "desk"? Installed: desk, till.'


# fmt: off
BROKEN = [
    ("syntax error", "def hub_connectors(:\n", "it cannot be imported: SyntaxError: invalid syntax (made_bad.py, line 1)"),
    ("missing dependency", "import a_library_nobody_has\n",
     "it cannot be imported: ModuleNotFoundError: No module named 'a_library_nobody_has' ({folder}/made_bad.py, line 1)"),
    ("exits on import", "import sys\nsys.exit(3)\n", "it cannot be imported: SystemExit: 3 ({folder}/made_bad.py, line 2)"),
    ("raises on import", "x = 1\nraise RuntimeError('no\\nlicence')\n",
     "it cannot be imported: RuntimeError: no licence ({folder}/made_bad.py, line 2)"),
    ("no hook", "'''Nothing here.'''\n", "made_bad has no hook: write a function hub_connectors with @hookimpl"),
    ("hook without the mark", "def hub_connectors():\n    return []\n",
     "made_bad has no hook: write a function hub_connectors with @hookimpl"),
    ("hook with arguments", "from hub.api import hookimpl\n@hookimpl\ndef hub_connectors(ctx):\n    return []\n",
     "it cannot be imported: PluginValidationError: Plugin 'dist-bad:bad' for hook 'hub_connectors'"),
    ("hook that fails", "from hub.api import hookimpl\n@hookimpl\ndef hub_connectors():\n    return [][1]\n",
     "its hub_connectors failed: IndexError: list index out of range ({folder}/made_bad.py, line 4)"),
    ("hook that returns one class", good("bad").replace("[Desk]", "Desk"),
     "its hub_connectors must return a list of classes, not type"),
    ("hook that returns something else", good("bad").replace("[Desk]", "[3]"),
     "its hub_connectors returned 3, which is not a Connector class"),
    ("no manifest", good("bad").replace("manifest = Manifest", "other = Manifest"), "Desk has no manifest"),
    ("built for a newer hub", good("bad", api=API_VERSION + 1),
     f"it was built for contract version {API_VERSION + 1}, and this hub speaks version {API_VERSION}: upgrade interaction-hub"),
    ("built for an older hub", good("bad", api=API_VERSION - 1),
     f"it was built for contract version {API_VERSION - 1}, and this hub speaks version {API_VERSION}: upgrade the plugin"),
    ("a name of its own kind", good("Bad Name", "made_bad"),
     'its name "Bad Name" must be lower-case letters, digits and underscores'),
    ("settings that are none", good("bad").replace("@hookimpl", "Desk.settings_model = dict\n@hookimpl", 1),
     "Desk.settings_model is not a ConnectorSettings class"),
]
# fmt: on


@pytest.mark.parametrize(("code", "reason"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_a_broken_plugin_is_a_row_and_stops_nobody(install: Install, tmp_path: Path, code: str, reason: str) -> None:
    install("bad", code)
    install("desk", good("desk"))
    registry = load("bad", "desk")
    assert list(registry.connectors) == ["desk"]
    [problem] = registry.problems
    assert (problem.entry_point, problem.distribution) == ("bad", "dist-bad")
    assert problem.reason.startswith(reason.format(folder=tmp_path.name))
    assert "\n" not in problem.reason
    rows = registry.rows()
    assert len(rows) == 2
    assert [row.distribution for row in rows if row.problem] == ["dist-bad"]
    with pytest.raises(ConfigError) as caught:
        registry.get("bad")
    assert str(caught.value) == f'the connector "bad" is installed but not in use: {problem.reason}'


def test_a_name_that_is_taken(install: Install) -> None:
    install("desk", good("desk"))
    install("other", good("desk", "made_other"))
    registry = load("desk", "other")
    assert registry.origins["desk"] == ("dist-desk", "1.2")
    [problem] = registry.problems
    assert (problem.distribution, problem.connector) == ("dist-other", "desk")
    assert problem.reason == 'the name "desk" is already taken by dist-desk'
    assert registry.emulators.paths == {"desk": "made_desk_emulator:DeskEmulator"}
    assert registry.get("desk").manifest.name == "desk"


def test_two_entry_points_of_one_module(install: Install) -> None:
    install("desk", good("desk"))
    install("zoo", "", value="made_desk")
    registry = load("desk", "zoo")
    assert list(registry.connectors) == ["desk"]
    assert [p.reason for p in registry.problems] == ["its module made_desk is already in use by another plugin"]


def test_emulators_are_checked(install: Install) -> None:
    install("desk", good("desk").replace('"made_desk_emulator:DeskEmulator"', "3"))
    registry = load("desk")
    assert list(registry.connectors) == ["desk"]
    assert [p.reason for p in registry.problems] == ['the emulator of "desk" must be given as "module:Class", not 3']


def test_unknown_names(install: Install) -> None:
    install("desk", good("desk"))
    install("till", good("till"))
    with pytest.raises(ConfigError) as caught:
        load("desk", "till").get("dsek")
    asked, _, installed = str(caught.value).partition(" Installed: ")
    assert asked == 'there is no connector called "dsek". Did you mean "desk"?'
    assert {"desk", "till"} <= set(installed.removesuffix(".").split(", "))
    with pytest.raises(ConfigError, match="None is installed"):
        plugins.Registry().get("desk")


def test_the_others_are_loaded_when_one_of_them_is_asked_for(install: Install) -> None:
    install("desk", good("desk"))
    install("till", good("till"))
    some = load("till")
    assert some.get("desk").manifest.name == "desk"
    assert {"desk", "till"} <= set(some.connectors)


def test_only_what_is_named_is_imported(install: Install) -> None:
    install("desk", good("desk"))
    install("till", good("till"))
    assert list(load("till").connectors) == ["till"]
    assert "made_desk" not in sys.modules


def test_everything_installed_can_be_listed() -> None:
    registry = plugins.load()
    assert {"interaction-hub-gmail", "interaction-hub-hubspot", "interaction-hub-mailfile"} <= {
        row.distribution for row in registry.rows()
    }
