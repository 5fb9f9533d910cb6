"""Sphinx extension: teaching.md lists what each chapter teaches, in the chapter's own words."""

import re
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))
import chapters

MARK = "<!-- what each chapter teaches -->"
PROMISE = re.compile(r"\*\*You will be able to\*\* (.*?)\s*\*\*You need\*\*.*?\*\*Time\*\*: (.*?)\.", re.DOTALL)


def promised(path):
    """What a chapter's first cell promises, and how long it takes. -> (objectives, time)."""
    opening = chapters.read(path).cells[0].source
    return (" ".join(part.split()) for part in PROMISE.search(opening).groups())


def listed():
    """The chapters by parts, each with its objectives and its time, as Markdown."""
    lines, current, names = [], None, chapters.names()
    for part, page in chapters.contents():
        path = chapters.BOOK / f"{page}.ipynb"
        if not path.exists():
            continue
        if part != current:
            lines += ["", f"**{part}**", ""]
            current = part
        objectives, time = promised(path)
        lines.append(f"- [{names[page]}]({page}.ipynb): {objectives} *{time[0].upper()}{time[1:]}.*")
    return "\n".join(lines)


def fill(app, page, source):
    if page.endswith("teaching"):
        source[0] = source[0].replace(MARK, listed())


def setup(app):
    app.connect("source-read", fill)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
