"""Imports go down, without circles; models use public names; importing is fast."""

import ast
import subprocess
import sys
from pathlib import Path

import networkx as nx
import pytest

import minidl

ROOT = Path(__file__).parents[1]
HOME = ROOT / "minidl"
FLOORS = """
    spec
    init table files
    _ext
    graph
    network ops
    plan
    fuse memory rules
    draft
    back
    compile
    store clock npz rewire
    engine inputs
    field running ends
    optim data draw exchange schedule progress align
    lines
    summary metrics resume compare
    curves
    logs
    checkpoint train
    run
    fit
    model
    loading
    probe profile
    check
    __init__
    recipes cli_net cli_options
    cli_train
    cli
    __main__
"""
HEIGHT = {
    name: i for i, line in enumerate(FLOORS.splitlines()) for name in line.split()
}
MODULES = {
    ".".join(path.relative_to(HOME).with_suffix("").parts): path
    for path in HOME.rglob("*.py")
}
ROOMS = sorted(name for name in MODULES if name != "__init__")


def home_of(parts):
    """The module of these parts, or of the first of them that is one."""
    for end in range(len(parts), 0, -1):
        name = ".".join(parts[:end])
        for one in (name, f"{name}.__init__"):
            if one in MODULES:
                return one
    return "__init__"


def imports(name):
    """The modules of minidl that one of them imports, wherever the line stands."""
    tree = ast.parse(MODULES[name].read_text())
    parts = name.split(".")
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                if one.name.split(".")[0] == "minidl":
                    yield home_of(one.name.split(".")[1:])
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                start = parts[: len(parts) - node.level]
            elif (node.module or "").split(".")[0] == "minidl":
                start = []
            else:
                continue
            module = (node.module or "").split(".")
            module = module[0 if node.level else 1 :] if node.module else []
            for one in node.names:
                yield home_of([*start, *module, one.name])


def floor(name):
    """How high a module stands."""
    return HEIGHT[name.split(".")[0]]


@pytest.mark.parametrize("name", ROOMS)
def test_imports_go_down(name):
    top = name.split(".")[0]
    assert top in HEIGHT, f"give {name} its floor in {__file__}"
    for other in imports(name):
        inside = other.split(".")[0] == top
        assert inside or floor(other) < floor(name), f"{name} imports {other}"


def test_no_circles():
    graph = nx.DiGraph(
        (name, other)
        for name in ROOMS
        for other in imports(name)
        if other != f"{name.split('.')[0]}.__init__"  # the door of its own package
    )
    assert list(nx.simple_cycles(graph)) == []


@pytest.mark.parametrize("path", sorted((ROOT / "models").glob("*.py")), ids=str)
def test_models_use_public_names(path):
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level:
            module = node.module or ""
            assert not module.startswith("minidl."), module
            private = [one.name for one in node.names if one.name.startswith("_")]
            assert module != "minidl" or not private, private
        elif isinstance(node, ast.Import):
            for one in node.names:
                assert not one.name.startswith("minidl."), one.name
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "dl":
            assert not node.attr.startswith("_"), node.attr
            assert hasattr(minidl, node.attr), f"dl.{node.attr}"


def test_import_is_fast():
    """Beside NumPy's own import, for a busy machine slows both."""
    code = (
        "from time import process_time as t\n"
        "a = t(); import numpy; b = t(); import minidl; print((t() - b) / (b - a))"
    )
    ratios = []
    for _ in range(20):
        out = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT)
        ratios.append(float(out))
        if ratios[-1] < 2:
            return
    raise AssertionError(ratios)
