"""The rooms: one op family, one file; and the table that lists them all."""

from . import activation
from .row import Case, Row

ROOMS = (activation,)
TABLE: dict[str, Row] = {row.build.__name__: row for room in ROOMS for row in room.ROWS}

__all__ = ["TABLE", "Case", "Row", *TABLE]
vars().update({name: row.build for name, row in TABLE.items()})
