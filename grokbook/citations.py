"""What to cite for the modules of this package that a program has used, as BibTeX."""

import sys
from importlib import metadata, util
from typing import NamedTuple


class Work(NamedTuple):
    """A paper on arXiv, as book/references.md has it."""

    authors: str
    title: str
    arxiv: str
    year: int

    def bibtex(self, key):
        """One entry of a .bib file."""
        return (
            f"@misc{{{key},\n  author = {{{self.authors}}},\n  title = {{{self.title}}},\n  year = {{{self.year}}},\n"
            f"  eprint = {{{self.arxiv}}},\n  archivePrefix = {{arXiv}},\n}}"
        )


BOOK = """@software{{grokbook,
  title = {{The Geometry of Grokking, Executed}},
  version = {{{version}}},
  note = {{An executable book, with the package grokbook}},
}}"""
PAPER = "musat2025geometry"
WORKS = {
    PAPER: Work(
        "Mușat, T.", "The Geometry of Grokking: Norm Minimization on the Zero-Loss Manifold", "2511.01938", 2025
    ),
    "pilanci2020neural": Work(
        "Pilanci, M. and Ergen, T.", "Neural Networks are Convex Regularizers", "2002.10553", 2020
    ),
    "sahiner2020vector": Work(
        "Sahiner, A. and Ergen, T. and Pauly, J. and Pilanci, M.",
        "Vector-output ReLU Neural Network Problems are Copositive Programs",
        "2012.13329",
        2020,
    ),
    "wei2018regularization": Work(
        "Wei, C. and Lee, J. and Liu, Q. and Ma, T.",
        "Regularization Matters: Generalization and Optimization of Neural Nets v.s. their Induced Kernel",
        "1810.05369",
        2018,
    ),
    "lyu2019gradient": Work(
        "Lyu, K. and Li, J.",
        "Gradient Descent Maximizes the Margin of Homogeneous Neural Networks",
        "1906.05890",
        2019,
    ),
    "xie2024implicit": Work(
        "Xie, S. and Li, Z.", "Implicit Bias of AdamW: ℓ∞-Norm Constrained Optimization", "2404.04454", 2024
    ),
    "li2021what": Work(
        "Li, Z. and Wang, T. and Arora, S.",
        "What Happens after SGD Reaches Zero Loss? A Mathematical Framework",
        "2110.06914",
        2021,
    ),
    "nanda2023progress": Work(
        "Nanda, N. and Chan, L. and Lieberum, T. and Smith, J. and Steinhardt, J.",
        "Progress Measures for Grokking via Mechanistic Interpretability",
        "2301.05217",
        2023,
    ),
    "liu2022towards": Work(
        "Liu, Z. and Kitouni, O. and Nolte, N. and Michaud, E. and Tegmark, M. and Williams, M.",
        "Towards Understanding Grokking: An Effective Theory of Representation Learning",
        "2205.10343",
        2022,
    ),
    "cohen2021gradient": Work(
        "Cohen, J. and Kaur, S. and Li, Y. and Kolter, Z. and Talwalkar, A.",
        "Gradient Descent on Neural Networks Typically Occurs at the Edge of Stability",
        "2103.00065",
        2021,
    ),
}

# The works whose theorem or method a module computes, by the module's name inside grokbook.
SOURCES = {
    "dual": ("pilanci2020neural", "sahiner2020vector"),
    "copositive": ("sahiner2020vector",),
    "cross_entropy": ("wei2018regularization", "lyu2019gradient"),
    "margin": ("wei2018regularization",),
    "probe": ("xie2024implicit",),
    "noise": ("li2021what",),
    "fourier": ("nanda2023progress",),
    "phases": ("liu2022towards", "cohen2021gradient"),
}


def used():
    """The modules of this package that the running program has imported. -> names, sorted."""
    return sorted(name.removeprefix("grokbook.") for name in sys.modules if name.startswith("grokbook."))


def version():
    """The installed version of this package, or "unreleased" where it runs from a folder."""
    try:
        return metadata.version("grokbook")
    except metadata.PackageNotFoundError:
        return "unreleased"


def cite(*modules):
    """Print as BibTeX what to cite: this book, the paper, and the works that `modules` compute.

    modules: names such as "dual"; without any, those that the running program has imported. Raises ValueError for what
    is no module of this package."""
    if unknown := [module for module in modules if util.find_spec(f"grokbook.{module}") is None]:
        raise ValueError(f"grokbook has no module {unknown[0]!r}; with sources of their own: {sorted(SOURCES)}")
    print(BOOK.format(version=version()))
    reasons = {PAPER: []}
    for module in modules or used():
        for key in SOURCES.get(module, ()):
            reasons.setdefault(key, []).append(f"grokbook.{module}")
    for key, users in reasons.items():
        print(f"\n% for {', '.join(users)}" if users else "")
        print(WORKS[key].bibtex(key))
