"""Data sets and readers."""

from .digits import Part, Split, digits

__all__ = ["Part", "Split", "digits"]
