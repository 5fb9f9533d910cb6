"""Sphinx extension: what search engines, shared links and lost readers find."""

import html
import re
from pathlib import Path

from docutils import nodes

LONGEST = 200  # characters that a search engine shows
LOST = """<h1>There is no such page</h1>
<p>It may have moved: chapters are named after their topic. Go to <a href="intro.html">the first page</a>, or
<a href="search.html">search</a>.</p>"""


def settle_address(app, config):
    """Where the pages are published: GitHub's address of the repository's, once that is known."""
    repository = config.html_theme_options.get("repository_url") or ""
    if repository and not config.html_baseurl:
        owner, name = repository.rstrip("/").split("/")[-2:]
        config.html_baseurl = f"https://{owner}.github.io/{name}/"


def describe(app, page, template, context, doctree):
    """The page's question, or its first paragraph, for search engines and for those who are sent its link."""
    if doctree is None:
        return
    first = next(doctree.findall(nodes.block_quote), None) or next(doctree.findall(nodes.paragraph), None)
    text = " ".join(first.astext().split()) if first is not None else ""
    text = re.sub(r"^The question[^.]*\. ", "", text)  # its own label
    if len(text) > LONGEST:
        text = text[:LONGEST].rsplit(" ", 1)[0] + " …"
    found = {"og:title": f"{context['title']} · {app.config.html_title}", "og:description": text, "og:type": "article"}
    if app.config.html_baseurl:
        found["og:url"] = f"{app.config.html_baseurl}{page}.html"
        found["og:image"] = f"{app.config.html_baseurl}_static/phenomenon.png"
    lines = [f'<meta name="description" content="{html.escape(text)}">']
    lines += [f'<meta property="{name}" content="{html.escape(content)}">' for name, content in found.items()]
    context["metatags"] = "\n".join([context.get("metatags", ""), *lines])


def lost_page(app):
    yield "404", {"title": "There is no such page", "body": LOST}, "page.html"


def write_sitemap(app, exception):
    if exception is not None or not app.config.html_baseurl or app.builder.format != "html":
        return
    pages = sorted(app.env.found_docs)
    urls = "\n".join(f"  <url><loc>{app.config.html_baseurl}{page}.html</loc></url>" for page in pages)
    text = f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{urls}\n</urlset>\n'
    (Path(app.outdir) / "sitemap.xml").write_text(f'<?xml version="1.0" encoding="UTF-8"?>\n{text}', encoding="utf-8")


def setup(app):
    app.connect("config-inited", settle_address, priority=400)  # before the address of an unset repository is dropped
    app.connect("html-page-context", describe)
    app.connect("html-collect-pages", lost_page)
    app.connect("build-finished", write_sitemap)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
