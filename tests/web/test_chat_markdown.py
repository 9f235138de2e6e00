"""Markdown of a model becomes harmless HTML, whatever it says."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alignapp.chat.markdown import render

ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![x](javascript:alert(1))",
    "![tracker](https://evil.example/pixel.png)",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt&colon;alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:msgbox)",
    "<javascript:alert(1)>",
    "<svg/onload=alert(1)>",
    "<a href='x' onclick='alert(1)'>x</a>",
    '[x](https://a.example "\' onmouseover=alert(1)")',
    "```html\n</code></pre><script>alert(1)</script>\n```",
    "`<script>`",
    "<iframe src='https://evil.example'></iframe>",
    "<style>body{display:none}</style>",
    "| a |\n|---|\n| <script>alert(1)</script> |",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "[x]: javascript:alert(1)\n\n[x]",
    "<form action='/chat/new'><button>go</button></form>",
]
ALLOWED = re.compile(
    r"</?(p|br|hr|blockquote|pre|code|em|strong|s|ul|ol|li|h2|h3|h4|h5|h6)( start=\"\d+\")?>"
    r"|</?(table|thead|tbody|tr|th|td)>"
    r"|<a( href=\"(https?|mailto):[^\"]*\")?( rel=\"noopener noreferrer nofollow\")?>|</a>"
)


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_shown_as_text(attack):
    assert "<" not in ALLOWED.sub("", render(attack))


@given(st.text(alphabet=st.sampled_from(list("<>\"'&;:/=[]()!`*_#|\\ \nabjsonerrclickp")), max_size=120))
def test_no_text_makes_another_tag_or_attribute(text):
    assert "<" not in ALLOWED.sub("", render(text))


def test_markdown_that_helps_is_kept():
    html = render(
        "# Title\n\n**bold** [link](https://a.example)\n\n1. one\n\n| a |\n|---|\n| b |\n\n```\nx < y\n```"
    )
    assert "<h4>Title</h4>" in html
    assert render("# Title", under=1) == "<h2>Title</h2>\n"
    assert "<strong>bold</strong>" in html
    assert '<a href="https://a.example" rel="noopener noreferrer nofollow">link</a>' in html
    assert "<td>b</td>" in html
    assert "x &lt; y" in html
