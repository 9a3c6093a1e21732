"""tools/prepare_caltech.py on made-up pictures: what is kept, how groups are split, that the same input gives the same bytes."""
import numpy as np
import pytest
from PIL import Image

from deepgen_lib.caltech import load_caltech
from tools import prepare_caltech as prepare


def test_white_borders_go_and_a_full_frame_loses_at_most_an_eighth():
    grey = np.full((40, 60), 255, np.uint8)
    grey[5:30, 10:50] = 100
    assert prepare.kept(grey) == (10, 5, 50, 30)
    left, top, right, bottom = prepare.kept(np.full((40, 80), 100, np.uint8))
    assert (top, bottom) == (0, 40) and right - left == 70 and abs(left - (80 - right)) <= 1
    assert prepare.kept(np.full((80, 75), 100, np.uint8)) == (0, 2, 75, 77)  # nearly square: cropped to the square, no further


@pytest.mark.parametrize("size", [(64, 32), (300, 200), (33, 100), (10, 10)])
def test_a_picture_keeps_its_aspect_and_repeats_its_border(size, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 200, size[::-1], dtype=np.uint8)).save(tmp_path / "a.png")
    pixels, (top, bottom, left, right) = prepare.picture(tmp_path / "a.png", 64, "L")
    longer, shorter = max(size), min(size)
    kept = max(shorter, longer * 7 / 8)
    assert pixels.shape == (64, 64) and sorted((bottom - top, right - left)) == [pytest.approx(64 * shorter / kept, abs=1), 64]
    assert (pixels[:top] == pixels[top]).all() and (pixels[:, right:] == pixels[:, right - 1:right]).all()


def test_groups_are_never_divided_and_get_their_shares():
    group = np.repeat(np.arange(30), np.arange(1, 31))
    where = prepare.split(group, 3, np.random.default_rng(1))
    assert all(len(set(where[group == g])) == 1 for g in range(30)) and (where[group == 3] == 0).all()
    assert all(0.15 < (where == number).mean() <= 0.2 for number in (1, 2))
    assert np.array_equal(where, prepare.split(group, 3, np.random.default_rng(1)))


def test_persons_are_the_runs_and_the_drawings_one_group():
    person = prepare.persons(435)
    assert person[0] == person[20] != person[21] and person[388] == person[390] == person[391] == prepare.DRAWN != person[389]
    shipped = np.concatenate([load_caltech(split, categories=["Faces_easy"]).groups.numpy() for split in ("train", "valid", "test")])
    assert np.array_equal(np.bincount(person), np.bincount(shipped))


def test_near_copies_find_each_other_over_a_third():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 64, 64)).repeat(2, 1)[:, :64].repeat(2, 2)[:, :, :64]
    noise = lambda amount: amount * rng.normal(size=(64, 64))
    group = prepare.near_copies(np.stack([a, b, a + noise(0.2), b + noise(0.2), a + noise(0.2), a.T]))
    assert group.tolist() == [0, 1, 0, 1, 0, 5]


def test_a_change_of_person_is_crossed_by_few_links(tmp_path):
    """Six faces of each of four made-up people: the three changes are proposed."""
    rng, files = np.random.default_rng(0), []
    for person in range(4):
        face = np.asarray(Image.fromarray(rng.integers(0, 200, (12, 12), dtype=np.uint8)).resize((96, 96), Image.Resampling.BICUBIC), float)
        for shot in range(6):
            files.append(tmp_path / f"{person}{shot}.png")
            Image.fromarray((face + 10 * rng.normal(size=face.shape)).clip(0, 240).astype(np.uint8)).save(files[-1])
    assert prepare.few_links(files, at_most=0) == [7, 13, 19]


def test_differences_are_undone_and_files_are_the_same_every_time(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 7), dtype=np.uint8)
    assert np.array_equal(np.cumsum(prepare.differences(pixels), axis=-1, dtype=np.uint8), pixels)
    for name in "ab":
        prepare.save(tmp_path / name, differences=prepare.differences(pixels))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert np.array_equal(np.load(tmp_path / "a")["differences"], prepare.differences(pixels))
