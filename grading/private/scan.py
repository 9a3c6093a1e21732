"""Does anything of a private course stand in files that others see? Compared line by line; a finding names file and line, never the words."""
from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from .variant import HEAD

MIN_LINE = 24   # characters, without blanks: shorter ones could stand anywhere
SECRET = ("checks/*.py", "solutions/*/*.ipynb", "rubrics/*.md")


def secrets_of(folder: Path) -> set[str]:
    """The key, and every line that only the private files hold and that names a function or an argument of them: not what students get."""
    key = {squeezed((folder / "key").read_text(encoding="utf-8"))} if (folder / "key").is_file() else set()
    public = {squeezed(line) for text in [HEAD.splitlines(), *map(lines_of, folder.glob("exercises/*/*.ipynb"))] for line in text}
    heads = [head for file in folder.glob("checks/*.py") for head in re.findall(r"^def _(\w+?)_right\(([^)]*)\)", file.read_text(encoding="utf-8"), flags=re.MULTILINE)]
    names = {name.strip() for function, arguments in heads for name in [function, *arguments.split(",")]}
    lines = {line for pattern in SECRET for file in folder.glob(pattern) for line in lines_of(file) if names & set(re.findall(r"[^\W\d]\w*", line)) or any(f"_{name}_" in line for name, _ in heads)}
    return key | {line for line in map(squeezed, lines) if len(line) >= MIN_LINE and line not in public}


def found_in(files: list[Path], secrets: set[str], *, base: Path) -> list[str]:
    """`FILE line N holds a line of the private course` for each."""
    found = []
    for file in files:
        try:
            numbers = [number for number, line in enumerate(lines_of(file), 1) if squeezed(line) in secrets or any(word in secrets for word in re.findall(r"\w{16,}", line))]
        except OSError:
            continue
        name = file.relative_to(base).as_posix() if base in file.parents else file.name
        found += [f"{name}, line {number}: holds a line of the private course; remove it, and if it was published, take a new key" for number in numbers[:3]]
    return found


def files_of(root: Path) -> list[Path]:
    """Everything under version control or about to be; without git, every file."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=root, capture_output=True)
    names = listed.stdout.decode().split("\0") if listed.returncode == 0 else [path.relative_to(root).as_posix() for path in root.rglob("*")]
    return [root / name for name in names if name and (root / name).is_file()]


def lines_of(file: Path) -> list[str]:
    """Lines; of a notebook those of its cells, sources and outputs."""
    content = file.read_bytes()
    if b"\0" in content:
        return []
    text = content.decode("utf-8", errors="replace")
    if file.suffix == ".ipynb":
        try:
            text = "\n".join(_texts(json.loads(text)))
        except ValueError:
            pass
    return text.splitlines()


def squeezed(line: str) -> str:
    return re.sub(r"\s+", "", line)


def _texts(part) -> list[str]:
    if isinstance(part, dict):
        return [text for item in part.values() for text in _texts(item)]
    if isinstance(part, list):
        return ["".join(part)] if part and all(isinstance(item, str) for item in part) else [text for item in part for text in _texts(item)]
    return [part] if isinstance(part, str) else []

