"""A zip as a learning platform downloads it -> submitted/STUDENT/CHAPTER/CHAPTER.ipynb.

    Canvas   garciajose_LATE_1234_98765_08_vae-1.ipynb                          name, late?, student, file, its own name
    Moodle   José García_1234_assignsubmission_file_/08_vae.ipynb               name, participant; flat names too
    folders  [submitted/]ada/08_vae/08_vae.ipynb                                as nbgrader has them

STUDENT is the platform's number. No name from the zip becomes a path: a member that tries to leave its folder, a link, and what
unpacks to more than it should are refused with a line, and the rest goes on.
"""
from __future__ import annotations

import io
import os
import re
import stat
import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from .collect import CAME_AS, base_name, choose, grade_ids
from .notebook import MAX_MB
from .record import is_name, write_whole

MAX_FILES, MAX_ALL_MB = 20_000, 20_000  # of one zip; notebooks alone are unpacked, each up to MAX_MB
_CANVAS = re.compile(r"(?:(?P<name>[^/]*?)_)??(?P<late>LATE_)?(?P<student>\d+|anon_[0-9A-Za-z]+)_(?P<file>\d+)_(?P<own>[^/]+)")
_CANVAS_TEXT = re.compile(r"(?:[^/]*?_)??(?P<late>LATE_)?(?P<student>\d+|anon_[0-9A-Za-z]+)_(?P<own>text|link)\.html")
_MOODLE = re.compile(r"(?P<name>[^/]+?)_(?P<student>\d+)_assignsubmission_[a-z]+(?:_?/|_)(?P<own>.*)", flags=re.DOTALL)


class Part(NamedTuple):
    """One file of one student."""
    student: str
    chapter: str        # "" when the name does not tell
    own: str            # the name that the student gave it
    order: int          # later files have a higher one
    late: bool
    member: zipfile.ZipInfo


class Collected(NamedTuple):
    written: list[tuple[str, str]]  # (student, chapter), new or changed
    same: int                       # handed in before, as they are
    refused: list[str]              # in words for the instructor


def collect_zip(path: Path, root: Path, *, known: list[str], chapter: str = "") -> Collected:
    """Unpack the notebooks of one download.  `chapter`: what the assignment is about, where names do not tell.

    Raises ValueError when the file is no zip, or unpacks to more than any class hands in.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"collect_zip: {Path(path).name} is no zip ({error}), expected what Canvas or Moodle downloads; download it again") from None
    with archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        size = sum(member.file_size for member in members)
        if len(members) > MAX_FILES or size > MAX_ALL_MB * 2**20:
            raise ValueError(f"collect_zip: {Path(path).name} unpacks to {len(members)} files of {size / 2**20:,.0f} MB, expected at most {MAX_FILES} of {MAX_ALL_MB:,} MB; "
                             "it may be made to fill the disk: look at it by hand")
        parts, refused = _parts(members, known)
        groups: dict[str, list[Part]] = {}
        for part in parts:
            groups.setdefault(part.student, []).append(part)
        written, same = [], 0
        for student in sorted(groups):
            with tempfile.TemporaryDirectory() as folder:
                unpacked, said = _unpack(archive, groups[student], Path(folder))
                for stem, files in sorted(_by_chapter(unpacked, known, chapter or _of_name(path, known)).items()):
                    if not stem:
                        refused += [f"{student}: {part.own}: which chapter is this? name it with --chapter" for part, _ in files]
                        continue
                    changed = _put(files, said, Path(root) / "submitted" / student / stem)
                    written += [(student, stem)] if changed else []
                    same += not changed
    return Collected(written, same, refused)


def _parts(members: list[zipfile.ZipInfo], known: list[str]) -> tuple[list[Part], list[str]]:
    parts, refused = [], []
    for member in members:
        name = member.filename.replace("\\", "/")
        pieces = PurePosixPath(name).parts
        if "__MACOSX" in pieces or pieces[-1].startswith("."):
            continue
        if why := _escape(member, name, pieces):
            refused.append(f"{name[:80]!r}: {why}; nothing of it was unpacked")
        elif part := _part(member, name, pieces, known):
            parts.append(part)
        else:
            refused.append(f"{name[:80]!r}: the name tells no student, expected a download of Canvas or Moodle, or STUDENT/CHAPTER/CHAPTER.ipynb")
    return parts, refused


def _escape(member: zipfile.ZipInfo, name: str, pieces: tuple[str, ...]) -> str:
    if name.startswith("/") or ".." in pieces or re.match(r"[A-Za-z]:", name) or "\0" in member.orig_filename:
        return "its path leads out of the folder"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "a link, expected a file"
    return "it is locked with a password" if member.flag_bits & 1 else ""


def _part(member: zipfile.ZipInfo, name: str, pieces: tuple[str, ...], known: list[str]) -> Part | None:
    for place, piece in enumerate(pieces[1:-1], 1):
        if piece in known and is_name(pieces[place - 1]):
            return Part(pieces[place - 1], piece, pieces[-1], 0, False, member)
    moodle = _MOODLE.fullmatch(name) or (_MOODLE.fullmatch("/".join(pieces[1:])) if len(pieces) > 1 else None)
    if moodle:
        return Part(moodle["student"], "", PurePosixPath(moodle["own"]).name, 0, False, member)
    if canvas := _CANVAS.fullmatch(pieces[-1]):
        return Part(canvas["student"], "", canvas["own"], int(canvas["file"]), bool(canvas["late"]), member)
    if text := _CANVAS_TEXT.fullmatch(pieces[-1]):
        return Part(text["student"], "", f"{text['own']}.html", 0, bool(text["late"]), member)
    return None


def _unpack(archive: zipfile.ZipFile, parts: list[Part], folder: Path) -> tuple[list[tuple[Part, Path]], list[str]]:
    """A student's notebooks, also those in a zip of their own, as files of numbered names; and what to tell the student."""
    unpacked, said = [], ["the platform marks this as handed in late; by how much its files do not tell"] if any(part.late for part in parts) else []
    for number, part in enumerate(sorted(parts, key=lambda part: (part.order, part.own))):
        kind = Path(part.own).suffix.lower()
        place = folder / f"{number}{kind if kind in ('.ipynb', '.zip') else ''}"
        content, why = _content(archive, part.member) if kind in (".ipynb", ".zip") else (b"", "")
        if not why and kind != ".zip":  # of other files only the name is of use
            place.write_bytes(content)
            unpacked.append((part, place))
            continue
        inner, more = _inner(content, part, folder / f"in-{number}") if not why else ([], [f"{part.own} {why}"])
        said += more
        if not inner:
            (folder / f"{number}").touch()
        unpacked += inner or [(part._replace(own=f"{part.own} (refused)"), folder / f"{number}")]
    return unpacked, said


def _inner(content: bytes, part: Part, folder: Path) -> tuple[list[tuple[Part, Path]], list[str]]:
    """The notebooks in a zip that a student handed in."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            books = [member for member in archive.infolist() if member.filename.lower().endswith(".ipynb") and "__MACOSX" not in member.filename]
            found, said = [], []
            folder.mkdir()
            for number, member in enumerate(books[:50]):
                name = member.filename.replace("\\", "/")
                inner, why = _content(archive, member)
                why = _escape(member, name, PurePosixPath(name).parts) or why
                if why:
                    said.append(f"{PurePosixPath(name).name} in {part.own} was not unpacked: {why}")
                else:
                    (folder / f"{number}.ipynb").write_bytes(inner)
                    found.append((part._replace(own=PurePosixPath(name).name), folder / f"{number}.ipynb"))
            return found, said + ([] if books else [f"{part.own} holds no notebook"])
    except (OSError, zipfile.BadZipFile, NotImplementedError):
        return [], [f"{part.own} is damaged and could not be unpacked; hand in the notebook itself"]


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[bytes, str]:
    """A member's bytes, or why not; never more than MAX_MB, whatever its header says."""
    if member.file_size > MAX_MB * 2**20:
        return b"", f"has {member.file_size / 2**20:,.0f} MB, more than {MAX_MB}; clear its outputs and hand it in again"
    try:
        with archive.open(member) as file:
            content = file.read(MAX_MB * 2**20 + 1)
        return (content, "") if len(content) <= MAX_MB * 2**20 else (b"", f"unpacks to more than {MAX_MB} MB; hand it in again")
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, ValueError) as error:
        return b"", f"is damaged in the zip ({str(error)[:60]}); hand it in again"
    except Exception as error:  # a decompressor's own
        return b"", f"cannot be unpacked ({type(error).__name__}); hand it in again"


def _of_name(path: Path, known: list[str]) -> str:
    """The chapter that the download's own name tells, if it tells one."""
    told = [stem for stem in known if stem in Path(path).stem]
    return told[0] if len(told) == 1 else ""


def _by_chapter(unpacked: list[tuple[Part, Path]], known: list[str], chapter: str) -> dict[str, list[tuple[Part, Path]]]:
    """What belongs to which chapter: by folder or name, else by the cells, else what the instructor says."""
    numbers = {int(number.group()): stem for stem in known if (number := re.match(r"\d+", stem))}
    found: dict[str, list[tuple[Part, Path]]] = {}
    for part, path in unpacked:
        named = next((stem for stem in known if stem.lower() == base_name(part.own).lower()), "")
        ids = [re.match(r"(?:ex|check|written|task)-(\d+)-", grade_id) for grade_id in grade_ids(path)] if not (part.chapter or named) and path.suffix == ".ipynb" else []
        counted = [numbers.get(int(match[1]), "") for match in ids if match]
        found.setdefault(part.chapter or named or (max(set(counted), key=counted.count) if counted else chapter), []).append((part, path))
    if len(found) > 1 and not any(path.suffix == ".ipynb" for _, path in found.get("", [])):
        found.pop("", None)  # a report beside the notebook
    return found


def _put(files: list[tuple[Part, Path]], said: list[str], folder: Path) -> bool:
    """Write the student's notebook under its right name, with notes on how it came.  -> whether anything changed."""
    places = {f"{part.own}": path for part, path in files}  # of two files of one name the later one, as they are sorted
    chosen, notes = choose(places, folder.name, exact_first=False)
    text = "".join(f"{' '.join(line.split())}\n" for line in dict.fromkeys([*said, *notes]))
    before = folder / f"{folder.name}.ipynb"
    content = places[chosen].read_bytes() if chosen else None
    old_text = (folder / CAME_AS).read_text(encoding="utf-8") if (folder / CAME_AS).exists() else ""
    if old_text == text and (content is None or (before.exists() and before.read_bytes() == content)):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    if content is not None:
        handle, name = tempfile.mkstemp(prefix=".new-", dir=folder)
        with open(handle, "wb") as file:
            file.write(content)
        os.chmod(name, 0o644)
        os.replace(name, before)
    if text:
        write_whole(folder / CAME_AS, text)
    else:
        (folder / CAME_AS).unlink(missing_ok=True)
    return True
