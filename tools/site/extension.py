"""For Sphinx: equations as MathML, cells with their ids, claims in boxes with links to their cells, and names of claims that lead to the box."""
from __future__ import annotations

import re

from docutils import nodes
from sphinx.application import Sphinx

from tools.site.equations import equation

CLAIM = re.compile(r"(?<![\w./])(?<![a-z]-)([A-Z]\d{1,2}[a-z]?)(?!\w|\.\d|-[a-z])")
LINKS = {"claim": "proof", "planted": "planted error", "picture": "picture", "exercise": "exercise"}
CLOSED = (nodes.reference, nodes.literal, nodes.literal_block, nodes.title, nodes.raw, nodes.math, nodes.math_block)


def setup(app: Sphinx) -> dict:
    app.add_config_value("deepgen_claims", {}, "env")
    app.add_html_math_renderer("mathml", (_inline_math, None), (_block_math, None))
    app.connect("doctree-read", _cells_and_boxes)
    app.connect("doctree-resolved", _link_claims)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _inline_math(writer, node: nodes.math) -> None:
    writer.body.append(equation(node.astext()))
    raise nodes.SkipNode


def _block_math(writer, node: nodes.math_block) -> None:
    writer.body.append(f'<div class="equation">{equation(node.astext(), display=True)}</div>')
    raise nodes.SkipNode


def _cells_and_boxes(app: Sphinx, document: nodes.document) -> None:
    """Give each code cell its id, and each box that states a claim of this page its anchor and its links."""
    claims, page = app.config.deepgen_claims, app.env.docname
    for cell in document.findall(nodes.container):
        if "cell_metadata" in cell and "site_id" in cell["cell_metadata"]:
            cell["ids"].insert(0, f'cell-{cell["cell_metadata"]["site_id"]}')
    boxed = set()
    for box in document.findall(nodes.block_quote):
        strong = next(iter(box.findall(nodes.strong)), None)
        stated = CLAIM.match(strong.astext()) if strong else None
        if not stated or stated[1] in boxed or claims.get(stated[1], {}).get("page") != page:
            continue
        boxed.add(stated[1])
        box["ids"].append(f"claim-{stated[1]}")
        box["classes"].append("claim")
        box += nodes.raw("", _links(app, page, stated[1], claims[stated[1]]), format="html")
    for name, claim in claims.items():  # a claim without a box of its own leads to the cell that proves it
        if claim["page"] == page and name not in boxed:
            proof = next((cell for where, cell in claim["claim"] if where == page), None)
            for cell in document.findall(nodes.container):
                if proof and f"cell-{proof}" in cell["ids"]:
                    cell["ids"].append(f"claim-{name}")


def _links(app: Sphinx, page: str, name: str, claim: dict) -> str:
    parts = []
    for kind, words in LINKS.items():
        cells = [f'<a href="{_address(app, page, where)}#cell-{cell}" aria-label="{words} of {name}, {n}">{words if n == 1 else n}</a>' for n, (where, cell) in enumerate(claim[kind], 1)]
        parts += [" ".join(cells)] if cells else []
    parts.append(f'<a href="{_address(app, page, "LEDGER")}#ledger-{name}">ledger</a>')
    return f'<p class="claim-links">{" · ".join(parts)}</p>'


def _address(app: Sphinx, page: str, target: str) -> str:
    return app.builder.get_relative_uri(page, target) if target != page else ""


def _link_claims(app: Sphinx, document: nodes.document, page: str) -> None:
    """Wherever running text names a claim, link it to the claim's box."""
    claims = app.config.deepgen_claims
    for text in list(document.findall(nodes.Text)):
        if not CLAIM.search(text) or _inside(text, CLOSED) or (own := _own_box(text)) is None:
            continue
        parts = CLAIM.split(text)
        new = []
        for number, part in enumerate(parts):
            if number % 2 and part in claims and part != own:
                address = f'{_address(app, page, claims[part]["page"])}#claim-{part}'
                new.append(nodes.reference("", part, internal=True, refuri=address, classes=["claim-name"], reftitle=_plain(claims[part]["statement"])))
            elif part:
                new.append(nodes.Text(part))
        if any(isinstance(node, nodes.reference) for node in new):
            text.parent.replace(text, new)


def _inside(node: nodes.Node, kinds: tuple) -> bool:
    while node := node.parent:
        if isinstance(node, kinds):
            return True
    return False


def _own_box(node: nodes.Node) -> str:
    """The claim whose box this text stands in, or nothing."""
    while node := node.parent:
        if isinstance(node, nodes.block_quote) and "claim" in node["classes"]:
            return node["ids"][-1].removeprefix("claim-")
    return ""


def _plain(statement: str) -> str:
    """A statement without the marks of TeX, for a tooltip."""
    return re.sub(r"\\(?:mathrm|mathbb|text|Vert|mid|,|;)|[$\\{}]", " ", statement).replace("  ", " ").strip()
