"""The pages: they build without a warning, all of them, and ask no other host for anything."""

import inspect
import pkgutil
import re
from html import unescape
from html.parser import HTMLParser

import pytest

import build
import chapters
import rules

PAGES = [page for _, page in chapters.contents()]
LARGEST_PAGE = 3_000_000
pytestmark = pytest.mark.xdist_group("build")  # the largest group goes first, and builds
LOADING = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "video": "src"}


class Loaded(HTMLParser):
    """Collects every address that a page loads by itself; plain links are not loaded."""

    def __init__(self):
        super().__init__()
        self.addresses = []

    def handle_starttag(self, tag, attributes):
        address = dict(attributes).get(LOADING.get(tag)) or ""
        if re.match(r"(https?:)?//", address) and dict(attributes).get("rel") != "canonical":
            self.addresses.append(f"{tag}: {address}")


def loaded_from_elsewhere(text):
    parser = Loaded()
    parser.feed(text)
    return parser.addresses


def test_book_builds_without_a_warning(built):
    lines = [line for line in built.log.splitlines() if re.search(r"WARNING|ERROR|CRITICAL|Error:", line)]
    assert not lines, "\n".join(lines)
    assert not built.failed, built.log[-3000:]
    assert build.missing_pages(built.html) == []


def test_front_page_leads_to_the_introduction(html):
    assert f"{PAGES[0]}.html" in (html / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_page_is_small_enough(html, page):
    assert (html / f"{page}.html").stat().st_size < LARGEST_PAGE


@pytest.mark.parametrize("page", PAGES)
def test_page_loads_nothing_from_another_host(html, page):
    text = (html / f"{page}.html").read_text(encoding="utf-8")
    assert loaded_from_elsewhere(text) == []
    assert "THEBE" not in text


@pytest.mark.parametrize("page", PAGES)
def test_markup_is_rendered(html, page):
    """A role, a directive or a solution's mark-up that reaches the reader as text was not understood."""
    assert raw_markup((html / f"{page}.html").read_text(encoding="utf-8")) == []


def raw_markup(text):
    text = re.sub(r"<(script|style|pre)\b.*?</\1>", "", text, flags=re.DOTALL)
    return re.findall(r"\{[a-z:]+\}<code|:::+ ?\{|&lt;/?details|&lt;/?summary", text)


@pytest.mark.parametrize("text", ["<p>see {ref}<code>x</code></p>", "<p>:::{note}</p>", "<p>&lt;details&gt;</p>"])
def test_raw_markup_is_noticed(text):
    assert raw_markup(text)
    assert not raw_markup(f"<pre>{text}</pre>")


def test_docstrings_show_as_they_are_written(html):
    """Every sign of them, though reStructuredText would read some as markup; and the page shows nothing else."""
    page = (html / "api.html").read_text(encoding="utf-8")
    text = " ".join(unescape(re.sub(r"<[^>]+>", "", page)).split())
    names = re.findall(r'<dt class="sig[^>]*id="(grokbook\.[^"]+)"', page)
    assert len(names) == len(set(names)) > 50
    for name in names:
        docstring = inspect.getdoc(pkgutil.resolve_name(name))
        assert " ".join(docstring.replace("`", "").split()) in text, name
    assert "grokbook.levelset.LevelSet.project" in names
    assert not {"grokbook.network.TwoLayer.split", "grokbook.tasks.Task.right"} & set(names), "inherited, or a field"
    assert not re.search(r" at 0x|<function|<class|Alias for field", text)


def test_mathematics_comes_from_the_pages_themselves(html):
    folder = html / "_static" / "mathjax"
    assert (folder / "tex-chtml-full.js").is_file()
    assert list(folder.glob("output/chtml/fonts/woff-v2/*.woff"))


@pytest.mark.parametrize(
    "text",
    ['<script src="https://a.b/c.js">', '<img src="//a.b/c.png">', '<link rel="stylesheet" href="http://a.b/c.css">'],
)
def test_remote_address_is_noticed(text):
    assert loaded_from_elsewhere(text)


def test_plain_link_is_not_loaded():
    assert not loaded_from_elsewhere('<a href="https://arxiv.org/abs/2511.01938">a</a><img src="data:image/png,AA">')


@pytest.mark.parametrize("page", PAGES)
def test_page_describes_itself(html, page):
    text = (html / f"{page}.html").read_text(encoding="utf-8")
    described = re.search(r'<meta name="description" content="([^"]{20,210})">', text)
    assert described, "no description, or none that a search engine can show"
    assert "The question" not in described[1]
    assert '<meta property="og:title"' in text


def test_a_lost_reader_finds_the_way(html):
    assert 'href="intro.html"' in (html / "404.html").read_text(encoding="utf-8")


def test_no_page_loads_the_icon_font(html):
    assert (html / "_static" / "scripts" / "fontawesome.js").stat().st_size == 0
    assert not (html / "_static" / "vendor" / "fontawesome").exists()


def test_symbols_say_what_they_mean_and_equations_have_names(html):
    page = (html / "two_layers.html").read_text(encoding="utf-8")
    assert 'title="second layer, the readout">\\(W_2\\)</span>' in page
    assert page.count('id="eq-20"') == 1


def test_every_theorem_is_listed_with_its_number(html):
    pages = {page: (html / f"{page}.html").read_text(encoding="utf-8") for page in PAGES if page != "genindex"}
    entry = r'<li><a class="reference internal" href="(\w+)\.html#([\w-]+)">(\w+ \d+)</a>'
    listed = re.findall(entry, pages["notation"])
    for page, label, name in listed:
        title = rf'id="{label}">\n<p class="admonition-title"><span class="caption-number">{name} </span>'
        assert re.search(title, pages[page]), f"{name} is not what {page} calls {label}"
    assert [int(name.split()[1]) for _, _, name in listed] == list(range(1, len(listed) + 1))
    written = [rules.markdown(chapters.read(path)) for path in chapters.notebooks()]
    assert len(listed) == len(re.findall(r":::\{prf:(?:theorem|proposition|lemma|corollary)\}", "\n".join(written)))


PANELS = re.compile(
    r'<picture class="panels"><source media="screen and \(max-width: 576px\)" srcset="(_images/\w+)-stacked\.png">'
    r'<img alt="[^"]{20,}" src="(_images/\w+)\.png" />\s*</picture>'
)


@pytest.mark.parametrize("page", PAGES)
def test_narrow_screens_are_offered_panels_one_under_the_other(html, page):
    """The two pictures are of one figure, both are there, and one alt text holds for them."""
    text = (html / f"{page}.html").read_text(encoding="utf-8")
    offers = PANELS.findall(text)
    assert len(offers) == text.count("<picture")
    for stack, whole in offers:
        assert stack == whole
        assert (html / f"{stack}-stacked.png").is_file()
        assert (html / f"{whole}.png").is_file()


def test_figures_with_panels_are_stacked_and_covers_too(html):
    cover, drawn = PANELS.findall((html / "manifolds.html").read_text(encoding="utf-8"))
    assert cover == drawn
    assert len(list((html / "_images").glob("*-stacked.png"))) > 40
