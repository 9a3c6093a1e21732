"""What must be true of the built notebooks before a comparison of their outputs means anything.

Every function returns a list of problems in words, each naming notebook and cell; an empty list is good.
"""
from __future__ import annotations

import ast
import warnings
from collections import defaultdict
from pathlib import Path

from nbformat import NotebookNode
from nbval.plugin import find_comment_markers, find_metadata_tags

from tools.exercises import release
from tools.sources import ROOT, built_path, code_cells, find_sources, read_inputs, read_notebook, tags_of
from tools.tolerance import tolerance_of

MAX_EXCUSED = 0.03   # share of all code cells
LOOSE_RTOL = 0.1     # a wider relative tolerance counts as an excuse
MIN_WORDS = 40       # characters that describe a figure
FIGURES = ("image/png", "image/jpeg", "image/svg+xml", "application/pdf")
SPEAKS = {"print", "display", "claim", "planted_error", "derivation", "reveal", "hint"}  # a call at the top level leaves an output


def stored_outputs(notebook: NotebookNode, name: str) -> list[str]:
    """Executed in order, no error, nothing on stderr, figures described, and outputs where the source prints."""
    problems = []
    for number, cell in enumerate(code_cells(notebook), start=1):
        where = f"{name}, cell {cell.id} (code cell {number})"
        if cell.execution_count != number:
            problems.append(f"{where}: execution count is {cell.execution_count}, expected {number}; build the notebook")
        if not cell.outputs and _speaks(cell.source):
            problems.append(f"{where}: no output is stored though its source prints; build the notebook")
        for output in cell.outputs:
            problems += [f"{where}: {problem}" for problem in _output_problems(output, tags_of(cell))]
    if not code_cells(notebook):
        problems.append(f"{name}: holds no code cell")
    return problems


def too_many_excused(notebooks: dict[str, NotebookNode]) -> list[str]:
    """Cells that are not compared, over all notebooks together: at most 3 % of the code cells."""
    cells = [(name, cell) for name, notebook in notebooks.items() for cell in code_cells(notebook)]
    excused = [f"{name}, cell {cell.id}: {excuse}" for name, cell in cells if (excuse := _excuse(cell))]
    if len(excused) <= MAX_EXCUSED * len(cells):
        return []
    return [f"{len(excused)} of {len(cells)} code cells are excused from comparison, allowed {MAX_EXCUSED:.0%}:", *excused]


def drift(root: Path = ROOT) -> list[str]:
    """Built files whose inputs, ids or metadata are not what source/ says, missing ones and orphans."""
    problems, expected_files = [], set()
    for source in find_sources(root):
        inputs = read_inputs(source.text)
        wanted = {source.built: inputs}
        if source.kind == "solutions":
            wanted[built_path(root, "exercises", source.stem)] = release(source.stem, inputs, root=root)
        for path, notebook in wanted.items():
            problems += _differences(path, notebook, path.relative_to(root).as_posix())
            expected_files.add(path)
    for folder in ("notebooks", "solutions", "exercises"):
        found = {path for path in (root / folder).rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts}
        problems += [f"{path.relative_to(root).as_posix()}: no source in source/; remove it" for path in sorted(found - expected_files)]
    return problems


def _differences(path: Path, wanted: NotebookNode, name: str) -> list[str]:
    if not path.exists():
        return [f"{name}: not built; build the notebooks"]
    built = read_notebook(path)
    problems = []
    if (built.metadata, built.nbformat, built.nbformat_minor) != (wanted.metadata, wanted.nbformat, wanted.nbformat_minor):
        problems.append(f"{name}: its notebook metadata is {dict(built.metadata)}, expected {dict(wanted.metadata)}")
    built_ids, wanted_ids = [cell.id for cell in built.cells], [cell.id for cell in wanted.cells]
    if built_ids != wanted_ids:
        odd = [cell_id for cell_id in built_ids + wanted_ids if built_ids.count(cell_id) != wanted_ids.count(cell_id)]
        return [*problems, f"{name}: its cells are not those of the source{', first ' + odd[0] if odd else ': another order'}; edit source/ and build"]
    changed = [f"{name}, cell {cell.id}: its {part} is not that of the source; edit source/ and build"
               for cell, wanted_cell in zip(built.cells, wanted.cells) for part in ("cell_type", "source", "metadata") if cell[part] != wanted_cell[part]]
    return problems + changed[:3] + [f"{name}: and {len(changed) - 3} more"] * (len(changed) > 3)


def _output_problems(output: NotebookNode, tags: list[str]) -> list[str]:
    if output.output_type == "error":
        return [] if "raises-exception" in tags else [f"stores the error {output.ename}: {output.evalue}"]
    if output.output_type == "stream":
        return [f"wrote to stderr: {output.text.strip()[:120]!r}; what it says differs between machines"] if output.name == "stderr" else []
    pictured = [kind for kind in FIGURES if kind in output.data] or ["<img"] * ("<img" in output.data.get("text/html", ""))
    words = output.data.get("text/plain", "").strip()
    if pictured and (len(words) < MIN_WORDS or words.startswith(("<Figure", "<IPython"))):
        return [f"shows a figure ({pictured[0]}) described by {words[:60]!r}, expected at least {MIN_WORDS} characters that say what it shows"]
    return []


def _excuse(cell: NotebookNode) -> str | None:
    """Why nbval would not compare this cell strictly, or None."""
    with warnings.catch_warnings(action="ignore"):
        options = defaultdict(bool, find_metadata_tags(cell.metadata)) | dict(find_comment_markers(cell.source))
    if options.get("skip") or options.get("check_exception") or options.get("check") is False:
        return "nbval is told to skip it, to ignore its output or to expect an exception"
    tolerance = tolerance_of(tags_of(cell))
    return f"rtol {tolerance.rtol:g} is wider than {LOOSE_RTOL:g}" if tolerance.rtol > LOOSE_RTOL else None


def _speaks(source: str) -> bool:
    """Does a statement at the top level, also inside for and with, call something that prints or displays?"""
    try:
        statements = list(ast.parse(source).body)
    except SyntaxError:  # a magic; its outputs are compared by nbval all the same
        return False
    while statements:
        statement = statements.pop()
        if isinstance(statement, (ast.For, ast.With)):
            statements += statement.body
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            function = statement.value.func
            if (function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")) in SPEAKS:
                return True
    return False
