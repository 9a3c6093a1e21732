"""digit_classifier.py: probabilities, learning, and the shipped one on test pictures."""
import torch
from torch.testing import assert_close

from deepgen_lib import fit, load_mnist
from deepgen_lib.digit_classifier import DigitClassifier, load_digit_classifier
from deepgen_lib.gradient_training import AdamOptions, GradientTrainer
from deepgen_lib.labels import labelled_rows
from deepgen_lib.shipped import CHECKPOINTS

SHIPPED = CHECKPOINTS / "digit_classifier.safetensors"


def test_it_gives_probabilities_and_sureness_is_the_largest(rng):
    model, x = DigitClassifier(width=2, n_hidden=4), torch.rand(3, 1, 28, 28, generator=rng)
    p = model.log_prob(x).exp()
    assert_close(p.sum(1), torch.ones(3))
    assert all(torch.equal(*pair) for pair in zip(model.sureness(x), p.max(1)))


def test_it_learns(rng):
    train = load_mnist("valid", binarisation="grey")
    rows = labelled_rows(train.images[:1000], train.labels[:1000], 10)
    model = DigitClassifier(width=4, n_hidden=16)
    fit(GradientTrainer(model, AdamOptions(learning_rate=5e-3)), rows, n_updates=150, batch_size=50, rng=rng)
    y = model.sureness(train.images[1000:2000].view(-1, 1, 28, 28))[1]
    assert (y == train.labels[1000:2000]).double().mean() > 0.7


def test_the_training_loss_is_the_mean_surprise_at_the_label(rng):
    model, x, labels = DigitClassifier(width=2, n_hidden=4), torch.rand(5, 784, generator=rng), torch.tensor([0, 9, 3, 3, 7])
    want = -model.log_prob(x.view(-1, 1, 28, 28))[torch.arange(5), labels].mean()
    assert_close(model.training_loss(labelled_rows(x, labels, 10), 0.0, rng), want)


def test_the_shipped_one_names_98_percent_of_the_test_pictures_right():
    test, model = load_mnist("test", binarisation="grey"), load_digit_classifier()
    p, y = model.sureness(test.images[:5000].view(-1, 1, 28, 28))
    assert (y == test.labels[:5000]).double().mean() > 0.98 and (p > 0.9).double().mean() > 0.95
    assert SHIPPED.stat().st_size < 500_000


def test_noise_does_not_look_like_a_digit(rng):
    p, _ = load_digit_classifier().sureness(torch.rand(100, 1, 28, 28, generator=rng))
    assert (p > 0.9).double().mean() < 0.5
