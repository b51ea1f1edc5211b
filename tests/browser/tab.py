"""One page in a browser: go somewhere, find what is there, act on it, see what came of it.

What is acted on is found as somebody with a screen reader finds it: by role and accessible name. Acts are real mouse and key
events, so that what is covered or hidden cannot be used. Everything waits for a condition, never for a time.
"""

import base64
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from hub.api import HubError

T = TypeVar("T")
Json = dict[str, Any]
PATIENCE_S = 60.0
LOOK_S = 0.05
KEYS = {
    "Enter": (13, "\r"),
    "Tab": (9, ""),
    "Escape": (27, ""),
    "ArrowDown": (40, ""),
    "ArrowUp": (38, ""),
    "/": (191, "/"),
}
LOOKS = ["color-contrast", "target-size", "scrollable-region-focusable"]
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
GONE = ("context", "navigated", "No node", "not belong to the document", "Node is detached", "does not have a layout")


class BrowserError(HubError):
    """The browser did not do what was asked, or the page did not come to what was waited for."""


class Asks(Protocol):
    """The browser, as a tab needs it."""

    events: list[Json]

    def ask(self, method: str, session: str = "", **given: Any) -> Json: ...


class Tab:
    def __init__(self, browser: Asks, session: str) -> None:
        self._browser, self._session = browser, session
        self._origin = ""
        for domain in ("Page", "Runtime", "Network", "Log", "DOM"):
            self._ask(f"{domain}.enable")

    def _ask(self, method: str, **given: Any) -> Json:
        return self._browser.ask(method, self._session, **given)

    def look(self, width: int, height: int, *, is_dark: bool = False) -> None:
        """A screen of this size in CSS pixels; under 600 wide a phone's. Nothing moves: reduced motion is asked for."""
        self._ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        self._ask("Emulation.setEmulatedMedia", features=[scheme, still])

    def without_scripts(self) -> None:
        """From the next page on, none of the page's own scripts run."""
        self._ask("Emulation.setScriptExecutionDisabled", value=True)

    def cookie(self, url: str, name: str, value: str) -> None:
        self._ask("Network.setCookie", url=url, name=name, value=value, httpOnly=True, sameSite="Lax")

    # --- where --------------------------------------------------------------------------------------------------

    def go(self, url: str) -> None:
        """Open an address, or a path of the site that is open, and wait until all of it is there."""
        if url.startswith("/"):
            url = self._origin + url
        parts = urlsplit(url)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        if text := self._ask("Page.navigate", url=url).get("errorText"):
            raise BrowserError(f"{url}: {text}")
        self.until("document.readyState === 'complete'", f"{url} to load")

    @property
    def path(self) -> str:
        """Path and query of the page."""
        found: str = self.js("location.pathname + location.search")
        return found

    @property
    def title(self) -> str:
        found: str = self.js("document.querySelector('h1')?.innerText ?? ''")
        return found

    @property
    def text(self) -> str:
        """What is on the page to read."""
        found: str = self.js("document.body.innerText")
        return found

    def frames(self) -> list[str]:
        """What there is to read in each frame of the page that has a process of its own, as sandboxed ones have."""
        found = []
        for target in self._browser.ask("Target.getTargets")["targetInfos"]:
            if target["type"] == "iframe" and target["url"].startswith(self._origin):
                inside = self._browser.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)[
                    "sessionId"
                ]
                told = self._browser.ask("Runtime.evaluate", inside, expression="document.body.innerText")
                found.append(str(_value(told, "a frame's text")))
        return found

    def js(self, expression: str) -> Any:
        """The value of an expression in the page, a promise's included."""
        told = self._ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        return _value(told, expression)

    # --- waiting ------------------------------------------------------------------------------------------------

    def until(self, expression: str, wanted: str = "") -> Any:
        """Wait for an expression to be true in the page; its value."""
        return self._wait(lambda: self.js(expression), wanted or expression)

    def until_found(self, find: Callable[[], list[T]]) -> list[T]:
        """Wait until there is something of it."""
        return self._wait(find, getattr(find, "__name__", "something"))

    def sees(self, *texts: str) -> None:
        """Wait until each of these can be read on the page."""
        for text in texts:
            self.until(f"document.body.innerText.includes({json.dumps(text)})", f"the words {text!r}")

    def _wait(self, find: Callable[[], T], wanted: str) -> T:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                if found := find():
                    return found
            except BrowserError as exc:  # between two pages there is nothing to ask
                if not any(word in str(exc) for word in GONE):
                    raise
            if time.monotonic() > deadline:
                raise BrowserError(
                    f"waited in vain for {wanted}, at {self.path}, which reads:\n{' '.join(self.text.split())[:1500]}"
                )
            time.sleep(LOOK_S)

    # --- finding ------------------------------------------------------------------------------------------------

    def names(self, role: str) -> list[str]:
        """The accessible names of all elements of a role, in the page's order."""
        return [str(node["name"]["value"]) for node in self._query(role) if "name" in node]

    def called(self, role: str, begins: str) -> str:
        """The whole name of the first element of a role whose name begins so, once it is there."""
        return self.until_found(lambda: [name for name in self.names(role) if name.startswith(begins)])[0]

    def has(self, role: str, name: str) -> bool:
        """Whether there is one, now."""
        return bool(self._query(role, name))

    def find(self, role: str, name: str, nth: int = 0) -> int:
        """The element with this role and accessible name, once it is there; how Chromium numbers it."""

        def look() -> Json | None:
            found = self._query(role, name)
            return found[nth] if len(found) > nth else None

        node = self._wait(look, f"the {role} {name!r} (there are: {', '.join(self.names(role)) or 'none'})")
        assert node is not None
        return int(node["backendDOMNodeId"])

    def _query(self, role: str, name: str = "") -> list[Json]:
        document = self._ask("Runtime.evaluate", expression="document")["result"]["objectId"]
        given = {"role": role} | ({"accessibleName": name} if name else {})
        nodes: list[Json] = self._ask("Accessibility.queryAXTree", objectId=document, **given)["nodes"]
        return [node for node in nodes if not node.get("ignored")]

    # --- acting -------------------------------------------------------------------------------------------------

    def click(self, role: str, name: str, nth: int = 0) -> None:
        self._click(self.find(role, name, nth), f"{role} {name!r}")

    def follow(self, role: str, name: str, nth: int = 0) -> None:
        """Click what leads to another page, and wait until all of that is there."""
        node = self.find(role, name, nth)
        self.leaving(lambda: self._click(node, f"{role} {name!r}"))

    def leaving(self, act: Callable[[], object]) -> None:
        """Do what leads to another page, and wait for it."""
        self.js("window.stillHere = true")
        act()
        self.until("!window.stillHere && document.readyState === 'complete'", "another page")

    def fill(self, name: str, text: str, role: str = "textbox") -> None:
        """Type into a field, in place of what it holds."""
        node = self.find(role, name)
        self._ask("DOM.focus", backendNodeId=node)
        self._on(node, "function() { this.select(); }")
        self._ask("Input.insertText", text=text)

    def choose(self, name: str, option: str) -> None:
        """Choose in a list of options, by what it says."""
        choose = """function(option) {
            const found = [...this.options].find((o) => o.label === option);
            if (!found) return [...this.options].map((o) => o.label).join(", ");
            this.value = found.value;
            this.dispatchEvent(new Event("input", { bubbles: true }));
            this.dispatchEvent(new Event("change", { bubbles: true }));
        }"""
        if others := self._on(self.find("combobox", name), choose, option):
            raise BrowserError(f"{name!r} has no option {option!r}, only {others}")

    def press(self, key: str) -> None:
        code, text = KEYS.get(key, (ord(key.upper()[0]), key))
        given = {"key": key, "windowsVirtualKeyCode": code}
        self._ask("Input.dispatchKeyEvent", type="keyDown", **given, **({"text": text} if text else {}))
        self._ask("Input.dispatchKeyEvent", type="keyUp", **given)

    def type(self, text: str) -> None:
        """Type where the cursor is."""
        self._ask("Input.insertText", text=text)

    def _click(self, node: int, said: str) -> None:
        self._ask("DOM.scrollIntoViewIfNeeded", backendNodeId=node)
        quads = self._ask("DOM.getContentQuads", backendNodeId=node)["quads"]
        if not quads:
            raise BrowserError(f"the {said} has no place on the page")
        x, y = sum(quads[0][::2]) / 4, sum(quads[0][1::2]) / 4
        over = """function(x, y) {
            const top = document.elementFromPoint(x, y);
            if (top && (this.contains(top) || top.contains(this) || [...(this.labels ?? [])].some((l) => l.contains(top)))) return "";
            return top ? top.outerHTML.slice(0, 200) : "nothing at all";
        }"""
        if found := self._on(node, over, x, y):
            raise BrowserError(f"the {said} is covered by {found}")
        at = {"x": x, "y": y, "button": "left", "clickCount": 1}
        self._ask("Input.dispatchMouseEvent", type="mousePressed", **at)
        self._ask("Input.dispatchMouseEvent", type="mouseReleased", **at)

    def _on(self, node: int, function: str, *given: Any) -> Any:
        """The value of a function called on an element."""
        element = self._ask("DOM.resolveNode", backendNodeId=node)["object"]["objectId"]
        told = self._ask(
            "Runtime.callFunctionOn", objectId=element, functionDeclaration=function, returnByValue=True,
            arguments=[{"value": value} for value in given],
        )  # fmt: skip
        return _value(told, function)

    # --- judging ------------------------------------------------------------------------------------------------

    def troubles(self, allowing: Sequence[int] = ()) -> list[str]:
        """What went wrong unseen since the last asking: errors of scripts, refusals by the content policy, answers that are
        errors (but those of the statuses `allowing`), requests to anybody but the site."""
        found = []
        mine = [event for event in self._browser.events if event.get("sessionId") == self._session]
        self._browser.events.clear()
        for event in mine:
            given = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                details = given["exceptionDetails"]
                found.append(details.get("exception", {}).get("description") or details["text"])
            elif event["method"] == "Log.entryAdded" and given["entry"]["level"] in {"error", "warning"}:
                entry = given["entry"]
                if not any(f"status of {status} " in entry["text"] for status in allowing):
                    found.append(f"{entry['text']} {entry.get('url', '')}".strip())
            elif event["method"] == "Network.requestWillBeSent":
                url = given["request"]["url"]
                if not url.startswith((f"{self._origin}/", "data:", "blob:", "about:")):
                    found.append(f"a request to {url}")
        return found

    def overflows(self) -> list[str]:
        """What is wider than the screen and makes the whole page scroll sideways; empty where nothing does."""
        found: list[str] = self.js("""(() => {
            const wide = document.documentElement.clientWidth;
            if (document.documentElement.scrollWidth <= wide) return [];
            const out = [...document.body.querySelectorAll("*")].filter((e) => e.getBoundingClientRect().right > wide + 1);
            return out.slice(0, 5).map((e) => e.outerHTML.slice(0, 120)).concat("scrolls sideways").slice(0, 5);
        })()""")
        return found

    def barriers(self, axe: str, *, only_looks: bool = False) -> list[str]:
        """What axe-core finds serious or critical on this page, and where. axe: the text of axe.min.js.

        only_looks: by the rules about colours and sizes alone; by the others a page is the same at any width and in any scheme.
        """
        if not self.js("typeof axe !== 'undefined'"):
            self._ask("Runtime.evaluate", expression=axe)
        rules = {"type": "rule", "values": LOOKS} if only_looks else {"type": "tag", "values": TAGS}
        options = json.dumps({"runOnly": rules, "resultTypes": ["violations"], "preload": False})
        found: list[str] = self.js(f"""axe.run({options}).then((r) => r.violations
            .filter((v) => v.impact === "serious" || v.impact === "critical")
            .map((v) => `${{v.id}} (${{v.impact}}): ${{v.help}}: ` + v.nodes.slice(0, 3)
                .map((n) => `${{n.target.join(" ")}} ${{n.html.slice(0, 160)}} ${{(n.any[0] ?? n.all[0] ?? n.none[0])?.message ?? ""}}`)
                .join(" | ")))""")
        return found

    def weight(self) -> int:
        """Bytes of the page and all it brings in, as sent the first time."""
        found: int = self.js("""[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
            .reduce((sum, e) => sum + e.encodedBodySize, 0)""")
        return found

    def shoot(self, file: Path, quality: int = 80) -> None:
        """What the screen shows, as WebP."""
        self.js("document.fonts.ready.then(() => true)")
        shot = self._ask("Page.captureScreenshot", format="webp", quality=quality)
        file.write_bytes(base64.b64decode(shot["data"]))


def _value(told: Json, asked: str) -> Any:
    if "exceptionDetails" in told:
        details = told["exceptionDetails"]
        words = details.get("exception", {}).get("description") or details["text"]
        raise BrowserError(f"{words}\nin {asked[:300]}")
    return told["result"].get("value")
