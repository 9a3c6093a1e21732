"""Chapter 14 says that its kernels are Triton, character for character: each one, of the lecture and of the solutions, compiles for two GPUs, without a GPU."""
import ast
import importlib.util

import pytest

if importlib.util.find_spec("triton") is None:
    pytest.skip("Triton has no wheel for this system", allow_module_level=True)
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from deepgen_lib.tiles.in_triton import HEAD
from tools.sources import code_cells, find_sources, read_inputs

TYPES = {  # kernel: types of the arguments that are no constants, in their order, * marks a pointer; the constants by name
    "double": ("*fp32 *fp32 i32", dict(BLOCK=4)), "unmasked": ("*fp32 *fp32 i32", dict(BLOCK=4)), "crowd": ("*fp32 *fp32", dict(BLOCK=4)),
    "softplus_all": ("*fp32 *fp32 i32", dict(BLOCK=16)), "sum_rows": ("*fp32 *fp32 i32", dict(BLOCK=16)),
    "sum_softplus": ("*fp32 *fp32 i32", dict(FILL=-float("inf"), BLOCK=16)), "row_max": ("*fp32 *fp32 i32", dict(FILL=0.0, BLOCK=32)),
    "backward": ("*fp32 *fp32 *fp32 i32", dict(BLOCK=16)), "forgetful": ("*fp32 *fp32 *fp32 i32", dict(BLOCK=16)),
    "nearest": ("*fp32 *fp32 *i32 i32 i32", dict(FILL=float("inf"), D=16, ROWS=16, CODES=16)),
    "half_step": ("*fp32 *fp32 *fp32 *fp32 i32 i32 i32 i32 i32", dict(ROWS=16, COLS=16, DEPTH=16)),
    "by_program": ("*fp32 *fp32 *fp32 *fp32 i32 i32 i32 i32 i32", dict(ROWS=16, COLS=16, DEPTH=16)), "uniforms": ("*fp32 i32 i32", dict(BLOCK=128)),
    "log_sum_exp_kernel": ("*fp32 *fp32 i32", dict(BLOCK=32)), "backward_kernel": ("*fp32 *fp32 *fp32 *fp32 i32", dict(BLOCK=8)),
    "similar_kernel": ("*fp32 *fp32 *i32 i32", dict(D=16, CODES=8)), "noise_kernel": ("*fp32 *fp32 i32 i32 i32 i32", dict(ROWS=4, COLS=8)),
    "gather_kernel": ("*fp32 *i32 *fp32 *fp32 i32", dict(D=4, ROWS=8)), "chain_kernel": ("*fp32 *fp32 *fp32 *fp32 *fp32 i32 i32 i32", dict(V=16, H=16, ROWS=16)),
}
HELPERS = {"softplus"}  # called by kernels, never launched


def texts() -> dict[str, str]:
    """Every function under @jit of the chapter's two notebooks, by name; no name is used twice."""
    found = {}
    for source in find_sources():
        if source.stem == "14_kernels":
            for cell in code_cells(read_inputs(source.text)):
                for node in ast.parse(cell.source).body:
                    if isinstance(node, ast.FunctionDef) and [ast.unparse(d) for d in node.decorator_list] == ["jit"]:
                        assert node.name not in found, f"two kernels are called {node.name}"
                        found[node.name] = "@jit\n" + ast.get_source_segment(cell.source, node)
    return found


TEXTS = texts()


@pytest.fixture(autouse=True)
def a_cache_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "triton"))


def test_every_kernel_of_the_chapter_is_listed_here():
    assert set(TEXTS) == set(TYPES) | HELPERS


@pytest.mark.parametrize("capability", [90, 75])
@pytest.mark.parametrize("name", TYPES)
def test_the_kernel_compiles(name, capability, tmp_path):
    types, constants = TYPES[name]
    assert "cubin" in compiled(TEXTS[name], name, types.split(), constants, capability, tmp_path).asm


def test_what_is_no_triton_is_refused(tmp_path):
    broken = TEXTS["double"].replace("tl.arange(0, BLOCK)", "tl.arange(0, n)")
    with pytest.raises(Exception, match="arange"):
        compiled(broken, "double", ["*fp32", "*fp32", "i32"], dict(BLOCK=4), 90, tmp_path)


def compiled(text: str, name: str, types: list[str], constants: dict, capability: int, folder):
    path = folder / f"chapter_{name}.py"
    path.write_text(HEAD + "\n\n".join([*(TEXTS[helper] for helper in HELPERS), text]) + "\n", encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function = getattr(module, name)
    names = function.arg_names
    types = iter(types)
    signature = {argument: "constexpr" if argument in constants else next(types) for argument in names}
    assert next(types, None) is None, f"{name}: more types than arguments"
    return triton.compile(ASTSource(function, signature, {(names.index(n),): value for n, value in constants.items()}), target=GPUTarget("cuda", capability, 32))
