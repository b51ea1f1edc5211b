"""The door itself: start-up, help, options before and after the command, errors and their exit codes."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from hub import __version__, cli
from hub.api import AuthError, ConfigError, HubError, Transient
from hub.cli import running
from hub.cli.text import width

QUIETLY = "import io, hub.cli\nout, sys.stdout = sys.stdout, io.StringIO()\nhub.cli.main({})\nsys.stdout = out"


def _modules(program: str) -> set[str]:
    code = f"import sys\n{program}\nprint(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_help_loads_next_to_nothing() -> None:
    extra = _modules("import hub.cli") - _modules("pass")
    assert extra == {"hub", "hub.cli"}
    assert _modules(QUIETLY.format(["--help"])) - _modules("import io") == {"hub", "hub.cli"}


def test_a_commands_help_needs_no_engine() -> None:
    loaded = _modules(QUIETLY.format(["sync", "--help"]))
    assert loaded.isdisjoint({"sqlalchemy", "httpx", "pydantic", "prefect", "hub.engine", "hub.settings", "hub.api"})


def test_health_needs_no_engine_either(synced) -> None:
    loaded = _modules(QUIETLY.format(["health"]))
    assert "hub.health" in loaded
    assert loaded.isdisjoint({"sqlalchemy", "httpx", "pydantic", "prefect", "asyncio", "hub.engine", "hub.settings"})


def _cpu(*args: str) -> float:
    """CPU seconds of a Python process, the best of several."""
    best = float("inf")
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *args], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return best


def test_help_costs_at_most_three_times_bare_python() -> None:
    assert _cpu("-c", "import sys\nfrom hub.cli import main\nsys.exit(main(['--help']))") <= 3 * _cpu("-c", "pass")


def test_the_overview_names_every_command_but_the_hidden_one(empty) -> None:
    shown = empty("--help").out
    for command in cli.COMMANDS:
        assert (f"\n  {command} " in shown) == (command != "state-hash"), command
    assert empty("-h").out == shown
    assert empty(code=2).err == shown


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_has_help_that_fits(empty, command: str) -> None:
    shown = empty(command, "--help").out
    assert shown.startswith(f"usage: ihub {command}")
    assert "--data-dir" in shown
    assert max(width(line) for line in shown.splitlines()) <= 80


def test_version(empty) -> None:
    assert empty("--version").out == f"interaction-hub {__version__}\n"
    assert empty("sync", "--version").out == f"interaction-hub {__version__}\n"


def test_options_stand_before_or_after_the_command(empty) -> None:
    Path("one.toml").write_text("[own]\n")
    before = empty("--config", "one.toml", "--json", "--data-dir", "d", "health").json
    after = empty("health", "--data-dir", "d", "--json", "--config", "one.toml").json
    assert before["connections"] == after["connections"] == []
    assert Path("d/hub.db").is_file()
    assert not Path("data").exists()


def test_an_unknown_command_is_answered_with_a_near_one(empty) -> None:
    assert "did you mean `ihub sync`?" in empty("snyc", code=2).err
    assert "ihub --help" in empty("frobnicate", code=2).err
    assert empty("snyc", "--json", code=2).json["error"]["exit_code"] == 2
    assert "no command given after --config" in empty("--config", "x.toml", code=2).err


def test_wrong_usage_is_exit_2_with_the_way_to_help(empty) -> None:
    shown = empty("sync", "--sensus", code=2)
    assert "unrecognized arguments: --sensus" in shown.err
    assert "ihub sync --help" in shown.err
    assert "WHO" in empty("brief", "--json", code=2).json["error"]["message"]
    assert "whole number" in empty("timeline", "x", "--limit", "0", code=2).err


@pytest.mark.parametrize("command", ["brief x", "sync", "health", "plan", "quarantine", "report summary"])
def test_without_settings_and_data_it_says_how_to_begin(empty, command: str) -> None:
    shown = empty(*command.split(), code=2)
    assert "there is no hub here" in shown.err
    assert "ihub import mail FILE" in " ".join(shown.err.split())
    assert not Path("data").exists()


def test_a_settings_file_that_is_not_there(empty) -> None:
    assert "does not exist" in empty("sync", "--config", "nowhere.toml", code=2).err


def test_a_data_folder_that_cannot_be_used(empty) -> None:
    Path("file").write_text("")
    Path("hub.toml").write_text("")
    shown = empty("health", "--data-dir", "file/below", code=2)
    assert "Not a directory" in shown.err


def _raising(monkeypatch: pytest.MonkeyPatch, exc: BaseException) -> None:
    def run_health(args: object, screen: object) -> int:
        raise exc

    monkeypatch.setattr("hub.cli.reporting.run_health", run_health)


@pytest.mark.parametrize(
    ("exc", "code"),
    [(ConfigError("mend this"), 2), (AuthError("mend this"), 4), (Transient("mend this"), 1)],
)
def test_known_errors_have_their_exit_codes(empty, monkeypatch, exc: HubError, code: int) -> None:
    _raising(monkeypatch, exc)
    assert empty("health", code=code).err == "ihub: mend this\n"
    assert empty("health", "--json", code=code).json == {"error": {"message": "mend this", "exit_code": code}}


def test_an_error_of_our_own_is_one_line_to_report(empty, monkeypatch) -> None:
    _raising(monkeypatch, KeyError("party"))
    shown = empty("health", code=1)
    told = " ".join(shown.err.split())
    assert "please report this line: KeyError: 'party' at cli/test_start.py:" in told
    assert f"version {__version__}" in told
    assert "Traceback" not in shown.err
    assert "Traceback" in empty("health", "--log-level", "debug", code=1).err


def test_ctrl_c_is_exit_130(empty, monkeypatch) -> None:
    _raising(monkeypatch, KeyboardInterrupt())
    shown = empty("health", code=130)
    assert "what was stored stays" in shown.err
    assert "Traceback" not in shown.err


def test_a_reader_that_goes_away_is_no_error(empty, monkeypatch) -> None:
    _raising(monkeypatch, BrokenPipeError())
    monkeypatch.setattr(cli, "_close_stdout", lambda: 0)
    assert empty("health").err == ""


def test_both_scripts_are_installed() -> None:
    for name in ("ihub", "interaction-hub"):
        script = Path(sys.executable).with_name(name)
        shown = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
        assert shown.stdout == f"interaction-hub {__version__}\n"


def test_the_logger_keeps_quiet_about_http_below_debug(empty) -> None:
    import logging

    Path("hub.toml").write_text("")
    empty("health")
    assert logging.getLogger("httpx").level == logging.WARNING
    empty("health", "--log-level", "info")
    assert logging.getLogger("httpx").level == logging.WARNING
    assert logging.getLogger("hub").level == logging.INFO
    assert running.LEVELS == ("debug", "info", "warning", "error")
