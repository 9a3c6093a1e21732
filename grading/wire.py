"""What passes between the grader and the process that runs a student's code: arrays, numbers, text, and lists and dictionaries of these.

A frame is two lengths, a JSON header and the raw bytes of its arrays. Nothing is pickled and only exact types are known: an
object of a class of the student's own arrives as a `Stranger` that has a name and nothing else. A function among the inputs is
not sent: the other side gets a number to call it by (remote.py answers, player.py asks).
"""
from __future__ import annotations

import importlib
import inspect
import json
import socket
import struct
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_LENGTHS = struct.Struct(">II")
_DEEP = 24  # lists in lists
_HEADER = 4 * 2**20  # bytes of JSON, which grows when it is read
_TENSORS = {str(kind)[6:]: kind for kind in (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
                                              torch.int8, torch.uint8, torch.bool, torch.complex64, torch.complex128)}
_ARRAYS = set("float64 float32 float16 int64 int32 int16 int8 uint64 uint32 uint16 uint8 bool complex64 complex128".split())
_MODELS = {"RBM": "deepgen_lib.rbm", "BernoulliMixture": "deepgen_lib.mixture"}  # models that hold arrays alone


_OBJECTS = {"TwoWays": "deepgen_lib.nvae.two_ways"}  # what exercises hand over beside arrays: sent as what `plain` says of them, never taken back


class WireError(ValueError):
    """What came is not a frame, or is larger than agreed."""


class Stranger:
    """Stands for an object of a type that is never sent."""


class Channel:
    """Frames over one socket.  `limit` is the size of the largest frame accepted, in bytes."""

    def __init__(self, connection: socket.socket, *, limit: int):
        self.connection, self.limit = connection, limit

    def send(self, message: dict, *values, asks: list | None = None, seconds: float | None = None) -> None:
        blobs = []
        trees = [encode(value, blobs, asks) for value in values]
        header, body = json.dumps([message, trees]).encode("utf-8", "surrogatepass"), b"".join(blobs)
        if len(header) + len(body) > self.limit:
            raise WireError(f"{(len(header) + len(body)) / 2**20:.0f} MB are too much to hand over; the limit is {self.limit / 2**20:.0f} MB")
        self.connection.settimeout(seconds)
        self.connection.sendall(_LENGTHS.pack(len(header), len(body)) + header + body)

    def receive(self, *, seconds: float | None = None, asked=None) -> tuple[dict, list]:
        """(message, values).  Raises WireError, EOFError when the other side is gone, TimeoutError when it is late."""
        end = None if seconds is None else time.monotonic() + seconds
        n_header, n_body = _LENGTHS.unpack(self._read(_LENGTHS.size, end))
        if n_header > _HEADER or n_header + n_body > self.limit:
            raise WireError(f"an answer of {(n_header + n_body) / 2**20:.0f} MB; the limit is {self.limit / 2**20:.0f} MB")
        header, body = self._read(n_header, end), self._read(n_body, end)
        try:
            message, trees = json.loads(header.decode("utf-8", "surrogatepass"))
            if type(message) is not dict or type(trees) is not list:
                raise WireError("not a message")
            return message, [decode(tree, body, asked) for tree in trees]
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError, RecursionError, OverflowError, MemoryError) as error:
            raise WireError(f"what came back cannot be read: {type(error).__name__}") from None

    def _read(self, size: int, end: float | None) -> bytearray:
        found = bytearray()
        while len(found) < size:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError
            self.connection.settimeout(left)
            if not (piece := self.connection.recv(min(size - len(found), 1 << 20))):
                raise EOFError("the other side is gone")
            found += piece
        return found


def encode(value, blobs: list[bytes], asks: list | None = None, depth: int = 0) -> Any:
    """The JSON tree of a value; its arrays are appended to `blobs`, functions (where `asks` is a list) to `asks`."""
    kind, more = type(value), dict(blobs=blobs, asks=asks, depth=depth + 1)
    if depth > _DEEP:
        return {"t": "other", "name": "a structure too deep"}
    if value is None or kind in (bool, str, float) or (kind is int and value.bit_length() < 4000):
        return {"t": "plain", "v": value}
    if kind in (Tensor, nn.Parameter) and str(value.dtype)[6:] in _TENSORS and value.layout is torch.strided:
        flat = value.detach().cpu().resolve_conj().resolve_neg().reshape(-1).clone(memory_format=torch.contiguous_format)
        return {"t": "tensor", "dtype": str(value.dtype)[6:], "shape": list(value.shape), "at": _store(flat.view(torch.uint8).numpy().tobytes(), blobs),
                "grad": bool(value.requires_grad), "parameter": kind is nn.Parameter}
    if (kind is np.ndarray or isinstance(value, np.generic)) and str(value.dtype) in _ARRAYS:
        return {"t": "array", "dtype": str(value.dtype), "shape": list(value.shape), "at": _store(value.tobytes(), blobs), "scalar": kind is not np.ndarray}
    if kind is list or isinstance(value, tuple):
        items = (list.__iter__ if kind is list else tuple.__iter__)(value)
        return {"t": "list" if kind is list else "tuple", "v": [encode(item, **more) for item in items]}
    if kind is dict:
        return {"t": "dict", "v": [[encode(key, **more), encode(item, **more)] for key, item in value.items()]}
    if kind.__name__ in _MODELS and kind.__module__ == _MODELS[kind.__name__]:
        state = {name: encode(item, **more) for source in (value._parameters, value._buffers) for name, item in source.items()}
        return {"t": "model", "name": kind.__name__, "state": state}
    if kind.__name__ in _OBJECTS and kind.__module__ == _OBJECTS[kind.__name__]:
        return {"t": "object", "name": kind.__name__, "v": encode(value.plain(), **more)}
    if asks is not None and callable(value):
        asks.append(value)
        return {"t": "ask", "id": len(asks) - 1}
    return {"t": "other", "name": kind.__name__[:60], "routine": inspect.isroutine(value)}


def decode(tree, body: bytes, asked=None):
    """The value of a JSON tree; `asked(number)` makes the stand-in of a function."""
    kind = tree["t"]
    if kind == "plain":
        return tree["v"] if tree["v"] is None or type(tree["v"]) in (bool, str, float, int) else _refuse(kind)
    if kind == "tensor":
        dtype = _TENSORS[tree["dtype"]]
        data = _cut(body, tree, dtype.itemsize)
        tensor = (torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)).reshape(tree["shape"])
        tensor = nn.Parameter(tensor, requires_grad=False) if tree["parameter"] is True else tensor
        return tensor.requires_grad_(True) if tree["grad"] is True and (tensor.is_floating_point() or tensor.is_complex()) else tensor
    if kind == "array":
        dtype = np.dtype(tree["dtype"] if tree["dtype"] in _ARRAYS else _refuse(kind))
        array = np.frombuffer(_cut(body, tree, dtype.itemsize), dtype=dtype).reshape(tree["shape"])
        return array.reshape(-1)[0] if tree["scalar"] is True else array
    if kind in ("list", "tuple"):
        return (list if kind == "list" else tuple)(decode(item, body, asked) for item in tree["v"])
    if kind == "dict":
        return {_key(decode(key, body)): decode(item, body, asked) for key, item in tree["v"]}
    if kind == "model":
        return _model(tree, body)
    if kind == "ask" and asked is not None:
        return asked(tree["id"])
    if kind == "object" and asked is not None:
        return getattr(importlib.import_module(_OBJECTS[tree["name"]]), tree["name"]).from_plain(decode(tree["v"], body))
    if kind == "other":
        return _stranger(str(tree["name"]), tree.get("routine") is True)
    return _refuse(kind)


def _store(data: bytes, blobs: list[bytes]) -> list[int]:
    start = sum(map(len, blobs))
    blobs.append(data)
    return [start, len(data)]


def _cut(body: bytes, tree: dict, itemsize: int) -> bytearray:
    start, length = tree["at"]
    count = 1
    for size in tree["shape"]:
        if type(size) is not int or size < 0:
            _refuse("shape")
        count *= size
    if start < 0 or length != count * itemsize or start + length > len(body):
        _refuse("array")
    return bytearray(body[start:start + length])


def _key(key):
    return key if key is None or type(key) in (bool, str, float, int) else str(type(key).__name__)


def _model(tree: dict, body: bytes) -> nn.Module:
    """A model of the library whose every attribute is one of these arrays."""
    cls = getattr(importlib.import_module(_MODELS[tree["name"]]), tree["name"])
    model = cls.__new__(cls)
    nn.Module.__init__(model)
    for name, item in tree["state"].items():
        value = decode(item, body)
        if not (isinstance(value, Tensor) and name.isidentifier()):
            _refuse("model")
        model.register_parameter(name, value) if isinstance(value, nn.Parameter) else model.register_buffer(name, value)
    return model


def _stranger(name: str, routine: bool):
    name = name if name.replace("_", "a").replace(" ", "a").isalnum() else "thing of another kind"
    return (lambda *_: None) if routine else type(name, (Stranger,), {})()


def _refuse(what):
    raise WireError(f"{what} is not known here")
