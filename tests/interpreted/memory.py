"""In Triton's interpreter: an address outside a kernel's arguments is an error, where it would be any number or the end of the process."""
import pytest
import torch
import triton
import triton.language as tl
from triton.runtime.errors import InterpreterError


@triton.jit
def copy_kernel(x_ptr, y_ptr, first, n_read, n_written, MASKED: tl.constexpr, ATOMIC: tl.constexpr, SIZE: tl.constexpr):
    at = tl.arange(0, SIZE)
    if not MASKED:
        tl.store(y_ptr + at, tl.load(x_ptr + at))
    elif ATOMIC:
        tl.atomic_add(y_ptr + at, tl.load(x_ptr + first + at, mask=at < n_read, other=0.0), mask=at < n_written)
    else:
        tl.store(y_ptr + at, tl.load(x_ptr + first + at, mask=at < n_read, other=0.0), mask=at < n_written)


def copied(sizes: tuple[int, int] = (5, 5), first: int = 0, n_read: int = 5, n_written: int = 5, masked: bool = True, atomic: bool = False) -> torch.Tensor:
    """sizes: of the two arguments. Both lie in the middle of memory that is there, so that only the check sees a stray address (an empty one has address 0)."""
    x, y = torch.arange(100.0), torch.zeros(100)
    copy_kernel[(1,)](x[40:40 + sizes[0]], y[40:40 + sizes[1]], first, n_read, n_written, MASKED=masked, ATOMIC=atomic, SIZE=16)
    return y


@pytest.mark.parametrize("atomic", [False, True])
def test_a_kernel_may_use_all_of_its_arguments(atomic):
    assert copied(atomic=atomic)[39:46].tolist() == [0, 40, 41, 42, 43, 44, 0]
    assert not copied((0, 0), n_read=0, n_written=0, atomic=atomic).any()
    assert copied((16, 16), masked=False)[38:58].tolist() == [0, 0, *range(40, 56), 0, 0]


@pytest.mark.parametrize("verb, given", [
    ("reads", dict(sizes=(4, 5))),
    ("reads", dict(sizes=(0, 5))),
    ("reads", dict(first=-1)),
    ("reads", dict(n_read=16)),
    ("reads", dict(sizes=(15, 16), masked=False)),
    ("writes", dict(sizes=(5, 4))),
    ("writes", dict(sizes=(5, 4), atomic=True)),
    ("writes", dict(n_written=16)),
    ("writes", dict(n_written=16, atomic=True)),
    ("writes", dict(sizes=(16, 15), masked=False)),
], ids=str)
def test_an_address_outside_the_arguments_is_an_error(verb, given):
    with pytest.raises(InterpreterError, match=f"{verb} outside its arguments"):
        copied(**given)
