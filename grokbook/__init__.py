"""The computations behind the book: one small module a topic, torch tensors in and out."""

import importlib


def cite(*modules):
    """Print as BibTeX what to cite for these modules, or else for those imported: `grokbook.citations.cite`."""
    # By name, so that no chapter's outputs depend on the list of works.
    importlib.import_module("grokbook.citations").cite(*modules)
