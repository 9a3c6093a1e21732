"""Triton's interpreter reads and writes wherever a kernel points, as a GPU does: a mask forgotten gives whatever lies there, or the end of the process.

Here every address is compared with the arguments of the launch first."""
import pytest
import torch
from triton.runtime import interpreter

ACCESSES = {"create_masked_load": ("reads", 0, 1), "create_masked_store": ("writes", 0, 2), "create_atomic_rmw": ("writes", 1, 3)}  # places of pointers and mask


def reach(x: torch.Tensor) -> tuple[int, int]:
    """The address of the first number of x, and the one behind its last number."""
    last = sum((size - 1) * stride for size, stride in zip(x.shape, x.stride()))
    return x.data_ptr(), x.data_ptr() + (last + 1) * x.element_size() * (x.numel() > 0)


@pytest.fixture(scope="session", autouse=True)
def kernels_stay_inside_their_arguments():
    """A kernel that points elsewhere is an InterpreterError. One access, one argument."""
    arguments, prepare = [], interpreter.GridExecutor._init_args_hst

    def prepared(self, args, kwargs):
        found = prepare(self, args, kwargs)
        arguments[:] = [reach(x) for x in (*found[0], *found[1].values()) if isinstance(x, torch.Tensor)]
        return found

    def checked(name):
        verb, pointers_at, mask_at = ACCESSES[name]
        access = getattr(interpreter.interpreter_builder, name)

        def wrapped(*given):
            pointers, mask = given[pointers_at], given[mask_at].data.astype(bool)
            if mask.any():
                used = pointers.data[mask]
                first, behind = int(used.min()), int(used.max()) + max(1, pointers.get_element_ty().primitive_bitwidth // 8)
                assert any(start <= first and behind <= end for start, end in arguments), f"a kernel {verb} outside its arguments"
            return access(*given)
        return wrapped
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interpreter.GridExecutor, "_init_args_hst", prepared)
        for name in ACCESSES:
            patch.setattr(interpreter.interpreter_builder, name, checked(name))
        yield
