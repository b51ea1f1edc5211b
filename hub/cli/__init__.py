"""The command line: `ihub COMMAND`. A door onto engine, outbox and reports; no rule lives here.

In: arguments. Out: text of at most 80 columns or one JSON document on stdout, problems and progress on stderr, an
exit code. Starts fast: at import nothing but `sys`, each command brings in what it needs.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["COMMANDS", "OK", "main"]

OK, FAILED, USAGE, PARTLY, REAUTH, DRIFT, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

GROUPS = (
    ("Set up", ("init", "check", "connect", "disconnect", "connectors", "demo")),
    ("Pull and look", ("import", "sync", "search", "brief", "timeline", "fields", "explain", "report")),
    ("Who is who", ("identity",)),
    ("Write to the tools", ("plan", "approve", "reject", "apply", "undo", "conflicts", "choose")),
    ("Keep healthy", ("serve", "health", "census", "quarantine", "replay")),
    ("Let people and programs in", ("user", "token", "hook", "mcp")),
    ("Build connectors", ("connector", "emulate", "schema")),
)
# command: module of hub.cli, arguments, what it does. Each module has args_<command> and run_<command>.
COMMANDS = {
    "init": ("setup", "[DIR]", "write a commented config/hub.toml and say what comes next"),
    "check": ("setup", "[NAME...]", "prove the settings and what each connection may do"),
    "connect": ("setup", "NAME", "sign an account in through the browser"),
    "disconnect": ("disconnecting", "NAME", "let a connection go; --erase takes what it brought"),
    "connectors": ("setup", "", "list the installed connectors"),
    "demo": ("demo", "", "show everything on a made-up company, without any account"),
    "import": ("importing", "mail FILE", "read an mbox, Maildir or Takeout archive; no set-up"),
    "sync": ("pulling", "[NAME...]", "pull what is new, the system of record first"),
    "search": ("searching", "TEXT", "entries of all timelines by their words"),
    "brief": ("people", "WHO", "four answers about a customer"),
    "timeline": ("people", "WHO", "everything said and written, newest first"),
    "explain": ("explaining", "ID", "why an entry is there: sources, decisions, pushes"),
    "report": ("reports", "[NAME]", "the timeline in figures: volume, response, tasks ..."),
    "fields": ("fields", "WHO", "a customer's fields and permissions, and who says so"),
    "identity": ("identity", "VERB ...", "who is who and why; merge, split, undo, review"),
    "plan": ("pushing", "", "what should change at the system of record and elsewhere"),
    "approve": ("deciding", "[hold] ID", "let a plan, or what the brake holds, go on"),
    "reject": ("deciding", "[hold] ID", "drop a plan, or keep what the brake holds"),
    "apply": ("pushing", "[PLAN]", "make the changes of a plan"),
    "undo": ("pushing", "PLAN", "take an applied plan back"),
    "conflicts": ("fields", "", "fields that tools changed on both sides"),
    "choose": ("fields", "WHO FIELD ...", "say which value of a field is right"),
    "serve": ("serving", "", "sync on schedule until stopped"),
    "health": ("reporting", "", "how every stream is doing, worst first"),
    "census": ("pulling", "[NAME...]", "count the sources and name what is missing"),
    "quarantine": ("repair", "", "records that could not be taken in, and why"),
    "replay": ("repair", "[NAME...]", "map stored records again, as after an upgrade"),
    "user": ("users", "VERB ...", "accounts, their roles and one-time codes"),
    "token": ("users", "VERB ...", "tokens for programs"),
    "hook": ("hooks", "VERB ...", "webhooks out: tell other programs of what changes"),
    "mcp": ("assisting", "", "answer an assistant over stdio; it reads, and may propose"),
    "connector": ("authoring", "new NAME", "begin a connector: a package that already works"),
    "emulate": ("serving", "NAME", "serve a vendor's stand-in on this machine"),
    "schema": ("setup", "", "the canonical schema as JSON Schema"),
    "state-hash": ("reporting", "", "one hash of the whole timeline"),
}
GLOBALS = """\
Options of every command, before or after it:
  --config FILE      settings (else $HUB_CONFIG, ./config/hub.toml, ./hub.toml)
  --data-dir DIR     where the hub keeps its data; wins over the settings
  --json             one JSON document on stdout
  --quiet            no progress and no hints
  --log-level LEVEL  debug, info, warning (the default here) or error
  --version          print the version
  -h, --help         this page, or a command's own

Exit codes: 0 fine, 1 failed, 2 usage or settings, 3 partly failed,
4 an account must be connected again, 5 drift found.

Start with `ihub demo`, `ihub import mail FILE` or `ihub init`.
"""
_TAKES_VALUE = ("--config", "--data-dir", "--log-level")


class UsageError(Exception):
    """The command line is wrong; the message says how, with the fix."""


def main(argv: "Sequence[str] | None" = None) -> int:
    """Run one command. Never raises; returns the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        return _main(args)
    except KeyboardInterrupt:
        print("\nstopped; what was stored stays, and the next run goes on from there", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        return _close_stdout()


def _main(args: "list[str]") -> int:
    front, command, rest = split(args)
    if command is None:
        if "--version" in front:
            from hub import __version__

            print(f"interaction-hub {__version__}")
            return OK
        asked = any(a in {"-h", "--help"} for a in front)
        stray = [a for a in front if a.startswith("-") and a not in {"-h", "--help", "--json", "--quiet"}]
        if not args or (asked and not stray):
            print(overview(), end="", file=sys.stdout if asked else sys.stderr)
            return OK if asked else USAGE
        return _refuse(f"no command given{f' after {stray[-1]}' if stray else ''}", "see `ihub --help`", args)
    if command not in COMMANDS:
        return _refuse(*_unknown(command), args)
    from hub.cli.running import run

    return run(command, front, rest)


def split(args: "list[str]") -> "tuple[list[str], str | None, list[str]]":
    """(options before the command, the command, what follows it)."""
    i = 0
    while i < len(args):
        if not args[i].startswith("-"):
            return args[:i], args[i], args[i + 1 :]
        i += 2 if args[i] in _TAKES_VALUE else 1
    return args, None, []


def overview() -> str:
    """The page of `ihub --help`."""
    lines = ["usage: ihub COMMAND [options]", "", "One customer timeline out of the tools a team already uses.", ""]
    for title, names in GROUPS:
        lines.append(f"{title}:")
        for name in names:
            _, arguments, what = COMMANDS[name]
            call = f"{name} {arguments}".rstrip()
            lines.append(f"  {call:<21}{what}")
        lines.append("")
    return "\n".join(lines) + "\n" + GLOBALS


def _unknown(command: str) -> tuple[str, str]:
    from difflib import get_close_matches

    near = get_close_matches(command, COMMANDS, 1)
    return f"there is no command {command!r}", f"did you mean `ihub {near[0]}`?" if near else "see `ihub --help`"


def _refuse(message: str, fix: str, args: "list[str]") -> int:
    if "--json" in args:
        from hub.cli.output import as_json

        print(as_json({"error": {"message": message, "fix": fix, "exit_code": USAGE}}))
    print(f"ihub: {message}; {fix}", file=sys.stderr)
    return USAGE


def _close_stdout() -> int:
    """Keep Python from complaining about the closed pipe when it flushes at exit."""
    import os
    from contextlib import suppress

    with suppress(OSError, ValueError):  # not a real file, such as a test's buffer
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return OK
