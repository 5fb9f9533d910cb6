"""The built pages in a real browser: offline, without an error, light and dark, wide and narrow, for every reader."""

import gzip
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe

import chapters

PAGES = [*(page for _, page in chapters.contents()), "genindex"]
EACH = [pytest.param(page, marks=pytest.mark.xdist_group(page)) for page in PAGES]  # a worker opens a page once
MOST_REQUESTS, MOST_BYTES = 20, 1_500_000
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:playwright")


@pytest.fixture(scope="module")
def site(html, serve):
    """The pages on this machine's own address, which axe needs; reading from files is tested too."""
    return serve(html)


SETTLED = """async () => {
    await window.MathJax?.startup?.promise;
    await document.fonts.ready;
    await Promise.all([...document.images].map(image => image.decode().catch(() => 0)));
    document.getAnimations().forEach(animation => animation.finish());
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""


class Visit:
    """One page in one window, with all that went wrong while it was there."""

    def __init__(self, browser, address, size=WIDE, scheme="light"):
        self.context = browser.new_context(viewport=size, color_scheme=scheme)
        self.tab = self.context.new_page()
        self.troubles, self.files = [], set()
        origin = address.rsplit("/", 1)[0]
        self.tab.on("request", lambda request: self.judge(request.url, origin))
        self.tab.on("requestfailed", lambda request: self.troubles.append(f"failed: {request.url}"))
        self.tab.on("pageerror", lambda error: self.troubles.append(f"script error: {error}"))
        self.tab.on("console", lambda message: self.hear(message))
        self.tab.goto(address, wait_until="load")
        self.settle()

    def judge(self, url, origin):
        if not url.startswith(("data:", "blob:")):
            self.files.add(url)
        if not url.startswith((origin, "data:", "blob:")):
            self.troubles.append(f"leaves the machine: {url}")

    def hear(self, message):
        if message.type == "error":
            self.troubles.append(f"console: {message.text}")

    def settle(self):
        """Wait until the mathematics is set, the pictures are there and nothing moves."""
        self.tab.evaluate(SETTLED)

    def unfold(self):
        """Open every solution and every hidden cell, so that what is inside is judged too."""
        self.tab.evaluate("() => document.querySelectorAll('details').forEach(details => (details.open = true))")
        self.settle()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.context.close()


# Formulas with an error or, in red, a macro that MathJax does not know; and those it never set. Given as their TeX.
UNKNOWN_MATHEMATICS = """() => {
    const formulas = [...(window.MathJax?.startup?.document?.math ?? [])];
    const wrong = formulas.filter(formula => formula.typesetRoot.querySelector("mjx-merror, [style*='color: red']"));
    const unset = [...document.querySelectorAll(".math")].filter(element => !element.querySelector("mjx-container"));
    return [...wrong.map(formula => formula.math), ...unset.map(element => element.textContent)];
}"""

BROKEN_PICTURES = "() => [...document.images].filter(image => !image.naturalWidth).map(image => image.src.slice(0, 80))"

OVERFLOWING = """() => {
    const width = document.documentElement.clientWidth;
    const scrolls = element => element && element !== document.body &&
        (getComputedStyle(element).overflowX !== "visible" || scrolls(element.parentElement));
    return [...document.querySelectorAll(".bd-article *")]
        .filter(element => element.getBoundingClientRect().right > width + 1 && !scrolls(element))
        .map(element => element.outerHTML.slice(0, 100));
}"""

SLIDER = """(figure, value) => {
    const range = figure.querySelector("input[type=range]");
    range.value = value;
    range.dispatchEvent(new Event("input", { bubbles: true }));
    const image = figure.querySelector("img");
    return [image.src, image.alt, figure.querySelector("output").textContent];
}"""


@pytest.fixture(scope="module", params=EACH)
def opened(request, browser, html):
    """A page read from its file, as someone does who was sent the folder."""
    with Visit(browser, (html / f"{request.param}.html").as_uri()) as visit:
        yield visit


def test_page_is_sound(opened):
    assert opened.tab.evaluate(UNKNOWN_MATHEMATICS) == []
    assert opened.tab.evaluate(BROKEN_PICTURES) == []
    assert opened.troubles == []


def test_page_is_light(opened):
    """At most 20 requests, and 1.5 MB as a server sends them, compressed."""
    paths = [Path(unquote(urlsplit(url).path)) for url in opened.files]
    assert len(paths) <= MOST_REQUESTS, paths
    assert sum(len(gzip.compress(path.read_bytes())) for path in paths) < MOST_BYTES


def test_sliders_move_the_picture(opened):
    for figure in opened.tab.query_selector_all(".scrubber"):
        last = int(figure.query_selector("input").get_attribute("max"))
        assert last > 0
        states = [figure.evaluate(SLIDER, value) for value in (0, last)]
        for first, second in zip(*states, strict=True):
            assert first != second
        figure.query_selector("input").focus()
        opened.tab.keyboard.press("ArrowLeft")
        assert figure.query_selector("output").text_content() != states[1][2], "the arrow keys do not move it"
    assert opened.troubles == []


CHAPTERS = [page for part, page in chapters.contents() if part and part.startswith("Part ")]
FIRST_PICTURE = "() => document.querySelector('.bd-article .cover img').getBoundingClientRect().bottom"


def test_a_picture_is_on_the_first_screen(opened):
    """In every chapter; on a telephone it takes half a screen more."""
    if opened.tab.url.split("/")[-1].removesuffix(".html") in CHAPTERS:
        for size, most in ((WIDE, 1.0), (NARROW, 1.5)):
            opened.tab.set_viewport_size(size)
            opened.settle()  # a telephone loads another picture
            assert opened.tab.evaluate(FIRST_PICTURE) < most * size["height"]
        opened.tab.set_viewport_size(WIDE)


def test_nothing_is_wider_than_a_telephone(opened):
    opened.tab.set_viewport_size(NARROW)
    opened.unfold()
    assert opened.tab.evaluate("() => document.documentElement.scrollWidth") <= NARROW["width"]
    assert opened.tab.evaluate(OVERFLOWING) == []
    opened.tab.set_viewport_size(WIDE)


IDLE_STOPS = """() => [...document.querySelectorAll("mjx-container")]
    .filter(formula => formula.tabIndex >= 0 && formula.scrollWidth <= formula.clientWidth).length"""


# Formulas inside lines: all of them, and those that the Tab key stops at, or ought to as they scroll.
INSIDE_LINES = """() => {
    const formulas = [...document.querySelectorAll(".bd-article span.math")];
    const stops = formulas.filter(formula => formula.tabIndex >= 0);
    const scrolling = formulas.filter(formula => formula.scrollWidth > formula.clientWidth);
    return [formulas.length, stops.length, scrolling.length];
}"""


@pytest.mark.parametrize("page", ["lagrange", "cross_entropy"])
def test_formulas_stop_the_tab_key_only_where_they_scroll(browser, site, page):
    with Visit(browser, f"{site}/{page}.html", NARROW) as visit:
        visit.unfold()
        assert visit.tab.evaluate("() => document.querySelectorAll('mjx-container').length") > 100
        assert visit.tab.evaluate(IDLE_STOPS) == 0
        formulas, stops, scrolling = visit.tab.evaluate(INSIDE_LINES)
        assert stops == scrolling < 0.1 * formulas


# Numbers what the Tab key must reach, and returns how many there are. Of radio buttons it reaches the chosen one.
STOPS = """() => {
    const stops = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")]
        .filter(stop => stop.tabIndex >= 0 && !stop.disabled && stop.type !== "hidden" && stop.getClientRects().length)
        .filter(stop => stop.checkVisibility({ visibilityProperty: true }))
        .filter(stop => stop.type !== "radio" || stop.checked);
    stops.forEach((stop, number) => (stop.dataset.stop = number));
    return stops.length;
}"""
# Where the focus is, and whether a reader sees it: a ring, or in an SVG a ring of its own.
FOCUS = """() => {
    const focus = document.activeElement, style = getComputedStyle(focus);
    if (focus === document.body) return null;
    focus.getAnimations({ subtree: true }).forEach(animation => animation.finish());
    const ring = (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none";
    const drawn = focus.querySelector(".valley-focus");
    return [Number(focus.dataset.stop ?? -1), ring || (drawn && parseFloat(getComputedStyle(drawn).strokeWidth) > 3),
        focus.outerHTML.slice(0, 100)];
}"""


# Signs that close a formula, and of these the ones that begin a line.
CLOSING = """() => {
    const formulas = [...document.querySelectorAll(".bd-article span.math")];
    const signs = formulas.map((formula) => [formula, formula.nextSibling])
        .filter(([, text]) => text?.nodeType === Node.TEXT_NODE && /^[.,;:?!)]/.test(text.data));
    const places = signs.map(([formula, text]) => {
        const range = document.createRange();
        range.setStart(text, 0);
        range.setEnd(text, 1);
        return [formula.getBoundingClientRect(), range.getBoundingClientRect()];
    }).filter(([formula, sign]) => formula.width && sign.width);
    return [places.length, places.filter(([formula, sign]) => sign.left < formula.left).length];
}"""


def test_no_line_begins_with_the_sign_that_closes_a_formula(browser, site):
    with Visit(browser, f"{site}/clock.html", NARROW) as visit:
        visit.unfold()
        signs, first = visit.tab.evaluate(CLOSING)
        assert signs > 100 and first == 0


@pytest.mark.parametrize("page", ["intro", "toy_models", "play", "search"])
def test_the_keyboard_alone_goes_everywhere_and_is_seen(browser, site, page):
    with Visit(browser, f"{site}/{page}.html") as visit:
        reached, unseen, stops = set(), [], visit.tab.evaluate(STOPS)
        for _ in range(2 * stops):
            visit.tab.keyboard.press("Tab")
            found = visit.tab.evaluate(FOCUS)
            if found is None:  # past the last one: nothing holds the key
                break
            reached.add(found[0])
            if not found[1]:
                unseen.append(found[2])
        assert found is None
        assert stops > 30 and reached >= set(range(stops))
        assert not unseen


FOLDS = """() => [...document.querySelectorAll(".cell:not(.tag_hide-cell) details.hide.above-input")]
    .map(fold => fold.open)"""


def test_one_switch_shows_all_code_and_is_remembered(browser, site):
    with Visit(browser, f"{site}/circles.html") as visit:
        assert not any(visit.tab.evaluate(FOLDS))
        visit.tab.click("text=Show all code")
        assert all(visit.tab.evaluate(FOLDS))
        visit.tab.goto(f"{site}/orthogonality.html")
        assert all(visit.tab.evaluate(FOLDS))
        visit.tab.click("text=Fold the code")
        visit.tab.reload()
        assert not any(visit.tab.evaluate(FOLDS))


def test_a_solution_and_its_code_are_one_fold(browser, site):
    with Visit(browser, f"{site}/circles.html") as visit:
        solution = visit.tab.query_selector("details:not(.hide):has(> .cell)")
        assert not solution.query_selector("pre").is_visible()
        solution.query_selector("summary").click()
        assert solution.query_selector("pre").is_visible()


def test_claims_can_be_searched(browser, site):
    with Visit(browser, f"{site}/claims.html") as visit:
        rows = visit.tab.locator(".claims tbody tr:visible")
        all_rows = rows.count()
        visit.tab.get_by_label("Find a claim").fill("envelope PARABOLA")
        assert rows.count() == 0
        visit.tab.get_by_label("Find a claim").fill("Parabola")
        assert 0 < rows.count() < all_rows / 5
        assert all("parabola" in text.lower() for text in rows.all_inner_texts())
        visit.tab.get_by_label("Find a claim").fill("")
        assert rows.count() == all_rows
        assert visit.troubles == []


def axe_findings(visit, **options):
    """What axe objects to, of any impact, one line each."""
    visit.settle()
    response = Axe().run(visit.tab, options={"resultTypes": ["violations"], **options}).response
    return [
        f"{finding['impact']}: {finding['id']}: {[node['html'][:150] for node in finding['nodes'][:3]]}"
        for finding in response["violations"]
    ]


COLOUR = {"runOnly": {"type": "rule", "values": ["color-contrast"]}}
ALL_BUT_COLOUR = {"rules": {"color-contrast": {"enabled": False}}}
EMPTY_CODE_AND_MATHEMATICS = "() => document.querySelectorAll('pre, mjx-container').forEach(b => b.replaceChildren())"


def dress(visit, scheme):
    """Switch between light and dark, as the reader's system does."""
    visit.tab.emulate_media(color_scheme=scheme)
    visit.tab.wait_for_function("scheme => document.documentElement.dataset.theme === scheme", arg=scheme)


@pytest.mark.parametrize("page", EACH)
def test_page_is_accessible(browser, site, page):
    """Structure on a telephone and a wide screen, colours in light and dark.

    The thousands of coloured words in code make axe slow and are alike on every page: the next test judges them once.
    """
    findings = {}
    with Visit(browser, f"{site}/{page}.html", NARROW) as visit:
        visit.unfold()
        findings["narrow"] = axe_findings(visit, **ALL_BUT_COLOUR)
        visit.tab.evaluate(EMPTY_CODE_AND_MATHEMATICS)
        visit.tab.set_viewport_size(WIDE)
        findings["wide"] = axe_findings(visit, **ALL_BUT_COLOUR)
        for scheme in ("dark", "light"):
            dress(visit, scheme)
            findings[scheme] = axe_findings(visit, **COLOUR)
    assert not any(findings.values()), findings


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_code_and_mathematics_have_contrast(browser, site, scheme):
    page = next(page for page in PAGES if (chapters.BOOK / f"{page}.ipynb").exists())
    with Visit(browser, f"{site}/{page}.html", scheme=scheme) as visit:
        assert axe_findings(visit, **COLOUR) == []
        assert visit.troubles == []


def test_search_finds_a_word(browser, site):
    with Visit(browser, f"{site}/search.html?q=claim") as visit:
        visit.tab.wait_for_selector("#search-results li", timeout=10_000)
        assert visit.troubles == []


PANELS = """() => [...document.querySelectorAll(".bd-article picture.panels img")].map(image => ({
    stacked: image.currentSrc.endsWith("-stacked.png"),
    fills: image.clientWidth > 0.95 * image.closest("div").clientWidth
        || (image.closest(".cover") !== null && image.clientHeight > 0.95 * window.innerHeight),
    keepsShape: Math.abs(image.clientHeight / image.clientWidth - image.naturalHeight / image.naturalWidth) < 0.05,
    filter: getComputedStyle(image).filter,
}))"""


@pytest.mark.parametrize("page", ["manifolds", "path"])
def test_panels_stand_one_under_the_other_on_a_telephone(browser, site, page):
    """Covers, too, but not beyond the screen. A page loads one of the two pictures, and prints the whole figure."""
    for size, narrow in ((WIDE, False), (NARROW, True)):
        with Visit(browser, f"{site}/{page}.html", size) as visit:
            pictures = visit.tab.evaluate(PANELS)
            assert {picture["stacked"] for picture in pictures} == {narrow}
            assert all(picture["fills"] and picture["keepsShape"] for picture in pictures) or not narrow
            files = [url for url in visit.files if "/_images/" in url]
            assert len(files) == len({url.replace("-stacked", "") for url in files})
            assert len(visit.files) <= MOST_REQUESTS
            visit.tab.emulate_media(media="print")
            visit.settle()
            assert not any(picture["stacked"] for picture in visit.tab.evaluate(PANELS))


def test_stacked_panels_are_dark_on_a_dark_page_but_where_colour_is_a_value(browser, site):
    with Visit(browser, f"{site}/circles.html", NARROW, scheme="dark") as visit:
        filters = [picture["filter"] for picture in visit.tab.evaluate(PANELS)]
        assert "none" in filters
        assert any("invert" in filter for filter in filters)
