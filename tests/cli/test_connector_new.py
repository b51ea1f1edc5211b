"""`ihub connector new`: what it writes, what it refuses, and the tutorial that begins with it, command by command."""

import ast
import io
import os
import re
import resource
import shlex
import socket
import subprocess
import sys
import sysconfig
import threading
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

import hub
from hub.cli.output import Screen
from hub.cli.running import parser
from hub.cli.serving import run_emulate

ROOT = Path(__file__).parents[2]
TUTORIAL = (ROOT / "docs" / "tutorial-connector.md").read_text("utf-8")
GUIDE = (ROOT / "docs" / "connector-authors.md").read_text("utf-8")
FENCE = re.compile(r"^```(sh|text)\n(.*?)^```", re.M | re.S)
PORT = "8765"
VARYING = ((r"\bi[a-z0-9]{11}\b", "ID"), (r"\bin \d+\.\d\ds\b", "in N s"))


# --- the tutorial ---------------------------------------------------------------------------------------------------


def fences() -> Iterator[tuple[list[str], str | None]]:
    """(commands, what the tutorial says they print; None where it says nothing)."""
    found = FENCE.findall(TUTORIAL)
    for i, (language, text) in enumerate(found):
        if language == "sh":
            following = found[i + 1] if i + 1 < len(found) else ("", "")
            yield text.splitlines(), following[1] if following[0] == "text" else None


def says(shown: str, printed: str) -> bool:
    """Whether the output is as shown, `...` on a line of its own standing for any lines."""
    for pattern, word in VARYING:
        shown, printed = re.sub(pattern, word, shown), re.sub(pattern, word, printed)
    lines = [".*?" if line == "..." else re.escape(line.rstrip()) for line in shown.rstrip().splitlines()]
    return re.fullmatch("\n".join(lines), "\n".join(map(str.rstrip, printed.rstrip().splitlines())), re.S) is not None


class Shell:
    """What a reader has: an environment of its own beside the hub's, a folder, and a second terminal.

    `ihub` runs in this process, on the same installed packages; everything else is a process of its own.
    """

    def __init__(self, home: Path, ihub: Callable[..., object], patch: pytest.MonkeyPatch) -> None:
        self.ihub, self.patch = ihub, patch
        self.stop = Stop()
        self.served: threading.Thread | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = str(free.getsockname()[1])
        venv.create(home / "venv", symlinks=True)
        self.site = next((home / "venv").glob("lib/python*/site-packages"))
        (self.site / "hub.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
        for name in ("pip", "pytest"):
            script = home / "venv" / "bin" / name
            script.write_text(f'#!/bin/sh\nexec "{home}/venv/bin/python" -m {name} "$@"\n')
            script.chmod(0o755)
        self.env = {
            **os.environ, "PATH": f"{home}/venv/bin:{os.environ['PATH']}",
            # pip: only what is here already; pytest: none of this repository's plugins
            "PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_COMPILE": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }  # fmt: skip
        (home / "desk").mkdir()
        patch.chdir(home / "desk")

    def run(self, line: str) -> str:
        """One line as typed; what it printed. The tutorial's port is exchanged for a free one."""
        line = line.replace(PORT, self.port)
        program, *words = shlex.split(line)
        if program == "cd":
            self.patch.chdir(words[0])
            self.patch.syspath_prepend(str(Path.cwd()))  # as pip's .pth file has it
            self.patch.syspath_prepend(str(self.site))
            return ""
        if program == "export":
            self.patch.setenv(*words[0].split("=", 1))
            return ""
        if program != "ihub":
            done = subprocess.run(line, shell=True, env=self.env, capture_output=True, text=True)
            is_meant_to_fail = program == "pytest" and done.returncode == pytest.ExitCode.TESTS_FAILED
            assert done.returncode == 0 or is_meant_to_fail, done.stdout + done.stderr
            return done.stdout
        if words[0] == "emulate":
            return self.serve(words[1:])
        printed = self.ihub(*words).out
        for file in Path.cwd().glob("*/hub.toml"):
            file.write_text(file.read_text().replace(PORT, self.port))
        return printed.replace(self.port, PORT)

    def serve(self, words: list[str]) -> str:
        """The second terminal."""
        args, screen = parser("emulate").parse_args(words), Screen(out=io.StringIO(), err=io.StringIO())
        self.served = threading.Thread(target=run_emulate, args=(args, screen, self.stop))
        self.served.start()
        assert self.stop.is_waited_for.wait(20)
        return screen.out.getvalue().replace(self.port, PORT)

    def close(self) -> None:
        self.stop.set()
        if self.served:
            self.served.join(20)


class Stop(threading.Event):
    def __init__(self) -> None:
        super().__init__()
        self.is_waited_for = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        self.is_waited_for.set()
        return super().wait(timeout)


@pytest.fixture
def shell(tmp_path: Path, ihub, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    made = Shell(tmp_path, ihub, monkeypatch)
    yield made
    made.close()
    for name in [n for n in sys.modules if n.partition(".")[0] == "hub_pigeon"]:
        del sys.modules[name]


def test_the_tutorial_prints_what_it_says_and_ends_in_a_synced_record(shell: Shell) -> None:
    pytest.importorskip("pip", reason="environments made by other tools may lack pip")
    commands = 0
    for lines, shown in fences():
        printed = "".join(shell.run(line) for line in lines)
        assert shown is None or says(shown, printed), f"{lines}\n--- the tutorial\n{shown}\n--- here\n{printed}"
        commands += len(lines)
    assert commands == 13
    # Nothing of the hub knows the tool, and everything written lies in the package's own folder.
    hub_files = [p for p in Path(hub.__file__).parent.rglob("*") if p.suffix in {".py", ".toml", ".json"}]
    assert len(hub_files) > 100
    assert not [p for p in hub_files if "pigeon" in p.read_text("utf-8", "replace").lower()]
    assert [p.name for p in Path.cwd().parent.iterdir()] == ["pigeon"]
    # What the author does at the stand-in arrives with the next sync.
    message = {"id": "m9", "sent_at": "2026-03-05T07:00:00Z", "from": {"email": "ben@other.example"}, "text": "Hello"}
    httpx.post(f"http://127.0.0.1:{shell.port}/_emulator/seed", json={"messages": [message]}).raise_for_status()
    assert "1 seen = 1 new" in shell.run("ihub sync")


@pytest.mark.parametrize(
    ("shown", "printed", "is_so"),
    [
        ("a\n...\nd", "a\nb\nc\nd", True), ("a\n...", "a\nb", True), ("a\n...\nd", "a\nb", False), ("a", "a\nb", False),
        ("a.c", "abc", False), ("in 1.25s", "in 9.99s", True), ("2 passed in 1.25s", "3 passed in 1.25s", False),
    ],
)  # fmt: skip
def test_the_comparison_can_fail(shown: str, printed: str, is_so: bool) -> None:
    assert says(shown, printed) is is_so


def test_every_file_the_tutorial_names_is_written(empty) -> None:
    written = set(empty("connector", "new", "pigeon", "--json").json["written"])
    named = re.findall(r"^\|(.*?)\|.*\|$", TUTORIAL, re.M)
    files = {f"pigeon/{file}" for cell in named for file in re.findall(r"`([\w/]+\.\w+)`", cell)}
    assert files == written - {"pigeon/.gitignore", "pigeon/hub_pigeon/__init__.py"}


# --- what is written ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pigeon", "a_tool_with_2_words_and_a_long_name_x9"])
def test_all_of_the_package_carries_the_name(empty, name: str) -> None:
    document = empty("connector", "new", name, "--json").json
    assert set(document) == {"folder", "written", "next"}
    assert sorted(document["written"]) == sorted(str(p) for p in Path(name).rglob("*") if p.is_file())
    text = "".join(Path(p).read_text("utf-8") for p in document["written"])
    assert "acme" not in text.lower()
    assert "hub.testing.template" not in text
    code = [p for p in document["written"] if p.endswith(".py")]
    classes = {n.name for p in code for n in ast.walk(ast.parse(Path(p).read_text())) if isinstance(n, ast.ClassDef)}
    cls = "".join(part.capitalize() for part in name.split("_"))
    assert {cls, f"{cls}Settings", f"{cls}Emulator"} <= classes
    ruff = [Path(sys.executable).with_name("ruff"), "check", "--quiet", "--isolated", "--select", "F,E9"]
    subprocess.run([*ruff, name], check=True)


def test_a_connector_imports_what_a_third_party_may(empty) -> None:
    empty("connector", "new", "pigeon", "--quiet")
    trees = [ast.parse(p.read_text("utf-8")) for p in Path("pigeon").rglob("*.py")]
    imported = {str(n.module) for tree in trees for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert {m for m in imported if m.split(".")[0] == "hub"} == {"hub.api", "hub.testing"}


def test_into_another_folder(empty) -> None:
    Path("my tools").mkdir()
    shown = empty("connector", "new", "pigeon", "--into", "my tools")
    assert "cd 'my tools/pigeon' && pip install" in shown.out
    assert Path("my tools/pigeon/hub_pigeon/connector.py").is_file()


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "why", "fix"),
    [
        ("Pigeon-Post", "lower-case letters", "ihub connector new pigeon_post"),
        ("2fast", "lower-case letters", "ihub connector new tool_2fast"),
        ("a__b", "single underscores", "ihub connector new a_b"),
        ("x" * 41, "40 at most", f"ihub connector new {'x' * 40}"),
        ("../pigeon", "lower-case letters", "ihub connector new pigeon"),
        ("class", "a word of Python", "ihub connector new class_tool"),
        ("none", "a word of Python", "ihub connector new none_tool"),
        ("page", "makes the class Page", "ihub connector new page_tool"),
        ("gmail", "taken by interaction-hub-gmail", "choose another name"),
    ],
)
def test_a_name_that_cannot_be(empty, name: str, why: str, fix: str) -> None:
    told = " ".join(empty("connector", "new", name, code=2).err.split())
    assert told.startswith(f'ihub: NAME "{name}" ')
    assert why in told
    assert f"Fix: {fix}" in told
    assert list(Path.cwd().iterdir()) == []


def test_what_is_there_already_is_left_alone(empty) -> None:
    Path("pigeon").mkdir()
    Path("pigeon/notes.txt").write_text("mine")
    assert "exists already and was left as it is" in empty("connector", "new", "pigeon", code=2).err
    assert [p.name for p in Path("pigeon").iterdir()] == ["notes.txt"]
    assert "Fix: mkdir -p nowhere" in empty("connector", "new", "dove", "--into", "nowhere", code=2).err
    assert "cannot be written" in empty("connector", "new", "dove", "--into", "pigeon/notes.txt", code=2).err
    assert "invalid choice: 'old'" in empty("connector", "old", "dove", code=2).err


def test_nothing_half_written_is_left(empty) -> None:
    """The disk gives out in the middle: no file may grow beyond two kilobytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))
    try:
        shown = empty("connector", "new", "pigeon", code=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "pigeon cannot be written: File too large" in shown.err
    assert list(Path.cwd().iterdir()) == []


# --- what it takes, counted -----------------------------------------------------------------------------------------


def counted(command: str) -> int:
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[0])


def test_the_guides_figures_are_what_their_commands_count() -> None:
    section = GUIDE.partition("## 12 ")[2]
    rows = re.findall(r"^\| ([^|]+) \| (?:under )?([\d,]+) \| `([^`|]+)` \|$", section, re.M)
    assert len(rows) == 4
    for what, figure, command in rows:
        told, found = int(figure.replace(",", "")), counted(command)
        assert found == told or told * 0.75 <= found < told, (what, told, found)
