"""Build every kernel source once per instruction set and scalar type."""

import os
import platform
import shutil
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

EXT = Path("minidl/_ext")
# what runs without any vector, or once for all levels
COMMON = ["kernel"]
KERNELS = sorted(p.stem for p in EXT.glob("*.pyx") if p.stem not in COMMON)
X86 = platform.machine().lower() in ("x86_64", "amd64")
LEVELS = {
    "v2": [],
    "v3": ["-march=x86-64-v3"],
    "v4": ["-march=x86-64-v4", "-mprefer-vector-width=512"],
}
SCALARS = {"f32": [], "f64": [("MINIDL_DOUBLE", "1")]}
# no -ffast-math: NaN must propagate and sums keep their order
OPTIMISE = ["-O3", "-fno-math-errno", "-fno-trapping-math", "-pthread", "-w", "-g0"]
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
}


def levels() -> list[str]:
    """The levels to build: MINIDL_LEVELS ("v3,v4") or all of this machine type."""
    asked = os.environ.get("MINIDL_LEVELS")
    names = asked.split(",") if asked else list(LEVELS) if X86 else []
    unknown = [n for n in names if n not in LEVELS]
    if unknown:
        sys.exit(f"MINIDL_LEVELS: unknown {unknown}; choose from {list(LEVELS)}")
    return sorted({"v2", *names})


def translated(names: list[str]) -> dict[str, Path]:
    """Cython to C, once; the C is compiled for each level and scalar type."""
    sources = [Extension(f"minidl._ext.{n}", [f"minidl/_ext/{n}.pyx"]) for n in names]
    found = cythonize(sources, build_dir="build/cython", compiler_directives=DIRECTIVES)
    return {one.name.rpartition(".")[2]: Path(one.sources[0]) for one in found}


def compiled(
    name: str, source: Path, flags: Sequence[str] = (), macros: Any = ()
) -> Extension:
    """One extension module."""
    return Extension(
        f"minidl._ext.{name}",
        [str(source)],
        include_dirs=["minidl/_ext"],
        depends=[*map(str, sorted(EXT.glob("*.h"))), "setup.py"],
        define_macros=list(macros),
        extra_compile_args=[*OPTIMISE, *flags],
        extra_link_args=["-pthread"],
    )


def variant(source: Path, suffix: str) -> Path:
    """A copy, so that its objects have a name of their own."""
    copy = source.with_name(f"{source.stem}{suffix}.c")
    if not copy.exists() or copy.read_bytes() != source.read_bytes():
        shutil.copyfile(source, copy)
    return copy


def extensions() -> list[Extension]:
    """The common modules, and each kernel module per level and scalar type.

    A variant such as conv_v4_f32 holds a module that calls itself conv: minidl._ext
    loads it by its file.
    """
    sources = translated([*COMMON, *KERNELS])
    found = [compiled(name, sources[name]) for name in COMMON]
    for level in levels():
        for scalar, macros in SCALARS.items():
            suffix = f"_{level}_{scalar}"
            found += [
                compiled(name + suffix, variant(sources[name], suffix), LEVELS[level],
                         macros)
                for name in KERNELS
            ]
    return found


class Build(build_ext):
    """Compile on all cores, and only what changed."""

    def finalize_options(self) -> None:
        super().finalize_options()
        if self.editable_mode:  # which would build everything in a new folder each time
            where = f"{sysconfig.get_platform()}-{sys.implementation.cache_tag}"
            self.build_lib = f"build/lib.{where}"
            self.build_temp = f"build/temp.{where}"
        self.parallel = self.parallel or os.cpu_count()


setup(ext_modules=extensions(), cmdclass={"build_ext": Build})
