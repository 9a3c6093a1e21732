"""Defaults that published results and trained files were made with: another one would be another recipe."""
import inspect

import pytest
import torch

from deepgen_lib import AveragedParameters, ConvRBM, LabelledRBM, UpDownOptions


def test_the_mean_of_parameters_begins_after_a_quarter_of_the_training():
    assert inspect.signature(AveragedParameters).parameters["start"].default == 0.25  # benchmarks/dbn_bound.py: the mean over the last three quarters


@pytest.mark.parametrize("make", [lambda rng: LabelledRBM(490, 10, 400, rng=rng), lambda rng: ConvRBM(20, 100, 10, rng=rng)], ids=["LabelledRBM", "ConvRBM"])
def test_first_weights_have_a_standard_deviation_of_one_hundredth(make):
    W = make(torch.Generator().manual_seed(0)).W
    assert W.numel() == 200_000 and abs(W.std().item() / 0.01 - 1) < 0.01  # six standard errors: 0.0095


def test_both_rates_of_up_down_are_one_twentieth():
    assert UpDownOptions().learning_rate == UpDownOptions().top_learning_rate == 0.05  # benchmarks/train_together.py
