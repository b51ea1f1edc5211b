"""From a command's name and arguments to its exit code: parses, runs, and turns every error into a message."""

import argparse
import importlib
import logging
import sys
from typing import Any, NoReturn

from hub import __version__
from hub.cli import COMMANDS, FAILED, OK, REAUTH, USAGE, UsageError
from hub.cli.output import Screen

LEVELS = ("debug", "info", "warning", "error")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}\nsee `{self.prog} --help`")


def parser(command: str) -> argparse.ArgumentParser:
    """The parser of one command, with the options all of them take."""
    _, arguments, what = COMMANDS[command]
    found = _Parser(
        prog=f"ihub {command}", usage=" ".join(f"ihub {command} {arguments} [options]".split()),
        description=what[0].upper() + what[1:] + ".", allow_abbrev=False, add_help=False,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=22, width=79),
    )  # fmt: skip
    everywhere = found.add_argument_group("options of every command")
    everywhere.add_argument("--config", metavar="FILE", help="settings file")
    everywhere.add_argument("--data-dir", metavar="DIR", help="where the hub keeps its data")
    everywhere.add_argument("--json", action="store_true", help="one JSON document on stdout")
    everywhere.add_argument("--quiet", action="store_true", help="no progress and no hints")
    everywhere.add_argument("--log-level", choices=LEVELS, metavar="LEVEL", help="debug, info, warning or error")
    everywhere.add_argument("--version", action="version", version=f"interaction-hub {__version__}")
    everywhere.add_argument("-h", "--help", action="help", help="this page")
    getattr(_module(command), f"args_{_attribute(command)}")(found)
    return found


def run(command: str, front: list[str], rest: list[str]) -> int:
    """Run one command. `front`: the options that stood before it."""
    is_json = "--json" in [*front, *rest]
    try:
        args = parser(command).parse_args([*front, *rest])
    except UsageError as exc:
        return fail(Screen(is_json=is_json), USAGE, str(exc))
    except SystemExit as exc:  # --help and --version have printed what was asked
        return exc.code if isinstance(exc.code, int) else OK
    screen = Screen(is_json=args.json, is_quiet=args.quiet)
    set_up_logging(args.log_level, screen)
    return guarded(command, args, screen)


def guarded(command: str, args: argparse.Namespace, screen: Screen) -> int:
    """The command's own exit code, or the one its error stands for."""
    try:
        code: int = getattr(_module(command), f"run_{_attribute(command)}")(args, screen)
        sys.stdout.flush()
    except UsageError as exc:
        return fail(screen, USAGE, str(exc))
    except BrokenPipeError:
        raise
    except Exception as exc:  # the last stop: told as one line, or with its traceback where debugging
        return _explained(exc, args.log_level == "debug", screen)
    else:
        return code
    finally:
        screen.clear()


def _explained(exc: Exception, is_debug: bool, screen: Screen) -> int:
    from hub.api.errors import AuthError, ConfigError, HubError

    if is_debug:
        import traceback

        screen.clear()
        traceback.print_exception(exc, file=screen.err)
    if isinstance(exc, ConfigError):
        return fail(screen, USAGE, str(exc))
    if isinstance(exc, AuthError):
        return fail(screen, REAUTH, str(exc))
    if isinstance(exc, HubError):
        return fail(screen, FAILED, str(exc))
    frame = exc.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = f"{'/'.join(frame.tb_frame.f_code.co_filename.split('/')[-2:])}:{frame.tb_lineno}" if frame else "?"
    reason = " ".join(str(exc).split())[:300]
    told = f"{type(exc).__name__}{f': {reason}' if reason else ''} at {place}, version {__version__}"
    more = "" if is_debug else "; --log-level debug shows the traceback"
    return fail(screen, FAILED, f"an error of the hub itself, please report this line: {told}{more}")


def fail(screen: Screen, code: int, message: str) -> int:
    """Tell a problem on stderr, and in JSON on stdout where JSON was asked for."""
    screen.emit({"error": {"message": message, "exit_code": code}})
    screen.complain(f"ihub: {message}")
    return code


def set_up_logging(level: str | None, screen: Screen) -> None:
    """Warnings of the hub on stderr, more where asked for; the HTTP library only with debug."""
    handler = _Handler(screen)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    chosen = (level or "warning").upper()
    logging.getLogger("hub").setLevel(chosen)
    logging.getLogger("httpx").setLevel("INFO" if level == "debug" else "WARNING")


class _Handler(logging.Handler):
    """Log lines on stderr, past the progress line."""

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if not (self._screen.is_quiet and record.levelno < logging.ERROR):
                self._screen.complain(self.format(record))
        except Exception:  # logging's own way: a broken log line must not stop the work
            self.handleError(record)


def _module(command: str) -> Any:
    return importlib.import_module(f"hub.cli.{COMMANDS[command][0]}")


def _attribute(command: str) -> str:
    return command.replace("-", "_")
