"""What every test may ask for."""
import pytest
import torch


@pytest.fixture
def rng() -> torch.Generator:
    """A fresh generator, the same in every test."""
    return torch.Generator().manual_seed(0)
