"""A small table of numbers: Markdown for the eyes, aligned text for the comparison."""
from __future__ import annotations

from collections.abc import Mapping, Sequence

from .inputs import array, text_labels


class Table:
    """header: names of the columns. rows: texts, the first of each is the row's name. left: numbers of the columns set flush left."""

    def __init__(self, header: Sequence[str], rows: Sequence[Sequence[str]], *, left: Sequence[int] = (0,)):
        self.header, self.rows, self.left = list(header), [list(row) for row in rows], set(left)

    def _repr_markdown_(self) -> str:
        lines = [self.header, [":--" if i in self.left else "--:" for i in range(len(self.header))], *self.rows]
        return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)

    def __repr__(self) -> str:
        widths = [max(len(row[i]) for row in [self.header, *self.rows]) for i in range(len(self.header))]
        return "\n".join("  ".join(cell.ljust(w) if i in self.left else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))).rstrip() for row in [self.header, *self.rows])


def table(rows: Mapping[str, Sequence], *, columns: Sequence[str], corner: str = "", digits: int = 3) -> Table:
    """A table of {name of the row: (C,) numbers or texts}, C names of columns; numbers get `digits` decimals, whole numbers none.

    A column of texts alone is set flush left, every other flush right.
    """
    columns = text_labels("table", columns)
    if not rows:
        raise ValueError("table: got no rows, expected at least one {name: values}")
    found = []
    for name, values in rows.items():
        values = list(values.tolist() if hasattr(values, "tolist") else values)
        if len(values) != len(columns):
            raise ValueError(f"table: row {name!r} has {len(values)} values, expected {len(columns)}, one per column")
        found.append([str(name), *(_cell(value, digits) for value in values)])
    texts = [i for i, values in enumerate(zip(*(list(row) for row in rows.values())), start=1) if all(isinstance(value, str) for value in values)]
    return Table([corner, *columns], found, left=[0, *texts])


def _cell(value, digits: int) -> str:
    if isinstance(value, (str, int)):
        return str(value)
    text = f"{float(array('table', value, name='a cell')):.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text
