"""Numbers and tables as people read them."""

from __future__ import annotations

from collections.abc import Sequence


def count(n: int) -> str:
    """A count with its thousands, or in millions and billions.

    Examples
    --------
    >>> count(61_706), count(15_470_264_320)
    ('61,706', '15.47 G')
    """
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6)):
        if n >= 10 * size or (n >= size and unit != "M"):
            return f"{n / size:.2f} {unit}"
    return f"{n:,}"


def megabytes(n: int) -> str:
    """Bytes in the unit that suits them.

    Examples
    --------
    >>> megabytes(512), megabytes(3_000_000), megabytes(2_500_000_000)
    ('512 B', '3.0 MB', '2.50 GB')
    """
    if n < 1000:
        return f"{n} B"
    if n < 10**6:
        return f"{n / 1e3:.1f} kB"
    return f"{n / 1e6:.1f} MB" if n < 10**9 else f"{n / 1e9:.2f} GB"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns under a head; those that hold numbers are flush right.

    Examples
    --------
    >>> print(table(("node", "MACs"), [("C1", "117,600"), ("S2", "-")]))
    node     MACs
    C1    117,600
    S2          -
    """
    columns = list(zip(head, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [
        all(cell[:1].isdigit() or cell in ("-", "") for cell in column[1:])
        for column in columns
    ]
    lines = (
        "  ".join(
            cell.rjust(w) if r else cell.ljust(w)
            for cell, w, r in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in (head, *rows)
    )
    return "\n".join(lines)
