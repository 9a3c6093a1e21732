"""One module of deepgen_lib from another file: DEEPGEN_MUTANT is "deepgen_lib.rbm=/where/it/is.py".

Python loads this file by itself in every process whose PYTHONPATH names this folder, so that the processes and kernels that a test starts see the mutant too.
"""
import importlib.abc
import importlib.machinery
import os
import sys
from pathlib import Path


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, mutant: str):
        super().__init__(name, path)  # __file__ stays, so that data beside the module is found
        self.mutant = mutant

    def get_code(self, fullname):
        return compile(Path(self.mutant).read_text(encoding="utf-8"), self.mutant, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, module: str, mutant: str):
        self.module, self.mutant = module, mutant

    def find_spec(self, name, path, target=None):
        if name != self.module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        spec.loader = _Loader(name, spec.origin, self.mutant)
        return spec


def install() -> None:
    """From now on the module is loaded from the mutant's file."""
    if chosen := os.environ.get("DEEPGEN_MUTANT"):
        sys.meta_path.insert(0, _Finder(*chosen.split("=", 1)))


install()
