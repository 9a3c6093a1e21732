"""make private: where the folder may lie, what is in it, what is kept, that nothing of it reaches the repository, and that it grades."""
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from deepgen_lib.checks.graded import graded, load_checks
from grading.private.course import check, make
from grading.private.place import grading_key, open_folder, private_folder
from grading.private.scan import files_of, found_in, lines_of, secrets_of, squeezed
from grading.score import Grader
from tests.grading_class import cell_of, lost, result_of, sandbox
from tools import private
from tools.exercises import leaks
from tools.sources import ROOT, built_path, read_notebook, write_notebook

CHAPTER = "08_vae"
KEY = "0123456789abcdef" * 4


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    """A private course of one chapter, with a key that is known here; nobody may change it."""
    folder = tmp_path_factory.mktemp("private")
    (folder / "key").write_text(KEY + "\n")
    assert make(folder, chapters=(CHAPTER,)).faults == []
    return folder


@pytest.fixture
def copy(course, tmp_path) -> Path:
    return Path(shutil.copytree(course, tmp_path / "copy"))


def solved(course: Path):
    """The solution's code without its marks, as a student would hand it in."""
    notebook = read_notebook(course / "solutions" / CHAPTER / f"{CHAPTER}.ipynb")
    for cell in notebook.cells:
        cell.source = re.sub(r"^ *### (BEGIN|END) SOLUTION\n?", "", re.sub(r"### BEGIN HIDDEN TESTS.*### END HIDDEN TESTS", "", cell.source, flags=re.DOTALL), flags=re.MULTILINE)
    return notebook


def marked(course: Path, notebook, folder: Path):
    path = folder / f"{CHAPTER}.ipynb"
    path.write_text(json.dumps(notebook))
    return Grader(course / "exercises" / CHAPTER / f"{CHAPTER}.ipynb", key=grading_key(course), sandbox=sandbox()).mark(path)


def test_the_same_key_gives_the_same_bytes_and_another_key_another_course(course, tmp_path):
    twin, other = tmp_path / "twin", tmp_path / "other"
    for folder, key in ((twin, KEY), (other, KEY[::-1])):
        folder.mkdir()
        (folder / "key").write_text(key + "\n")
        make(folder, chapters=(CHAPTER,))

    def content(folder: Path) -> dict:
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    assert content(twin) == content(course)
    assert {name for name, text in content(other).items() if text == content(course)[name]} == {"README.md", "nbgrader_config.py"}


def test_the_folder_is_closed_to_others_and_whole(course):
    assert sorted(path.name for path in course.iterdir()) == ["README.md", "checks", "exercises", "key", "made.json", "nbgrader_config.py", "rubrics", "solutions"]
    if os.name == "posix":
        assert stat.S_IMODE((course / "key").stat().st_mode) == 0o600 and stat.S_IMODE(course.stat().st_mode) == 0o700
        assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in course.rglob("*"))
    assert check(course) == []


def test_a_new_key_is_long_and_never_the_same(tmp_path):
    keys = {open_folder(tmp_path / name) for name in "ab"}
    assert len(keys) == 2 and all(len(key) == 64 for key in keys) and open_folder(tmp_path / "a") in keys
    assert grading_key(tmp_path / "a") not in keys


def test_a_folder_in_the_repository_is_refused_by_name_and_through_links(tmp_path, monkeypatch):
    root = tmp_path / "clone"
    (root / "work").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "link").symlink_to(root / "work")
    (root / "out").symlink_to(tmp_path / "outside")
    for place in (root, root / "private", root / "work/new/private", tmp_path / "link", tmp_path / "link/private", root / "out", tmp_path / "x/../clone/y"):
        with pytest.raises(ValueError, match="lies in the repository"):
            private_folder(place, root=root)
    for place in (ROOT / "private", ROOT):
        with pytest.raises(ValueError, match="lies in the repository"):
            private_folder(place)
    with pytest.raises(ValueError, match="holds the repository"):
        private_folder(tmp_path, root=root)
    with pytest.raises(ValueError, match="folder of Python or of the system"):
        private_folder(Path(sys.prefix) / "share/private", root=root)
    monkeypatch.delenv("DEEPGEN_PRIVATE", raising=False)
    with pytest.raises(ValueError, match="DEEPGEN_PRIVATE is not set"):
        private_folder()
    assert private_folder(tmp_path / "outside", root=root) == (tmp_path / "outside").resolve()


def test_a_folder_of_something_else_is_not_written_into(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="is not empty and holds no key"):
        make(tmp_path, chapters=(CHAPTER,))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_students_get_no_answer(course):
    released = read_notebook(course / "exercises" / CHAPTER / f"{CHAPTER}.ipynb")
    assert leaks(read_notebook(course / "solutions" / CHAPTER / f"{CHAPTER}.ipynb"), released) == []
    assert found_in([course / "exercises" / CHAPTER / f"{CHAPTER}.ipynb"], secrets_of(course), base=course) == []
    assert sum("raise NotImplementedError()" in cell.source for cell in released.cells) == 2
    assert not any(cell.get("outputs") for cell in released.cells)


def test_solutions_earn_everything_and_starts_nothing(course, tmp_path):
    mark = marked(course, solved(course), tmp_path)
    assert lost(mark) == [] and mark.points == mark.possible == 8
    assert marked(course, read_notebook(course / "exercises" / CHAPTER / f"{CHAPTER}.ipynb"), tmp_path).points == 0


def test_the_public_answer_and_each_known_mistake_earn_nothing_and_are_named(course, tmp_path):
    text = (course / "checks" / f"{CHAPTER}.py").read_text()
    for number in range(3):
        notebook = solved(course)
        wanted = []
        for exercise in load_checks(course / "checks" / f"{CHAPTER}.py"):
            name, wrong = list(exercise.parts[0].bank.items())[number]
            body = re.search(rf"^def _{exercise.name}_wrong_{number + 1}(.*?)\n\n", text, flags=re.MULTILINE | re.DOTALL)[1]
            cell_of(notebook, f"ex-{exercise.id.replace('.', '-')}").source = f"def {exercise.name}{body}"
            wanted.append((exercise.id, name, wrong.message))
        mark = marked(course, notebook, tmp_path)
        for exercise_id, name, message in wanted:
            result = result_of(mark, exercise_id)
            assert (result.points, result.misconception) == (0, name) and message in result.feedback
            assert number or "another model" in result.feedback


def test_the_public_solution_fails_on_the_variants(course, tmp_path):
    notebook, public = solved(course), cell_of(read_notebook(built_path(ROOT, "solutions", CHAPTER)), "ex-8-2").source
    exercise = load_checks(course / "checks" / f"{CHAPTER}.py")[0]
    cell_of(notebook, "ex-8-101").source = f"{public}\n{exercise.name} = kl_by_hand"
    assert lost(marked(course, notebook, tmp_path)) == ["8.101"]


def test_the_librarys_answer_earns_nothing_in_a_private_exercise_either(course, tmp_path):
    exercise = load_checks(course / "checks" / f"{CHAPTER}.py")[0]
    assert "latents.normal_kl" in exercise.taken
    notebook = solved(course)
    start = cell_of(notebook, "ex-8-101").source.splitlines()[0]
    for call in ("import deepgen_lib\n    return deepgen_lib.normal_kl(torch.zeros(2, 2), torch.zeros(2, 2))",
                 "from torch.distributions import Laplace, kl_divergence as kl\n    return kl(Laplace(0.0, 1.0), Laplace(0.0, 2.0))"):
        cell_of(notebook, "ex-8-101").source = f"{start}\n    {call}"
        result = result_of(marked(course, notebook, tmp_path), "8.101")
        assert result.points == 0 and "earns nothing; write it yourself" in result.feedback, result.feedback


def test_what_was_changed_by_hand_is_kept_and_proved_again(copy):
    file, solution = copy / "checks" / f"{CHAPTER}.py", copy / "solutions" / CHAPTER / f"{CHAPTER}.ipynb"
    file.write_text(file.read_text().replace("level='core'", "level='stretch'"))
    notebook = read_notebook(solution)
    notebook.cells[0].source += "\n\nHand in by Friday."
    write_notebook(notebook, solution)
    assert "type make private" in " ".join(check(copy))
    report = make(copy, chapters=(CHAPTER,))
    assert sorted(report.kept) == [f"checks/{CHAPTER}.py", f"solutions/{CHAPTER}/{CHAPTER}.ipynb"] and report.faults == [] == check(copy)
    assert "Friday" in (copy / "exercises" / CHAPTER / f"{CHAPTER}.ipynb").read_text() and "stretch" in file.read_text()
    head, right, rest = file.read_text().partition("_right(")
    file.write_text(head + right + rest.replace("return ", "return 2 * ", 1))
    assert any("is not what its proof says" in fault for fault in check(copy))
    assert make(copy, chapters=(CHAPTER,), afresh=True).kept == [] and check(copy) == []


@pytest.mark.parametrize("place, line", [("grading/notes.py", "checks"), ("pages/old.ipynb", "solutions"), (".github/log.txt", "key"), ("README.md", "rubric")])
def test_a_planted_leak_is_found_and_not_repeated(course, tmp_path, capsys, monkeypatch, place, line):
    """In a clone of a few files: a line of the answers in code, in a notebook's output, the key in a log, a line of the rubric."""
    root = tmp_path / "clone"
    (root / place).parent.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    monkeypatch.setenv("DEEPGEN_PRIVATE", str(course))
    assert private.main(["--check", "--root", str(root)]) == 0
    secret = {"checks": next(text for text in lines_of(course / "checks" / f"{CHAPTER}.py") if "PROOFS['8.101']" in text), "key": f"::add-mask::{KEY}",
              "solutions": next(text for text in lines_of(course / "solutions" / CHAPTER / f"{CHAPTER}.ipynb") if "seed=1" in text),
              "rubric": next(text for text in lines_of(course / "rubrics" / f"{CHAPTER}.md") if squeezed(text) in secrets_of(course))}[line]
    leaked = json.dumps({"cells": [{"cell_type": "code", "source": [], "outputs": [{"text": [f"{secret}\n"]}]}]}) if place.endswith("ipynb") else f"first\n{'    ' + secret}\n"
    (root / place).write_text(leaked)
    capsys.readouterr()
    assert private.main(["--check", "--root", str(root)]) == 1
    said = "".join(capsys.readouterr())
    assert place in said and "holds a line of the private course" in said and secret not in said and KEY not in said


def test_nothing_of_it_stands_in_this_repository(course):
    assert found_in(files_of(ROOT), secrets_of(course), base=ROOT) == []


def test_what_is_printed_gives_nothing_away(course, tmp_path, capsys, monkeypatch):
    folder = Path(shutil.copytree(course, tmp_path / "course"))
    monkeypatch.setenv("DEEPGEN_PRIVATE", str(folder))
    assert private.main(["08"]) == 0 and private.main(["--check"]) == 0
    (folder / "checks" / f"{CHAPTER}.py").write_text("secret_word = (")
    assert private.main(["--check"]) == 1
    said = "".join(capsys.readouterr())
    assert KEY not in said and "secret_word" not in said and "it does not run (SyntaxError)" in said
    names = {exercise.name for exercise in load_checks(course / "checks" / f"{CHAPTER}.py")}
    assert not any(name in said for name in names)
    assert private.main(["07"]) == 1


def test_nobody_else_reads_the_private_folder():
    """Which files of the repository know of DEEPGEN_PRIVATE; building, packaging and the continuous run are not among them."""
    knowing = {path.relative_to(ROOT).as_posix() for path in files_of(ROOT) if path.suffix in (".py", ".yml", ".toml", "") and b"DEEPGEN_PRIVATE" in path.read_bytes()}
    assert not {name for name in knowing if name.startswith((".ci", ".github", "source/", "benchmarks/")) or name in ("pyproject.toml", "tools/build.py")}
    assert 'include = ["deepgen_lib*"]' in (ROOT / "pyproject.toml").read_text()


def test_a_student_is_told_that_grading_comes_later(course, monkeypatch, capsys):
    monkeypatch.delenv("DEEPGEN_PRIVATE", raising=False)
    checks = graded(CHAPTER)
    checks.anything(lambda x: x)
    assert "looked at once you hand in" in capsys.readouterr().out
    with pytest.raises(AssertionError, match="not written yet"):
        checks.anything(None)
    monkeypatch.setenv("DEEPGEN_PRIVATE", str(course))
    exercise = load_checks(course / "checks" / f"{CHAPTER}.py")[0]
    getattr(graded(CHAPTER), exercise.name)(exercise.parts[0].right)
    assert "8.101 right" in capsys.readouterr().out
    with pytest.raises(ValueError, match="expected a name such as '02_rbm'"):
        graded("8")


@pytest.mark.parametrize("text, words", [("x = 1", "holds no Exercise"), ("x = (", "SyntaxError"), ("secret_word = 1\nunknown", "NameError \\(line 2\\)")])
def test_a_damaged_checks_file_is_answered_without_its_words(tmp_path, text, words):
    (tmp_path / "checks").mkdir()
    file = tmp_path / "checks" / "08_vae.py"
    file.write_text(text)
    with pytest.raises(ValueError, match=words) as error:
        load_checks(file)
    assert "secret_word" not in str(error.value)
    with pytest.raises(ValueError, match="there is no checks/09"):
        load_checks(tmp_path / "checks" / "09_x.py")
