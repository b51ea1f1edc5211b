"""`ihub init`, `check`, `connect`, `connectors` and `schema`: from nothing to a connection that works."""

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub.cli import OK, PARTLY, REAUTH
from hub.cli.opening import combined, no_connections, opened, ordered
from hub.cli.output import Screen, as_json
from hub.cli.text import clean, plural

if TYPE_CHECKING:
    from hub.engine import Engine

SIGN_IN_WAIT_S = 300
KEY_STEP = (
    "Signing in through the browser keeps tokens, encrypted with a key of yours. Make one, and keep a copy of it "
    "apart from the data, in a password manager for one:"
)


# --- init -----------------------------------------------------------------------------------------------------------


def args_init(p: argparse.ArgumentParser) -> None:
    p.add_argument("dir", metavar="DIR", nargs="?", default=".", help="where; this folder if left out")
    p.add_argument("--key", action="store_true", help="write nothing, only print a new key for HUB_SECRET_KEY")


def run_init(args: argparse.Namespace, screen: Screen) -> int:
    from hub.api.errors import ConfigError
    from hub.cli.template import HUB_TOML

    if args.key:
        from cryptography.fernet import Fernet

        key = Fernet.generate_key().decode()
        screen.emit({"secret_key": key})
        screen.line(key)
        return OK
    folder = Path(args.dir).expanduser()
    file, data = folder / "config" / "hub.toml", Path(args.data_dir).expanduser() if args.data_dir else folder / "data"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        with file.open("x", encoding="utf-8") as out:
            out.write(HUB_TOML)
        # Inside the folder, so that it holds in any repository, and moves with the data.
        (data / ".gitignore").write_text("# What the hub keeps: customers' messages and tokens.\n*\n", encoding="utf-8")
    except FileExistsError as exc:
        raise ConfigError(
            f"{file} exists already and was left as it is\n  Fix: edit it, or name another folder: ihub init DIR"
        ) from exc
    except OSError as exc:
        raise ConfigError(f"{exc.filename or folder} cannot be written: {exc.strerror}") from exc
    written = [str(file), str(data / ".gitignore")]
    screen.emit({"written": written, "config": str(file), "data_dir": str(data)})
    screen.line(f"Written: {file}", "green")
    screen.line(f"Data will be kept in {data} (ignored by git; back it up)", "dim")
    screen.heading("What comes next")
    here = "" if folder.resolve() == Path.cwd() else f" --config {file}"
    for number, step in enumerate((
        f"In {file}: say who you are ([own] domains), and uncomment a connection.",
        KEY_STEP,
        "Put other secrets into environment variables the file names.",
        f"ihub check{here}",
        f"ihub sync{here}, then ihub brief WHO",
    ), 1):  # fmt: skip
        _step(screen, number, step)
        if step is KEY_STEP:
            screen.line("export HUB_SECRET_KEY=$(ihub init --key)", "cyan", 5)
            screen.line("or keep it in a file and set HUB_SECRET_KEY_FILE to its path", "dim", 5)
    return OK


def _step(screen: Screen, number: int, text: str) -> None:
    from hub.cli.text import wrap

    for i, line in enumerate(wrap(text, screen.columns - 5)):
        screen.pieces((f"{number}. " if i == 0 else "   ", "bold"), (line, ""), indent=2)


# --- check ----------------------------------------------------------------------------------------------------------


def args_check(p: argparse.ArgumentParser) -> None:
    p.add_argument("names", metavar="NAME", nargs="*", help="connections; all enabled ones if left out")


def run_check(args: argparse.Namespace, screen: Screen) -> int:
    with opened(args, screen) as engine:
        names = ordered(engine, args.names)
        found = [_check(engine, name, screen) for name in names]
        code = combined([x["exit_code"] for x in found])
        screen.emit({"exit_code": code, "settings": engine.settings.source.file, "connections": found})
        file = engine.settings.source.file or "no file, only defaults and environment"
        screen.pieces(("settings  ", "bold"), ("fine", "green"), (f"  {file}", "dim"))
        for x in found:
            _show_check(screen, x)
        if not names:
            no_connections(screen)
        elif not engine.settings.own.domains and not engine.settings.own.addresses:
            screen.hint("[own] domains is empty: the hub cannot tell what you sent from what you received.")
        elif code == OK:
            screen.hint("Next: `ihub sync`.")
        return code


def _check(engine: "Engine", name: str, screen: Screen) -> dict[str, Any]:
    from hub.engine import connect

    screen.progress(f"checking {name}")
    return asyncio.run(connect.check(engine, name))


def _show_check(screen: Screen, x: dict[str, Any]) -> None:
    screen.line()
    word = {OK: ("fine", "green"), PARTLY: ("permissions missing", "yellow"), REAUTH: ("sign in again", "red")}
    screen.pieces(
        (x["connection"], "bold"), ("  ", ""), word.get(x["exit_code"], ("failed", "red")),
        (f"  {clean(x['label'])}", "dim"),
    )  # fmt: skip
    for row in x["error"].splitlines():
        screen.text(row, "yellow", 2)
    if x["exit_code"] == REAUTH:
        screen.text(f"`ihub connect {x['connection']}` signs in again, or renew the token in the settings.", "dim", 2)
    _show_matrix(screen, x["permissions"])
    if x["own_identities"]:
        screen.text(f"sends as {', '.join(clean(a) for a in x['own_identities'])}", "dim", 2)


def _show_matrix(screen: Screen, rows: list[dict[str, Any]]) -> None:
    """Stream by stream: may read, may write; under it what is missing, and the scope that would give it."""
    granted: dict[str, dict[str, bool]] = {}
    for p in rows:
        actions = granted.setdefault(p["stream"], {})
        actions[p["action"]] = actions.get(p["action"], True) and p["is_granted"]
    words = {True: "yes", False: "NO", None: "-"}
    table = [(stream, words[may.get("read")], words[may.get("write")]) for stream, may in granted.items()]
    screen.table(("", "read", "write"), table)
    for p in rows:
        if not p["is_granted"]:
            style = "yellow" if p["is_required"] else "dim"
            optional = "" if p["is_required"] else " (optional)"
            screen.text(f"{p['stream']}: may not {p['action']}{optional}: {p['detail']}", style, 2)
            if p["scope"]:
                screen.text(f"needs the scope {p['scope']}", style, 4)


# --- connect --------------------------------------------------------------------------------------------------------


def args_connect(p: argparse.ArgumentParser) -> None:
    p.add_argument("name", metavar="NAME", help="a connection of the settings")
    p.add_argument("--no-browser", action="store_true", help="only print the address to open")


def run_connect(args: argparse.Namespace, screen: Screen) -> int:
    """Run the connector's own sign-in and keep what it gives, encrypted."""
    import webbrowser

    from hub.engine import connect

    with opened(args, screen) as engine:
        [name] = ordered(engine, [args.name])

        def show(url: str) -> None:
            screen.complain("Open this address in a browser and allow access:")
            print(f"\n  {url}\n", file=screen.err, flush=True)
            if not args.no_browser:
                webbrowser.open(url)

        grant = connect.in_terminal(engine, name, show, SIGN_IN_WAIT_S)
        found = _check(engine, name, screen)
        screen.emit({**found, "scopes": list(getattr(grant, "scopes", ()))})
        _show_check(screen, found)
        if found["exit_code"] == OK:
            screen.hint(f"Next: `ihub sync {name}`.")
        return int(found["exit_code"])


# --- what is installed ----------------------------------------------------------------------------------------------


def args_connectors(p: argparse.ArgumentParser) -> None:
    pass


def run_connectors(args: argparse.Namespace, screen: Screen) -> int:
    from dataclasses import asdict

    from hub.plugins import load

    rows = load().rows()
    screen.emit({"connectors": [asdict(row) for row in rows]})
    if not rows:
        screen.line("No connector is installed.")
        screen.hint("Connectors are packages of their own: install one beside the hub.")
        return OK
    for row in rows:
        if row.problem:
            screen.pieces((row.name, "bold"), ("  not in use", "red"), (f"  {row.distribution}", "dim"))
            screen.text(row.problem, "yellow", 2)
            continue
        screen.ends(f"{row.name}  {row.title}", f"{row.distribution} {row.version}", "bold")
        shown = [("reads", ", ".join(row.streams) or "nothing")]
        shown += [("writes", ", ".join(row.pushes))] if row.pushes else []
        shown += [("conformance", row.level)] if row.level else []
        shown += [("emulator", f"ihub emulate {row.name}")] if row.has_emulator else []
        screen.fields(shown)
    screen.hint(f"{plural(len([r for r in rows if not r.problem]), 'connector')} ready to use in [connections.NAME].")
    return PARTLY if any(row.problem for row in rows) else OK


def args_schema(p: argparse.ArgumentParser) -> None:
    p.add_argument("--out", metavar="FILE", help="write it there instead of to the screen")


def run_schema(args: argparse.Namespace, screen: Screen) -> int:
    from hub.api.canonical import json_schema
    from hub.api.errors import ConfigError

    schema = json_schema()
    if not args.out:
        print(as_json(schema), file=screen.out)
        return OK
    try:
        Path(args.out).write_text(as_json(schema) + "\n", encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"--out {args.out} cannot be written: {exc.strerror}") from exc
    screen.emit({"written": args.out, "version": schema["version"]})
    screen.line(f"Written: {args.out} (schema version {schema['version']})", "green")
    return OK
