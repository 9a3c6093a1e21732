"""Mutants of a source text, one small wrong change each: what could be changed where, and a draw with a seed.

A change replaces the text of one expression and nothing else, so lines keep their numbers. Left alone are messages (what is raised, words), docstrings,
annotations and the arguments of the `require_...` helpers, whose texts name what they ask for.
"""
from __future__ import annotations

import ast
import copy
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

PAIRS = {"mean": "sum", "sum": "mean", "min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "argmin": "argmax", "argmax": "argmin", "amin": "amax", "amax": "amin"}
REDUCE = {"sum", "mean", "softmax", "log_softmax", "logsumexp", "cumsum", "argmax", "argmin", "max", "min", "amax", "amin", "unsqueeze", "squeeze", "std", "var", "prod", "any", "all", "norm"}
OPERATORS = {ast.Add: ("plus and minus", ast.Sub), ast.Sub: ("plus and minus", ast.Add), ast.Mult: ("times and divide", ast.Div), ast.Div: ("times and divide", ast.Mult)}
COMPARISONS = {ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt, ast.GtE), ast.Gt: (ast.GtE, ast.Lt), ast.GtE: (ast.Gt, ast.LtE), ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,)}
NO_SWAP = {"isinstance", "issubclass", "getattr", "hasattr", "setattr", "range", "super", "register", "zip", "partial", "print", "field", "lru_cache"}
TEACHING = {"minutes", "id", "level", "points", "fontsize", "figsize", "linewidth", "lw", "alpha", "zorder", "markersize", "s", "height", "width", "size", "indent", "rtol", "atol"}


class Mutant(NamedTuple):
    module: str      # deepgen_lib.rbm
    function: str    # RBM.free_energy, or "" at the top of a file
    kind: str        # what was done, in words
    line: int
    before: str      # the expression
    after: str       # what stands in its place
    text: str        # the line as it was
    span: tuple[int, int, int, int] = (0, 0, 0, 0)  # where the expression stands: lines from, to; bytes from, to
    statement: tuple[int, int] = (0, 0)  # the lines of the statement around it, without the statements inside that; (0, 0): it runs when the module is loaded
    nth: int = 1     # of the same changes on the same line

    @property
    def key(self) -> tuple[str, ...]:
        """What it is known by, as long as its line stays as it is."""
        return self.module, self.function, self.kind, self.text, f"{self.before} -> {self.after}" + (f" ({self.nth})" if self.nth > 1 else "")

    def applied(self, source: str) -> str | None:
        """The whole file with the change; None where that is not Python or says the same."""
        first, last, start, end = self.span
        lines = source.encode().splitlines(keepends=True)
        start, end = (sum(map(len, lines[:line - 1])) + column for line, column in ((first, start), (last, end)))
        rest, raw = "\n" * (last - first), source.encode()  # lines keep their numbers
        new = raw[:start] + f"({self.after}{rest})".encode() + raw[end:]
        try:
            return new.decode() if ast.dump(ast.parse(new)) != ast.dump(ast.parse(source)) else None
        except SyntaxError:
            return None


def changes_of(node: ast.AST, parent: ast.AST | None) -> Iterator[tuple[str, ast.AST]]:
    """(kind, new node) of everything that may be done to one node."""
    make = _CHANGES.get(type(node))
    if make:
        yield from make(node, parent)


def _with(node: ast.AST, **fields) -> ast.AST:
    new = copy.deepcopy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def _binary(node: ast.BinOp, parent) -> Iterator[tuple[str, ast.AST]]:
    if any(isinstance(side, (ast.JoinedStr, ast.List, ast.ListComp, ast.Tuple)) or isinstance(getattr(side, "value", None), str) for side in (node.left, node.right)):
        return
    if type(node.op) in OPERATORS:
        kind, other = OPERATORS[type(node.op)]
        yield kind, _with(node, op=other())
    if isinstance(node.op, (ast.Add, ast.Sub)):
        yield "term dropped", node.left
        if isinstance(node.op, ast.Add):
            yield "term dropped", node.right


def _unary(node: ast.UnaryOp, parent) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
        yield "sign", node.operand
    if isinstance(node.op, ast.Not):
        yield "condition", node.operand


def _compare(node: ast.Compare, parent) -> Iterator[tuple[str, ast.AST]]:
    if len(node.ops) == 1:
        for other in COMPARISONS.get(type(node.ops[0]), ()):
            yield "comparison", _with(node, ops=[other()])


def _call(node: ast.Call, parent) -> Iterator[tuple[str, ast.AST]]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in ("detach", "t", "transpose") and isinstance(node.func, ast.Attribute):
        yield "detach" if name == "detach" else "transpose", node.func.value
    axes = [(i, a) for i, a in enumerate(node.args[:2]) if name in REDUCE or (name in ("cat", "stack") and i == 1)]
    for place, axis in axes:
        if _whole(axis) is not None and not isinstance(parent, ast.Starred):
            yield "axis", _with(node, args=[*node.args[:place], ast.Constant(0 if _whole(axis) else 1), *node.args[place + 1:]])
            break
    for place, keyword in enumerate(node.keywords):
        if keyword.arg in ("dim", "axis") and _whole(keyword.value) is not None:
            yield "axis", _with(node, keywords=[*node.keywords[:place], ast.keyword(keyword.arg, ast.Constant(0 if _whole(keyword.value) else 1)), *node.keywords[place + 1:]])
    if len(node.args) >= 2 and all(isinstance(a, (ast.Name, ast.Attribute)) for a in node.args[:2]) and name not in NO_SWAP and ast.dump(node.args[0]) != ast.dump(node.args[1]):
        yield "arguments swapped", _with(node, args=[node.args[1], node.args[0], *node.args[2:]])
    if name in PAIRS and (node.args or isinstance(node.func, ast.Attribute)):
        kind = "mean and sum" if name in ("mean", "sum") else "min and max"
        if not (name == "sum" and isinstance(node.func, ast.Name)):
            yield kind, _with(node, func=_with(node.func, **({"attr": PAIRS[name]} if isinstance(node.func, ast.Attribute) else {"id": PAIRS[name]})))


def _whole(node: ast.AST) -> int | None:
    """The whole number that stands there, if one does."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        return None if not isinstance(node.operand.value, int) else -node.operand.value
    return node.value if isinstance(node, ast.Constant) and type(node.value) is int else None


def _attribute(node: ast.Attribute, parent) -> Iterator[tuple[str, ast.AST]]:
    if node.attr in ("T", "mT"):
        yield "transpose", node.value
    if node.attr in ("no_grad", "inference_mode"):
        yield "no_grad", _with(node, attr="enable_grad")


def _constant(node: ast.Constant, parent) -> Iterator[tuple[str, ast.AST]]:
    if type(node.value) is int and abs(node.value) < 2**16:
        yield "off by one", ast.Constant(node.value + 1)
    elif type(node.value) is float:
        yield "constant", ast.Constant(2 * node.value if node.value else 1.0)
    elif type(node.value) is bool and isinstance(parent, (ast.keyword, ast.Return)):
        yield "condition", ast.Constant(not node.value)


def _choice(node: ast.IfExp, parent) -> Iterator[tuple[str, ast.AST]]:
    yield "other one of two", _with(node, body=node.orelse, orelse=node.body)


def _logic(node: ast.BoolOp, parent) -> Iterator[tuple[str, ast.AST]]:
    yield "condition", _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())


def _pair(node: ast.Tuple, parent) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(parent, ast.Return) and len(node.elts) == 2:
        yield "other one of two", _with(node, elts=node.elts[::-1])


_CHANGES: dict[type, Callable] = {ast.BinOp: _binary, ast.UnaryOp: _unary, ast.Compare: _compare, ast.Call: _call, ast.Attribute: _attribute,
                                  ast.Constant: _constant, ast.IfExp: _choice, ast.BoolOp: _logic, ast.Tuple: _pair}


def mutants_of(module: str, source: str) -> list[Mutant]:
    """Every mutant of a file, in the order of its text."""
    lines, found, same = source.splitlines(), [], Counter()
    for node, parent, function, statement in _visit(ast.parse(source), None, "", (0, 0)):
        changes = [(node, kind, ast.unparse(new)) for kind, new in changes_of(node, parent)]
        if isinstance(node, (ast.If, ast.While)) and isinstance(node.test, (ast.Name, ast.Attribute, ast.Call)):
            changes.append((node.test, "condition", f"not {ast.unparse(node.test)}"))
        for old, kind, after in changes:
            span = old.lineno, old.end_lineno, old.col_offset, old.end_col_offset
            mutant = Mutant(module, function, kind, old.lineno, ast.unparse(old), after, lines[old.lineno - 1].strip(), span, statement)
            same[old.lineno, mutant.key] += 1
            found.append(mutant._replace(nth=same[old.lineno, mutant.key]))
    return found


def _visit(node: ast.AST, parent: ast.AST | None, function: str, statement: tuple[int, int], later: bool = False) -> Iterator[tuple[ast.AST, ast.AST | None, str, tuple[int, int]]]:
    """Every node that may be changed, with its parent, the name of the function it stands in and the lines of its statement; later: it runs when a function is called."""
    if isinstance(node, ast.stmt) and later:
        inner = [child.lineno for child in getattr(node, "body", []) if hasattr(child, "lineno")]
        statement = node.lineno, max(node.lineno, min(inner) - 1) if inner else node.end_lineno
    if hasattr(node, "lineno"):
        yield node, parent, function, statement
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        function = f"{function}.{node.name}".lstrip(".")
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "type_comment"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _left_alone(child):
                yield from _visit(child, node, function, statement, later or (name == "body" and isinstance(node, ast.FunctionDef)))


def _left_alone(node: ast.AST) -> bool:
    if isinstance(node, (ast.Raise, ast.JoinedStr, ast.Import, ast.ImportFrom)) or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
        return True
    if isinstance(node, ast.keyword):
        return node.arg in TEACHING
    name = node.func if isinstance(node, ast.Call) else None
    return isinstance(name, ast.Name) and name.id.lstrip("_").startswith(("require_", "warn"))


def draw(package: Path, n: int, seed: int, share: Callable[[str], float]) -> list[Mutant]:
    """At least one mutant in every public function of the modules whose share is 1, and then more up to n; kinds in turn, so that rare ones are tried too.

    share(module) in (0, 1]: how much of a module's functions is tried.
    """
    chance, used, chosen, left = random.Random(seed), Counter(), [], []
    for path in sorted(package.rglob("*.py")):
        module, source = ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__"), path.read_text(encoding="utf-8")
        functions: dict[str, list[Mutant]] = {}
        for mutant in mutants_of(module, source):
            functions.setdefault(mutant.function, []).append(mutant)
        for name, options in functions.items():
            public = name and not any(part.startswith("_") and not part.startswith("__") for part in name.split("."))
            if public and chance.random() < share(module):
                chosen += _rarest(options, source, used, chance)
            elif chance.random() < share(module):
                left.append((options, source))
            left += [(options, source)] * (share(module) == 1 and len(options) > 8)
    chance.shuffle(left)
    for options, source in left:
        if len(chosen) < n:
            chosen += _rarest(options, source, used, chance)
    once = list({mutant.key: mutant for mutant in chosen}.values())
    chance.shuffle(once)  # so that a run that is stopped has tried a fair part
    return once


def _rarest(options: list[Mutant], source: str, used: Counter, chance: random.Random) -> list[Mutant]:
    """One that is Python, of the kind that was drawn least so far; none where none is."""
    options = list(options)
    while options:
        kind = min({m.kind for m in options}, key=lambda k: (used[k], k))
        mutant = chance.choice([m for m in options if m.kind == kind])
        if mutant.applied(source):
            used[kind] += 1
            return [mutant]
        options.remove(mutant)
    return []
