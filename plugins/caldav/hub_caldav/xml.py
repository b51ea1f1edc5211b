"""WebDAV's XML: what is asked, and answers taken apart by namespace, never by prefix or by text.

Source: RFC 4918 section 13 (multistatus), RFC 6578 (sync-collection), RFC 4791 (CalDAV).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from hub.api import ContractBroken

DAV, CAL, CS = "DAV:", "urn:ietf:params:xml:ns:caldav", "http://calendarserver.org/ns/"
PREFIXES = {"d": DAV, "c": CAL, "cs": CS}
_STATUS = re.compile(r"HTTP/\d(?:\.\d)?\s+(\d{3})")
_KEPT = "/!$&'()*+,;=:@~-._"  # may stand unescaped in a path; `:` and `@` are written both ways by servers


class _NoDoctype(ET.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Nobody sends one honestly: it is how entities blow up or read files."""
        raise ContractBroken("the server's XML brings a document type, which is refused")


@dataclass
class Node:
    """One `<response>`: an address, what was found about it, or the status it was refused with.

    status: of the response as a whole (404 for a deletion), 0 where the properties carry their own.
    props: properties found (status 200), by "{namespace}name". refused: status by property not given.
    """

    href: str
    status: int = 0
    props: dict[str, ET.Element] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    errors: set[str] = field(default_factory=set)

    def text(self, name: str) -> str:
        """The text of property "d:getetag", "" when absent."""
        found = self.props.get(tag(name))
        return (found.text or "").strip() if found is not None else ""

    def hrefs(self, name: str) -> list[str]:
        """The addresses inside a property, as sent."""
        found = self.props.get(tag(name))
        return [] if found is None else [(h.text or "").strip() for h in found.iter(tag("d:href"))]

    def names(self, name: str) -> set[str]:
        """The tags of everything inside a property."""
        found = self.props.get(tag(name))
        return set() if found is None else {element.tag for element in found.iter()} - {found.tag}


@dataclass
class Multistatus:
    nodes: list[Node]
    sync_token: str = ""


def tag(name: str) -> str:
    """ "d:href" -> "{DAV:}href"."""
    prefix, _, local = name.partition(":")
    return f"{{{PREFIXES[prefix]}}}{local}"


def path_of(href: str) -> str:
    """An href in one spelling: the path alone, percent-encoded the same way whoever wrote it.

    Servers give the same resource as an absolute address, a path, with "@" or with "%40".
    """
    return quote(unquote(urlsplit(href.strip()).path), safe=_KEPT)


def parse(body: bytes) -> ET.Element:
    """The document. Raises ContractBroken for anything but XML, and for XML with a document type."""
    try:
        return ET.fromstring(body, ET.XMLParser(target=_NoDoctype()))  # noqa: S314 - no document type, no entities
    except (ET.ParseError, ValueError, LookupError) as exc:
        raise ContractBroken(f"expected XML, got {len(body)} bytes that are none") from exc


def multistatus(body: bytes) -> Multistatus:
    """Raises ContractBroken when it is not a DAV multistatus."""
    root = parse(body)
    if root.tag != tag("d:multistatus"):
        raise ContractBroken("expected a DAV multistatus, got another document")
    nodes = [node for child in root.iter(tag("d:response")) for node in _nodes(child)]
    return Multistatus(nodes, (root.findtext(tag("d:sync-token")) or "").strip())


def _nodes(response: ET.Element) -> Iterator[Node]:
    """One per href: a response with a status of its own may name several."""
    hrefs = [path_of(h.text or "") for h in response.findall(tag("d:href"))]
    whole = _code(response.findtext(tag("d:status")))
    error = response.find(tag("d:error"))
    errors = {e.tag for e in error.iter()} if error is not None else set()
    props: dict[str, ET.Element] = {}
    refused: dict[str, int] = {}
    for part in response.findall(tag("d:propstat")):
        status = _code(part.findtext(tag("d:status"))) or 200
        for prop in part.findall(tag("d:prop")):
            for element in prop:
                if status == 200:
                    props[element.tag] = element
                else:
                    refused[element.tag] = status
    for href in hrefs:
        yield Node(href, whole, props, refused, errors)


def _code(line: str | None) -> int:
    found = _STATUS.search(line or "")
    return int(found[1]) if found else 0


def conditions(body: bytes) -> set[str]:
    """The tags inside a DAV `error` body; empty for any other body."""
    try:
        root = parse(body)
    except ContractBroken:
        return set()
    return {e.tag for e in root.iter()} if root.tag == tag("d:error") else set()


# -- what is asked -----------------------------------------------------------------------------------


def _document(root: str, inner: str) -> bytes:
    spaces = "".join(f' xmlns:{p}="{uri}"' for p, uri in PREFIXES.items())
    return f'<?xml version="1.0" encoding="utf-8"?>\n<{root}{spaces}>{inner}</{root}>'.encode()


def _props(names: Iterable[str]) -> str:
    return "<d:prop>" + "".join(f"<{name}/>" for name in names) + "</d:prop>"


def propfind(*names: str) -> bytes:
    return _document("d:propfind", _props(names))


def sync_collection(token: str) -> bytes:
    inner = f"<d:sync-token>{escape(token)}</d:sync-token><d:sync-level>1</d:sync-level>"
    return _document("d:sync-collection", inner + _props(["d:getetag"]))


def multiget(hrefs: Iterable[str]) -> bytes:
    named = "".join(f"<d:href>{escape(h)}</d:href>" for h in hrefs)
    return _document("c:calendar-multiget", _props(["d:getetag", "c:calendar-data"]) + named)


def calendar_query(span: Mapping[str, str]) -> bytes:
    """Events that overlap `span` ("start" and "end" as UTC stamps; either may be missing)."""
    bounds = "".join(f' {name}="{stamp}"' for name, stamp in span.items())
    within = f"<c:time-range{bounds}/>" if bounds else ""
    inner = f'<c:comp-filter name="VCALENDAR"><c:comp-filter name="VEVENT">{within}</c:comp-filter></c:comp-filter>'
    return _document("c:calendar-query", _props(["d:getetag", "c:calendar-data"]) + f"<c:filter>{inner}</c:filter>")
