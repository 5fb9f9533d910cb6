"""Sphinx extension: a page asks for one style sheet and three scripts, into which the theme's two dozen are joined."""

import hashlib
import re
from pathlib import Path

STYLE = re.compile(r'[ ]*<link [^>]*href="(_static/[^"?]+\.css)[^"]*"[^>]*>\n?')
SCRIPT = re.compile(r'[ ]*<script (?:defer )?src="(_static/[^"?]+\.js)[^"]*"></script>\n?')
PRELOAD = re.compile(r'[ ]*<link rel="preload" as="script"[^>]*>\n?')
SEARCH = re.compile(r'[ ]*<script src="(?:_static/)?(?:searchtools|language_data|searchindex)\.js[^"]*"></script>\n?')
ICON_FONT = re.compile(r"@font-face\{[^}]*Font ?Awesome[^}]*\}")


def style(path):
    """A style sheet with what it imports in its place, and without the font of icons, which is not shipped."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r'@import "([^"]+)";', lambda match: style(path.parent / match[1]), text)
    return ICON_FONT.sub("", text)


def joined(page, pattern, folder, texts_of, suffix, element):
    """The page with all that the pattern finds in one file, asked for where the first of them stood."""
    found = list(pattern.finditer(page))
    if not found:
        return page
    text = "\n".join(texts_of(folder / match[1]) for match in found)
    name = f"_static/bundle-{hashlib.sha256(text.encode()).hexdigest()[:12]}{suffix}"
    (folder / name).write_text(text, encoding="utf-8")
    start = found[0].start()
    return page[:start] + element.format(name) + pattern.sub("", page[start:])


def script(path):
    return path.read_text(encoding="utf-8") + "\n;"


def bundled(page, folder, searches):
    """One page's text with joined files; pages that do not search do without the index."""
    page = PRELOAD.sub("", page) if searches else SEARCH.sub("", PRELOAD.sub("", page))
    page = joined(page, STYLE, folder, style, ".css", '<link rel="stylesheet" href="{}">\n')
    head, body = page.split("</head>", 1)
    head = re.sub(r'[ ]*<script defer src="_static/scripts/fontawesome.js[^>]*></script>\n?', "", head)
    head = joined(head, SCRIPT, folder, script, ".js", '<script src="{}"></script>\n')
    body = joined(body, SCRIPT, folder, script, ".js", '<script defer src="{}"></script>\n')
    return head + "</head>" + body


def bundle(app, exception):
    if exception is not None or app.builder.format != "html":
        return
    folder = Path(app.outdir)
    for path in folder.glob("*.html"):
        page = path.read_text(encoding="utf-8")
        if "</head>" in page:
            path.write_text(bundled(page, folder, searches=path.stem == "search"), encoding="utf-8")


def setup(app):
    app.connect("build-finished", bundle, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
