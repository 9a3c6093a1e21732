"""caltech.py: the pictures are the six categories, upright; no person and no near copy is in two splits; damage is seen."""
import shutil

import pytest
import torch
from torch import Tensor

from deepgen_lib import caltech
from deepgen_lib.caltech import CATEGORIES, SPLITS, load_caltech, load_colour_faces

COUNTS = {"Faces_easy": 435, "Motorbikes": 798, "airplanes": 800, "car_side": 123, "elephant": 64, "chair": 62}


@pytest.fixture(scope="module")
def splits():
    return {split: load_caltech(split) for split in ("train", "valid", "test")}


def test_every_picture_is_in_one_split(splits):
    assert {name: sum((s.labels == label).sum().item() for s in splits.values()) for label, name in enumerate(CATEGORIES)} == COUNTS
    for name, share in (("train", 0.6), ("valid", 0.2), ("test", 0.2)):
        for label, category in enumerate(CATEGORIES):
            assert (splits[name].labels == label).sum().item() == pytest.approx(share * COUNTS[category], abs=3), (name, category)


def test_shapes_types_and_values(splits):
    for split in splits.values():
        n = len(split.images)
        assert split.images.shape == (n, 1, 64, 64) and split.images.dtype == torch.float32 and split.images.is_contiguous()
        assert 0 <= split.images.min() and split.images.max() == 1 and 0.1 < split.images.flatten(1).std(1).mean() < 0.35
        assert [t.shape for t in split[1:]] == [(n,), (n,), (n, 4)] and all(t.dtype == torch.int64 for t in split[1:])


def test_train_and_valid_together_are_train_and_valid(splits):
    both = load_caltech("train+valid")
    assert sorted(both.images.sum((1, 2, 3)).tolist()) == sorted(torch.cat([splits[s].images for s in ("train", "valid")]).sum((1, 2, 3)).tolist())


def shared_groups(a, b) -> set[int]:
    return set(a.groups.tolist()) & set(b.groups.tolist())


def test_no_group_is_in_two_splits(splits):
    for a, b in (("train", "valid"), ("train", "test"), ("valid", "test")):
        assert shared_groups(splits[a], splits[b]) == set()


def looks_alike(faces: Tensor) -> Tensor:
    """Correlation of the middle of every two faces' gradients.  (N, 1, 64, 64) -> (N, N), -1 on the diagonal."""
    small = torch.nn.functional.avg_pool2d(faces, 2)[:, 0]
    slopes = torch.stack([small[:, 2:, 1:-1] - small[:, :-2, 1:-1], small[:, 1:-1, 2:] - small[:, 1:-1, :-2]], 1)[..., 4:26, 4:26].flatten(1)
    slopes = slopes - slopes.mean(1, keepdim=True)
    slopes = slopes / slopes.norm(dim=1, keepdim=True)
    return (slopes @ slopes.T).fill_diagonal_(-1)


def share_with_twin_elsewhere(alike: Tensor, home: Tensor) -> float:
    """Share of pictures whose most similar one has another `home`."""
    return (home[alike.argmax(1)] != home).double().mean().item()


def test_faces_are_split_by_person(rng):
    """Pixels know: a face's nearest face is nearly always the same person, so it is in the same split. It is not if pictures are dealt out singly."""
    faces = [load_caltech(split, categories=["Faces_easy"]) for split in ("train", "valid", "test")]
    home = torch.cat([torch.full((len(f.images),), i) for i, f in enumerate(faces)])
    alike, person = looks_alike(torch.cat([f.images for f in faces])), torch.cat([f.groups for f in faces])
    assert len(person.unique()) == 29  # 28 people and the drawings
    assert share_with_twin_elsewhere(alike, person) < 0.2 and share_with_twin_elsewhere(alike, home) < 0.12
    assert share_with_twin_elsewhere(alike, home[torch.randperm(len(home), generator=rng)]) > 0.45  # planted: pictures dealt out singly
    wrong = person.clone()
    wrong[person == 5] = torch.arange((person == 5).sum()) + 100  # planted: one person taken apart
    assert share_with_twin_elsewhere(alike, wrong) > share_with_twin_elsewhere(alike, person) + 0.03


def test_near_copies_share_a_split():
    bikes = [load_caltech(split, categories=["Motorbikes"]) for split in ("train", "valid", "test")]
    home, group = torch.cat([torch.full((len(b.images),), i) for i, b in enumerate(bikes)]), torch.cat([b.groups for b in bikes])
    pixels = torch.nn.functional.avg_pool2d(torch.cat([b.images for b in bikes]), 2).flatten(1)
    pixels = pixels - pixels.mean(1, keepdim=True)
    alike = (pixels @ pixels.T) / pixels.norm(dim=1) / pixels.norm(dim=1)[:, None]
    i, j = (alike.fill_diagonal_(-1) > 0.95).nonzero().T
    assert len(i) > 60 and (home[i] == home[j]).all() and len(group.unique()) < len(group)
    assert not (home[i] == home.roll(100)[j]).all()


def test_pictures_stand_upright():
    faces = load_caltech("train", categories=["Faces_easy"]).images.mean(0)[0, :, 16:48].mean(1)  # rows of the mean face
    dark_hair_bright_forehead_dark_eyes = lambda rows: rows[6:11].mean() < 0.4 and rows[28:30].mean() < rows[21:25].mean() - 0.05
    assert dark_hair_bright_forehead_dark_eyes(faces) and not dark_hair_bright_forehead_dark_eyes(faces.flip(0))
    bikes = load_caltech("train", categories=["Motorbikes"]).images.mean(0)[0, 30:48]
    assert bikes.mean(0)[8:56].max() < 0.6 and bikes.mean(0)[0] > 0.6  # they lie along the rows: not transposed


def test_frames_hold_the_picture_and_outside_are_streaks(splits):
    images, _, _, frames = splits["train"]
    top, bottom, left, right = frames.T
    assert ((bottom - top == 64) | (right - left == 64)).all() and (bottom > top).all() and (right > left).all()
    for i in (top > 0).nonzero()[:50, 0]:
        assert torch.equal(images[i, 0, :top[i]], images[i, 0, top[i]].expand(top[i], -1)) and not torch.equal(images[i, 0, top[i]], images[i, 0, top[i] + 1])
    faces = frames[splits["train"].labels == 0]
    assert ((faces[:, 3] - faces[:, 2]).float().mean() > 60)  # faces lose nearly nothing to the square


def test_labels_follow_the_categories_asked_for():
    two = load_caltech("test", categories=["chair", "Faces_easy"])
    chairs, faces = (load_caltech("test", categories=[name]) for name in ("chair", "Faces_easy"))
    assert torch.equal(two.images, torch.cat([chairs.images, faces.images])) and two.labels.tolist() == [0] * len(chairs.images) + [1] * len(faces.images)


@pytest.mark.parametrize("split", SPLITS)
def test_colour_faces_are_the_same_faces(split):
    colour, grey = load_colour_faces(split), load_caltech(split, categories=["Faces_easy"])
    assert colour.images.shape == (len(grey.images), 3, 32, 32) and torch.equal(colour.groups, grey.groups)
    luma = (colour.images * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1)
    small = torch.nn.functional.avg_pool2d(grey.images, 2)[:, 0]
    assert (luma - small).abs().mean() < 0.03
    assert (luma.roll(1, 0) - small).abs().mean() > 0.05
    red, _, blue = colour.images[:, :, 8:24, 8:24].mean((0, 2, 3))
    assert red > blue + 0.05  # skin, in this order of channels


def test_the_caller_may_write_into_what_is_returned():
    for load in (load_caltech, load_colour_faces):
        for tensor in load("test"):
            tensor.zero_()
        assert load("test").images.mean() > 0.3 and load("test").groups.sum() > 0


@pytest.mark.parametrize("function, options, words", [
    (load_caltech, dict(split="training"), "split is 'training', expected one of"), (load_colour_faces, dict(split=None), "split is None, expected one of"),
    (load_caltech, dict(split="test", categories=["face"]), "categories is 'face', expected one of 'Faces_easy'"),
    (load_caltech, dict(split="test", categories="chair"), "categories is 'chair', expected a list"),
    (load_caltech, dict(split="test", categories=[]), "categories is \\[\\], expected a list"), (load_caltech, dict(split="test", categories=3), "categories is 3, expected a list"),
    (load_caltech, dict(split="test", categories=["chair", "chair"]), "expected each name once"), (load_caltech, dict(split="test", categories=[3]), "categories is 3, expected one of"),
], ids=lambda x: x if isinstance(x, str) else "")
def test_wrong_options_are_answered(function, options, words):
    with pytest.raises(ValueError, match=f"^{function.__name__}: .*{words}.*; .+"):
        function(**options)


@pytest.mark.parametrize("name, load", [("caltech/grey64.npz", load_caltech), ("caltech/faces32.npz", load_colour_faces)])
def test_damage_to_a_file_is_seen_and_its_repair_named(name, load, tmp_path, monkeypatch):
    shutil.copytree(caltech.EMBEDDED / "caltech", tmp_path / "caltech")
    monkeypatch.setattr(caltech, "EMBEDDED", tmp_path)
    path = tmp_path / name
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    for damaged in (bytes(flipped), content[:100], b""):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=rf"{load.__name__}: deepgen_lib/embedded/{name} is damaged: got {len(damaged)} bytes .* expected {len(content)} bytes .*git checkout"):
            load("test")
    path.unlink()
    with pytest.raises(FileNotFoundError, match=rf"{load.__name__}: there is no file deepgen_lib/embedded/{name}, expected .*git checkout"):
        load("test")
    path.write_bytes(content)
    assert len(load("test").images) > 50  # repaired without a restart


def test_the_files_are_small_and_all_listed():
    files = {path.relative_to(caltech.EMBEDDED).as_posix(): path.stat().st_size for path in (caltech.EMBEDDED / "caltech").iterdir()}
    assert files == {name: n_bytes for name, (n_bytes, _) in caltech._FILES.items()} and sum(files.values()) < 8e6
