"""Dependencies: ranges, locks and environment.yml agree, and the lock pins all that is installed because of them."""
import importlib.metadata
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
FILES = ("pyproject.toml", "requirements.lock", "requirements-cuda.lock", "requirements-bench.lock", "environment.yml")
TEXTS = {name: (ROOT / name).read_text() for name in FILES}


def pins(text: str) -> dict[str, list[Requirement]]:
    """The exact versions of a lock, by name; a name may have one for each marker."""
    found: dict[str, list[Requirement]] = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            requirement = Requirement(line)
            found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def version_of(pin: Requirement) -> str:
    (specifier,) = pin.specifier
    return specifier.version


def disagreements(texts: dict[str, str]) -> list[str]:
    """Where pyproject.toml, the locks and environment.yml contradict each other."""
    project = tomllib.loads(texts["pyproject.toml"])["project"]
    lock, cuda, bench = (pins(texts[f"requirements{kind}.lock"]) for kind in ("", "-cuda", "-bench"))
    problems = [f"not exact: {pin}" for found in (lock, cuda, bench) for group in found.values() for pin in group
                if [specifier.operator for specifier in pin.specifier] != ["=="]]
    problems += [f"pinned twice: {name}" for name in [*(lock.keys() & cuda), *(lock.keys() & bench), *(cuda.keys() & bench)]]
    extras = project["optional-dependencies"]
    for text, where in [(text, lock) for text in sum((extras[extra] for extra in extras if extra != "bench"), project["dependencies"])] + [(text, lock | bench) for text in extras["bench"]]:
        wanted = Requirement(text)
        found = where.get(canonicalize_name(wanted.name), [])
        if not found:
            problems.append(f"declared but not pinned: {wanted}")
        problems += [f"pinned outside its range: {pin}, declared {wanted}" for pin in found if not wanted.specifier.contains(version_of(pin))]
    return problems + _conda_disagreements(texts["environment.yml"], lock, SpecifierSet(project["requires-python"]))


def _conda_disagreements(text: str, lock: dict[str, list[Requirement]], pythons: SpecifierSet) -> list[str]:
    content = yaml.safe_load(text)
    pip = [item for entry in content["dependencies"] if isinstance(entry, dict) for item in entry["pip"]]
    conda = dict(entry.partition("=")[::2] for entry in content["dependencies"] if isinstance(entry, str))
    problems = [f"environment.yml installs by other means than the lock: {name}" for name in conda.keys() - {"python", "pip"}]
    problems += [f"environment.yml lacks {needed}" for needed in ("-r requirements.lock", "-e .") if needed not in pip]
    if not pythons.contains(conda.get("python", "0")):
        problems.append(f"environment.yml has Python {conda.get('python')}, pyproject.toml wants {pythons}")
    for item in pip:
        if not item.startswith("-"):
            own = Requirement(item)
            if [pin.specifier for pin in lock.get(canonicalize_name(own.name), [])] != [own.specifier]:
                problems.append(f"environment.yml has its own {own}")
    return problems


def missing_pins(text: str, declared: list[str]) -> list[str]:
    """What `declared` needs here, directly or not, that the lock does not pin or pins at another version than is installed."""
    lock, seen, problems = pins(text), set(), []
    todo = [(canonicalize_name(r.name), frozenset(r.extras)) for r in map(Requirement, declared) if r.marker is None or r.marker.evaluate()]
    while todo:
        name, extras = todo.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        here = [version_of(pin) for pin in lock.get(name, []) if pin.marker is None or pin.marker.evaluate()]
        installed = importlib.metadata.version(name).partition("+")[0]
        if here != [installed]:
            problems.append(f"{name}: {installed} is installed, the lock has {', '.join(here) or 'none'}")
        for line in importlib.metadata.requires(name) or []:
            needed = Requirement(line)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras | {""}):
                todo.append((canonicalize_name(needed.name), frozenset(needed.extras)))
    cuda = pins(TEXTS["requirements-cuda.lock"])
    return sorted(problem for problem in problems if problem.partition(":")[0] not in cuda)


def test_lock_ranges_and_environment_agree():
    assert disagreements(TEXTS) == []


@pytest.mark.parametrize("file, old, new, message", [
    ("requirements.lock", "torch==2.13.0", "torch==2.10.0", "pinned outside its range: torch==2.10.0"),
    ("requirements.lock", "pooch==", "pouch==", "declared but not pinned: pooch"),
    ("requirements.lock", "numpy==", "numpy>=", "not exact: numpy>="),
    ("requirements.lock", "torch==2.13.0", "torch==2.13.0\nnvidia-nvtx==3.0", "pinned twice: nvidia-nvtx"),
    ("requirements-bench.lock", "rbms==0.5.0", "rbms==0.6.0", "pinned outside its range: rbms==0.6.0"),
    ("pyproject.toml", '"nbval>=', '"new-package>=1", "nbval>=', "declared but not pinned: new-package"),
    ("pyproject.toml", '"hypothesis>=', '"hypothesis>=99", "hypothesis>=', "pinned outside its range: hypothesis"),
    ("pyproject.toml", 'spread = ["distributed>=', 'spread = ["distributed>=99', "pinned outside its range: distributed"),
    ("environment.yml", "python=3.12", "python=3.10", "environment.yml has Python 3.10"),
    ("environment.yml", "- -r requirements.lock", "- torch", "environment.yml lacks -r requirements.lock"),
    ("environment.yml", "- -e .", "- -e .\n      - numpy==2.1.0", "environment.yml has its own numpy==2.1.0"),
    ("environment.yml", "  - pip\n", "  - pip\n  - pytorch\n", "other means than the lock: pytorch"),
])
def test_a_planted_disagreement_is_named(file, old, new, message):
    assert old in TEXTS[file]
    assert any(message in problem for problem in disagreements(TEXTS | {file: TEXTS[file].replace(old, new, 1)}))


def declared() -> list[str]:
    project = tomllib.loads(TEXTS["pyproject.toml"])["project"]
    return project["dependencies"] + project["optional-dependencies"]["test"]


def test_the_lock_pins_everything_that_is_installed_here():
    assert missing_pins(TEXTS["requirements.lock"], declared()) == []


@pytest.mark.parametrize("name", ["traitlets", "sympy", "pluggy"])
def test_a_missing_pin_of_an_indirect_dependency_is_named(name):
    lines = [line for line in TEXTS["requirements.lock"].splitlines() if not line.startswith(name)]
    assert [problem.partition(":")[0] for problem in missing_pins("\n".join(lines), declared())] == [name]
