"""work/: what a student changed is never overwritten, what they did not change follows the course, nothing is lost silently."""
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import workspace

ROOT = Path(__file__).resolve().parents[1]
NAME = "notebooks/01_toy.ipynb"


def notebook(*sources: str, outputs: tuple = ()) -> str:
    cells = [{"cell_type": "code", "id": f"c{i}", "metadata": {}, "execution_count": None, "outputs": list(outputs), "source": s}
             for i, s in enumerate(sources)]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def write(path: Path, *sources: str, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(notebook(*sources, **options))
    return path


def run_it(path: Path) -> None:
    """What opening and running does: outputs, counts and metadata change, JupyterLab adds an empty cell, sources may become lists."""
    content = json.loads(path.read_text())
    for count, cell in enumerate(content["cells"], start=1):
        cell.update(outputs=[{"output_type": "stream", "name": "stdout", "text": ["ran"]}], execution_count=count, source=[cell["source"]])
    content["cells"].append({"cell_type": "code", "id": "new", "metadata": {}, "execution_count": None, "outputs": [], "source": []})
    content["metadata"]["widgets"] = {"state": 1}
    path.write_text(json.dumps(content, indent=2))


@pytest.fixture
def course(tmp_path: Path) -> Path:
    write(tmp_path / NAME, "version = 1")
    write(tmp_path / "exercises/01_toy/01_toy.ipynb", "def answer(): ...")
    (tmp_path / "notebooks/.ipynb_checkpoints").mkdir()
    write(tmp_path / "notebooks/.ipynb_checkpoints/01_toy.ipynb", "hidden")
    assert workspace.bring(tmp_path, renew=False) == []
    return tmp_path


def test_lab_copies_the_course_and_nothing_hidden(course):
    work = course / "work"
    assert (work / NAME).read_bytes() == (course / NAME).read_bytes()
    visible = sorted(p.relative_to(work).as_posix() for p in work.rglob("*") if p.is_file() and not p.name.startswith("."))
    assert visible == ["exercises/01_toy/01_toy.ipynb", NAME]


def test_copies_come_without_outputs_and_count_as_unchanged(tmp_path):
    """The reader predicts before the cell reveals; what the built notebook printed stays in the course."""
    run_it(write(tmp_path / NAME, "version = 1"))
    built = (tmp_path / NAME).read_text()
    assert "ran" in built and workspace.bring(tmp_path, renew=False) == []
    copy = json.loads((tmp_path / "work" / NAME).read_text())
    assert [(c["outputs"], c["execution_count"]) for c in copy["cells"]] == [([], None)] * 2 and (tmp_path / NAME).read_text() == built
    assert workspace.compare(tmp_path / NAME, tmp_path / "work" / NAME, [workspace.fingerprint(tmp_path / NAME)]) == "nothing"


def test_what_is_not_changed_is_replaced_but_only_by_update(course):
    write(course / NAME, "version = 2")
    assert "1 of your notebooks have a new version" in workspace.bring(course, renew=False)[0]
    assert "version = 1" in (course / "work" / NAME).read_text()
    assert workspace.bring(course, renew=True) == [f"new version: {NAME}"]
    assert "version = 2" in (course / "work" / NAME).read_text()
    assert workspace.bring(course, renew=True) == []


def test_a_run_is_no_change_and_is_kept(course):
    copy = course / "work" / NAME
    run_it(copy)
    ran = copy.read_bytes()
    assert workspace.bring(course, renew=True) == [] and copy.read_bytes() == ran
    write(course / NAME, "version = 2")
    assert workspace.bring(course, renew=True) == [f"new version: {NAME} (your run of the old one: replaced/{NAME})"]
    assert "version = 2" in copy.read_text()
    assert (course / "work/replaced" / NAME).read_bytes() == ran


def test_two_runs_are_both_kept(course):
    for version in (2, 3):
        run_it(course / "work" / NAME)
        write(course / NAME, f"version = {version}")
        workspace.bring(course, renew=True)
    assert sorted(p.name for p in (course / "work/replaced/notebooks").iterdir()) == ["01_toy-2.ipynb", "01_toy.ipynb"]


def test_what_is_changed_stays_and_the_new_version_is_put_beside_it_once(course):
    copy = write(course / "work" / NAME, "version = 1", "my = 'own cell'")
    mine = copy.read_bytes()
    assert workspace.bring(course, renew=True) == []  # changed, but there is nothing new
    write(course / NAME, "version = 2")
    assert workspace.bring(course, renew=True) == [f"you changed {NAME}; the new version lies beside it: 01_toy.new.ipynb"]
    assert copy.read_bytes() == mine
    assert "version = 2" in copy.with_name("01_toy.new.ipynb").read_text()
    assert workspace.bring(course, renew=True) == [] and copy.read_bytes() == mine


def test_an_offered_version_that_the_student_works_in_stays_too(course):
    write(course / "work" / NAME, "mine")
    write(course / NAME, "version = 2")
    workspace.bring(course, renew=True)
    offered = write(course / "work/notebooks/01_toy.new.ipynb", "version = 2, and mine")
    write(course / NAME, "version = 3")
    assert workspace.bring(course, renew=True) == [f"you changed {NAME}; the new version lies beside it: 01_toy.new-2.ipynb"]
    assert "and mine" in offered.read_text()


def test_taking_the_offered_version_makes_the_copy_follow_again(course):
    copy = write(course / "work" / NAME, "mine")
    write(course / NAME, "version = 2")
    workspace.bring(course, renew=True)
    copy.with_name("01_toy.new.ipynb").replace(copy)
    write(course / NAME, "version = 3")
    assert workspace.bring(course, renew=True) == [f"new version: {NAME}"]
    assert "version = 3" in copy.read_text()


@pytest.mark.parametrize("renew", [False, True])
def test_what_is_missing_is_brought_back_and_said(course, renew):
    (course / "work" / NAME).unlink()
    assert workspace.bring(course, renew=renew) == [f"brought back, it was missing: {NAME}"]
    assert (course / "work" / NAME).exists()


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"notebooks/01_toy.ipynb": 3}', '{"notebooks/01_toy.ipynb": {"versions": 3, "bytes": 1}}'])
def test_without_its_list_nothing_is_overwritten(course, damage):
    (course / "work" / workspace.MANIFEST).write_text(damage)
    copy = course / "work" / NAME
    mine = copy.read_bytes()
    write(course / NAME, "version = 2")
    assert "01_toy.new.ipynb" in workspace.bring(course, renew=True)[0]
    assert copy.read_bytes() == mine


def test_copies_that_say_what_the_course_says_follow_it_again_without_the_list(course):
    (course / "work" / workspace.MANIFEST).unlink()
    workspace.bring(course, renew=False)
    write(course / NAME, "version = 2")
    assert workspace.bring(course, renew=True)[0].startswith(f"new version: {NAME}")


def test_what_left_the_course_stays_with_the_student(course):
    (course / NAME).unlink()
    assert workspace.bring(course, renew=True) == [f"no longer in the course, your copy stays: {NAME}"]
    assert (course / "work" / NAME).exists()
    assert workspace.bring(course, renew=True) == []


@pytest.mark.parametrize("text", ["not json", "{}", '{"cells": [{"cell_type": "code"}]}', '{"cells": 3}'])
def test_a_damaged_notebook_counts_as_changed(course, text):
    copy = course / "work" / NAME
    copy.write_text(text)
    write(course / NAME, "version = 2")
    workspace.bring(course, renew=True)
    assert copy.read_text() == text


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def update(clone: Path) -> str:
    done = subprocess.run([sys.executable, "tools/course.py", "update"], cwd=clone, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    origin = tmp_path / "origin"
    shutil.copytree(ROOT / "tools", origin / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    write(origin / NAME, "version = 1")
    (origin / ".gitignore").write_text("work/\n__pycache__/\n")
    git(origin, "init", "-q")
    git(origin, "add", ".")
    git(origin, "commit", "-qm", "one")
    git(tmp_path, "clone", "-q", "origin", "clone")
    return tmp_path / "clone"


def test_update_pulls_and_leaves_the_checkout_clean(clone):
    update(clone)
    write(clone.parent / "origin" / NAME, "version = 2")
    git(clone.parent / "origin", "commit", "-qam", "two")
    assert f"new version: {NAME}" in update(clone)
    assert "version = 2" in (clone / "work" / NAME).read_text()
    assert "up to date" in update(clone)
    status = subprocess.run(["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True)
    assert status.stdout == ""


def test_update_says_why_it_cannot_pull_and_still_brings_what_is_there(clone):
    write(clone / NAME, "changed in the checkout")
    write(clone.parent / "origin" / NAME, "version = 2")
    git(clone.parent / "origin", "commit", "-qam", "two")
    assert "git could not bring the new version" in update(clone)
    git(clone, "checkout", "-q", "--", NAME)
    git(clone, "checkout", "-qb", "mine")
    assert "follows no branch" in update(clone)
    shutil.rmtree(clone / ".git")
    assert "no git clone" in update(clone)
    assert (clone / "work" / NAME).exists()
