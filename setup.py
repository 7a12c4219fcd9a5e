"""Build every kernel source once per instruction set and scalar type."""

import os
import platform
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
OPTIMISE = ["-O3", "-fno-math-errno", "-fno-trapping-math", "-fopenmp", "-w", "-g0"]
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
}


def levels() -> list[str]:
    """The levels to build: MINIDL_LEVELS ("v3,v4") or all that this machine type has."""
    asked = os.environ.get("MINIDL_LEVELS")
    names = asked.split(",") if asked else list(LEVELS) if X86 else []
    unknown = [n for n in names if n not in LEVELS]
    if unknown:
        sys.exit(f"MINIDL_LEVELS: unknown {unknown}; choose from {list(LEVELS)}")
    return sorted({"v2", *names})


def compiled(
    names: list[str], suffix: str = "", flags: Sequence[str] = (), macros: Any = ()
) -> list[Extension]:
    """One extension a source, translated in a folder of its own."""
    found = cythonize(
        [
            Extension(f"minidl._ext.{name}{suffix}", [f"minidl/_ext/{name}.pyx"])
            for name in names
        ],
        build_dir=f"build/cython/all{suffix}",
        compiler_directives=DIRECTIVES,
    )
    for one in found:  # after cythonize: it merges the options of equal sources
        one.include_dirs = ["minidl/_ext"]
        one.depends = [*map(str, sorted(EXT.glob("*.h"))), "setup.py"]
        one.define_macros = list(macros)
        one.extra_compile_args = [*OPTIMISE, *flags]
        one.extra_link_args = ["-fopenmp"]
    return found


def extensions() -> list[Extension]:
    """The common modules, and each kernel module per level and scalar type."""
    found = compiled(COMMON)
    for level in levels():
        for scalar, macros in SCALARS.items():
            found += compiled(KERNELS, f"_{level}_{scalar}", LEVELS[level], macros)
    return found


class Build(build_ext):
    """Compile on all cores, and only what changed."""

    def finalize_options(self) -> None:
        super().finalize_options()
        if self.editable_mode:  # which would build everything in a new folder each time
            where = f"{sysconfig.get_platform()}-{sys.implementation.cache_tag}"
            self.build_lib, self.build_temp = f"build/lib.{where}", f"build/temp.{where}"
        self.parallel = self.parallel or os.cpu_count()


setup(ext_modules=extensions(), cmdclass={"build_ext": Build})
