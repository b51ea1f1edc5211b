"""Message bodies to clean text: HTML to text, control characters, format=flowed.

The HTML reader is a linear tokenizer, not a tree builder: mail needs the words, the line breaks and the quote
depth. A tree parser was measured and left: lexbor needs 1 s for 20,000 nested <div> and 27 s for 100,000.
Nothing is ever fetched.
"""

import html
import re

MAX_HTML_CHARS = 2_000_000
MAX_QUOTE_MARKS = 8
MAX_URL_CHARS = 500

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufeff\ud800-\udfff]")


# Windows-1252 read as Latin-1 by somebody before us: dashes and curly quotes arrive as C1 controls.
_C1 = re.compile("[\x80-\x9f]")
_C1_MEANT = {code: bytes([code]).decode("cp1252", "ignore") or None for code in range(0x80, 0xA0)}


def clean_text(text: str) -> str:
    """Line ends as \\n, no control characters but tab and line end, no lone surrogates, plain spaces."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if _CONTROL.search(text):
        text = _CONTROL.sub("", text)
    if text.isascii():
        return text
    if _C1.search(text):
        text = text.translate(_C1_MEANT)
    return text.replace("\xa0", " ")


def unflow(text: str, delete_space: bool = False) -> str:
    """Undo format=flowed (RFC 3676): lines ending in a space go on in the next one of the same quote depth."""
    out: list[str] = []
    buffer: list[str] = []
    held_depth = -1  # quote depth of the paragraph in `buffer`, -1 when there is none
    for line in text.split("\n"):
        content = line.lstrip(">")
        depth = len(line) - len(content)
        if content.startswith(" "):
            content = content[1:]  # stuffed
        if held_depth >= 0 and (depth != held_depth or content == "-- "):
            out.append(_quoted("".join(buffer), held_depth))
            buffer, held_depth = [], -1
        if content.endswith(" ") and content != "-- ":
            buffer.append(content[:-1] if delete_space else content)
            held_depth = depth
        else:
            buffer.append(content)
            out.append(_quoted("".join(buffer), depth))
            buffer, held_depth = [], -1
    if held_depth >= 0:
        out.append(_quoted("".join(buffer), held_depth))
    return "\n".join(out)


def _quoted(text: str, depth: int) -> str:
    return f"{'>' * depth} {text}" if depth else text


_TAG = re.compile(
    r"""<(?P<close>/?)(?P<name>[a-zA-Z][^\s/<>]{0,40})
        (?P<attrs>(?:[^<>"']++|"[^"]*+"|'[^']*+'){0,200}+)>""",
    re.X,
)
_ATTR = re.compile(r"""([a-zA-Z-]{1,30})(?:\s*+=\s*+("[^"]*+"|'[^']*+'|[^\s"'>]++))?""")
_HIDDEN = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden|max-height\s*:\s*0(?:px)?\s*(?:;|!|$))", re.I)
_BLOCKS = {
    "address", "article", "aside", "blockquote", "body", "center", "dd", "details", "dir", "div", "dl", "dt",
    "fieldset", "figcaption", "figure", "footer", "form", "header", "html", "legend", "li", "main", "menu", "nav",
    "ol", "pre", "section", "summary", "table", "tbody", "tfoot", "thead", "title", "tr", "ul",
}  # fmt: skip
_SPACED = {"p", "h1", "h2", "h3", "h4", "h5", "h6"}
_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
_RAW = {"script", "style", "title", "template", "xml", "noembed", "iframe", "object"}
_RAW_END = {name: re.compile(f"</{name}[^>]{{0,100}}>", re.I) for name in _RAW}


def html_to_text(markup: str) -> str:
    """The words of an HTML body, as a reader sees them.

    Blocks become lines, <blockquote> becomes "> ", links keep their address as `text <url>`; scripts, styles,
    comments and hidden elements are dropped. Broken markup loses no text: what is never closed is not
    treated as hidden. Cost: linear; input beyond `MAX_HTML_CHARS` is cut.
    """
    markup = clean_text(markup[:MAX_HTML_CHARS])
    reader = _Reader(markup)
    if reader.run(drop_hidden=True):
        return reader.text()
    reader = _Reader(markup)
    reader.run(drop_hidden=False)
    return reader.text()


class _Reader:
    def __init__(self, markup: str) -> None:
        self.markup = markup
        self.lines: list[str] = []
        self.line: list[str] = []
        self.blank = True  # the last line written was blank, or there is none
        self.quote = 0
        self.preformatted = 0
        self.link = ""
        self.link_start = 0
        self.hidden = ""  # element being skipped, and how many of its kind are open
        self.hidden_depth = 0
        self.never_closed: set[str] = set()  # what was searched to the end once is not searched again

    def text(self) -> str:
        return "\n".join(self.lines).strip("\n")

    def run(self, drop_hidden: bool) -> bool:
        """Read everything. False when a hidden element was never closed, so that too much would be dropped."""
        markup, at, size = self.markup, 0, len(self.markup)
        while at < size:
            tag_at = markup.find("<", at)
            if tag_at < 0:
                self._words(markup[at:])
                break
            if tag_at > at:
                self._words(markup[at:tag_at])
            match = _TAG.match(markup, tag_at)
            if match is None:
                at = self._odd(tag_at)
                continue
            at = match.end()
            name = match["name"].lower()
            if name in _RAW and not match["close"]:
                if not match["attrs"].endswith("/"):
                    at = self._skip_raw(name, at)
            elif self.hidden:
                if name == self.hidden:
                    self.hidden_depth += -1 if match["close"] else 1
                    if not self.hidden_depth:
                        self.hidden = ""
            elif match["close"]:
                self._close(name)
            else:
                self._open(name, match["attrs"], drop_hidden)
        self._break()
        return not self.hidden

    def _odd(self, at: int) -> int:
        """Comments, declarations and a "<" that opens no tag. Returns where to go on."""
        markup = self.markup
        if markup.startswith("<!--", at):
            end = -1 if "!" in self.never_closed else markup.find("-->", at + 4)
            if end < 0:
                self.never_closed.add("!")
            return end + 3 if end >= 0 else at + 4
        if markup[at + 1 : at + 2] in ("!", "?") or markup.startswith("</", at):
            end = markup.find(">", at, at + 2000)
            return end + 1 if end >= 0 else at + 2
        if markup[at + 1 : at + 2].isalpha():
            end = markup.find(">", at, at + 2000)  # a tag with odd quotes
            if end >= 0:
                return end + 1
        if not self.hidden:
            self.line.append("<")
        return at + 1

    def _skip_raw(self, name: str, at: int) -> int:
        end = None if name in self.never_closed else _RAW_END[name].search(self.markup, at)
        if end is None:
            self.never_closed.add(name)
            return at
        return end.end()

    def _open(self, name: str, attrs: str, drop_hidden: bool) -> None:
        if drop_hidden and attrs and name not in _VOID and _is_hidden(attrs):
            self.hidden, self.hidden_depth = name, 1
            return
        if name == "br":
            self._break(keep=True)
        elif name in _SPACED:
            self._break()
            self._blank_line()
        elif name == "hr":
            self._break()
            self.line.append("_" * 32)
            self._break()
        elif name in _BLOCKS:
            self._break()
            if name == "blockquote":
                self.quote += 1
            elif name == "pre":
                self.preformatted += 1
            elif name == "li":
                self.line.append("- ")
        elif name in ("td", "th"):
            self._words(" ")
        elif name == "a":
            self.link = _attribute(attrs, "href")
            self.link_start = len(self.line)
        elif name == "img":
            alt = _attribute(attrs, "alt").strip()
            if alt:
                self._words(f"[{alt}]")

    def _close(self, name: str) -> None:
        if name == "a":
            self._end_link()
        elif name in _SPACED:
            self._break()
            self._blank_line()
        elif name in _BLOCKS:
            self._break()
            if name == "blockquote":
                self.quote = max(0, self.quote - 1)
            elif name == "pre":
                self.preformatted = max(0, self.preformatted - 1)

    def _end_link(self) -> None:
        url, self.link = self.link.strip(), ""
        if not url[:8].lower().startswith(("http://", "https://", "mailto:")) or len(url) > MAX_URL_CHARS:
            return
        shown = "".join(self.line[self.link_start :]).strip()
        target = url[7:] if url[:7].lower() == "mailto:" else url
        if not shown or shown.rstrip("/") in (target.rstrip("/"), target.split("://", 1)[-1].rstrip("/")):
            return
        self.line.append(f" <{target}>")

    def _words(self, raw: str) -> None:
        if self.hidden:
            return
        text = html.unescape(raw) if "&" in raw else raw
        if "\xa0" in text or "&" in raw:
            text = _CONTROL.sub("", text.replace("\xa0", " "))
        if self.preformatted and "\n" in text:
            first, *rest = text.split("\n")
            self.line.append(first)
            for line in rest:
                self._break(keep=True)
                self.line.append(line)
            return
        if self.preformatted:
            self.line.append(text)
            return
        words = " ".join(text.split())
        if not words:
            if text and self.line and not self.line[-1].endswith(" "):
                self.line.append(" ")
            return
        if text[0].isspace() and self.line and not self.line[-1].endswith(" "):
            words = " " + words
        if text[-1].isspace():
            words += " "
        self.line.append(words)

    def _break(self, keep: bool = False) -> None:
        """End the line; an empty one is written only when `keep` (a <br>)."""
        text = "".join(self.line).rstrip()
        self.line = []
        self.link_start = 0
        if not text:
            if keep:
                self._blank_line()
            return
        self.lines.append("> " * min(self.quote, MAX_QUOTE_MARKS) + text if self.quote else text)
        self.blank = False

    def _blank_line(self) -> None:
        if not self.blank:
            self.lines.append(("> " * min(self.quote, MAX_QUOTE_MARKS)).rstrip())
            self.blank = True


def _attribute(attrs: str, wanted: str) -> str:
    for match in _ATTR.finditer(attrs):
        if match.group(1).lower() == wanted:
            value = match.group(2) or ""
            if value[:1] in "\"'":
                value = value[1:-1]
            return html.unescape(value)
    return ""


def _is_hidden(attrs: str) -> bool:
    if "style" in attrs or "STYLE" in attrs:
        return _HIDDEN.search(_attribute(attrs, "style")) is not None
    return any(m.group(1).lower() == "hidden" for m in _ATTR.finditer(attrs)) if "hidden" in attrs else False
