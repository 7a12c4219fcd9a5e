"""Data sets and readers."""

from .augment import shifted
from .digits import Part, Split, digits

__all__ = ["Part", "Split", "digits", "shifted"]
