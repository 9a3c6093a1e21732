"""The instructors' guide: every command in it exists, its sequences run, its example exercise works, its numbers are the measured ones."""
from __future__ import annotations

import importlib
import json
import math
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
import torch

from deepgen_lib.checks.engine import Exercise, Part
from grading.late import read_policy
from tools import course
from tools.sources import ROOT

GUIDE = (ROOT / "INSTRUCTORS.md").read_text(encoding="utf-8")
MODULES = {"key": "answer_key"}  # verbs whose tool has another name
OTHER = {"git", "cd", "sudo", "createdb", "export"}  # programs of the system; git's sequences are run below


def blocks(text: str, language: str = "") -> list[str]:
    return [code for kind, code in re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL) if kind == language]


def commands(text: str) -> list[list[str]]:
    """Every command line of a text: those of its blocks, and those in `...` that begin with make."""
    lines = [line for block in blocks(text) for line in block.splitlines()] + re.findall(r"`(make [^`]+)`", text)
    return [words for line in lines if not line.startswith("http") and (words := [word for word in shlex.split(line, comments=True)])]


def wrong_command(words: list[str], helped) -> str:
    """What is wrong with one command; "" is good.  `helped(module)` is the text of its --help."""
    words = [word for number, word in enumerate(words) if not (number == 0 and re.fullmatch(r"[A-Z]+=\S*", word))]
    program, given = Path(words[0]).name, words[1:]
    if program == "make":
        verb, variables = given[0], dict(word.split("=", 1) for word in given[1:])
        if verb not in {*course.VERBS, "VERB"}:
            return f"no verb {verb}"
        if set(variables) - {"CHAPTER", "ARGS", "TORCH", "PYTHON"}:
            return f"make {verb} has no {sorted(variables)}"
        options = [word for word in shlex.split(variables.get("ARGS", "")) if word.startswith("--")]
        return next((f"make {verb} has no {option}" for option in options if option.split("=")[0] not in re.findall(r"--[\w-]+", helped(verb))), "")
    if program in ("nbgrader", "dask"):
        options = [word.split("=")[0] for word in given if word.startswith("--")]
        return next((f"{program} {given[0]} has no {option}" for option in options if option not in PROGRAMS[program](given[0])), "")
    return "" if program in OTHER else f"{program} is no program that this test knows"


def options_of_nbgrader(command: str) -> set[str]:
    from nbgrader.apps import NbGraderApp
    app = NbGraderApp.subcommands[command.replace("_", "-") if command not in NbGraderApp.subcommands else command][0]
    return {f"--{name}" for name in [*app().flags, *app().aliases]}


def options_of_dask(command: str) -> set[str]:
    main = importlib.import_module(f"distributed.cli.dask_{command}").main
    return {option for parameter in main.params for option in parameter.opts}


PROGRAMS = {"nbgrader": options_of_nbgrader, "dask": options_of_dask}


@pytest.fixture
def helped(capsys):
    def text(verb: str) -> str:
        with pytest.raises(SystemExit):
            importlib.import_module(f"tools.{MODULES.get(verb, verb)}").main(["--help"])
        return capsys.readouterr().out
    return text


def test_every_command_of_the_guide_exists(helped):
    found = commands(GUIDE)
    assert len(found) > 30 and {"grade", "release", "private", "report"} <= {words[1] for words in found if words[0] == "make"}
    assert [problem for words in found if (problem := wrong_command(words, helped))] == []


@pytest.mark.parametrize("line, words", [
    ("make coffee", "no verb coffee"), ("make release CHAPTERS=01", "make release has no"), ('make grade ARGS="08 --zap x"', "make grade has no --zap"),
    (".venv/bin/nbgrader export --tu=x", "nbgrader export has no --tu"), ("PYTHONPATH=. .venv/bin/dask worker x --nthread 1", "dask worker has no --nthread"), ("brew tea", "brew is no program"),
])
def test_a_planted_command_is_found(line, words, helped):
    found, = commands(f"```\n{line}   # as said\n```\n")
    assert words in wrong_command(found, helped)


def missing_links(text: str) -> list[str]:
    """Files, and headings of this page, that links and `folder/file` mentions point to and that are not there."""
    headings = {"#" + re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)}
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    files = [link.split("#")[0] for link in links if not link.startswith("#")] + re.findall(r"`((?:deepgen_lib|grading|source|tests|tools|benchmarks)/[\w/.]+)`", text)
    return [link for link in links if link.startswith("#") and link not in headings] + [file for file in files if not (ROOT / file).exists()]


def test_every_link_leads_somewhere():
    assert missing_links(GUIDE) == []
    assert missing_links("# A title\n[x](#a-title) [y](#no) [z](NO.md#there) `tools/no.py` `tools/course.py`") == ["#no", "NO.md", "tools/no.py"]


def test_readme_and_contributing_lead_here():
    assert all("INSTRUCTORS.md" in (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md"))


def test_the_minutes_are_those_of_the_table():
    table = [[int(part) for part in re.split(r"\s\+\s", cell)] for cell in re.findall(r"\| (\d+\s\+\s\d+) \|", (ROOT / "README.md").read_text(encoding="utf-8"))]
    lecture, exercises = zip(*table)
    assert len(table) == 14
    assert f"{min(lecture)} to {max(lecture)} minutes for the lecture and {min(exercises)} to {max(exercises)} for the exercises" in GUIDE


def test_the_late_policy_is_one(tmp_path):
    text, = blocks(GUIDE, "toml")
    (tmp_path / "late.toml").write_text(text)
    policy = read_policy(tmp_path / "late.toml")
    assert policy.deadlines and policy.extensions and policy.share_per_day == tomllib.loads(text)["share_per_day"]


def test_the_example_exercise_knows_right_from_wrong(capsys):
    code = next(block for block in blocks(GUIDE, "python") if "Exercise(" in block)
    names = {"register": lambda exercise: exercise, "Exercise": Exercise, "Part": Part, "torch": torch, "math": math}
    exec(code, names)
    exercise = next(value for value in names.values() if isinstance(value, Exercise))
    for seed in range(5):
        exercise(exercise.parts[0].right, seed=seed)
        for wrong in exercise.parts[0].bank.values():
            with pytest.raises(AssertionError, match=re.escape(wrong.message)):
                exercise(wrong.wrong, seed=seed)


def run_sequence(name: str, folder: Path, **values: str) -> Path:
    """The git commands of one block of the guide, as they stand; make is not run.  -> the folder where they end."""
    block = re.search(rf"<!-- commands: {name} -->\n```\n(.*?)```", GUIDE, flags=re.DOTALL)[1]
    for line in block.splitlines():
        words = [values.get(word, word) for word in shlex.split(line)]
        if words[0] == "cd":
            folder = (folder / words[1]).resolve(strict=True)
        elif words[0] == "git":
            git(folder, *words[1:])
        else:
            assert words[0] == "make"
    return folder


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path, text: str) -> str:
    (folder / "check.py").write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", text)
    return git(folder, "rev-parse", "HEAD")


def test_a_term_stays_as_it_began(tmp_path, monkeypatch):
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "A teacher")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "teacher@example.org")
    course_of, server = tmp_path / "course", tmp_path / "server.git"
    git(tmp_path, "init", "-q", "--bare", "-b", "main", str(server))
    git(tmp_path, "clone", "-q", str(server), str(course_of))
    git(course_of, "switch", "-q", "-c", "main")
    commit(course_of, "one\n\n\n\n\ntwo\n")
    term = run_sequence("term-begin", course_of)
    erratum = commit(course_of, "one, mended\n\n\n\n\ntwo\n")
    commit(course_of, "one, mended\n\n\n\n\ntwo, rewritten\n")
    assert run_sequence("term-erratum", course_of, COMMIT=erratum) == run_sequence("term-later", course_of) == term
    assert (term / "check.py").read_text() == "one, mended\n\n\n\n\ntwo\n"
    assert (course_of / "check.py").read_text() == "one, mended\n\n\n\n\ntwo, rewritten\n"
    again, = re.findall(r"`git (worktree add [^`]+)`", GUIDE)
    git(course_of, *again.split())
    assert (tmp_path / "autumn-2026.0/check.py").read_text() == "one\n\n\n\n\ntwo\n"
    git(tmp_path, *re.search(r"`git (clone --branch [^`]+)`", GUIDE)[1].replace("URL", str(server)).split())
    assert (tmp_path / "deepgen/check.py").read_text() == "one, mended\n\n\n\n\ntwo\n"


def test_the_memory_is_what_was_measured():
    table = json.loads((ROOT / "benchmarks/results/kernel_memory.json").read_text(encoding="utf-8"))
    rows = {row[0]: row for row in table["rows"]}
    quoted = re.findall(r"^\| ([^|]+?) \| (\d+) \| (\d+) \| (\d+) \|$", GUIDE, flags=re.MULTILINE)
    assert len(quoted) >= 4 and [list(map(int, numbers)) for _, *numbers in quoted] == [rows[name][1:4] for name, *_ in quoted]
    assert max(rows.values(), key=lambda row: row[2])[0] in [name for name, *_ in quoted]  # the one that sets the limit
