"""What every test may ask for, and what all of them get."""
import pytest
import torch


@pytest.fixture
def rng() -> torch.Generator:
    """A fresh generator, the same in every test."""
    return torch.Generator().manual_seed(0)


@pytest.fixture(autouse=True)
def same_global_random_numbers():
    """A model built without rng draws from torch's global generator: the same numbers in every run, whatever ran before."""
    torch.manual_seed(0)
