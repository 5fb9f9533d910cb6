"""The built pages as one PDF of A4 pages, with contents, an outline and links that work; Chromium prints, pypdf joins.

    python scripts/pdf.py            _build/html -> _build/book.pdf
"""

import html
import io
import os
import re
import shutil
import sys
from pathlib import Path
from urllib.parse import unquote

from playwright.sync_api import sync_playwright
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, FloatObject, NameObject, NullObject

import build
import chapters

BROWSERS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"]
MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu"]
PAPER = dict(format="A4", print_background=True, margin=dict(top="16mm", bottom="18mm", left="14mm", right="14mm"))
TARGET = re.compile(r'href="(\w+)\.html#([\w-]+)"')
LOOK = chapters.BOOK / "_print"  # print.css and print.js
SHEET = dict(width=688, height=994)  # what the margins leave of it, in pixels


def browser_path():
    """Chromium or Chrome on this machine, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None) or (MAC if os.path.exists(MAC) else None)


def targets(folder, pages):
    """The places in each page that links of any page lead to: {page: set of ids}."""
    found = {page: set() for page in pages}
    for page in pages:
        for other, place in TARGET.findall((folder / f"{page}.html").read_text(encoding="utf-8")):
            if other in found:
                found[other].add(place)
    return found


def prepared(browser, path, places):
    """A tab with a page as it is printed. places: the ids in it that links lead to."""
    tab = browser.new_page(color_scheme="light", viewport=SHEET)
    tab.emulate_media(media="print")
    tab.goto(path.as_uri())
    tab.add_style_tag(path=LOOK / "print.css")
    given = dict(places=sorted(places), height=SHEET["height"])
    tab.evaluate((LOOK / "print.js").read_text(encoding="utf-8"), given)
    return tab


def printed(driver, folder, pages):
    """Each page as a PDF: {page: bytes}."""
    browser, found = driver.chromium.launch(executable_path=browser_path(), args=FLAGS), {}
    for page, places in targets(folder, pages).items():
        tab = prepared(browser, folder / f"{page}.html", places)
        found[page] = tab.pdf(outline=True, tagged=True, **PAPER)
        tab.close()
        print(f"{page}: {len(found[page]) / 1e6:.1f} MB", flush=True)
    browser.close()
    return found


def contents(driver, titles, numbers, captions):
    """The title page and the contents, with the number of each chapter's first page, as a PDF."""
    rows, part = [], None
    for page, title in titles.items():
        if captions.get(page) != part:
            part = captions.get(page)
            rows.append(f"<tr><th colspan=2>{html.escape(part)}</th></tr>")
        link = f'<a href="file:///{page}.html">{html.escape(title)}</a>'
        rows.append(f"<tr><td>{link}</td><td style='text-align: right'>{numbers[page]}</td></tr>")
    style = "body {font: 10pt/1.15 sans-serif} h1 {margin-top: 0} table {width: 100%; border-spacing: 0}"
    style += "th {text-align: left; padding-top: 6pt} a {color: black}"
    title = "The Geometry of Grokking, Executed"
    return _of_html(driver, f"<style>{style}</style><h1>{title}</h1><table>{''.join(rows)}</table>")


def footers(driver, count):
    """A PDF of empty pages with their numbers, to lie over the others."""
    style = "@page {margin: 0} body {margin: 0; font: 9pt sans-serif} div {height: 297mm; position: relative}"
    style += "div + div {break-before: page}"
    style += "span {position: absolute; bottom: 8mm; width: 100%; text-align: center; color: #555}"
    pages = "".join(f"<div><span>{number}</span></div>" for number in range(1, count + 1))
    return _of_html(driver, f"<style>{style}</style>{pages}", prefer_css_page_size=True, margin=None)


def _of_html(driver, text, **options):
    browser = driver.chromium.launch(executable_path=browser_path(), args=FLAGS)
    tab = browser.new_page()
    tab.set_content(text)
    found = tab.pdf(**PAPER | options)
    browser.close()
    return found


def joined(front, parts, titles, numbered):
    """One PDF of the contents and all parts, whose links lead to places in it. front, parts[page], numbered: bytes."""
    readers = {"": PdfReader(io.BytesIO(front))} | {page: PdfReader(io.BytesIO(part)) for page, part in parts.items()}
    writer, begins, places = PdfWriter(), {}, {}
    for page, reader in readers.items():
        begins[page] = len(writer.pages)
        for name, place in reader.named_destinations.items():
            number = reader.get_destination_page_number(place)
            places[page, name.lstrip("/")] = (begins[page] + number, place.get("/Top"))
        writer.append(reader, outline_item=titles.get(page), import_outline=bool(page))
    for page in readers:
        for i in range(begins[page], begins[page] + len(readers[page].pages)):
            for link in writer.pages[i].get("/Annots") or []:
                _lead(link.get_object(), page, writer, begins, places)
    for page, number in zip(writer.pages, PdfReader(io.BytesIO(numbered)).pages, strict=True):
        page.merge_page(number)
        page.compress_content_streams()
    return writer


def _lead(link, page, writer, begins, places):
    """Turn a link to a page of the book, or to a place in one, into a link within the PDF."""
    action = link.get("/A", {}).get_object() if "/A" in link else {}
    place = link.get("/Dest", action.get("/D"))
    address = str(action.get("/URI", ""))
    if isinstance(place, str):
        target = places.get((page, unquote(place.lstrip("/"))))
    elif match := re.match(r"file:///(?:.*/)?(\w+)\.html(?:#(.*))?$", address):
        other = match[1]
        target = places.get((other, unquote(match[2] or "")), (begins[other], None) if other in begins else None)
    else:
        target = None
    if target is None:
        if address.startswith("file:"):
            link.pop("/A", None)  # nothing that is printed
        return
    number, top = target
    height = NullObject() if top is None else FloatObject(top)
    where = [writer.pages[number].indirect_reference, NameObject("/XYZ"), NullObject(), height, NullObject()]
    link.pop("/A", None)
    link[NameObject("/Dest")] = ArrayObject(where)


def main(folder=chapters.ROOT / "_build" / "html", output=chapters.ROOT / "_build" / "book.pdf", pages=None):
    """Write the PDF of the pages, of all unless named. -> its path."""
    folder, output = Path(folder).resolve(), Path(output)
    pages = pages or [page for _, page in chapters.contents()]
    if missing := [page for page in pages if not (folder / f"{page}.html").is_file()]:
        sys.exit(f"{folder} has no {missing[0]}.html; run `make book` first")
    if browser_path() is None:
        sys.exit(f"none of {', '.join(BROWSERS)} is installed; install Chromium (apt-get install chromium)")
    named = chapters.names()
    titles = {page: named.get(page) or chapters.title(chapters.BOOK / f"{page}.md") for page in pages}
    captions = {page: part for part, page in chapters.contents()}
    with sync_playwright() as driver:
        parts = printed(driver, folder, pages)
        counts = {page: len(PdfReader(io.BytesIO(part)).pages) for page, part in parts.items()}
        before = len(PdfReader(io.BytesIO(contents(driver, titles, dict.fromkeys(pages, 999), captions))).pages)
        numbers = {page: before + 1 + sum(list(counts.values())[:i]) for i, page in enumerate(pages)}
        front = contents(driver, titles, numbers, captions)
        writer = joined(front, parts, titles, footers(driver, before + sum(counts.values())))
    writer.compress_identical_objects(remove_duplicates=True, remove_unreferenced=True)
    writer.write(output)
    return output


def offer(path, folder=chapters.ROOT / "_build" / "html"):
    """Put the PDF beside the built pages, and a link to it on the first of them. -> what the link says of it."""
    said = f"{len(PdfReader(path).pages)} A4 pages, {path.stat().st_size / 1e6:.0f} MB"
    shutil.copy(path, folder / path.name)
    link = f'<a href="{path.name}">The whole book as a PDF</a>'
    build.offer("printed", f"<strong>Print.</strong> {link}, {said}.", folder)
    return said


if __name__ == "__main__":
    path = main()
    print(f"{path}: {offer(path)}")
