"""make release: one zip with the students' folders and nothing else, always the same bytes, and none at all when something leaks."""
import json
import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.toy_course import EXERCISE_FILE, SOLUTION, STEM, write_course
from tools import course as entry
from tools.exercises import secret_lines
from tools.release import READ_ME, leaks_of_zip, main, release_zip, write_zip
from tools.sources import ROOT, find_sources, read_inputs

SECRET, HIDDEN = "terms = [-x * math.log(x) for x in p if x > 0]", "assert entropy([1.0, 0.0]) == 0"
OTHER = "02_other"


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """Two chapters, whose solutions share no line."""
    write_course(tmp_path)
    (tmp_path / f"source/solutions/{OTHER}.py").write_text(SOLUTION.replace("terms", "pieces").replace("1.0, 0.0", "0.0, 1.0"))
    return tmp_path


def names(archive: Path) -> list[str]:
    with zipfile.ZipFile(archive) as released:
        assert released.testzip() is None
        return released.namelist()


def test_one_chapter_or_all(course):
    one, all_of_them = release_zip(course, chapters=["01"]), release_zip(course)
    assert (one.name, all_of_them.name) == (f"deepgen-{STEM}.zip", "deepgen.zip")
    assert names(one) == [f"{STEM}/{STEM}.ipynb", READ_ME]
    assert names(all_of_them) == [f"{STEM}/{STEM}.ipynb", f"{OTHER}/{OTHER}.ipynb", READ_ME]
    with zipfile.ZipFile(one) as released:
        assert released.read(f"{STEM}/{STEM}.ipynb") == (course / EXERCISE_FILE).read_bytes()
    assert sorted(path.name for path in (course / "release").iterdir()) == ["deepgen-01_toy.zip", "deepgen.zip"]


def test_the_same_version_is_the_same_file(course):
    first = release_zip(course).read_bytes()
    (course / EXERCISE_FILE).unlink()
    os.utime(course / f"exercises/{OTHER}/{OTHER}.ipynb", (0, 2e9))
    assert release_zip(course).read_bytes() == first
    (course / f"exercises/{STEM}/data.csv").write_text("1,2\n")
    assert release_zip(course).read_bytes() != first and f"{STEM}/data.csv" in names(course / "release/deepgen.zip")


def test_a_misspelt_chapter_costs_no_earlier_release(course):
    before = release_zip(course)
    with pytest.raises(ValueError, match="no chapter starts with '07'"):
        release_zip(course, chapters=["01", "07"])
    assert before.exists()


def test_hidden_files_stay_here(course):
    release_zip(course)
    (course / f"exercises/{STEM}/.ipynb_checkpoints").mkdir()
    (course / f"exercises/{STEM}/.ipynb_checkpoints/{STEM}-checkpoint.ipynb").write_text(SECRET)
    assert len(names(release_zip(course))) == 3


def plant(course: Path, edit) -> None:
    path = course / EXERCISE_FILE
    notebook = json.loads(path.read_text())
    edit(notebook)
    path.write_text(json.dumps(notebook))


LEAKS = {
    "solution": (lambda book: book["cells"][0].update(source=["x\n", f"# as in {SECRET}"]), "holds the solution's line 'terms ="),
    "hidden test": (lambda book: book["cells"][2]["metadata"].update(note=HIDDEN), "holds the solution's line 'assert entropy"),
    "mark": (lambda book: book["cells"][1].update(source="### BEGIN SOLUTION"), "holds the mark 'BEGIN SOLUTION'"),
    "output": (lambda book: book["cells"][1].update(outputs=[{"output_type": "stream", "name": "stdout", "text": ["0.69\n"]}]), "holds what a run left"),
    "about the notebook": (lambda book: book["metadata"].update(author=[SECRET]), "cell metadata holds the solution's line"),
    "no place of a notebook": (lambda book: book.update(extra=SECRET), "is not a whole notebook"),
    "no place of a cell": (lambda book: book["cells"][1].update(extra=SECRET), "is not a whole notebook"),
}


@pytest.mark.parametrize("edit, words", LEAKS.values(), ids=LEAKS)
def test_a_leak_planted_in_the_zip_is_found(edit, words, course):
    release_zip(course)
    plant(course, edit)
    write_zip(course / "planted.zip", course / "exercises", [STEM, OTHER])
    solutions = {source.stem: read_inputs(source.text) for source in find_sources(course, kinds=("solutions",))}
    found = leaks_of_zip(course / "planted.zip", solutions)
    assert found and all(words in leak and leak.startswith(f"{STEM}/{STEM}.ipynb") for leak in found), found


@pytest.mark.parametrize("name, text, words", [
    (f"{STEM}/notes.md", f"Hint: {SECRET}", f"{STEM}/notes.md, cell text holds the solution's line"),
    (f"{STEM}/more/old.ipynb", "{}", "old.ipynb cannot be searched for leaks: it is not a whole notebook"),
    (f"{OTHER}/answers.zip", "PK", "answers.zip cannot be searched for leaks: a file of kind .zip"),
])
def test_a_leak_stops_the_release(name, text, words, course, capsys):
    before = release_zip(course)
    (course / "exercises" / name).parent.mkdir(exist_ok=True)
    (course / "exercises" / name).write_text(text)
    assert main(["--root", str(course)]) == 1
    assert words in capsys.readouterr().err
    assert not before.exists() and list((course / "release").iterdir()) == []


def test_a_leak_of_the_source_stops_the_release(course, capsys):
    path = course / f"source/solutions/{STEM}.py"
    path.write_text(path.read_text().replace("# # Exercises", f"# # Exercises: {SECRET}"))
    assert main(["--root", str(course), "01"]) == 1
    assert "FAILED  exercises/01_toy: cell 01-toy-001 holds the solution's line" in capsys.readouterr().err
    assert list((course / "release").iterdir()) == []


@pytest.mark.parametrize("chapters, words", [(["07"], "no chapter starts with '07'"), ([], "this course has no exercises")], ids=["unknown", "empty"])
def test_nothing_to_release_is_said(chapters, words, tmp_path, capsys):
    if chapters:
        write_course(tmp_path)
    assert main(["--root", str(tmp_path), *chapters]) == 1
    assert words in capsys.readouterr().err


def test_the_zip_of_the_course_as_it_is_leaks_nothing(tmp_path):
    """The notebooks as committed; test_exercises.py says that each is what its source makes."""
    solutions = {source.stem: read_inputs(source.text) for source in find_sources(kinds=("solutions",))}
    assert all(secret_lines(solution) for solution in solutions.values())
    write_zip(tmp_path / "all.zip", ROOT / "exercises", list(solutions))
    assert leaks_of_zip(tmp_path / "all.zip", solutions) == []
    assert names(tmp_path / "all.zip") == [*(f"{stem}/{stem}.ipynb" for stem in sorted(solutions)), READ_ME]


def test_make_hands_over_the_chapter_and_the_arguments():
    shown = subprocess.run(["make", "-n", "--no-print-directory", "release", "CHAPTER=01", "ARGS=02 --help"], cwd=ROOT, capture_output=True, text=True, check=True, env=os.environ | {"MAKEFLAGS": ""})
    assert shown.stdout.split()[1:] == ["tools/course.py", "release", "01", "02", "--help"]


def test_the_verb_starts_this_tool(monkeypatch):
    seen = []
    monkeypatch.setattr(entry.environment, "ensure", lambda root: "python")
    monkeypatch.setattr(entry, "run", lambda *command, **variables: seen.append(command) or 0)
    assert entry.release(["01"]) == 0 and seen == [("python", "-m", "tools.release", "01")]
