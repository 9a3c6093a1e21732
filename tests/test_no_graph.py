"""What draws, measures or reads under no_grad gives tensors without a graph, though every parameter asks for gradients: nothing keeps a training's memory alive."""
import ast
import functools
import importlib
from pathlib import Path

import pytest
import torch
from torch import nn

import deepgen_lib
from tests.blind import tensors_in

TABLES = ["bad_input", "bad_input_conv", "bad_input_dbn", "bad_input_features", "bad_input_nvae", "bad_input_vae",
          "bad_input_vq", "bad_input_vq_images", "side_by_side"]
PACKAGE = Path(deepgen_lib.__file__).parent


def says_no_grad(node: ast.AST) -> bool:
    return "torch.no_grad()" in [ast.unparse(part) for part in ast.walk(node) if isinstance(part, ast.Call)]


def without_graph(text: str) -> set[str]:
    """Functions of a file that are decorated with no_grad, or whose every `return` stands under it."""
    found = set()

    def look(node: ast.AST, name: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
                look(child, f"{name}.{child.name}".lstrip("."))
        if isinstance(node, ast.FunctionDef):
            inside = {r for w in ast.walk(node) if isinstance(w, ast.With) and any(says_no_grad(item.context_expr) for item in w.items) for r in ast.walk(w) if isinstance(r, ast.Return)}
            returns = {r for r in ast.walk(node) if isinstance(r, ast.Return)}
            if any(says_no_grad(d) for d in node.decorator_list) or (returns and returns == inside):
                found.add(name)

    look(ast.parse(text), "")
    return found


@functools.cache
def promised() -> set[tuple[str, str]]:
    """(module, function)"""
    modules = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}
    return {(module, name) for module, path in modules.items() for name in without_graph(path.read_text(encoding="utf-8"))}


def ask_for_gradients(value: object) -> None:
    """Every parameter of a model, of a trainer's model or of models in a list."""
    for thing in [value, getattr(value, "model", None), *(value if isinstance(value, (list, tuple)) else ())]:
        if isinstance(thing, nn.Module):
            for parameter in thing.parameters():
                parameter.requires_grad_(True)


@pytest.mark.parametrize("table", TABLES)
def test_results_carry_no_graph(table):
    wanted = promised()
    doors = importlib.import_module(f"tests.test_{table}").doors()
    for name, door in doors.items():
        if (door.function.__module__, door.function.__qualname__) in wanted:
            for value in [*door.good.values(), getattr(door.function, "__self__", None), door.model]:
                ask_for_gradients(value)
            kept = [tuple(tensor.shape) for tensor in tensors_in(door.function(**door.good)) if tensor.requires_grad]
            assert not kept, f"{name} gives tensors with a graph, of shapes {kept}"


@pytest.mark.parametrize("text, found", [
    ("@torch.no_grad()\ndef f(x):\n    return x", {"f"}), ("class A:\n    def f(self, x):\n        with torch.no_grad():\n            return x", {"A.f"}),
    ("def f(x):\n    with torch.no_grad():\n        y = x\n    return y", set()), ("def f(x):\n    return x", set()),
], ids=["decorated", "within", "returned outside", "plain"])
def test_what_promises_no_graph(text, found):
    assert without_graph(text) == found
