"""`ihub connector new NAME`: the beginning of a connector, as a package that works and passes the suite as written."""

import argparse
import ast
import keyword
import re
import shlex
import shutil
from importlib.resources import files
from pathlib import Path

from hub.cli import OK
from hub.cli.output import Screen
from hub.cli.text import plural

PORT = 8765  # what the written hub.toml says
LONGEST = 40
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_PLACES = re.compile(r"hub\.testing\.template\.|Acme|ACME|acme")


def args_connector(p: argparse.ArgumentParser) -> None:
    p.add_argument("what", choices=("new",), metavar="new", help="what is done: new")
    p.add_argument("name", metavar="NAME", help="the tool, in lower-case letters, digits and underscores")
    p.add_argument("--into", metavar="DIR", default=".", help="make the folder NAME in DIR; here if left out")


def run_connector(args: argparse.Namespace, screen: Screen) -> int:
    template = _template()
    _agree(args.name, template)
    folder = _write(args.name, Path(args.into).expanduser(), template)
    written = [str(folder / _named(path, args.name)) for path in template]
    steps = (
        f"cd {shlex.quote(str(folder))} && pip install -e '.[test]' && pytest",
        f"ihub emulate {args.name} --port {PORT} --load sample.json",
        f"{args.name.upper()}_TOKEN=token-of-{args.name} ihub sync",
    )
    screen.emit({"folder": str(folder), "written": written, "next": steps})
    screen.line(f"Written: {folder}, {plural(len(written), 'file')}", "green")
    screen.heading("What comes next")
    for number, step in enumerate(steps, 1):
        if not screen.is_json:  # whole, however long: it is there to be copied
            print(f"  {number}. {screen.styled(step, 'cyan')}", file=screen.out)
    screen.hint("The last one in a second terminal. docs/tutorial-connector.md goes on from there.")
    return OK


def _template() -> dict[str, str]:
    """Path -> text of everything that is copied: all but the folder's own docstring and what tools leave behind."""
    root = Path(str(files("hub") / "testing" / "template"))
    paths = [p.relative_to(root) for p in sorted(root.rglob("*")) if p.is_file() and p != root / "__init__.py"]
    kept = [p for p in paths if not any(part.startswith((".", "__")) for part in p.parts[:-1])]
    return {str(p): (root / p).read_text("utf-8") for p in kept}


def _named(text: str, name: str) -> str:
    """The template's text or path, with the author's name in the place of acme."""
    words = {"acme": name, "ACME": name.upper(), "Acme": _class_of(name), "hub.testing.template.": ""}
    return _PLACES.sub(lambda found: words[found[0]], text)


def _class_of(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _agree(name: str, template: dict[str, str]) -> None:
    """Raises ConfigError, with the fix, for a name that cannot be a package, a class or a connector."""
    from hub.api.errors import ConfigError
    from hub.plugins import load

    if not _NAME.fullmatch(name) or len(name) > LONGEST:
        words = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:LONGEST].strip("_")
        better = words if _NAME.fullmatch(words) else f"tool_{words}"[:LONGEST].strip("_")
        raise ConfigError(
            f'NAME "{name}" must be lower-case letters, digits and single underscores, a letter first, {LONGEST} at '
            f"most\n  Fix: ihub connector new {better}"
        )
    cls = _class_of(name)
    if keyword.iskeyword(name) or keyword.iskeyword(cls):
        raise ConfigError(f'NAME "{name}" is a word of Python\n  Fix: ihub connector new {name}_tool')
    if cls in _names(template):
        raise ConfigError(
            f'NAME "{name}" makes the class {cls}, and the package has another of that name\n'
            f"  Fix: ihub connector new {name}_tool"
        )
    for row in load([name]).rows():
        raise ConfigError(
            f'NAME "{name}" is taken by {row.distribution}\n'
            "  Fix: choose another name; `ihub connectors` lists those in use"
        )


def _names(template: dict[str, str]) -> set[str]:
    """Everything the template's own code calls by name."""
    trees = [ast.parse(text) for path, text in template.items() if path.endswith(".py")]
    return {getattr(node, "id", getattr(node, "name", "")) for tree in trees for node in ast.walk(tree)} - {"Acme"}


def _write(name: str, into: Path, template: dict[str, str]) -> Path:
    """Makes the folder, all of it or nothing."""
    from hub.api.errors import ConfigError

    folder = into / name
    try:
        folder.mkdir()
    except FileExistsError as exc:
        raise ConfigError(
            f"{folder} exists already and was left as it is\n  Fix: another NAME, or another place with --into DIR"
        ) from exc
    except FileNotFoundError as exc:
        raise ConfigError(f"--into {into} does not exist\n  Fix: mkdir -p {shlex.quote(str(into))}") from exc
    except OSError as exc:
        raise ConfigError(f"--into {into} cannot be written: {exc.strerror}") from exc
    try:
        for path, text in template.items():
            file = folder / _named(path, name)
            file.parent.mkdir(exist_ok=True)
            file.write_text(_named(text, name), "utf-8")
    except BaseException as exc:  # Ctrl-C too
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(exc, OSError):
            raise ConfigError(f"{folder} cannot be written: {exc.strerror}") from exc
        raise
    return folder
