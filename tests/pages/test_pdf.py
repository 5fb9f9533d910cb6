"""The book on paper: A4 pages that are numbered, and links that lead to places in it."""

import re
import unicodedata

import pytest
from bs4 import BeautifulSoup
from pypdf import PdfReader, PdfWriter

import chapters
import pdf

NOTEBOOKS = {path.stem: path for path in chapters.notebooks()}
PAGES = ["intro", "play", "orthogonality", "stability", "claims"]
pytestmark = pytest.mark.xdist_group("pdf")


@pytest.fixture(scope="module")
def book(html, browser_path, tmp_path_factory):
    """Some pages of the book as a PDF."""
    return PdfReader(pdf.main(html, tmp_path_factory.mktemp("pdf") / "book.pdf", PAGES))


@pytest.fixture(scope="module")
def texts(book):
    return [unicodedata.normalize("NFKC", re.sub(r"\s+", " ", page.extract_text())) for page in book.pages]


def links(book, number):
    return [link.get_object() for link in book.pages[number].get("/Annots") or []]


def leads_to(book, link):
    """The number of the page that a link leads to, None for an address."""
    return book.get_page_number(link["/Dest"][0].get_object()) if isinstance(link.get("/Dest"), list) else None


def test_pages_are_a4_and_numbered(book, texts):
    sides = [float(side) - a4 for page in book.pages for side, a4 in zip(page.mediabox[2:], (595, 842), strict=True)]
    assert max(map(abs, sides)) < 1.5  # Chromium rounds up to its own pixels
    assert all(text.endswith(str(k)) or text.startswith(str(k)) for k, text in enumerate(texts, 1))


@pytest.fixture(scope="module")
def chapter(book):
    """The numbers of the pages of each chapter, by the outline: {page: range}."""
    begins = [book.get_destination_page_number(entry) for entry in book.outline if not isinstance(entry, list)]
    ends = [*begins[1:], len(book.pages)]
    return {page: range(*pair) for page, pair in zip(PAGES, zip(begins, ends, strict=True), strict=True)}


def leading(book, chapter, begin, end):
    """The pages of one chapter that links of another lead to."""
    found = [leads_to(book, link) for number in chapter[begin] for link in links(book, number)]
    return [number for number in found if number in chapter[end]]


def test_the_contents_give_each_chapter_s_page_and_lead_there(book, texts, chapter):
    for title in ("Orthogonality", "Stability"):
        begin = chapter[title.lower()][0]
        assert title in texts[begin][:40] and f"{title} {begin + 1}" in texts[0]
    assert chapter[PAGES[0]][0] == 1
    assert [leads_to(book, link) for link in links(book, 0)] == [pages[0] for pages in chapter.values()]


def test_links_between_chapters_lead_to_their_places(book, texts, chapter):
    to_stability = leading(book, chapter, "orthogonality", "stability")
    assert any(number > chapter["stability"][0] and "Theorem" in texts[number] for number in to_stability)
    # No link on the chapter's own page leads to its claims.
    assert len(set(leading(book, chapter, "claims", "orthogonality"))) > 5


def test_no_link_leads_to_a_file(book):
    addresses = [str(link.get("/A", {}).get("/URI", "")) for k in range(len(book.pages)) for link in links(book, k)]
    assert not [one for one in addresses if one.startswith("file:")]
    assert any("arxiv.org" in one for one in addresses)


def test_folds_are_open_and_drawing_code_is_left_out(texts):
    whole = " ".join(texts)
    assert "throws that away" in whole  # in a solution of Orthogonality
    assert "Show code" not in whole and "Hide code" not in whole
    cells = [cell for page in PAGES if page in NOTEBOOKS for cell in chapters.read(NOTEBOOKS[page]).cells]
    solving = [cell for cell in cells if "hide-cell" in chapters.tags(cell) and "plt.show()" in cell.source]
    assert whole.count("plt.show()") == len(solving) == 1  # a solution that is a plot keeps its code


def test_what_runs_in_the_page_has_run(texts):
    assert any("is reached. Press Run to go on" in text for text in texts)


def test_headings_and_rows_of_tables_are_on_one_page(html, texts):
    count, texts = 0, [text.replace(" ", "") for text in texts]  # lines break after hyphens, too
    for page in PAGES:
        for whole in BeautifulSoup((html / f"{page}.html").read_text(encoding="utf-8"), "html.parser").select(
            "article :is(h2, h3), article tbody tr td:nth-child(2)"
        ):
            if not whole.select(".math, svg"):
                words = unicodedata.normalize("NFKC", "".join(whole.get_text().replace("#", "").split()))
                count += len(words) > 50
                assert any(words in text for text in texts), words
    assert count > 100  # these have more than one line


@pytest.fixture
def prepared(html, browser):
    tab = pdf.prepared(browser, html / "orthogonality.html", ["exercises"])
    yield tab
    tab.close()


def test_formulas_fit(prepared):
    sizes = """() => [...document.querySelectorAll(".math mjx-container")].map((formula) => {
        const box = formula.closest("span.math") ?? formula;
        return [box.scrollWidth - box.clientWidth, parseFloat(box.style.fontSize) || 0];
    })"""
    over, per_cent = zip(*prepared.evaluate(sizes), strict=True)
    assert max(over) <= 8
    usual = max(per_cent)
    assert 2 <= sum(0 < size < usual for size in per_cent) < len(per_cent) / 4  # these are set smaller
    assert min(filter(None, per_cent)) > usual / 2


def test_places_are_not_seen(prepared):
    style = "link => ['color', 'textDecorationLine', 'fontSize'].map((name) => getComputedStyle(link)[name])"
    assert prepared.locator(".places a").evaluate(style) == ["rgba(0, 0, 0, 0)", "none", "1px"]


def test_a_box_is_torn_only_where_it_is_large(prepared):
    heights = "boxes => boxes.map((box) => [box.offsetHeight, getComputedStyle(box).breakInside])"
    selector = "article :is(.admonition, details, .cell_input:not(details *)):visible"
    boxes = prepared.locator(selector).evaluate_all(heights)
    part = pdf.SHEET["height"] / 4
    assert {(height > part, inside) for height, inside in boxes} == {(True, "auto"), (False, "avoid")}


def test_what_is_missing_is_said(tmp_path, html, monkeypatch):
    with pytest.raises(SystemExit, match="make book"):
        pdf.main(tmp_path, tmp_path / "book.pdf")
    monkeypatch.setattr(pdf, "browser_path", lambda: None)
    with pytest.raises(SystemExit, match="install Chromium"):
        pdf.main(html, tmp_path / "book.pdf", PAGES)


def test_the_first_page_offers_the_pdf_once_it_is_made(html, tmp_path, book):
    site = tmp_path / "site"
    site.mkdir()
    before = (html / "intro.html").read_text(encoding="utf-8")
    assert "book.pdf" not in before
    (site / "intro.html").write_text(before, encoding="utf-8")
    path = tmp_path / "book.pdf"
    PdfWriter(clone_from=book).write(path)
    for _ in range(2):  # a second time leaves one link
        assert pdf.offer(path, site).startswith(f"{len(book.pages)} A4 pages")
    page = (site / "intro.html").read_text(encoding="utf-8")
    assert page.count('href="book.pdf"') == 1 and len(page) > len(before)
    assert (site / "book.pdf").read_bytes() == path.read_bytes()
