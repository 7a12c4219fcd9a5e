"""The zoo: a network is a function, a family a file; all use the public API only.

To add one, write it and put its name and file into NETWORKS.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if __name__ != "minidl.models":
    raise ImportError(
        "this folder is the source of minidl.models: install minidl (`make`, or `pip "
        "install -e .`), then `import minidl.models`"
    )

import minidl as dl

if TYPE_CHECKING:
    from .lecture import lecture_cnn5
    from .lenet import lenet5

NETWORKS = {  # network -> the file it is in, imported when first asked for
    "lecture_cnn5": "lecture",
    "lenet5": "lenet",
}


def list() -> tuple[str, ...]:
    """The names of all networks.

    Examples
    --------
    >>> import minidl as dl
    >>> dl.models.list()
    ('lecture_cnn5', 'lenet5')
    """
    return tuple(sorted(NETWORKS))


def get(name: str) -> Callable[..., Any]:
    """The function that builds the network `name`."""
    if name not in NETWORKS:
        close = difflib.get_close_matches(name, NETWORKS, 3, 0.5)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise dl.Error(f"no network is named {name!r}{hint} All: {', '.join(list())}")
    module = importlib.import_module(f"{__name__}.{NETWORKS[name]}")
    return getattr(module, name)  # type: ignore[no-any-return]


def __getattr__(name: str) -> Any:
    if name in NETWORKS:
        return get(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["NETWORKS", "get", "lecture_cnn5", "lenet5", "list"]
