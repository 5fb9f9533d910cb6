"""The short name of `grokbook.display.claims`, which every chapter imports."""

from grokbook.display.claims import claim, note

__all__ = ["claim", "note"]
