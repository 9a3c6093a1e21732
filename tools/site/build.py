"""Build the pages with Sphinx, in one folder that can be opened as it is or put on any static host."""
from __future__ import annotations

import contextlib
import io
import re
import shutil
import tempfile
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

from tools.site.staging import claim_places, stage
from tools.sources import ROOT

STATIC = Path(__file__).with_name("static")
THEME = "furo"
SETTINGS = {
    "project": "deepgen", "author": "The deepgen authors", "html_title": "deepgen", "language": "en",
    "extensions": ["myst_nb", "tools.site.extension"],
    "nb_execution_mode": "off", "nb_render_markdown_format": "myst", "nb_merge_streams": False,
    "myst_enable_extensions": ["dollarmath", "amsmath"], "myst_dmath_double_inline": True, "myst_heading_anchors": 4,
    "html_theme": THEME, "html_math_renderer": "mathml", "html_static_path": [str(STATIC)], "html_css_files": ["site.css"], "html_js_files": ["site.js"],
    "html_copy_source": False, "html_show_sourcelink": False, "html_show_sphinx": False, "html_show_copyright": False,
    "pygments_style": "a11y-high-contrast-light",
    "keep_warnings": False, "nitpicky": False,
}
FINISH = [  # what the theme leaves out, for those who listen to a page
    ('<aside class="sidebar-drawer">', '<aside class="sidebar-drawer" aria-label="All pages">'),
    ('<aside class="toc-drawer', '<aside aria-label="On this page" class="toc-drawer'),
    ('role="heading"', 'role="heading" aria-level="2"'),
    (re.compile(r'<thead>\s*<tr class="row-odd">(?:<th class="head[^"]*"><p></p></th>\s*)+</tr>\s*</thead>'), ""),  # a table that needs no heads
    (re.compile(r'<th class="(head[^"]*)"><p></p></th>'), r'<td class="\1"></td>'),
    ('<div id="search-results"></div>', '<h1>Search</h1>\n<div id="search-results"></div>'),
]


def build(site: Path, *, root: Path = ROOT, frames: dict[str, dict] | None = None, **settings) -> list[str]:
    """Write all pages into `site` (its frames/ stays); returns Sphinx's warnings. frames: {chapter: {cell id: frames}}; settings: of Sphinx."""
    site.mkdir(parents=True, exist_ok=True)
    for old in site.iterdir():
        if old.name != "frames":
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    with tempfile.TemporaryDirectory() as folder:
        pages, said = Path(folder) / "pages", io.StringIO()
        stage(pages, site, root=root, frames=frames)
        with patch_docutils(), docutils_namespace(), contextlib.redirect_stderr(io.StringIO()):
            app = Sphinx(pages, None, site, Path(folder) / "doctrees", "html", SETTINGS | {"deepgen_claims": claim_places(root)} | settings,
                         status=None, warning=said, freshenv=True, verbosity=0)
            app.build()
    for page in site.rglob("*.html"):
        page.write_text(_finished(page.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
    for left in ("objects.inv", ".buildinfo"):
        (site / left).unlink(missing_ok=True)
    (site / ".nojekyll").touch()
    return [re.sub(r"\x1b\[[\d;]*m", "", line).replace(str(pages) + "/", "") for line in said.getvalue().splitlines() if line.strip()]


def _finished(page: str) -> str:
    for old, new in FINISH:
        page = old.sub(new, page) if isinstance(old, re.Pattern) else page.replace(old, new)
    return page
