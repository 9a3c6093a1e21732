"""data.py: the images are MNIST, upright, under the protocol asked for; damage is seen."""
import math
import shutil
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepgen_lib import data
from deepgen_lib.data import BINARISATIONS, SPLITS, load_mnist

SIZES = {"train": 50_000, "valid": 10_000, "train+valid": 60_000, "test": 10_000}


def load(split, binarisation):
    return load_mnist(split, binarisation=binarisation, seed=0 if binarisation == "sampled" else None)


@pytest.mark.parametrize("binarisation", BINARISATIONS)
@pytest.mark.parametrize("split", SPLITS)
def test_shapes_types_and_values(split, binarisation):
    images, labels = load(split, binarisation)
    assert images.shape == (SIZES[split], 784) and images.dtype == torch.float32 and images.is_contiguous()
    assert (0 <= images.min()) and images.max() == 1 and bool(((images == 0) | (images == 1)).all()) == (binarisation != "grey")
    if binarisation == "fixed":
        assert labels is None
    else:
        assert labels.shape == (SIZES[split],) and labels.dtype == torch.int64 and labels.unique().tolist() == list(range(10))


def test_it_is_mnist():
    everything, train, valid, test = (load_mnist(split, binarisation="grey") for split in ("train+valid", "train", "valid", "test"))
    assert everything.labels[:5].tolist() == [5, 0, 4, 1, 9] and test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert everything.images.double().mean().item() == pytest.approx(0.1307, abs=5e-5)
    assert everything.images.double().std().item() == pytest.approx(0.3081, abs=5e-5)
    assert torch.equal(torch.cat([train.images, valid.images]), everything.images)
    assert torch.equal(torch.cat([train.labels, valid.labels]), everything.labels)


@pytest.mark.parametrize("split, mean", [("train", 0.1306), ("valid", 0.1311), ("test", 0.1325)])
def test_the_fixed_binarisation_has_its_known_means(split, mean):
    assert load_mnist(split, binarisation="fixed").images.double().mean().item() == pytest.approx(mean, abs=5e-5)


def height_over_width(images):
    """Standard deviation of the ink along rows over that along columns, of the mean image."""
    ink = images.mean(0).view(28, 28).double()
    position = torch.arange(28.0, dtype=torch.float64)

    def spread(weights):
        weights = weights / weights.sum()
        return ((position - weights @ position) ** 2 @ weights).sqrt()
    return (spread(ink.sum(1)) / spread(ink.sum(0))).item()


def test_images_stand_upright():
    images, labels = load_mnist("test", binarisation="grey")
    ones = images[labels == 1]
    assert height_over_width(ones) > 1.4
    assert height_over_width(ones.view(-1, 28, 28).mT.flatten(1)) < 0.72  # a transposed picture would be seen
    fixed_ones = load_mnist("test", binarisation="fixed").images[980:2115]  # sorted by class, see below
    assert height_over_width(fixed_ones) > 1.4
    assert images[labels == 7].mean(0).view(28, 28).sum(1).argmax() < 12  # a seven has its bar on top: not upside down either
    assert images[labels == 3].mean(0).view(28, 28)[14:].sum(0).argmax() > 15  # a three is open to the left: not mirrored


def agreement(binary, grey):
    """Mean correlation of row i with row i."""
    a, b = binary - binary.mean(1, keepdim=True), grey - grey.mean(1, keepdim=True)
    return ((a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))).mean().item()


@pytest.mark.parametrize("split", SPLITS)
def test_the_fixed_rows_are_in_another_order_so_they_get_no_labels(split):
    grey = load_mnist(split, binarisation="grey").images[:2000]
    assert agreement(load(split, "fixed").images[:2000], grey) < 0.5
    assert agreement(load(split, "sampled").images[:2000], grey) > 0.9  # what the same order looks like


def test_the_fixed_test_rows_are_the_test_digits_sorted_by_class():
    grey, labels = load_mnist("test", binarisation="grey")
    fixed = load_mnist("test", binarisation="fixed").images[::50]
    p = grey.clamp(1e-4, 1 - 1e-4)
    log_likelihood = fixed @ p.logit().T + torch.log1p(-p).sum(1)     # of fixed row i under grey row j
    best = log_likelihood.max(1)
    found = labels[best.indices]
    assert best.values.min() > -150 and (found.diff() >= 0).all() and found.unique().tolist() == list(range(10))


def test_the_protocols_differ_as_they_should():
    grey, thresholded, sampled = (load("test", name).images for name in ("grey", "thresholded", "sampled"))
    assert torch.equal(thresholded, (grey > 0.5).float())
    assert (sampled[grey == 0] == 0).all() and (sampled[grey == 1] == 1).all()
    middle = (grey > 0.2) & (grey < 0.8)
    error = (sampled[middle] - grey[middle]).mean().abs()
    assert error < 4 * (grey[middle] * (1 - grey[middle])).sum().sqrt() / middle.sum()  # four standard errors of a fair draw
    assert 0.02 < (sampled != thresholded).float().mean() < 0.06


def test_sampling_is_set_by_its_seed_alone():
    torch.manual_seed(5)
    first = load_mnist("valid", binarisation="sampled", seed=0).images
    torch.manual_seed(6)
    assert torch.equal(first, load_mnist("valid", binarisation="sampled", seed=0).images)
    assert not torch.equal(first, load_mnist("valid", binarisation="sampled", seed=1).images)
    assert torch.equal(first, load_mnist("train+valid", binarisation="sampled", seed=0).images[50_000:])
    assert first.sum().item() == 1_011_770  # on every machine


def test_the_noise_of_the_test_images_is_not_that_of_the_training_images():
    """The same seed must not flip pixel (i, j) alike in both files."""
    train, test = (load("train", "sampled").images[:10_000], load("test", "sampled").images)
    grey, grey_test = (load_mnist(s, binarisation="grey").images[:10_000] for s in ("train", "test"))
    both = (grey - 0.5).abs().lt(0.1) & (grey_test - 0.5).abs().lt(0.1)
    same = (train[both] == test[both]).float()
    assert (same.mean() - 0.5).abs() < 4 * 0.5 / math.sqrt(len(same)) + 0.02


def test_the_caller_may_write_into_what_is_returned():
    for binarisation in BINARISATIONS:
        first = load("test", binarisation)
        first.images.fill_(0.5)
        again = load("test", binarisation)
        assert again.images.mean() < 0.2
        if first.labels is not None:
            first.labels.fill_(3)
            assert load("test", binarisation).labels[0] == 7


@pytest.mark.parametrize("options, words", [
    (dict(split="training", binarisation="grey"), "split is 'training', expected one of 'train', 'valid', 'train\\+valid', 'test'"),
    (dict(split="train", binarisation="binary"), "binarisation is 'binary', expected one of 'grey', 'thresholded', 'sampled', 'fixed'"),
    (dict(split="test", binarisation="sampled"), "seed is None, expected a whole number"),
    (dict(split="test", binarisation="sampled", seed=-1), "seed is -1, expected"),
    (dict(split="test", binarisation="sampled", seed=2**32), "seed is 4294967296, expected"),
    (dict(split="test", binarisation="sampled", seed=True), "seed is True, expected"),
    (dict(split="test", binarisation="sampled", seed=1.0), "seed is 1.0, expected"),
    (dict(split="test", binarisation="fixed", seed=1), "got seed 1 with binarisation 'fixed', expected none"),
    (dict(split="test", binarisation="grey", seed=0), "got seed 0 with binarisation 'grey', expected none"),
], ids=str)
def test_wrong_options_are_answered(options, words):
    with pytest.raises(ValueError, match=f"^load_mnist: {words}.*; .+"):
        load_mnist(**options)


ANYTHING = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.lists(st.integers(), max_size=2), st.sampled_from(SPLITS))


@given(split=ANYTHING, binarisation=ANYTHING, seed=ANYTHING)
@settings(max_examples=200, deadline=None)
def test_any_bad_input_is_answered_in_the_house_style(split, binarisation, seed):
    with pytest.raises(ValueError, match="(?s)^load_mnist: .*expected .*; "):
        load_mnist(split, binarisation=binarisation, seed=seed)  # ANYTHING never names a binarisation


def test_binarisation_has_no_default():
    with pytest.raises(TypeError, match="binarisation"):
        load_mnist("test")


@pytest.fixture
def embedded(tmp_path, monkeypatch):
    """A copy of the embedded files that may be damaged."""
    folder = tmp_path / "embedded"
    shutil.copytree(data.EMBEDDED, folder)
    monkeypatch.setattr(data, "EMBEDDED", folder)
    return folder


FILES = {"mnist/t10k-images-idx3-ubyte.gz": "grey", "mnist/t10k-labels-idx1-ubyte.gz": "grey", "binarized_mnist.npz": "fixed"}


@pytest.mark.parametrize("name", FILES)
def test_damage_to_a_file_is_seen_and_its_repair_named(embedded, name):
    path = embedded / name
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    for damaged in (bytes(flipped), content[:100], b""):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=rf"deepgen_lib/embedded/{name} is damaged: got {len(damaged)} bytes .* expected {len(content)} bytes .*"
                                             "git checkout -- deepgen_lib/embedded.*tools/course.py setup"):
            load_mnist("test", binarisation=FILES[name])
    path.unlink()
    with pytest.raises(FileNotFoundError, match=rf"there is no file deepgen_lib/embedded/{name}, expected .*git checkout"):
        load_mnist("test", binarisation=FILES[name])
    path.write_bytes(content)
    assert len(load_mnist("test", binarisation=FILES[name]).images) == 10_000  # repaired without a restart


def test_the_table_of_hashes_covers_every_file_of_the_data_sets():
    files = {path.relative_to(data.EMBEDDED).as_posix() for path in data.EMBEDDED.rglob("*mnist*") if path.is_file()}
    files |= {path.relative_to(data.EMBEDDED).as_posix() for path in (data.EMBEDDED / "mnist").iterdir()}
    files = {name for name in files if not name.startswith("checkpoints/")}  # those are models, not data
    assert files == set(data._FILES)


def test_loading_is_quick():
    for name in ("_pixels", "_labels", "_packed"):
        getattr(data, name).cache_clear()
    start = time.process_time()
    load_mnist("train", binarisation="fixed")
    load_mnist("test", binarisation="grey")
    assert time.process_time() - start < 2.0  # a third of a second each here; the limit leaves room for a slow machine
