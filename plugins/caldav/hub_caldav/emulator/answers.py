"""XML answers in the hand of one server or the other: both are right, and no two bytes of them are alike."""

from collections.abc import Iterable, Sequence
from xml.etree import ElementTree as ET

D, C, CS = "DAV:", "urn:ietf:params:xml:ns:caldav", "http://calendarserver.org/ns/"
SPACES = {"d": D, "c": C, "cs": CS}
REASONS = {200: "OK", 403: "Forbidden", 404: "Not Found", 507: "Insufficient Storage"}


def q(name: str) -> str:
    prefix, _, local = name.partition(":")
    return f"{{{SPACES[prefix]}}}{local}"


def element(name: str, /, *children: "ET.Element | str", **attributes: str) -> ET.Element:
    made = ET.Element(q(name), attributes)
    for child in children:
        if isinstance(child, str):
            made.text = (made.text or "") + child
        else:
            made.append(child)
    return made


def status_line(code: int) -> str:
    return f"HTTP/1.1 {code} {REASONS.get(code, 'Status')}"


def response(href: str, found: Iterable[ET.Element], missing: Sequence[str] = ()) -> ET.Element:
    """A `<response>` with a propstat of what is there and one of what is not (`missing`: qualified names)."""
    made = element("d:response", element("d:href", href))
    made.append(element("d:propstat", element("d:prop", *found), element("d:status", status_line(200))))
    if missing:
        absent = element("d:prop", *(ET.Element(name) for name in missing))
        made.append(element("d:propstat", absent, element("d:status", status_line(404))))
    return made


def refused(href: str, code: int, condition: str = "") -> ET.Element:
    made = element("d:response", element("d:href", href), element("d:status", status_line(code)))
    if condition:
        made.append(element("d:error", element(condition)))
    return made


def document(style: str, root: ET.Element) -> bytes:
    """radicale: "DAV:" as the default namespace. xandikos: ns0, ns1, ... as they come."""
    body = ET.tostring(root, encoding="unicode")  # ns0, ns1, ...: what ElementTree calls them without being told
    if style != "xandikos":
        for number, name in sorted(_declared(root).items(), reverse=True):
            short = {D: "", C: "C", CS: "CS"}.get(name, f"X{number}")
            body = body.replace(f"xmlns:ns{number}=", f"xmlns:{short}=" if short else "xmlns=")
            for mark in ("<", "</"):
                body = body.replace(f"{mark}ns{number}:", f"{mark}{short}:" if short else mark)
    return b"<?xml version='1.0' encoding='utf-8'?>\n" + body.encode("utf-8", "surrogatepass")


def _declared(root: ET.Element) -> dict[int, str]:
    """Number -> namespace, in the order ElementTree meets them."""
    found: dict[str, int] = {}
    for one in root.iter():
        for name in (one.tag, *one.attrib):
            if name.startswith("{"):
                found.setdefault(name[1:].partition("}")[0], len(found))
    return {number: name for name, number in found.items()}
