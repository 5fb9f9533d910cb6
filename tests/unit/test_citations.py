import pytest
import yaml

import chapters
import grokbook
from grokbook import citations


def cited(capsys, *modules):
    """What `cite` prints for the modules, as {key: the lines of its entry}."""
    grokbook.cite(*modules)
    return {entry.split("{", 1)[1].split(",", 1)[0]: entry for entry in capsys.readouterr().out.split("@")[1:]}


def test_the_book_and_the_paper_come_first_and_then_what_was_used(capsys):
    found = cited(capsys, "dual", "isolated", "copositive")
    assert list(found) == ["grokbook", citations.PAPER, "pilanci2020neural", "sahiner2020vector"]
    grokbook.cite("dual", "copositive")
    assert "% for grokbook.dual, grokbook.copositive\n@misc{sahiner2020vector" in capsys.readouterr().out


def test_an_unknown_module_is_named():
    with pytest.raises(ValueError, match=r"no module 'dul'; with sources of their own: .*'dual'"):
        grokbook.cite("dual", "dul")


def test_every_module_with_sources_exists_and_every_work_is_used():
    assert not [name for name in citations.SOURCES if chapters.module_file(name) is None]
    keys = {key for works in citations.SOURCES.values() for key in works}
    assert keys | {citations.PAPER} == set(citations.WORKS)


@pytest.mark.parametrize("key", citations.WORKS)
def test_works_are_those_of_the_references(key):
    """One line of the page has the title, the number, the year and every author's surname."""
    work = citations.WORKS[key]
    page = (chapters.BOOK / "references.md").read_text(encoding="utf-8")
    line = next(line for line in page.splitlines() if work.arxiv in line)
    surnames = [author.split(",")[0] for author in work.authors.split(" and ")]
    assert all(part in line for part in [f"*{work.title}.*", f", {work.year}.", *surnames])
    assert line.split(". *")[0].count(",") == len(surnames) - 1
    assert key.startswith(surnames[0].lower().replace("ș", "s") + str(work.year))


def test_the_book_is_named_as_in_citation_cff(capsys):
    stated = yaml.safe_load((chapters.ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    entry = cited(capsys, "isolated")["grokbook"]
    assert f"title = {{{stated['title']}}}" in entry and f"version = {{{stated['version']}}}" in entry
    paper = stated["references"][0]
    assert paper["title"] == citations.WORKS[citations.PAPER].title
    assert paper["url"].endswith(citations.WORKS[citations.PAPER].arxiv)
