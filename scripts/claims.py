"""Write book/claims.md: every claim of every executed notebook, where the paper makes it, and whether it holds.

    python scripts/claims.py            write the page
    python scripts/claims.py --check    only say whether it is in step with the notebooks
"""

import argparse
import sys

import chapters

PAGE = "claims.md"
HEADER = ["Claim", "Where", "Condition", "Measured", "Verdict"]
INTRODUCTION = """# Every claim, measured

This table is built from the executed notebooks; no number in it was typed. Each line is one `claim(...)` of a
chapter: the statement, where the paper makes it ("this book" where the statement is ours), the condition that was
tested and the number that was measured. A chapter stops running when a verdict changes, so no claim can cease to
hold, or begin to, without notice.
"""


def stored_claims(notebook):
    """The records that `grokbook.claims.claim` left in the outputs' metadata, in order."""
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", []))
    return [output.metadata["grokbook"] for output in outputs if "grokbook" in output.get("metadata", {})]


def collect(root):
    """[(part, page, title, claims)] for the chapters of the contents that state any."""
    found = []
    for part, page in chapters.contents(root):
        path = root / "book" / f"{page}.ipynb"
        claims = stored_claims(chapters.read(path)) if path.exists() else []
        if claims:
            found.append((part, page, chapters.title(path), claims))
    return found


def text(value):
    """Text that is safe inside a Markdown table."""
    return str(value).replace("|", "\\|").replace("$", "\\$").replace("*", "\\*").replace("_", "\\_").replace("\n", " ")


def row(claim, *more):
    """One line of a table; `more` goes behind the statement."""
    verdict = "✓ holds" if claim["reproduces"] else "✗ does not hold"
    measured = [text(claim["source"]), text(claim["condition"]), text(claim["shown"]), verdict]
    return "| " + " | ".join([text(claim["statement"]), *more, *measured]) + " |"


def table(rows, *more):
    header = [HEADER[0], *more, *HEADER[1:]]
    return "\n".join(["| " + " | ".join(header) + " |", "|" + " --- |" * len(header), *rows]) + "\n"


def link(page, title):
    return f"[{text(title)}]({page}.ipynb)"


def page_text(collected):
    """The whole page: the count, what fails to reproduce, then part by part and chapter by chapter."""
    everything = [(claim, page, title) for _, page, title, claims in collected for claim in claims]
    failing = [entry for entry in everything if not entry[0]["reproduces"]]
    holding = len(everything) - len(failing)
    counts = f"**{len(everything)}** claims in **{len(collected)}** chapters: **{holding}** hold, "
    sections = [INTRODUCTION, counts + f"**{len(failing)}** do not.\n", "## What does not hold\n"]
    if failing:
        rows = [row(claim, link(page, title)) for claim, page, title in failing]
        sections.append("The chapter explains each of these.\n\n" + table(rows, "Chapter"))
    else:
        sections.append("Nothing so far.\n")
    latest = None
    for part, page, title, claims in collected:
        if part != latest:
            sections.append(f"## {part}\n")
            latest = part
        sections.append(f"### {link(page, title)}\n\n" + table(map(row, claims)))
    return "\n".join(sections)


def build(root=chapters.ROOT):
    """The text that book/claims.md must have."""
    return page_text(collect(root))


def in_step(root=chapters.ROOT):
    path = root / "book" / PAGE
    return path.exists() and path.read_text(encoding="utf-8") == build(root)


def main():
    parser = argparse.ArgumentParser(description="Write book/claims.md from the executed notebooks.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is out of step")
    if parser.parse_args().check:
        sys.exit(0 if in_step() else "book/claims.md is out of step with the notebooks: run `python scripts/claims.py`")
    chapters.write(chapters.BOOK / PAGE, build())


if __name__ == "__main__":
    main()
