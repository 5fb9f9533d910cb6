"""Write book/api.md: the names that users of the book rely on, with their signatures and docstrings.

    python scripts/api.py            write the page
    python scripts/api.py --check    only say whether it is in step with the code
"""

import argparse
import importlib
import inspect
import re
import sys

import chapters

PAGE = "api.md"

# The public names, by module. They stay as they are; the rest of the package is free to change.
NAMES = {
    "tasks": ["Task", "modular_addition", "modular_multiplication", "table", "boolean", "lottery", "split"],
    "isolated": ["readout", "cost", "velocity", "simulate", "Simulation", "minimise", "Minimum", "initial_embedding"],
    "network": ["TwoLayer", "Deep", "ManyLayers"],
    "activations": ["Activation", "softplus", "smoothed"],
    "losses": ["Loss"],
    "training": ["train", "History"],
    "flow": ["flow", "Path"],
    "levelset": ["LevelSet"],
    "direction": ["norm_minimising_direction", "Direction"],
    "probe": ["Probe", "Check"],
    "fourier": ["features", "circle_measures"],
    "measure": ["power", "first_passage", "cosine"],
    "sweep": ["grid", "sweep", "SweepError"],
    "claims": ["claim", "note"],
    "explore": ["scrub", "live"],
}

INTRODUCTION = """# The names you can rely on

The chapters call these; so can you. This page is written from the docstrings by `scripts/api.py`. What is not listed
here is free to change.
"""


def escaped(text):
    """Text as Markdown that shows it as it is; what stands in backticks already does."""
    pieces = re.split(r"(`[^`\n]*`)", text)
    return "".join(piece if piece.startswith("`") else re.sub(r"([\\*_$<>\[\]#|])", r"\\\1", piece) for piece in pieces)


def prose(docstring):
    """A docstring's paragraphs; lines that are indented, such as lists of arguments, stay lines of their own."""
    paragraphs = inspect.cleandoc(docstring or "").split("\n\n")
    return "\n\n".join(escaped(paragraph).replace("\n ", "\\\n ") for paragraph in paragraphs)


def signature(name, thing):
    try:
        text = str(inspect.signature(thing))
    except ValueError:
        text = "(...)"
    text = re.sub(r"<function (\w+) at 0x[0-9a-f]+>|<class '[\w.]*?(\w+)'>", r"\1\2", text)  # defaults by their names
    line = f"{name}{text}"
    if len(line) <= 88:
        return line
    arguments = re.sub(r"^\((.*)\)( -> .*)?$", r"\1", text)
    return f"{name}(\n" + "".join(f"    {part},\n" for part in split_arguments(arguments)) + ")"


def split_arguments(text):
    """Split at the commas that stand outside brackets."""
    return [part.strip() for part in re.split(r",\s*(?![^()\[\]{}]*[)\]}])", text)]


def block(code):
    return f"```python\n{code}\n```\n"


def methods(thing):
    """The public methods and properties a class defines itself, in the order of its source."""
    found = {name: value for name, value in vars(thing).items() if not name.startswith("_")}
    return [(name, value) for name, value in found.items() if callable(value) or isinstance(value, property)]


def entry(module, name):
    thing = getattr(module, name)
    parts = [f"### {name}\n", block(signature(name, thing)), prose(thing.__doc__) + "\n"]
    if inspect.isclass(thing):
        parts += [method_line(method, value) for method, value in methods(thing)]
    return "\n".join(parts) + "\n"


def method_line(name, value):
    """One item of a list: how it is called and what its docstring says."""
    function = value.fget if isinstance(value, property) else inspect.unwrap(value)
    arguments = [str(parameter) for parameter in inspect.signature(function).parameters.values()][1:]
    call = name if isinstance(value, property) else f"{name}({', '.join(arguments)})"
    description = prose(function.__doc__).replace("\n\n", "\n\n  ")
    return f"- `.{call}`: {description}" if description else f"- `.{call}`"


def build():
    """The text that book/api.md must have."""
    sys.path.insert(0, str(chapters.ROOT))
    sections = [INTRODUCTION]
    for name, public in NAMES.items():
        if not (chapters.PACKAGE / f"{name}.py").exists():
            continue
        module = importlib.import_module(f"grokbook.{name}")
        sections.append(f"## grokbook.{name}\n\n{prose(module.__doc__)}\n")
        sections += [entry(module, item) for item in public if hasattr(module, item)]
    return "\n".join(sections).rstrip() + "\n"


def in_step():
    path = chapters.BOOK / PAGE
    return path.exists() and path.read_text(encoding="utf-8") == build()


def main():
    parser = argparse.ArgumentParser(description="Write book/api.md from the docstrings.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is out of step")
    if parser.parse_args().check:
        sys.exit(0 if in_step() else "book/api.md is out of step with the code: run `python scripts/api.py`")
    chapters.write(chapters.BOOK / PAGE, build())


if __name__ == "__main__":
    main()
