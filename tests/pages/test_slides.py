"""The slides: one deck a part, which shows what the chapters show and tells the speaker what they say."""

import base64
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import nbformat
import pytest
from bs4 import BeautifulSoup

import chapters
import claims
import handouts
import slides

pytestmark = pytest.mark.xdist_group("slides")

PARTS = {part for part, _ in chapters.contents() if part} - {"Back matter"}
PAGES = [page for part, page in chapters.contents() if part in PARTS]
END = re.compile(r"^## (?:Exercises|References|What the paper says|What others have seen)", re.MULTILINE)
STATEMENT = re.compile(r"^:::+\{prf:(?!proof)", re.MULTILINE)
# Sentences without markup, and without signs that pages set in another way.
SENTENCE = re.compile(r"(?<=[.?!] )[A-Z][\w ,]{40,}[.?!](?= |$)")
KINDS = {"asked", "option", "statement", "formula", "claims", "learnt", "cell"}
WIDTH, HEIGHT = 1280, 720


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The decks, built once: .html, the folder; .columns, the slides of every chapter; .kept, what lay beside them;
    .site, the pages of a book that was built before."""
    folder = tmp_path_factory.mktemp("slides")
    kept = folder / "_build" / "student" / "play.ipynb"
    kept.parent.mkdir(parents=True)
    kept.write_text("{}", encoding="utf-8")
    site = folder / "_build" / "html"
    site.mkdir()
    shutil.copy(chapters.BOOK / "intro.md", site / "intro.html")
    command = [sys.executable, chapters.ROOT / "scripts" / "slides.py", folder]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    html, columns = folder / "_build" / "slides" / "html", {}
    for caption, pages in slides.decks().items():
        found = read(html / f"{slides.name(caption)}.html").select(".slides > section")
        for page, column in zip(pages, found[1:], strict=True):
            columns[page] = column.find_all("section", recursive=False)
    return SimpleNamespace(html=html, columns=columns, kept=kept, site=site)


def read(path):
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def words(text):
    return re.sub(r"\s+", " ", text).strip()


def notes(slide):
    return words(" ".join(aside.get_text() for aside in slide.select("aside.notes")))


def seen(slide):
    """The elements of a slide that are seen, its heading first."""
    return [element for element in slide.find_all(recursive=False) if element.name != "aside"]


def told(page):
    """The cells of a chapter that its deck tells: up to the exercises or the tables, which begin within a cell."""
    for cell in chapters.read(chapters.BOOK / f"{page}.ipynb").cells:
        if end := cell.cell_type == "markdown" and END.search(cell.source):
            cell.source = cell.source[: end.start()]
        yield cell
        if end:
            return


def outputs(page, kind):
    found = (output for cell in told(page) if cell.cell_type == "code" for output in cell.outputs)
    return [output for output in found if kind in output.get("data", {})]


def test_every_chapter_has_a_column_with_its_title_in_one_deck(built):
    assert list(built.columns) == PAGES
    for page, column in built.columns.items():
        titles = {words(slide.h2.get_text()) for slide in column if slide.h2}
        assert titles == {words(chapters.title(chapters.BOOK / f"{page}.ipynb"))}
        [question] = re.findall(r"^> (.*)", next(told(page)).source, re.MULTILINE)
        assert words(question).replace("**", "")[:60] == words(column[0].select_one(".asked").get_text())[:60]


def test_the_first_page_leads_to_every_chapter(built):
    links = {link["href"]: link.get_text() for link in read(built.html / "index.html").select("a")}
    names = chapters.names()
    for caption, pages in slides.decks().items():
        address = f"{slides.name(caption)}.html"
        assert links.pop(address) == caption
        inside = [(link["href"], link.get_text()) for link in read(built.html / address).select(".chapters a")]
        assert inside == [(f"#/{k}", names[page]) for k, page in enumerate(pages, 1)]
        assert [links.pop(address + place) for place, _ in inside] == [name for _, name in inside]
    assert not links


def test_the_book_s_first_page_leads_to_the_slides_once_they_are_made(built):
    first, before = built.site / "intro.html", (chapters.BOOK / "intro.md").read_text(encoding="utf-8")
    after = first.read_text(encoding="utf-8")
    slides.offer(built.html, built.site)
    assert first.read_text(encoding="utf-8") == after  # a second time leaves one link
    [link] = [link["href"] for link in read(first).select("#shown a")]
    assert link not in before and len(after) > len(before)
    assert (built.site / link).read_bytes() == (built.html / "index.html").read_bytes()
    folders = built.html, (built.site / link).parent
    original, copied = ({path.relative_to(folder) for path in folder.rglob("*")} for folder in folders)
    assert original == copied
    first.write_text("nothing", encoding="utf-8")
    with pytest.raises(SystemExit, match="make book"):
        slides.offer(built.html, built.site)


def test_links_and_pictures_are_there(built):
    for path in built.html.glob("*.html"):
        for element in read(path).select("[href], [src]"):
            address = element.get("href") or element.get("src")
            if element.name == "a" and address.startswith("https://"):
                assert element.find_parent("aside")
            elif not address.startswith(("#/", "data:")):
                assert (built.html / re.split("[?#]", address)[0]).is_file(), (path.name, address)
    assert built.kept.exists()


def test_a_slide_shows_what_slides_show(built):
    """A heading, and something below it, which is no proof, no exercise and no code."""
    for column in built.columns.values():
        for slide in column:
            heading, *things = seen(slide)
            assert heading.name in ("h2", "h3") and things
            assert all(KINDS & set(thing["class"]) for thing in things), things
            classes = {name for thing in things for inner in thing.select("[class]") for name in inner["class"]}
            assert not classes & {"exercise", "cell_input", "highlight", "details"}
            assert all(len(box["class"]) == 3 for thing in things for box in thing.select(".proof"))  # a kind
            assert not slide.select("details") or slide.select("aside details")


def test_no_solution_and_no_exercise_is_told(built):
    count = 0
    for page, column in built.columns.items():
        text = words(" ".join(slide.get_text() for slide in column))
        notebook = chapters.read(chapters.BOOK / f"{page}.ipynb")
        sources = [cell.source for cell in notebook.cells[handouts.begin(notebook) :] if cell.cell_type == "markdown"]
        exercises = re.split("^## Exercises", "\n".join(sources), flags=re.MULTILINE)[1]
        for sentence in SENTENCE.findall(words(exercises)):
            count += 1
            assert sentence not in text, (page, sentence)
    assert count > 60


def test_every_figure_is_in_its_deck(built):
    for page, column in built.columns.items():
        found = [image for slide in column for image in slide.select(".tag_figure img")]
        files = [(built.html / image["src"]).read_bytes() for image in found]
        stored = [base64.b64decode(output.data["image/png"]) for output in outputs(page, "image/png")]
        assert set(files) == set(stored)
        covers = {cell.metadata["mystnb"]["image"]["alt"] for cell in told(page) if "cover" in chapters.tags(cell)}
        assert {image["alt"] for image in column[0].select("img")} == covers
        assert all(len(image["alt"].split()) > 3 for image in found)
        captions = [caption for slide in column for caption in slide.select("figcaption")]
        named = [cell for cell in told(page) if "figure" in cell.metadata.get("mystnb", {})]
        assert len([caption for caption in captions if not caption.find_parent(class_="scrubber")]) == len(named)
        assert not column[0].select("figcaption")


def test_every_explorable_is_in_its_deck(built):
    for page, column in built.columns.items():
        found = [box["id"] for slide in column for box in slide.select(".tag_live [id].live, .tag_live .scrubber")]
        pages = [output.data["text/html"] for output in outputs(page, "text/html")]
        assert found == [re.search(r'id="([^"]+)"', text)[1] for text in pages]


def test_every_claim_is_in_its_deck(built):
    for page, column in built.columns.items():
        cells = SimpleNamespace(cells=list(told(page)))
        found = [claim for slide in column for claim in slide.select(".claims .claim")]
        stored = claims.stored_claims(cells)
        assert len(found) == len(stored)
        assert ["claim-fails" in claim["class"] for claim in found] == [not record["reproduces"] for record in stored]
        for claim, record in zip(found, stored, strict=True):
            statement, measured = (words(text.get_text()) for text in claim.find_all("p"))
            plain = re.split(r"[$*`\"']", record["statement"])[0]
            assert words(plain) in statement and statement[0] == ("✓" if record["reproduces"] else "✗")
            assert measured.endswith(record["source"].replace("'", "’"))
            assert isinstance(record["measured"], bool) or words(record["shown"]) in measured


def test_theorems_are_stated_with_the_numbers_of_the_book(built):
    titles = [words(title.get_text()) for column in built.columns.values() for slide in column
              for title in slide.select(".statement .admonition-title")]  # fmt: skip
    count = sum(len(STATEMENT.findall(cell.source)) for page in PAGES for cell in told(page))
    assert [int(re.match(r"\w+ (\d+) \(", title)[1]) for title in titles] == list(range(1, count + 1))
    assert all(title.split()[0] in ("Theorem", "Lemma", "Proposition", "Corollary", "Definition") for title in titles)


def test_formulas_keep_the_layout_they_bring(built):
    """As in the book: in Sphinx's own `split`, \\tag is an error."""
    formulas = [formula.get_text() for column in built.columns.values() for slide in column
                for formula in slide.select("div.math")]  # fmt: skip
    assert any(r"\begin{aligned}" in formula for formula in formulas)
    assert not any(r"\begin{split}" in formula for formula in formulas)


def test_a_chapter_ends_with_what_was_learnt(built):
    for page, column in built.columns.items():
        texts = [re.split("^## What we learnt$", cell.source, flags=re.MULTILINE)[1:] for cell in told(page)]
        if texts := [text for [*found] in texts for text in found]:
            assert column[-1].h3.get_text() == "What we learnt"
            first = re.search(r"(?:^- .*\n?(?:^  .*\n?)*)+", texts[0], re.MULTILINE)[0]
            assert len(column[-1].select(".learnt > ul > li")) == len(re.findall("^- ", first, re.MULTILINE))


def test_text_is_told_and_not_shown(built):
    count = 0
    for page, column in built.columns.items():
        spoken = " ".join(notes(slide) for slide in column)
        shown = words(" ".join(thing.get_text() for slide in column for thing in seen(slide)))
        for text in (cell.source for cell in told(page) if cell.cell_type == "markdown"):
            text = re.sub(r"^- .*\n(?:(?:- |  ).*\n?)*|^>.*", "", text, flags=re.MULTILINE)  # lists, the question
            text = re.sub(r"^(:::+)\{prf:(?!proof).*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
            for paragraph, following in zip(text.split("\n\n"), [*text.split("\n\n")[1:], ""], strict=True):
                if "<summary>(a)" in following:
                    continue  # it asks
                for sentence in SENTENCE.findall(words(paragraph)):
                    count += 1
                    assert sentence in spoken and sentence not in shown, (page, sentence)
    assert count > 300


def test_a_question_is_shown_with_its_answers_and_the_notes_say_which_is_right(built):
    count = 0
    for page, column in built.columns.items():
        options = [words(option.get_text()) for slide in column for option in slide.select(".option")]
        sources = "\n".join(cell.source for cell in told(page) if cell.cell_type == "markdown")
        assert [option[:3] for option in options] == re.findall(r"<summary>(\(\w\))", sources)
        for slide in column:
            if slide.select(".option"):
                count += 1
                assert len(seen(slide)[1].get_text().split()) > 3
                assert len(slide.select("aside details[open]")) >= len(slide.select(".option"))
    assert count > 50


def test_text_follows_what_it_speaks_of(built):
    """What leads to a formula or a first slide is told there, and what comes after a figure beside the figure."""
    beside = {}
    for slide in [slide for page in ("toy_models", "orthogonality") for slide in built.columns[page]]:
        beside |= {formula: notes(slide) for formula in re.findall(r"\\max_\{v|D\(t\)", str(slide.select(".formula")))}
        beside |= {image["alt"][:15]: notes(slide) for image in slide.select(".tag_figure img") if slide.h3}
        beside.setdefault(slide.h3 and slide.h3.get_text(), notes(slide))
    assert "All of them. The largest cosine" in beside[r"\max_{v"]
    assert "The one training sample is" in beside["Predict first"]
    assert beside["Three views of "].startswith("Drag the slider to fall towards the parabola")


@pytest.mark.filterwarnings("ignore")  # Sphinx's, of its extensions
def test_a_warning_is_an_error(tmp_path, monkeypatch):
    broken = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Play\n\n[nowhere](#nowhere)")])
    monkeypatch.setattr(slides, "decks", lambda: {"Play": ["play"]})
    monkeypatch.setattr(slides, "deck", lambda caption, pages: broken)
    with pytest.raises(SystemExit, match="warnings"):
        slides.write(tmp_path)
    assert (tmp_path / "_build" / "slides" / "source" / "play.ipynb").exists()  # the warning names a place in it


@pytest.fixture(scope="module")
def address(built, serve):
    return serve(built.html)


def opened(browser, address, place="", **options):
    """A deck in the browser: the tab, which notes its errors in .wrong, and what it asks for in .asked."""
    tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, **options)
    tab.wrong, tab.asked = [], []
    tab.on("console", lambda message: tab.wrong.append(message.text) if message.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: tab.wrong.append(str(error)))
    tab.on("request", lambda request: tab.asked.append(request.url))
    tab.goto(f"{address}{place}")
    ready(tab)
    return tab


def ready(tab):
    tab.wait_for_function("window.Reveal?.isReady() && Reveal.getCurrentSlide().style.getPropertyValue('--fit')")


def deck_of(page):
    """The address of a chapter's first slide, beside the page that lists the decks."""
    [(caption, pages)] = [(caption, pages) for caption, pages in slides.decks().items() if page in pages]
    return f"/{slides.name(caption)}.html#/{pages.index(page) + 1}"


# What is wrong with the slide in sight, as words.
LOOK = """() => {
    const slide = Reveal.getCurrentSlide(), wrong = [];
    const frame = slide.getBoundingClientRect();
    const inside = { left: frame.left + 63, right: frame.right - 63, top: frame.top + 31, bottom: frame.bottom - 39 };
    if (slide.scrollWidth > slide.clientWidth || slide.scrollHeight > slide.clientHeight) wrong.push("too large");
    for (const box of slide.querySelectorAll("h2, h3, p, li, img, mjx-container:not(h3 *), .live, input")) {
        const { left, right, top, bottom, width, height } = box.getBoundingClientRect();
        if (box.closest("aside, mjx-assistive-mml") || !width || !height) continue;
        if (left < inside.left || right > inside.right) wrong.push(`${box.tagName} is too wide: ${left} to ${right}`);
        if (top < inside.top || bottom > inside.bottom) wrong.push(`${box.tagName} is too high: ${top} to ${bottom}`);
    }
    for (const formula of slide.querySelectorAll(".math")) {
        const set = formula.querySelector(formula.closest("aside") ? "math" : "mjx-container");
        if (!set) wrong.push(`${formula.textContent} is not set`);
    }
    if (slide.querySelector("mjx-merror, merror")) wrong.push("a formula has an error");
    for (const image of slide.querySelectorAll(".tag_figure img"))
        if (image.naturalWidth === 0 || image.clientHeight < 230) wrong.push(`a figure is ${image.clientHeight} high`);
    const texts = ":is(.claim, .asked, .statement) p, .option, .learnt li, .tag_figure figcaption";
    for (const text of slide.querySelectorAll(texts))
        if (parseFloat(getComputedStyle(text).fontSize) < 19.5) wrong.push(`${text.textContent} is small`);
    const { h, v } = Reveal.getIndices();
    return wrong.map((text) => `${h}/${v}: ${text}`);
}"""


@pytest.mark.slow
@pytest.mark.parametrize("page", ["stability", "clock"])
def test_all_of_a_slide_is_in_sight(browser, address, page):
    """Every slide of two decks, those with the most formulas and the most claims."""
    tab = opened(browser, address, deck_of(page).split("#")[0])
    count, wrong = tab.evaluate("Reveal.getTotalSlides()"), []
    for _ in range(count - 1):
        tab.keyboard.press("Space")
        ready(tab)
        wrong += tab.evaluate(LOOK)
    assert tab.evaluate("Reveal.isLastSlide()") and tab.locator(".slide-number").inner_text() == f"{count} / {count}"
    assert not wrong
    assert not tab.wrong
    assert all(url.startswith((address, "data:", "blob:")) for url in tab.asked)
    tab.close()


def test_a_deck_opens_as_a_file(browser, built):
    tab = opened(browser, built.html.as_uri(), deck_of("orthogonality") + "/2")
    assert not tab.evaluate(LOOK) and not tab.wrong
    assert tab.locator(".stack.present > .present mjx-container:visible").count() > 5
    assert all(url.startswith(("file:", "data:")) for url in tab.asked)
    tab.close()


def show(tab, selector):
    """Go to the first slide that has the selector. -> what it matches there"""
    find = "selector => Reveal.getIndices(Reveal.getSlides().find((slide) => slide.querySelector(selector)))"
    place = tab.evaluate(find, selector)
    tab.evaluate("({ h, v }) => Reveal.slide(h, v)", place)
    ready(tab)
    return tab.locator(f".stack.present > .present {selector}").first


def place(tab):
    return tab.evaluate("Reveal.getIndices()")


def test_a_slider_moves_its_picture_and_not_the_slides(browser, address):
    tab = opened(browser, address, deck_of("manifolds"))
    slider = show(tab, ".scrubber input")
    picture, at = tab.locator(".stack.present > .present .scrubber img"), place(tab)
    before, size = picture.get_attribute("src"), picture.evaluate("image => [image.naturalWidth, image.naturalHeight]")
    assert size[0] > 2 * size[1]  # its panels stand side by side
    slider.press("ArrowRight")
    after = picture.get_attribute("src")
    assert after != before and place(tab) == at
    box = slider.bounding_box()
    tab.mouse.click(box["x"] + box["width"] - 5, box["y"] + box["height"] / 2)
    assert picture.get_attribute("src") not in (before, after)
    tab.keyboard.press("PageDown")  # what a presenter's remote control sends
    assert place(tab) != at
    assert not tab.wrong
    tab.close()


def test_a_valley_is_dragged_in(browser, address):
    tab = opened(browser, address, deck_of("stability"))
    ball = show(tab, ".valley-ball")
    norm, at = tab.locator(".stack.present > .present .valley-of-norm"), place(tab)
    before, box = norm.inner_text(), ball.bounding_box()
    tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tab.mouse.down()
    tab.mouse.move(box["x"] - 80, box["y"] + 60, steps=4)
    moved = ball.bounding_box()
    tab.mouse.up()
    assert abs(moved["x"] - (box["x"] - 80)) < box["width"] and norm.inner_text() != before
    before = norm.inner_text()
    ball.press("ArrowRight")
    assert place(tab) == at and norm.inner_text() != before
    assert not tab.wrong
    tab.close()


def test_eq_20_runs(browser, address):
    tab = opened(browser, address, deck_of("play"))
    show(tab, ".play-run").click()
    tab.wait_for_function("document.querySelector('.play-now').textContent.includes('training pairs 100 %')")
    assert not tab.evaluate(LOOK) and not tab.wrong
    tab.close()


def test_the_speaker_reads_the_notes_in_another_window(browser, address):
    tab = opened(browser, address, deck_of("orthogonality") + "/2")
    with tab.context.expect_page() as popup:
        tab.keyboard.press("s")
    text = popup.value.locator(".speaker-controls-notes .value")
    text.locator("math").first.wait_for()
    shown = words(text.inner_text())
    assert "outputs, " in shown and "ℒ" in shown and "\\" not in shown
    tab.context.close()


def test_slides_are_printed_large(browser, address):
    tab = opened(browser, address, deck_of("grokking").replace("#", "?print-pdf#"))
    pages = tab.locator(".pdf-page")
    assert all(abs(page.bounding_box()["height"] - HEIGHT) <= 1 for page in pages.all())
    for picture in pages.locator(":is(.tag_figure, .scrubber) img").all():
        assert picture.bounding_box()["height"] > 230
    tab.close()
