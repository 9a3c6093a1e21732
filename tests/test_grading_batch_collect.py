"""Hand-ins are found whatever their files are called, downloads unpack to the right students, and nothing leaves its folder."""
import json
import os
import stat
import time as clock
import zipfile
from pathlib import Path

import pytest

from grading import notebook, platform_zip
from grading.collect import base_name, find_hand_ins
from grading.platform_zip import collect_zip

KNOWN = ["08_vae", "09_vqvae_losses", "12_nvae_kl"]


def book(grade_id: str = "ex-8-1", text: str = "1") -> str:
    return json.dumps({"cells": [{"cell_type": "code", "metadata": {"nbgrader": {"grade_id": grade_id}}, "source": text}]})


def put(root: Path, place: str, text: str = "{}") -> Path:
    path = root / "submitted" / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def packed(folder: Path, files: dict, name: str = "download.zip") -> Path:
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in files.items():
            archive.writestr(member, content)
    return folder / name


def tree(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root / "submitted")): path.read_text() for path in sorted((root / "submitted").rglob("*")) if path.is_file()}


@pytest.mark.parametrize("name, base", [("08_vae.ipynb", "08_vae"), ("08_vae-1.ipynb", "08_vae"), ("08_vae (2).ipynb", "08_vae"), ("08_vae-Copy1.ipynb", "08_vae"), ("Copy of 08_vae.ipynb", "08_vae"),
                                        ("x/08_vae-Copy1-3.ipynb", "08_vae"), ("08_vae copy.ipynb", "08_vae"), ("09_vqvae_losses.ipynb", "09_vqvae_losses"), ("my 08.ipynb", "my")])
def test_copies_are_known_by_their_names(name, base):
    assert base_name(name) == base


@pytest.mark.parametrize("files, chosen, words", [
    (["08_vae.ipynb"], "08_vae.ipynb", None), (["08_vae-Copy1.ipynb"], "08_vae-Copy1.ipynb", "expected 08_vae.ipynb"), (["08_vae-1.ipynb", "08_vae-12.ipynb", "08_vae-2.ipynb"], "08_vae-12.ipynb", "3 notebooks came"),
    (["08_vae.ipynb", "08_vae-Copy1.ipynb"], "08_vae.ipynb", "08_vae-Copy1.ipynb was not"), (["deep/er/08_vae.ipynb"], "deep/er/08_vae.ipynb", "expected 08_vae.ipynb"), (["homework.ipynb", "12_nvae_kl.ipynb"], "homework.ipynb", "homework.ipynb was graded"),
    ([], "", "the folder is empty"), (["a.pdf", "08_vae.py"], "", "found 08_vae.py, a.pdf"), ([".ipynb_checkpoints/08_vae-checkpoint.ipynb"], "", "the folder is empty"),
], ids=range(9))
def test_the_right_one_of_several_files_is_taken(tmp_path, files, chosen, words):
    (tmp_path / "submitted/ada/08_vae").mkdir(parents=True)
    for file in files:
        put(tmp_path, f"ada/08_vae/{file}", book("ex-12-1" if "12_nvae" in file else "ex-8-1"))
    found, = find_hand_ins(tmp_path, known=KNOWN).hand_ins
    assert found.path == (str(tmp_path / "submitted/ada/08_vae" / chosen) if chosen else "")
    assert words in " ".join(found.notes) if words else found.notes == ()


@pytest.fixture
def tokyo(monkeypatch):
    """A machine in another zone than UTC."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    clock.tzset()
    yield
    monkeypatch.undo()
    clock.tzset()


@pytest.mark.parametrize("said, time", [("2026-11-23 05:00:00.123456 UTC", "2026-11-23T05:00:00+00:00"), ("2026-11-23T05:00:00+01:00", "2026-11-23T04:00:00+00:00"), ("2026-11-23 05:00", "2026-11-23T05:00:00+00:00"), ("soon", ""), ("", "")])
def test_times_come_from_timestamp_txt(tmp_path, tokyo, said, time):
    put(tmp_path, "ada/08_vae/08_vae.ipynb")
    put(tmp_path, "ada/08_vae/timestamp.txt", said)
    found, = find_hand_ins(tmp_path, known=KNOWN).hand_ins
    assert found.submitted_at == time and ("no time" in " ".join(found.notes)) == (said == "soon")


def test_odd_folders_are_refused_in_words_and_the_others_found(tmp_path):
    secret = tmp_path / "secret.ipynb"
    secret.write_text(book())
    for place in ("ada/08_vae/08_vae.ipynb", "bob/8_vae/8_vae.ipynb", "loose.ipynb", "cat/08_vae.ipynb", "-\n/08_vae/08_vae.ipynb"):
        put(tmp_path, place)
    (tmp_path / "submitted/dan/08_vae").mkdir(parents=True)
    (tmp_path / "submitted/dan/08_vae/08_vae.ipynb").symlink_to(secret)
    (tmp_path / "submitted/eve").mkdir()
    (tmp_path / "submitted/eve/08_vae").symlink_to(tmp_path / "submitted/ada/08_vae")
    found = find_hand_ins(tmp_path, known=KNOWN)
    assert [(one.student, bool(one.path)) for one in found.hand_ins] == [("ada", True), ("dan", False)] and "is a link" in found.hand_ins[1].notes[0]
    for words in ("bob/8_vae: no chapter of this course (did you mean 08_vae?)", "loose.ipynb: a file", "cat/08_vae.ipynb: a file", "name holds letters", "eve/08_vae: a link"):
        assert any(words in line for line in found.refused), words
    assert len(found.refused) == 5


CANVAS = {"lovelaceada_11_901_08_vae.ipynb": book(text="old"), "lovelaceada_11_907_08_vae-1.ipynb": book(text="new"), "dylanbob2_LATE_12_902_homework.ipynb": book("ex-12-1"), "caseeve_13_903_report.pdf": "x", "caseeve_13_text.html": "x",
          "anon_Xy3_904_09_vqvae_losses.ipynb": book("ex-9-1")}
MOODLE = {"Ada Lovelace_11_assignsubmission_file_/08_vae (1).ipynb": book(text="a"), "Bob_Dylan_12_assignsubmission_file_08_vae.ipynb": book(text="b"), "top/Eve Case_13_assignsubmission_file/homework.ipynb": book(text="e")}
FOLDERS = {"submitted/ada/08_vae/08_vae.ipynb": book(text="a"), "bob/12_nvae_kl/x.ipynb": book(text="b"), "__MACOSX/bob/12_nvae_kl/x.ipynb": "x"}


@pytest.mark.parametrize("files, expected, refused", [
    (CANVAS, {"11/08_vae/08_vae.ipynb": "new", "12/12_nvae_kl/12_nvae_kl.ipynb": "1", "anon_Xy3/09_vqvae_losses/09_vqvae_losses.ipynb": "1"}, ["13: report.pdf: which chapter", "13: text.html"]),
    (MOODLE, {"11/08_vae/08_vae.ipynb": "a", "12/08_vae/08_vae.ipynb": "b", "13/08_vae/08_vae.ipynb": "e"}, []), (FOLDERS, {"ada/08_vae/08_vae.ipynb": "a", "bob/12_nvae_kl/12_nvae_kl.ipynb": "b"}, []),
    ({"whatever.ipynb": "x", "08_vae.ipynb": "x"}, {}, ["whatever.ipynb", "tells no student"]),
], ids=["canvas", "moodle", "folders", "neither"])
def test_downloads_unpack_to_the_right_students(tmp_path, files, expected, refused):
    collected = collect_zip(packed(tmp_path, files), tmp_path, known=KNOWN)
    found = {name: json.loads(text)["cells"][0]["source"] for name, text in tree(tmp_path).items() if name.endswith(".ipynb")}
    assert found == expected and len(collected.written) == len(expected)
    assert all(any(words in line for line in collected.refused) for words in refused) and bool(refused) == bool(collected.refused)
    again = collect_zip(tmp_path / "download.zip", tmp_path, known=KNOWN)
    assert again.written == [] and again.same == len(expected)


def test_how_files_came_is_told_to_the_student(tmp_path):
    collect_zip(packed(tmp_path, CANVAS), tmp_path, known=KNOWN, chapter="08_vae")
    notes = {one.student: " ".join(one.notes) for one in find_hand_ins(tmp_path, known=KNOWN).hand_ins}
    assert "called 08_vae-1.ipynb" in notes["11"] and "08_vae.ipynb was not" in notes["11"] and "handed in late" in notes["12"] and "found report.pdf, text.html" in notes["13"] and notes["anon_Xy3"] == ""


def test_a_later_download_replaces_what_changed(tmp_path):
    name = "Ada_11_assignsubmission_file_/08_vae.ipynb"
    collect_zip(packed(tmp_path, {name: book(text="a")}), tmp_path, known=KNOWN)
    assert collect_zip(packed(tmp_path, {name: book(text="b")}), tmp_path, known=KNOWN).written == [("11", "08_vae")]
    assert tree(tmp_path) == {"11/08_vae/08_vae.ipynb": book(text="b")}


def test_of_two_files_of_one_name_the_later_counts(tmp_path):
    collect_zip(packed(tmp_path, {"ada_11_907_08_vae.ipynb": book(text="new"), "ada_11_901_08_vae.ipynb": book(text="old")}), tmp_path, known=KNOWN)
    assert tree(tmp_path) == {"11/08_vae/08_vae.ipynb": book(text="new")}


def test_a_students_own_zip_is_opened_and_a_damaged_one_is_told(tmp_path):
    inner = packed(tmp_path, {"work/08_vae.ipynb": book(text="a"), "../08_vae.ipynb": book(text="escape"), "readme.txt": "x"}, "inner.zip").read_bytes()
    files = {"Ada_11_assignsubmission_file_/w.zip": inner, "Bob_12_assignsubmission_file_/w.zip": inner[:-40], "Eve_13_assignsubmission_file_/w.zip": packed(tmp_path, {"a.txt": "x"}, "none.zip").read_bytes()}
    collect_zip(packed(tmp_path, files), tmp_path, known=KNOWN, chapter="08_vae")
    hand_ins = {one.student: one for one in find_hand_ins(tmp_path, known=KNOWN).hand_ins}
    assert json.loads(Path(hand_ins["11"].path).read_text())["cells"][0]["source"] == "a" and "leads out of the folder" in hand_ins["11"].notes[0]
    assert "w.zip is damaged" in " ".join(hand_ins["12"].notes) and "w.zip holds no notebook" in " ".join(hand_ins["13"].notes) and not hand_ins["12"].path + hand_ins["13"].path
    assert not (tmp_path / "08_vae.ipynb").exists() and not (tmp_path / "submitted/08_vae.ipynb").exists()


def link(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.create_system, member.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return member


@pytest.mark.parametrize("member", ["../Ada_11_assignsubmission_file_/08_vae.ipynb", "Ada_11_assignsubmission_file_/../../08_vae.ipynb", "/etc/Ada_11_assignsubmission_file_/08_vae.ipynb", "C:\\Ada_11_assignsubmission_file_\\08_vae.ipynb",
                                    "..\\ada\\08_vae\\08_vae.ipynb", link("Ada_11_assignsubmission_file_/08_vae.ipynb")], ids=range(6))
def test_members_that_leave_the_folder_are_refused_and_the_rest_goes_on(tmp_path, member):
    path = packed(tmp_path, {member: book(), "Bob_12_assignsubmission_file_/08_vae.ipynb": book(text="b")})
    collected = collect_zip(path, tmp_path, known=KNOWN)
    assert collected.written == [("12", "08_vae")] and len(collected.refused) == 1 and "nothing of it was unpacked" in collected.refused[0]
    assert tree(tmp_path) == {"12/08_vae/08_vae.ipynb": book(text="b")} and sorted(os.listdir(tmp_path)) == ["download.zip", "submitted"]


def test_bombs_are_refused_by_size_and_by_what_they_unpack_to(tmp_path, monkeypatch):
    monkeypatch.setattr(platform_zip, "MAX_MB", 1)
    path = packed(tmp_path, {"Ada_11_assignsubmission_file_/08_vae.ipynb": b" " * (2 << 20), "Bob_12_assignsubmission_file_/08_vae.ipynb": book()})
    collect_zip(path, tmp_path, known=KNOWN, chapter="08_vae")
    hand_ins = {one.student: one for one in find_hand_ins(tmp_path, known=KNOWN).hand_ins}
    assert not hand_ins["11"].path and "has 2 MB, more than 1" in hand_ins["11"].notes[0] and hand_ins["12"].path
    monkeypatch.setattr(platform_zip, "MAX_ALL_MB", 1)
    with pytest.raises(ValueError, match="collect_zip: download.zip unpacks to 2 files of 2 MB, expected at most 20000 of 1 MB"):
        collect_zip(path, tmp_path, known=KNOWN)
    monkeypatch.setattr(platform_zip, "MAX_FILES", 1)
    with pytest.raises(ValueError, match="unpacks to 2 files"):
        collect_zip(path, tmp_path, known=KNOWN)
    assert notebook.MAX_MB == 200


def test_a_member_that_lies_about_its_size_or_is_damaged_is_told(tmp_path):
    path = packed(tmp_path, {"Ada_11_assignsubmission_file_/08_vae.ipynb": book(text="a" * 500), "Bob_12_assignsubmission_file_/08_vae.ipynb": book(text="b")})
    content = bytearray(path.read_bytes())
    place = content.find(b"08_vae.ipynb") + len(b"08_vae.ipynb") + 4
    content[place:place + 8] = b"\xff" * 8  # in the middle of ada's packed bytes
    path.write_bytes(content)
    collect_zip(path, tmp_path, known=KNOWN, chapter="08_vae")
    hand_ins = {one.student: one for one in find_hand_ins(tmp_path, known=KNOWN).hand_ins}
    assert not hand_ins["11"].path and "hand it in again" in hand_ins["11"].notes[0] and hand_ins["12"].path
    path.write_bytes(b"PK no zip")
    with pytest.raises(ValueError, match="collect_zip: download.zip is no zip"):
        collect_zip(path, tmp_path, known=KNOWN)
