"""The wire between grader and student's process: plain data passes unchanged, everything else arrives as a stranger or is refused."""
import collections
import json
import math
import socket
import struct
import threading
import typing

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepgen_lib import RBM, random_rbm
from deepgen_lib.checks import find
from deepgen_lib.checks.examine import examine, judge
from grading.remote import Ended, Remote
from grading.wire import Channel, Stranger, WireError, decode, encode


def there(value):
    """The value as it arrives on the other side."""
    blobs: list[bytes] = []
    tree = json.loads(json.dumps(encode(value, blobs)))
    return decode(tree, b"".join(blobs))


class Pair(typing.NamedTuple):
    a: int
    b: torch.Tensor


class Evil(float):
    __eq__ = lambda self, other: True  # noqa: E731
    __hash__ = float.__hash__


@pytest.mark.parametrize("value", [None, True, 3, -(10**30), 2.5, math.inf, "text \ud800", [1, [2, "x"]], (1, (2,)), {"a": 1, 2: [3], None: 0.5}], ids=range(10))
def test_plain_values_pass_unchanged(value):
    assert there(value) == value and type(there(value)) is type(value)
    assert math.isnan(there(math.nan))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.int64, torch.uint8, torch.bool, torch.complex64], ids=str)
@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (2, 3)], ids=str)
def test_tensors_pass_to_the_bit(shape, dtype, rng):
    value = (4 * torch.randn(shape, generator=rng)).to(dtype)
    for given_ in (value, value.T if value.ndim == 2 else value, value.expand(2, *shape), value[..., None]):
        back = there(given_)
        assert type(back) is torch.Tensor and back.dtype == dtype and torch.equal(back, given_)
    assert there(torch.ones(5, 1, dtype=torch.float64).T.mean(0, keepdim=True).T).shape == (5, 1)  # an axis of length one with a stride of its own


def test_arrays_parameters_gradients_and_models_pass():
    array = np.arange(6.0).reshape(2, 3)[:, ::2]
    assert np.array_equal(there(array), array) and there(np.float32(1.5)) == 1.5 and type(there(np.float32(1.5))) is np.float32
    assert there(torch.ones(2, requires_grad=True)).requires_grad and not there(torch.ones(2)).requires_grad
    assert type(there(torch.nn.Parameter(torch.ones(2)))) is torch.nn.Parameter
    rbm = random_rbm(3, 2, scale=1.0, rng=torch.Generator().manual_seed(0))
    v = torch.ones(4, 3, dtype=torch.float64)
    assert type(there(rbm)) is RBM and torch.equal(there(rbm).free_energy(v), rbm.free_energy(v))
    assert type(there(Pair(1, torch.ones(2)))) is tuple


@pytest.mark.parametrize("value, name", [(Evil(1), "Evil"), ({1, 2}, "set"), (object(), "object"), (collections.OrderedDict(), "OrderedDict"), (b"x", "bytes"), (1j, "complex"),
                                         (torch.ones(2).to_sparse(), "Tensor"), (np.array([object()]), "ndarray"), (torch.nn.Linear(1, 1), "Linear")], ids=range(9))
def test_everything_else_is_a_stranger_with_a_name(value, name):
    back = there(value)
    assert isinstance(back, Stranger) and type(back).__name__ == name and not vars(back)


@pytest.mark.parametrize("relation", ["shared", "tied", "copies", "strangers"])
def test_what_two_ways_have_in_common_goes_to_the_student_and_nothing_comes_back(relation):
    from deepgen_lib.checks.nvae import _program, _relation
    blobs: list[bytes] = []
    tree = json.loads(json.dumps(encode(_program(relation, 3), blobs)))
    assert relation not in json.dumps(tree) and _relation(decode(tree, b"".join(blobs), asked=lambda number: None)) == relation
    with pytest.raises(WireError):
        decode(tree, b"".join(blobs))


def test_a_loop_of_lists_and_a_deep_one_end():
    loop: list = []
    loop.append(loop)
    there(loop)
    assert callable(there(len)) and there(len) is not len


JUNK = st.recursive(st.one_of(st.none(), st.booleans(), st.integers(-3, 10**9), st.floats(), st.text(max_size=8), st.sampled_from(["tensor", "array", "dict", "model", "ask", "float64", "RBM"])),
                    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(["t", "v", "at", "dtype", "shape", "grad", "name", "state", "id", "parameter", "scalar"]), inner, max_size=6)),
                    max_leaves=12)


@given(tree=JUNK, whole=st.booleans(), body=st.binary(max_size=40))
@settings(max_examples=300, deadline=None)
def test_whatever_comes_is_read_or_refused(tree, whole, body):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        header = json.dumps([{}, [tree]] if whole else tree).encode("utf-8", "surrogatepass")
        theirs.sendall(struct.pack(">II", len(header), len(body)) + header + body)
        try:
            found, values = Channel(ours, limit=2**20).receive(seconds=2)
            assert type(found) is dict and type(values) is list
        except WireError:
            pass


def test_too_much_is_refused_before_it_is_read_and_silence_ends():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(struct.pack(">II", 10, 2**31))
        with pytest.raises(WireError, match="2048 MB; the limit is 1 MB"):
            Channel(ours, limit=2**20).receive(seconds=2)
        with pytest.raises(TimeoutError):
            Channel(ours, limit=2**20).receive(seconds=0.1)
        with pytest.raises(WireError, match="too much to hand over"):
            Channel(ours, limit=2**20).send({}, torch.zeros(2**20))
        theirs.close()
        with pytest.raises((EOFError, ConnectionError)):
            Channel(ours, limit=2**20).receive(seconds=2)


def test_a_frame_in_pieces_is_put_together():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sent = torch.arange(200_000.0)
        thread = threading.Thread(target=lambda: Channel(theirs, limit=2**22).send({"a": 1}, sent))
        thread.start()
        message, values = Channel(ours, limit=2**22).receive(seconds=5)
        thread.join()
    assert message == {"a": 1} and torch.equal(values[0], sent)


# ---- the seam of the checks' engine

def test_the_examiner_names_the_known_mistake_and_says_what_it_said_before():
    part = find("8.2").parts[0]
    for name, misconception in part.bank.items():
        verdict = judge(part, misconception.wrong, 7, [])
        assert verdict.misconception == name and misconception.message in verdict.complaint
        assert verdict.complaint == examine(part, misconception.wrong, 7, [])
    assert judge(part, part.right, 7, []) == (None, "") and examine(part, part.right, 7, []) is None
    assert judge(part, lambda mu, log_sigma: mu.sum(1) + 0.123, 7, []).misconception == ""


def test_an_input_that_cannot_be_sent_is_said_and_not_held_against_the_answer():
    with pytest.raises(Ended, match="hands over an object that cannot be sent to another process: it is not graded here"):
        Remote(None, seconds=1).call("f", (torch.ones(2), [object()]))
