"""environment.yml and postBuild as conda, Binder and JupyterHub use them: what they install is what `make lab` installs."""
import json
import os
import shutil
import stat
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tools.environment import CPU_INDEX, LAB_SETTINGS
from tools.sources import ROOT

KNOWN = {"name", "channels", "dependencies", "variables"}  # what conda knows in such a file; another key would be silently ignored


def problems(text: str, folder: Path) -> list[str]:
    """What would go wrong with an environment.yml that lies in a folder, in words."""
    content = yaml.safe_load(text)
    found = [f"conda knows no {key!r}" for key in content.keys() - KNOWN]
    listed = content["dependencies"]
    pip = [line for entry in listed if isinstance(entry, dict) for line in entry.get("pip", [])]
    if content.get("channels") != ["conda-forge"]:
        found.append(f"channels are {content.get('channels')}, expected conda-forge alone")
    if pip and "pip" not in listed:
        found.append("pip itself is not listed")
    for line in pip:
        option, _, value = line.partition(" ")
        if option == "-r" and not (folder / value).is_file():
            found.append(f"no file {value}")
        if option == "--extra-index-url" and value != CPU_INDEX:
            found.append(f"another index: {value}")
    if pip[-1:] != ["-e ."] or "-r requirements.lock" not in pip[:-1]:  # by "-e ." repo2docker sees that it must copy the files first
        found.append("expected -r requirements.lock, and -e . after it")
    return found


def test_environment_yml_is_ready():
    assert problems((ROOT / "environment.yml").read_text(encoding="utf-8"), ROOT) == []


@pytest.mark.parametrize("old, new, problem", [
    ("- -r requirements.lock", "- -r requirements.txt", "no file requirements.txt"), ("- conda-forge", "- defaults", "channels are ['defaults'], expected conda-forge alone"),
    ("  - pip\n", "", "pip itself is not listed"), ("name:", "prefix:", "conda knows no 'prefix'"), ("      - -e .\n", "", "expected -r requirements.lock, and -e . after it"),
    ("https://download", "https://mirror", "another index: https://mirror.pytorch.org/whl/cpu"),
], ids=["file", "channel", "pip", "key", "course", "index"])
def test_a_planted_fault_is_named(old, new, problem):
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    assert old in text and problem in problems(text.replace(old, new), ROOT)


def test_a_hub_finds_what_it_serves():
    """JupyterHub starts jupyterlab; kernel, widgets and Notebook 7 come with it: all are in the lock that environment.yml installs."""
    lock = {Requirement(line).name for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines() if line and line[0] != "#"}
    assert {"jupyterlab", "ipykernel", "ipywidgets", "jupyterlab-widgets", "notebook"} <= lock
    packaged = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]
    assert packaged == {"deepgen_lib": ["embedded/**/*"]}, "the data travels with the installed library"


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_postbuild_brings_the_courses_additions(tmp_path):
    script, prefix, programs = ROOT / "postBuild", tmp_path / "prefix", tmp_path / "bin"
    assert script.stat().st_mode & stat.S_IXUSR, "repo2docker runs it only where it may be executed"
    programs.mkdir()
    (programs / "python").write_text(f"#!/bin/sh\necho '{prefix}'\n", encoding="utf-8")
    (programs / "python").chmod(0o755)
    subprocess.run([script], check=True, cwd=tmp_path, env=os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}, timeout=60)
    share = prefix / "share" / "jupyter"
    names = {path.parent.name for path in (share / "labextensions").glob("*/package.json")}
    assert names == {path.parent.name for path in (ROOT / "tools" / "labextensions").glob("*/package.json")} != set()
    placed = json.loads((share / "lab" / "settings" / "overrides.json").read_text(encoding="utf-8"))
    assert LAB_SETTINGS.items() <= placed.items(), "no news and no update check: what lies in tools/lab_settings takes the place of what .venv has"
    for name in names:
        extension = json.loads((share / "labextensions" / name / "package.json").read_text(encoding="utf-8"))["jupyterlab"]["_build"]
        assert (share / "labextensions" / name / extension["load"]).is_file(), "JupyterLab loads this file"
