"""In Triton's interpreter: an address outside a kernel's arguments is an error, where it would be any number or the end of the process."""
import pytest
import torch
import triton
import triton.language as tl
from triton.runtime.errors import InterpreterError


@triton.jit
def copy_kernel(x_ptr, y_ptr, n, shift, MASKED: tl.constexpr, ATOMIC: tl.constexpr, SIZE: tl.constexpr):
    at = tl.arange(0, SIZE)
    read, written = (at < n, at < n) if MASKED == "both" else (at < SIZE, at < n) if MASKED == "store" else (at < n, at < SIZE)
    x = tl.load(x_ptr + at + shift, mask=read, other=0.0)
    if ATOMIC:
        tl.atomic_add(y_ptr + at, x, mask=written)
    else:
        tl.store(y_ptr + at, x, mask=written)


def copied(n_read: int, n_written: int, n: int = 5, shift: int = 0, masked: str = "both", atomic: bool = False) -> torch.Tensor:
    """Both arguments lie in the middle of memory that is there, so that only the check can see a stray address."""
    x, y = torch.arange(100.0)[40:40 + n_read], torch.zeros(100)
    copy_kernel[(1,)](x, y[40:40 + n_written], n, shift, MASKED=masked, ATOMIC=atomic, SIZE=16)
    return y


@pytest.mark.parametrize("atomic", [False, True])
def test_a_kernel_may_use_all_of_its_arguments(atomic):
    assert copied(5, 5, atomic=atomic)[39:46].tolist() == [0, 40, 41, 42, 43, 44, 0]
    assert not copied(0, 0, n=0, atomic=atomic).any()


@pytest.mark.parametrize("verb, given", [
    ("reads", dict(n_read=4, n_written=16)),
    ("reads", dict(n_read=5, n_written=16, shift=-1)),
    ("reads", dict(n_read=5, n_written=5, masked="store")),
    ("reads", dict(n_read=0, n_written=5)),
    ("writes", dict(n_read=16, n_written=4)),
    ("writes", dict(n_read=16, n_written=4, atomic=True)),
    ("writes", dict(n_read=5, n_written=5, masked="load")),
    ("writes", dict(n_read=5, n_written=5, masked="load", atomic=True)),
], ids=str)
def test_an_address_outside_the_arguments_is_an_error(verb, given):
    with pytest.raises(InterpreterError, match=f"{verb} outside its arguments"):
        copied(**given)
