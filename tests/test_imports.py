"""Imports go one way: the table of layers, who may import Matplotlib and ipywidgets, and what a bare `import deepgen_lib` needs."""
import ast
import graphlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import deepgen_lib
from grading.worker import LATER

ROOT = Path(__file__).resolve().parents[1]
LAYERS = [  # a part imports from lower layers, or from its own where no circle arises; later chapters add their models here
    {"kernels", "validate", "shipped", "processes"},
    {"tiles", "roofline", "measured", "likelihood", "labels", "variational", "whitening", "max_pool", "orientation", "selectivity", "vector_quantisation", "residual_normal", "logistic_mixture"},
    {"mixture", "rbm", "conv_rbm"},
    {"enumeration", "conv_enumeration"},
    {"sampling", "partition", "bridge", "objectives"},
    {"labelled_rbm", "tied", "dbn_bound", "dbn", "dbn_enumeration", "conv_dbn", "conv_inference", "conv_completion", "codebook", "residual_conv", "vqvae", "vqvae2", "autoregressive", "swap_codes", "code_likelihood", "nvae", "latents", "vae", "linear_gaussian", "gradient_estimators", "ladder"},
    {"rbm_training", "conv_training", "checkpoint", "fitting", "data", "caltech", "toy_data", "claims", "machine", "predictions", "record", "syllabus"},
    {"side_by_side", "side_by_side_models", "conv_networks", "averaging", "gradient_training", "digit_classifier", "vq_shipped", "nvae_small", "streams", "stacking", "conv_stacking", "updown", "features", "probe", "mlp"},
    {"plots"},
    {"typed"},
    {"widgets", "checks"},
    {"ranking", "progress_page"},
]
RANK = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}
ONLY_IN = {"matplotlib": {"plots"}, "mpl_toolkits": {"plots"}, "ipywidgets": {"widgets", "ranking", "typed", "progress_page"}, "IPython": {"widgets", "checks"}, "triton": {"kernels", "tiles"}, "tqdm": {"fitting", "data"}}
BY_COMPUTED_NAME = {"deepgen_lib", "deepgen_lib.plots", "deepgen_lib.checks", "deepgen_lib.checks.engine"}  # load a chapter's file, or a module, on first use
FIXED = ["all_states", "RBM", "log_partition", "ais_log_partition", "sum_softplus", "gibbs_half_step", "probabilistic_max_pool", "nearest_code", "straight_through", "vq_losses",
         "residual_normal_kl", "NVAE", "NVAE_TABLE"]  # design.md, those of chapters 00-03, 07, 09, 11 and 12
VERBS = ["claim", "planted_error", "derivation", "predict", "predict_number", "progress", "reveal", "explore", "hint", "start_over", "load_mnist", "load_caltech", "fit", "plots", "widgets", "checks", "data"]


def imports_of(file: Path, name: str, modules: set[str], *, when_loaded: bool = False) -> set[str]:
    """Modules that a file names in import statements, as absolute names; when_loaded leaves out those inside functions and TYPE_CHECKING."""
    found = set()
    package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in [node for top in tree.body for node in ast.walk(top) if not _waits(top)] if when_loaded else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            base = package[:len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{source}.{alias.name}" if f"{source}.{alias.name}" in modules else source for alias in node.names}
    return found


def _waits(top: ast.stmt) -> bool:
    return isinstance(top, (ast.FunctionDef, ast.ClassDef)) or (isinstance(top, ast.If) and ast.unparse(top.test) == "TYPE_CHECKING")


def wrong_imports(package: Path) -> list[str]:
    """Every import of the package that breaks a rule, in words; empty is good."""
    files = {}
    for file in sorted(package.rglob("*.py")):
        parts = file.relative_to(package.parent).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    wrong, graph = [], {}
    for name, file in files.items():
        imported = imports_of(file, name, set(files))
        inside = {target for target in imported if target.split(".")[0] == package.name}
        graph[name] = {target for target in imports_of(file, name, set(files), when_loaded=True) if target in files} - {name}
        part = name.split(".")[1] if "." in name else None
        if part is None:
            continue  # the package itself gathers everything
        if part not in RANK:
            wrong.append(f"{name} is in no layer; add it to LAYERS")
            continue
        for target in sorted(inside):
            above = target.split(".")[1] if "." in target else None
            if above is None:
                wrong.append(f"{name} imports from the package itself; import from the module that holds the name")
            elif RANK.get(above, 0) > RANK[part]:
                wrong.append(f"{name} imports {target}, which stands above it")
        wrong += [f"{name} imports {top}; only {', '.join(sorted(ONLY_IN[top]))} may" for top in sorted({t.split('.')[0] for t in imported})
                  if top in ONLY_IN and part not in ONLY_IN[top]]
        if name not in BY_COMPUTED_NAME and re.search(r"\bimport_module\(|__import__\(", file.read_text(encoding="utf-8")):
            wrong.append(f"{name} imports by a computed name, which this test cannot see")
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        wrong.append(f"imports run in a circle: {' -> '.join(error.args[1])}")
    return wrong


PROBE = """
import sys, torch, numpy
before, state = set(sys.modules), torch.get_rng_state()
sys.addaudithook(lambda event, args: sys.exit(f"touched the network: {event}") if event.startswith("socket.") else None)
import deepgen_lib
new = {name.split(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names) - {"deepgen_lib", "torch", "numpy"}
assert not new, f"import deepgen_lib also loads {', '.join(sorted(new))}"
assert torch.equal(state, torch.get_rng_state()), "import deepgen_lib draws or sets torch's random numbers"
heavy = {"deepgen_lib.plots", "deepgen_lib.widgets", "deepgen_lib.checks", "deepgen_lib.data"} & set(sys.modules)
assert not heavy, f"import deepgen_lib also loads {', '.join(sorted(heavy))}"
"""


def bare_import(folder: Path) -> str:
    """What goes wrong, or is printed, when a fresh interpreter imports the package in `folder`; "" is good."""
    ran = subprocess.run([sys.executable, "-c", f"import sys; sys.path.insert(0, {str(folder)!r})\n{PROBE}"], capture_output=True, text=True, timeout=120)
    return ran.stdout + ran.stderr


@pytest.fixture
def copy(tmp_path):
    """A copy of the package to plant errors in; plant(file, line) appends a line."""
    shutil.copytree(ROOT / "deepgen_lib", tmp_path / "deepgen_lib", ignore=shutil.ignore_patterns("embedded", "__pycache__"))

    def plant(file: str, line: str) -> Path:
        path = tmp_path / "deepgen_lib" / file
        path.write_text((path.read_text() if path.exists() else "") + f"\n{line}\n")
        return tmp_path
    return plant


def test_imports_go_one_way():
    assert wrong_imports(ROOT / "deepgen_lib") == []


@pytest.mark.parametrize("file, line, message", [
    ("kernels/gibbs.py", "from ..rbm import RBM", "deepgen_lib.kernels.gibbs imports deepgen_lib.rbm, which stands above it"),
    ("rbm.py", "def f():\n    from . import enumeration", "deepgen_lib.rbm imports deepgen_lib.enumeration, which stands above it"),
    ("claims.py", "import deepgen_lib.plots.style", "deepgen_lib.claims imports deepgen_lib.plots.style, which stands above it"),
    ("plots/style.py", "from ..widgets import explore", "deepgen_lib.plots.style imports deepgen_lib.widgets, which stands above it"),
    ("machine.py", "import matplotlib.pyplot as plt", "deepgen_lib.machine imports matplotlib; only plots may"),
    ("plots/basic.py", "from ipywidgets import HTML", "deepgen_lib.plots.basic imports ipywidgets; only progress_page, ranking, typed, widgets may"),
    ("sampling.py", "import triton", "deepgen_lib.sampling imports triton; only kernels, tiles may"),
    ("rbm_training.py", "import tqdm.auto", "deepgen_lib.rbm_training imports tqdm; only data, fitting may"),
    ("partition.py", "from . import sample_bernoulli", "deepgen_lib.partition imports from the package itself"),
    ("partition.py", "import importlib; importlib.import_module('deepgen_lib.' + 'plots')", "deepgen_lib.partition imports by a computed name"),
    ("sampling.py", "from .objectives import cd_gradient\nfrom .partition import base_rate", None),  # same layer, no circle
    ("brand_new.py", "x = 1", "deepgen_lib.brand_new is in no layer"),
])
def test_a_wrong_import_is_named(copy, file, line, message):
    found = wrong_imports(copy(file, line) / "deepgen_lib")
    assert found == [] if message is None else any(message in problem for problem in found), found


def test_a_circle_is_named(copy):
    copy("sampling.py", "from .objectives import cd_gradient")
    found = wrong_imports(copy("objectives.py", "from .sampling import gibbs_step") / "deepgen_lib")
    assert any("circle" in problem and "sampling" in problem and "objectives" in problem for problem in found), found


def test_a_grading_process_is_not_loaded_with_what_draws_or_asks():
    assert ONLY_IN["matplotlib"] | ONLY_IN["ipywidgets"] <= set(LATER)


def test_a_bare_import_needs_torch_and_numpy_alone():
    assert bare_import(ROOT) == ""


@pytest.mark.parametrize("line, message", [
    ("import matplotlib", "also loads"), ("from . import checks", "also loads deepgen_lib.checks"),
    ("import torch; torch.manual_seed(0)", "random numbers"), ("print('hello')", "hello"),
    ("import socket; socket.getaddrinfo('localhost', 80)", "touched the network"),
])
def test_a_heavy_import_is_named(copy, line, message):
    assert message in bare_import(copy("__init__.py", line))


@pytest.mark.parametrize("name", FIXED + VERBS)
def test_the_fixed_names_are_importable(name):
    assert getattr(deepgen_lib, name) is not None


def test_every_listed_name_exists():
    assert [name for name in dir(deepgen_lib) if not hasattr(deepgen_lib, name)] == []


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="deepgen_lib has no 'nothing'"):
        deepgen_lib.nothing
