"""What is done with the pages once they are HTML: links to the reference, Markdown, llms.txt."""

from __future__ import annotations

import html
import re
from functools import partial
from typing import TYPE_CHECKING

from docs_site.api import names_by_path
from docs_site.navigation import navigation, titled_pages
from docs_site.staging import plain

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["finish"]

_KEPT = re.compile(
    r"<pre.*?</pre>|<a\b.*?</a>|<h[1-6].*?</h[1-6]>|<head>.*?</head>|<code>(?P<code>[^<]*)</code>",
    re.DOTALL,
)
_NAME = re.compile(r"(?<![\w.])(?:stapes\.)?(?:\w+\.)*[A-Z_]\w+(?:\.\w+)?|stapes\.[\w.]+\w")


def finish(staged: Path, site: Path) -> None:
    """Adds to the site what the generator does not make."""
    known = _known()
    for page in staged.rglob("*.md"):
        name = page.relative_to(staged).as_posix()
        made = site / _html_of(name)
        depth = len(made.relative_to(site).parts) - 1
        text = made.read_text("utf-8")
        text = _KEPT.sub(partial(_linked, known=known, up="../" * depth), text)
        file = name.rpartition("/")[2]
        beside = file if made.parent == (site / name).parent else f"../{file}"
        link = f'<link rel="alternate" type="text/markdown" href="{beside}">'
        made.write_text(text.replace("</head>", f"{link}</head>", 1), "utf-8")
        (site / name).write_text(plain(page.read_text("utf-8")), "utf-8")
    _write_llms(staged, site)


def _html_of(name: str) -> str:
    path = name.removesuffix(".md")
    if path.rpartition("/")[2] == "index":
        return f"{path}.html"
    return f"{path}/index.html"


def _known() -> dict[str, str]:
    """Where each name is described; a name that several modules have needs its module."""
    known: dict[str, str] = {}
    doubtful = set()
    for name, chapter in names_by_path().values():
        anchors = {name.name: name.anchor}
        target = name.target
        if target is not None and target.is_class:
            members = [it for it, member in target.members.items() if member.is_function]
            anchors |= {
                f"{name.name}.{it}": f"{name.anchor}.{it}" for it in members if it[0] != "_"
            }
        for short, anchor in anchors.items():
            where = f"reference/{chapter}/#{anchor}"
            if short in known:
                doubtful.add(short)
            known[short] = where
            for module in (name.module, *name.other_modules):
                known[f"{module}.{short}"] = where
    for short in doubtful:
        del known[short]
    return {name: to for name, to in known.items() if "." in name or name[0].isupper()}


def _linked(found: re.Match[str], *, known: dict[str, str], up: str) -> str:
    code = found["code"]
    if code is None:
        return found[0]
    text = html.unescape(code)

    # Names in texts and in JSON are none of ours; an import stands with what it leads to.
    if '"' in text or "'" in text or "/" in text or text.startswith("from "):
        return f"<code>{_breakable(code)}</code>"
    parts, end = [], 0
    for name in _NAME.finditer(code):
        to = known.get(name[0])
        shown = _breakable(name[0])
        parts += [
            _breakable(code[end : name.start()]),
            f'<a href="{up}{to}">{shown}</a>' if to else shown,
        ]
        end = name.end()
    return f"<code>{''.join(parts)}{_breakable(code[end:])}</code>"


def _breakable(code: str) -> str:
    """Code that a narrow column may break after its dots and underscores."""
    return re.sub(r"(?<=\w[._(=])(?=\w)", "<wbr>", code)


def _write_llms(staged: Path, site: Path) -> None:
    """The list of all pages for programs that read, and all of them in one."""
    listed = ["# stapes\n", "> Realtime voice sessions for Python on a Rust core.\n"]
    whole = []
    for section in navigation(staged):
        for title, pages in section.items():
            listed.append(f"## {title}\n")
            for name, path in titled_pages(pages):
                text = plain((staged / path).read_text("utf-8"))
                listed.append(f"- [{name}]({path}){_about(text)}")
                whole.append(text.strip())
            listed.append("")
    (site / "llms.txt").write_text("\n".join(listed), "utf-8")
    (site / "llms-full.txt").write_text("\n\n---\n\n".join(whole) + "\n", "utf-8")


def _about(text: str) -> str:
    """What a page is about: the first sentence of its first paragraph."""
    for paragraph in text.split("\n\n")[1:]:
        if paragraph[:1].isalpha() or paragraph[:1] == "`":
            flat = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(paragraph.split()))
            sentence = re.split(r"(?<=\.) ", flat)[0].rstrip(":")
            return f": {sentence}"
    return ""
