"""The table of chapters says what the chapters say, and every link of every notebook leads somewhere, on GitHub and in work/."""
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from tools import chapters, workspace
from tools.chapters import HEADER, RULE, Chapter, out_of_date, read_chapters, updated
from tools.sources import ROOT

LINK = re.compile(r"\]\(([^)\s]+)\)")
LECTURE = "# %% [markdown]\n# # 1 · A title\n#\n# **Why so?**\n#\n# | | |\n# |:--|:--|\n# | **Time** | 30 minutes to read, 40 for the exercises |\n"
START = LECTURE.replace("1 · A title", "0 · Start").replace("30 minutes to read, 40 for the exercises", "5 minutes") + f"#\n# {HEADER}\n# {RULE}\n#\n# The end.\n"
PLANNED = '[02_b]\ntitle = "Later"\nquestion = "And then?"\nclaims = "D1"\n'
CLAIMS = "".join(f'[{name}]\nstatement = "x"\nchapter = "01_a"\nslide = "y"\nerratum = ""\n' for name in ("B1", "B2", "B3", "D1", "D3", "V6", "V6b"))


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of two written chapters, the second with two exercises, and a planned one."""
    monkeypatch.setattr(chapters, "registered", lambda: [SimpleNamespace(chapter=stem, minutes=m) for stem, m in [("00_start_here", 2), ("01_a", 10), ("01_a", 30)]])
    (tmp_path / "source" / "lectures").mkdir(parents=True)
    for name, text in {"source/lectures/00_start_here.py": START, "source/lectures/01_a.py": LECTURE, "source/planned.toml": PLANNED,
                       "source/claims.toml": CLAIMS, "README.md": f"Words.\n\n{HEADER}\n{RULE}\n\nMore words.\n"}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert out_of_date(tmp_path, write=True) == ["README.md", "source/lectures/00_start_here.py"]
    return tmp_path


def test_the_tables_are_up_to_date():
    assert out_of_date() == [], "run  python -m tools.chapters"


def test_a_chapter_is_read_from_its_own_words(course):
    assert read_chapters(course) == [
        Chapter("00_start_here", "Start", "Why so?", "", "5", 1, False),
        Chapter("01_a", "A title", "Why so?", "B1-B3, D1, D3, V6, V6b", "30\u00a0+\u00a040", 2, False),
        Chapter("02_b", "Later", "And then?", "D1", "", 0, True)]


def test_the_links_fit_the_place(course):
    readme, start = ((course / place).read_text() for place in chapters.PLACES)
    assert "| [1 · A title](notebooks/01_a.ipynb) |" in readme and "[2](exercises/01_a/01_a.ipynb)" in readme
    assert "# | [1 · A title](01_a.ipynb) |" in start and "[2](../exercises/01_a/01_a.ipynb)" in start
    assert "| 2 · Later | And then? | D1 | *planned* | |" in readme and "Words.\n" in readme and "\n# The end." in start


@pytest.mark.parametrize("file, old, new", [
    ("source/lectures/01_a.py", "30 minutes", "31 minutes"), ("source/lectures/01_a.py", "A title", "Another"), ("source/planned.toml", "And then?", "What then?"),
    ("source/claims.toml", "[B3]", "[B4]"), ("README.md", "30\u00a0+\u00a040", "10 + 10"),
])
def test_a_table_that_lags_behind_is_seen(course, file, old, new):
    assert out_of_date(course) == []
    path = course / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert "README.md" in out_of_date(course)


@pytest.mark.parametrize("old, new, words", [
    ("# # 1 · A title", "# # A title", "has no title"), ("**Why so?**", "Why so?", "has no question"), ("**Time**", "Time", "has no row"),
    ("40 for the exercises", "50 for the exercises", "the row Time says 50 minutes for the exercises, their cards add up to 40"),
])
def test_a_lecture_without_its_header_is_named(course, old, new, words):
    path = course / "source/lectures/01_a.py"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match=f"01_a.py: {words}"):
        read_chapters(course)


def test_a_written_chapter_cannot_stay_planned(course):
    (course / "source/lectures/02_b.py").write_text(LECTURE)
    with pytest.raises(ValueError, match="02_b has a lecture now"):
        read_chapters(course)


def test_a_file_without_its_table_is_named():
    with pytest.raises(ValueError, match="README.md: the line .* occurs 0 times"):
        updated("nothing", "README.md", [])


def missing_sections(text: str, lectures: dict[str, str]) -> list[str]:
    """Sections that a text names ("2.10") and that are no heading of a lecture."""
    headings = {number for lecture in lectures.values() for number in re.findall(r"^# ## (\d+\.\d+) ", lecture, re.MULTILINE)}
    return [number for number in re.findall(r"(?<![\d.])[1-9]\d*\.\d+(?![\d.]|\()", text) if number not in headings]


def test_the_ways_through_name_sections_that_exist():
    lectures = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "source" / "lectures").glob("*.py")}
    rows = [line for line in lectures["00_start_here"].splitlines() if line.startswith(("# | **following", "# | **taking", "# | **preparing"))]
    assert len(rows) == 3 and missing_sections("\n".join(rows), lectures) == []
    assert missing_sections("see 1.2 and 1.99", {"01_a": "# ## 1.2 A heading"}) == ["1.99"]


def dead_links(root: Path) -> list[str]:
    """Relative links of the notebooks and of README.md below root that lead nowhere, or out of root."""
    dead = []
    for path in sorted([*root.rglob("*.ipynb"), *root.glob("README.md")]):
        if ".ipynb_checkpoints" in path.parts:
            continue
        text = path.read_text(encoding="utf-8")
        words = text if path.suffix == ".md" else "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown")
        for link in LINK.findall(words):
            target = (path.parent / link.split("#")[0]).resolve()
            if not re.match(r"(https?|mailto|attachment):|#", link) and not (target.is_file() and target.is_relative_to(root.resolve())):
                dead.append(f"{path.relative_to(root).as_posix()}: {link}")
    return dead


@pytest.fixture
def published(tmp_path):
    """What a reader on GitHub sees: README.md and the built notebooks, with the files that they link to."""
    for folder in ("notebooks", "exercises", "solutions", "reference"):
        if (ROOT / folder).exists():
            shutil.copytree(ROOT / folder, tmp_path / folder)
    for file in [*ROOT.glob("*.md"), *ROOT.glob("LICENSE*"), *ROOT.glob("*.cff")]:
        shutil.copy(file, tmp_path)
    return tmp_path


def test_every_link_leads_somewhere_on_github(published):
    assert dead_links(published) == []


def test_every_link_leads_somewhere_in_a_students_folder(published):
    workspace.bring(published, renew=False)
    assert dead_links(published / "work") == []


def test_a_dead_link_is_seen(tmp_path):
    cells = [{"cell_type": "markdown", "source": ["[a](b.ipynb) [c](../README.md)\n", "[web](https://example.org) [d](#here)"]}, {"cell_type": "code", "source": "x[0](1)"}]
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "a.ipynb").write_text(json.dumps({"cells": cells}))
    assert dead_links(tmp_path) == ["notebooks/a.ipynb: b.ipynb", "notebooks/a.ipynb: ../README.md"]
    assert dead_links(tmp_path / "notebooks") == ["a.ipynb: b.ipynb", "a.ipynb: ../README.md"]  # the second leads out of the folder
