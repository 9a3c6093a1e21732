"""A notebook's code as separate top-level statements: what each binds, what it needs, what it changes. Nothing is run."""
from __future__ import annotations

import ast
import re
import symtable
import warnings
from typing import NamedTuple

from .notebook import Cell


class Statement(NamedTuple):
    cell: Cell
    node: ast.stmt
    code: str
    binds: frozenset[str]    # names it defines
    needs: frozenset[str]    # global names it reads, in the bodies of functions too
    changes: frozenset[str]  # names whose object it changes: x[0] = 1, x.append(2)


def statements_of(cell: Cell) -> tuple[list[Statement], str]:
    """(statements, why the cell does not parse or "")."""
    try:
        with warnings.catch_warnings(action="ignore"):  # invalid escapes and the like are not ours to mend
            tree = ast.parse(_without_magics(cell.source))
            return [_statement(cell, node) for node in tree.body], ""
    except SyntaxError as error:
        return [], f"cell {cell.number} is no valid Python (line {error.lineno}: {error.msg})"
    except (ValueError, RecursionError, MemoryError) as error:
        return [], f"cell {cell.number} is no valid Python ({type(error).__name__})"


def is_import(statement: Statement) -> bool:
    return isinstance(statement.node, (ast.Import, ast.ImportFrom))


def is_empty_start(statement: Statement, starts: tuple[Statement, ...], name: str) -> bool:
    """Whether a definition is the untouched start, or a function that holds nothing yet."""
    if any(name in start.binds and ast.dump(start.node) == ast.dump(statement.node) for start in starts):
        return _asks_for_more(statement.node)  # a start may be whole: what is to be written is a helper of it
    if not isinstance(statement.node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return isinstance(statement.node, ast.Assign) and isinstance(statement.node.value, ast.Constant) and statement.node.value.value in (None, ...)
    body = [node for node in statement.node.body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))]
    return all(isinstance(node, ast.Pass) or (isinstance(node, ast.Raise) and "NotImplementedError" in ast.dump(node)) for node in body)


def _asks_for_more(node: ast.stmt) -> bool:
    """Whether something in it is left open: a NotImplementedError, or in a value None or `...`."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return any(isinstance(part, ast.Raise) and "NotImplementedError" in ast.dump(part) for part in ast.walk(node))
    return any(isinstance(part, ast.Constant) and part.value in (None, ...) for part in ast.walk(node))


def _without_magics(source: str) -> str:
    """IPython's own lines (%matplotlib inline, !ls, help?) become comments, only where the cell is no Python with them."""
    try:
        ast.parse(source)
        return source
    except SyntaxError:
        if source.lstrip().startswith("%%"):
            source = source.lstrip().partition("\n")[2] if re.match(r"\s*%%(time|timeit|capture)\b", source) else ""
        return "\n".join(re.sub(r"^(\s*)([%!].*|\S+\?+\s*)$", r"\1pass", line) for line in source.splitlines())


def _statement(cell: Cell, node: ast.stmt) -> Statement:
    code = ast.unparse(node)
    table = symtable.symtable(code, "cell", "exec")
    binds = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()}
    needs = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()} | _globals_in(table) | _added_to(node)
    return Statement(cell, node, code, frozenset(binds), frozenset(needs - ({"*"})), frozenset(_changed(node)))


def _globals_in(table: symtable.SymbolTable) -> set[str]:
    found = set()
    for child in table.get_children():
        found |= {symbol.get_name() for symbol in child.get_symbols() if symbol.is_global() and symbol.is_referenced()} | _globals_in(child)
    return found


def _added_to(node: ast.stmt) -> set[str]:
    """Names that a statement of the cell itself reads and binds at once: total += 1, table |= {...}."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return set()
    return {part.target.id for part in ast.walk(node) if isinstance(part, ast.AugAssign) and isinstance(part.target, ast.Name)}


def _changed(node: ast.stmt) -> set[str]:
    """Roots of the attributes, items and methods that a simple statement touches."""
    if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Delete)):
        targets = node.targets if isinstance(node, (ast.Assign, ast.Delete)) else [node.target]
        return {root for target in targets if isinstance(target, (ast.Attribute, ast.Subscript)) and (root := _root(target))}
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute):
        return {root} if (root := _root(node.value.func)) else set()
    return set()


def _root(node: ast.expr) -> str:
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""
