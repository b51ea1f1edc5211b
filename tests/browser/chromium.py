"""A real, headless Chromium steered over its own debugging protocol: no driver program, and no further dependency.

    with Chromium.started(program) as browser, browser.person(width=390, is_dark=True) as tab:
        tab.go(f"{url}/sign-in")
        tab.fill("Email address", "ana@ourco.example")
        tab.follow("button", "Sign in")

Here is the process; what can be done with a page is in tab.py.
"""

import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from tests.browser.tab import PATIENCE_S, BrowserError, Json, Tab

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless=new", "--remote-debugging-pipe", "--no-first-run", "--no-default-browser-check", "--disable-gpu",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions", "--mute-audio",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb", "--font-render-hinting=none",
    "--disable-features=Translate,MediaRouter,OptimizationHints,AutofillServerCommunication,HttpsUpgrades",
    "--lang=en-GB", "--password-store=basic", "--use-mock-keychain", "--no-proxy-server",
)  # fmt: skip


def program() -> str:
    """The Chromium to use ($HUB_CHROMIUM, else what the PATH has), or ""."""
    named = os.environ.get("HUB_CHROMIUM", "")
    return named or next((found for name in PROGRAMS if (found := shutil.which(name))), "")


class Chromium:
    """The process, and one call after another over its pipe."""

    def __init__(self, process: int, to: int, back: int) -> None:
        self._process, self._to, self._back = process, to, back
        self._left = b""
        self._last = 0
        self.events: list[Json] = []

    @classmethod
    @contextmanager
    def started(cls, path: str) -> Iterator[Self]:
        """Up until the block ends. path: the program. Its profile is a folder that goes with it."""
        flags = [*FLAGS, *(("--no-sandbox",) if os.geteuid() == 0 else ())]
        with tempfile.TemporaryDirectory(prefix="hub-chromium-", ignore_cleanup_errors=True) as folder:
            process, to, back = _spawn([path, *flags, f"--user-data-dir={folder}", "about:blank"])
            found = cls(process, to, back)
            try:
                found.ask("Browser.getVersion")
                yield found
            finally:
                found._stop()

    def _stop(self) -> None:
        os.close(self._to)
        os.close(self._back)
        deadline = time.monotonic() + 5
        while os.waitpid(self._process, os.WNOHANG) == (0, 0):  # a closed pipe ends it
            if time.monotonic() > deadline:
                os.killpg(self._process, signal.SIGKILL)
                os.waitpid(self._process, 0)
                return
            select.select([], [], [], 0.02)

    def ask(self, method: str, session: str = "", **given: Any) -> Json:
        """One call; what was told meanwhile is kept in `events`. Raises BrowserError."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": given} | ({"sessionId": session} if session else {})
        _write_all(self._to, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE_S
        while True:
            told = self._read(deadline, method)
            if told.get("id") == self._last:
                if "error" in told:
                    raise BrowserError(f"{method}: {told['error'].get('message')}")
                found: Json = told["result"]
                return found

    def _read(self, deadline: float, waiting_for: str) -> Json:
        while b"\0" not in self._left:
            if not select.select([self._back], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise BrowserError(f"Chromium did not answer {waiting_for} within {PATIENCE_S:.0f} s")
            some = os.read(self._back, 1 << 20)
            if not some:
                raise BrowserError(f"Chromium ended while it was asked {waiting_for}")
            self._left += some
        raw, _, self._left = self._left.partition(b"\0")
        told: Json = json.loads(raw)
        if "id" not in told:
            self.events.append(told)
        return told

    @contextmanager
    def person(self, width: int = 1280, height: int = 800, *, is_dark: bool = False) -> Iterator[Tab]:
        """A window of somebody new: no cookies of others, closed with all it holds at the end."""
        context = self.ask("Target.createBrowserContext")["browserContextId"]
        try:
            target = self.ask("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
            session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            tab = Tab(self, session)
            tab.look(width, height, is_dark=is_dark)
            yield tab
        finally:
            self.ask("Target.disposeBrowserContext", browserContextId=context)
            self.events.clear()


def _spawn(argv: Sequence[str]) -> tuple[int, int, int]:
    """(process, descriptor to write to, descriptor to read from). Chromium reads calls from 3 and answers on 4."""
    theirs, ours = (os.pipe(), os.pipe())
    kept = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (theirs[0], ours[1])]  # out of the way of 3 and 4
    for fd in (theirs[0], ours[1]):
        os.close(fd)
    quiet = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    actions = [*quiet, (os.POSIX_SPAWN_DUP2, kept[0], 3), (os.POSIX_SPAWN_DUP2, kept[1], 4)]
    env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")} | {"TZ": "UTC"}
    process = os.posix_spawn(argv[0], list(argv), env, file_actions=actions, setpgroup=0)
    for fd in kept:
        os.close(fd)
    return process, theirs[1], ours[0]


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
