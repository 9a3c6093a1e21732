#!/usr/bin/env python3
"""The one entry to the course:  python3 tools/course.py VERB [ARGUMENTS]  is the same as  make VERB ARGS="ARGUMENTS".

    lab      study: copy the notebooks into work/ and open JupyterLab there (--no-browser only serves)
    update   bring a new version of the course; what you changed stays
    test     test everything; with arguments, run pytest on them instead
    setup    only make .venv, the environment that every other verb makes when it is missing or old
    build    make notebooks, solutions, exercises and the ledger from source/
    release  make the students' exercises and their zip in release/, of all chapters or of those named
    site     the reading site in site/: every chapter as a page, sliders live, no kernel, no network
    slides   a slide view of the lectures in slides/, of all chapters or of those named
    pdf      chapters on paper in pdf/, of all chapters or of those named
    key      the answer key of the exercises in answers/, for teachers
    exam     an exam sheet and its answers in exams/, drawn from source/exam
    grade    grade the notebooks in submitted/STUDENT/CHAPTER/, or in a platform's download (--zip)
    private  make graded variants of exercises in the folder DEEPGEN_PRIVATE, outside the repository
    report   make the class report of what was graded, without names, as a notebook in grades/
    bench    measure the rows of the published table that a CPU can within an hour; or run the benchmark named first; "all": all but
             fresh_machines (needs root), repeatability and train_together (need arguments)

TORCH=cpu in the environment takes PyTorch's CPU build. Needs Python 3.11 or newer and nothing else.
"""
import os
import shutil
import subprocess
import sys

NEEDED = (3, 11)
if sys.version_info < NEEDED:  # before any import that an old Python could stumble over
    newer = [name for name in ("python3.%d" % minor for minor in range(20, NEEDED[1] - 1, -1)) if shutil.which(name)]
    sys.exit("deepgen needs Python %d.%d or newer; this is %d.%d (%s).\n" % (*NEEDED, *sys.version_info[:2], sys.executable)
             + ("Found %s: type  make VERB PYTHON=%s" % (newer[0], newer[0]) if newer else "Install a newer one, for example with your system's packages."))

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if not __package__:
    sys.path[0] = str(ROOT)  # run as a script: instead of tools/, whose names must not hide others

from tools import environment, workspace
from tools.writing import trouble

START_PAGE = "notebooks/00_start_here.ipynb"
QUIET = {"TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"}
PYTEST = ["-m", "pytest", "-p", "tools.skip_guard", "-n", "2", "--dist", "loadscope"]
ONE_BY_ONE = {"fresh_machines", "repeatability", "train_together"}  # benchmarks that need root or arguments
PYTEST_RUNS = [  # options and folders, one run after another
    ([], ["tests"]),
    (["--nbval", "-p", "tools.nbval_tolerance"], ["notebooks", "solutions"]),
]


def setup(arguments):
    environment.ensure(ROOT)
    print("The environment in .venv is ready.")


def lab(arguments):
    python = environment.ensure(ROOT)
    say(workspace.bring(ROOT, renew=False))
    if not (ROOT / "work" / START_PAGE).exists():
        raise environment.SetupError(f"{START_PAGE} is missing: this copy of the course is incomplete. Fetch it again, or build it: make build")
    options = [f"--ServerApp.root_dir={ROOT / 'work'}", f"--LabApp.default_url=/lab/tree/{START_PAGE}",
               f"--LabApp.extra_labextensions_path={ROOT / 'tools' / 'labextensions'}",  # alternative text for pictures
               f"--LabApp.app_settings_dir={ROOT / 'tools' / 'lab_settings'}"]  # reference pages open as pages, not as their text
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--allow-root")  # Jupyter refuses otherwise; usual in containers
    return run(python, "-m", "jupyterlab", *options, *arguments)


def update(arguments):
    if "--copies-only" not in arguments:
        pull(ROOT)
        return run(sys.executable, __file__, "update", "--copies-only")  # by the version that has just arrived
    say(workspace.bring(ROOT, renew=True) or ["Your copies in work/ are up to date."])


def test(arguments):
    python = environment.ensure(ROOT)
    if arguments:  # they say what to run
        return run(python, *PYTEST, *arguments, **QUIET)
    codes = []
    for options, folders in PYTEST_RUNS:
        present = [folder for folder in folders if (ROOT / folder).is_dir()]
        if present:
            codes.append(run(python, *PYTEST, *options, *present, **QUIET))
    return first_failure(codes)


def build(arguments):
    return run(environment.ensure(ROOT), "-m", "tools.build", *arguments, **QUIET)


def release(arguments):
    return run(environment.ensure(ROOT), "-m", "tools.release", *arguments, **QUIET)


def grade(arguments):
    return run(environment.ensure(ROOT), "-m", "tools.grade", *arguments, OMP_NUM_THREADS="1")  # with its progress bar


def private(arguments):
    return run(environment.ensure(ROOT), "-m", "tools.private", *arguments, **QUIET)


def slides(arguments):
    python = environment.ensure(ROOT)
    environment.pip(python, "--quiet", "--no-deps", "-r", "requirements-slides.lock", root=ROOT)  # reveal.js
    return run(python, "-m", "tools.slides", *arguments, **QUIET)


def site(arguments):
    return run(environment.ensure(ROOT), "-m", "tools.site", *arguments, **QUIET)


def pdf(arguments):
    return run(environment.ensure(ROOT), "-m", "tools.pdf", *arguments, **QUIET)


def key(arguments):
    return run(environment.ensure(ROOT), "-m", "tools.answer_key", *arguments, **QUIET)


def exam(arguments):
    return run(environment.ensure(ROOT), "-m", "tools.exam", *arguments, **QUIET)


def report(arguments):
    return run(environment.ensure(ROOT), "-m", "tools.report", *arguments, **QUIET)


def benchmarks():
    """Name -> what Python is given to run it: the files that are programs, and the folders."""
    found = {path.stem: [path] for path in sorted((ROOT / "benchmarks").glob("*.py")) if '\nif __name__ == "__main__":' in path.read_text(encoding="utf-8")}
    return found | {path.parent.name: ["-m", f"benchmarks.{path.parent.name}"] for path in (ROOT / "benchmarks").glob("*/__main__.py")}


def bench(arguments):
    scripts = benchmarks()
    arguments = arguments or ["published", "--measure"]
    if arguments[0] not in [*scripts, "all"]:
        raise environment.SetupError(f"no benchmark {arguments[0]!r}; expected one of {', '.join(scripts)}, or all.")
    python = environment.ensure(ROOT)
    environment.pip(python, "--quiet", "-r", "requirements-bench.lock", "-c", "requirements.lock", root=ROOT)
    names = [name for name in scripts if name not in ONE_BY_ONE] if arguments[0] == "all" else arguments[:1]
    return first_failure(run(python, *scripts[name], *arguments[1:]) for name in names)


VERBS = {verb.__name__: verb for verb in (setup, lab, test, build, release, site, slides, pdf, key, exam, grade, private, report, bench, update)}


def pull(root):
    """git pull --ff-only, or say in one line why not."""
    if not (root / ".git").exists() or not shutil.which("git"):
        return print("This folder is no git clone: download the new version and unpack it over this folder. work/ is not touched by that.", flush=True)
    upstream = subprocess.run(["git", "rev-parse", "--abbrev-ref", "@{upstream}"], cwd=root, capture_output=True, text=True)
    if upstream.returncode:
        return print("This clone follows no branch of another repository, so there is nothing to pull.", flush=True)
    if subprocess.call(["git", "pull", "--ff-only"], cwd=root):
        print("git could not bring the new version; its reason stands above. If you changed files of the course itself, put them back"
              " (git status lists them): your own work belongs in work/.", flush=True)


def run(python, *arguments, **variables):
    return subprocess.call([str(part) for part in (python, *arguments)], cwd=ROOT, env=environment.clean_environment(**variables))


def first_failure(codes):
    """All are run; the first exit status that is not 0, or 0."""
    return next(filter(None, list(codes)), 0)


def say(lines):
    print("\n".join(lines), end="\n" if lines else "", flush=True)


def main(arguments):
    if not arguments or arguments[0] not in VERBS:
        print(__doc__)
        return 0 if arguments[:1] in ([], ["help"], ["--help"]) else f"No verb {arguments[0]!r}; expected one of {', '.join(VERBS)}."
    try:
        return VERBS[arguments[0]](arguments[1:])
    except environment.SetupError as error:
        return f"deepgen: {error}"
    except OSError as error:
        return f"deepgen: {trouble(error)}"
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
