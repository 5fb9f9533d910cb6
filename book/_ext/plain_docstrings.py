"""Sphinx extension: the API page shows docstrings as they are written, plain text with code in single backticks."""

import re

MARKUP = re.compile(r"`([^`]+)`|([!-/:-@[-`{-~])")  # code, or a sign that reStructuredText may read as markup
OBJECT = re.compile(r"<(?:function|class) '?(?:\w+\.)*(\w+)'?>")  # a default that Python shows as an object


def as_written(text):
    """One paragraph in reStructuredText. The empty escape in front keeps `1. ` or `- ` from beginning a list."""
    line = " ".join(text.split())
    return r"\ " + MARKUP.sub(lambda match: rf"\ ``{match[1]}``\ " if match[1] else "\\" + match[2], line)


def keep_plain(app, what, name, thing, options, lines):
    lines[:] = [line for text in re.split(r"\n\s*\n", "\n".join(lines).strip()) for line in (as_written(text), "")]


def name_defaults(app, what, name, thing, options, signature, annotation):
    """Name a function or a class that is a default, as its source does."""
    return OBJECT.sub(r"\1", signature or ""), annotation


def leave_out_fields(app, what, name, thing, options, skip):
    """The docstring of a class describes its fields: those of a NamedTuple, and a function that is a default."""
    alias = (getattr(thing, "__doc__", None) or "").startswith("Alias for field number")
    return True if alias or "." not in getattr(thing, "__qualname__", ".") else None


def setup(app):
    app.connect("autodoc-process-docstring", keep_plain)
    app.connect("autodoc-process-signature", name_defaults)
    app.connect("autodoc-skip-member", leave_out_fields)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
