"""A model's Markdown as HTML that is safe to show: the one place where text becomes markup.

Two fences: the parser passes no HTML of the author through, and the sanitiser keeps only a short
list of tags. Images go too, since fetching one would tell its server that the answer was read.
"""

from __future__ import annotations

import nh3
from django.utils.safestring import SafeString
from markdown_it import MarkdownIt

_PARSER = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
_TAGS = {
    *("p", "br", "hr", "blockquote", "pre", "code", "em", "strong", "s", "a", "ul", "ol", "li"),
    *("h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"),
}
_CLEANER = nh3.Cleaner(
    tags=_TAGS,
    attributes={"*": set(), "a": {"href"}, "ol": {"start"}},
    url_schemes={"http", "https", "mailto"},
    link_rel="noopener noreferrer nofollow",
    url_relative="deny",
)


def render(text: str, *, under: int = 3) -> SafeString:
    """Return sanitised HTML for a Markdown text; its headings come below that of the page that it is under.

    `under`: that heading's level, 1 to 5; an answer in the chat stands under one of level 3.
    """
    tokens = _PARSER.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + under)}"
    return SafeString(_CLEANER.clean(_PARSER.renderer.render(tokens, _PARSER.options, {})))
