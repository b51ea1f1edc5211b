"""A mail message as headers, text, HTML and attachment metadata, whoever split it into parts.

`assemble` turns a tree of parts into a `Mail`: `hub.api.mail.mime` brings the tree from bytes, a connector whose
vendor has split the message already (Gmail) brings it from its own JSON; both give the same texts and attachments.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hub.api.canonical import Attachment
from hub.api.mail.body import clean_text, html_to_text, unflow
from hub.api.mail.decode import decode_text, parameters
from hub.api.mail.headers import decoded

MAX_TEXT_BYTES = 4 * 1024 * 1024
MAX_TEXT_CHARS = 2_000_000

Headers = list[tuple[str, str]]


@dataclass(slots=True)
class Mail:
    """One message. headers: (name, value) as received: unfolded, encoded words not decoded, order and repeats kept.

    text: the plain text body, "" where there is only HTML. html: the HTML body as received.
    attachments: leaf parts that are attachments or carry a file name; external_id is the part's place in the tree
    as Gmail numbers it ("1", "0.2"). defects: what was wrong with the bytes; "too ..." means something was left out.
    """

    headers: Headers
    text: str = ""
    html: str = ""
    attachments: tuple[Attachment, ...] = ()
    defects: tuple[str, ...] = ()
    _index: dict[str, list[str]] | None = field(default=None, repr=False, compare=False)

    def get(self, name: str, default: str = "") -> str:
        """The first value of a header, name in any case; `default` when absent."""
        values = self.get_all(name)
        return values[0] if values else default

    def get_all(self, name: str) -> list[str]:
        """All values of a header, in order."""
        if self._index is None:
            index: dict[str, list[str]] = {}
            for key, value in self.headers:
                index.setdefault(key.lower(), []).append(value)
            self._index = index
        return self._index.get(name.lower(), [])


@dataclass(slots=True)
class Part:
    """A node of the MIME tree. media_type and disposition lower case; params of Content-Type; filename decoded.

    content: decoded bytes of a text part, else b""; size: decoded size in bytes.
    """

    part_id: str
    media_type: str = "text/plain"
    params: dict[str, str] = field(default_factory=dict)
    disposition: str = ""
    filename: str = ""
    content: bytes = b""
    size: int = 0
    children: list["Part"] = field(default_factory=list)

    @property
    def is_attachment(self) -> bool:
        return not self.children and (self.disposition == "attachment" or bool(self.filename))

    @property
    def is_text(self) -> bool:
        """Words to be shown in place, named or not: the content is needed."""
        return self.media_type in _BODY_TYPES and self.disposition != "attachment"


_BODY_TYPES = {"text/plain", "text/html"}
CONTAINERS = {"message/rfc822", "message/global", "message/news"}


def part_from_headers(part_id: str, headers: Iterable[tuple[str, str]]) -> Part:
    """An empty part as its headers declare it. Wrong or missing types are text/plain, as RFC 2045 asks."""
    part = Part(part_id)
    typed = named = ""
    for name, value in headers:
        if len(name) not in (12, 19):  # the two names below; saves lower() on every header of a message
            continue
        key = name.lower()
        if key == "content-type" and not typed:
            typed, part.params = parameters(value)
        elif key == "content-disposition" and not part.disposition:
            part.disposition, params = parameters(value)
            named = params.get("filename", "")
    if "/" in typed:
        part.media_type = typed.split()[0]
    if name := named or part.params.get("name", ""):
        part.filename = safe_filename(name)
    return part


def safe_filename(name: str) -> str:
    """A display name for a file: no folders, control or reordering characters. Never used as a path."""
    return decoded(name, 255).replace("\\", "/").rsplit("/", 1)[-1].strip()


def assemble(headers: Headers, root: Part, defects: Sequence[str] = ()) -> Mail:
    """A Mail from its headers and its tree of parts.

    text: all inline text/plain leaves in order; of alternatives the plain one; an HTML leaf between plain
    ones is converted in its place. html: all inline HTML leaves.
    """
    plain: list[Part] = []
    html: list[Part] = []
    attached: list[Attachment] = []
    _collect(root, plain, html, attached, with_named=False)
    if not plain and not html and attached:  # some mailers name the body itself
        _collect(root, plain, html, [], with_named=True)
    problems = list(defects)
    text = ""
    if any(p.media_type == "text/plain" for p in plain):
        text = "\n".join(t for p in plain if (t := _plain_text(p, problems)).strip())
    markup = "\n".join(_decode(p, problems) for p in html)
    if max(len(text), len(markup)) > MAX_TEXT_CHARS:
        problems.append("too long a text")
        text, markup = text[:MAX_TEXT_CHARS], markup[:MAX_TEXT_CHARS]
    return Mail(headers, text, markup, tuple(attached), tuple(dict.fromkeys(problems)))


def _collect(root: Part, plain: list[Part], html: list[Part], attached: list[Attachment], with_named: bool) -> None:
    stack = [(root, True, True)]  # part, whether it may add to the plain and to the HTML view
    while stack:
        part, to_plain, to_html = stack.pop()
        if part.media_type in CONTAINERS:
            to_plain = to_html = False  # an enclosed message: its files count, its words are not ours
        if part.media_type == "multipart/alternative" and to_plain:
            has_plain = any(c.media_type == "text/plain" and c.is_text for c in part.children)
            for child in reversed(part.children):
                is_plain = child.media_type == "text/plain"
                stack.append((child, is_plain or not has_plain, to_html and not is_plain))
            continue
        if part.children:
            stack.extend((child, to_plain, to_html) for child in reversed(part.children))
        elif part.is_attachment and not (with_named and part.is_text):
            attached.append(Attachment(
                external_id=part.part_id, filename=part.filename, media_type=part.media_type, size=part.size,
            ))  # fmt: skip
        elif part.is_text:
            if to_plain:
                plain.append(part)
            if to_html and part.media_type == "text/html":
                html.append(part)


def _plain_text(part: Part, problems: list[str]) -> str:
    text = _decode(part, problems)
    if part.media_type == "text/html":
        return html_to_text(text)
    text = clean_text(text)
    if part.params.get("format", "").lower() == "flowed":
        text = unflow(text, part.params.get("delsp", "").lower() == "yes")
    return text


def _decode(part: Part, problems: list[str]) -> str:
    content = part.content
    if len(content) > MAX_TEXT_BYTES:
        problems.append("too long a text")
        content = content[:MAX_TEXT_BYTES]
    return decode_text(content, part.params.get("charset", ""))
