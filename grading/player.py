"""Inside the student's process: build the namespace of one exercise from the notebook's statements, then answer calls.

The grader sends `load` (statements, names), then `call` (a name and arguments) as often as it likes. An answer that is a value
goes back at once; a function goes back as its signature. Functions among the arguments live with the grader: `_Asked` calls
them over the channel, gradients included, so that nothing of theirs can be read here.
"""
from __future__ import annotations

import inspect
import linecache

import torch
from torch import Tensor

from .wire import Channel


class _Asked:
    """A function that the grader holds."""

    def __init__(self, number: int, channel: Channel):
        self._number, self._channel = number, channel

    def __call__(self, *args, **kwargs):
        found: list[Tensor] = []
        _tensors((args, kwargs), found)
        _require_plain(found)
        slopes = [tensor for tensor in found if tensor.requires_grad] if torch.is_grad_enabled() else []
        call, answer = self._ask(args, kwargs)
        if not slopes:
            return _detached(answer)
        outputs: list[Tensor] = []
        _tensors(answer, outputs)
        wired = iter(_Bridge.apply(self, call, outputs, *slopes))
        return _replaced(answer, wired)

    def _ask(self, args, kwargs):
        self._channel.send({"ask": self._number}, list(args), kwargs)
        message, values = self._channel.receive()
        if "failed" in message:
            raise ValueError(message["failed"])
        return message["call"], values[0]

    def _slopes(self, call: int, upstream: list) -> list:
        _require_plain([slope for slope in upstream if slope is not None])
        self._channel.send({"back": call}, upstream)
        return self._channel.receive()[1][0]


class _Bridge(torch.autograd.Function):
    """Outputs that the grader computed, joined to the inputs that the student's graph holds."""

    @staticmethod
    def forward(ctx, asked, call, outputs, *inputs):
        ctx.asked, ctx.call = asked, call
        results = tuple(output.detach().clone() for output in outputs)
        ctx.mark_non_differentiable(*(result for result, output in zip(results, outputs) if not output.requires_grad))
        ctx.set_materialize_grads(False)
        return results

    @staticmethod
    def backward(ctx, *upstream):
        return None, None, None, *ctx.asked._slopes(ctx.call, list(upstream))


def _require_plain(tensors: list[Tensor]) -> None:
    """Inside torch.func a tensor stands for many, or for a slope: it holds no numbers that could be sent."""
    if any(map(torch._C._functorch.is_functorch_wrapped_tensor, tensors)):
        raise ValueError("the function that you were given cannot be called inside torch.func or torch.vmap while you are graded: for a gradient use torch.autograd.grad, for many rows call it on all of them at once")


def _tensors(value, found: list) -> None:
    if isinstance(value, Tensor):
        found.append(value)
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ():
        _tensors(item, found)


def _replaced(value, tensors):
    if isinstance(value, Tensor):
        return next(tensors)
    if isinstance(value, dict):
        return {key: _replaced(item, tensors) for key, item in value.items()}
    return type(value)(_replaced(item, tensors) for item in value) if isinstance(value, (list, tuple)) else value


def _detached(value):
    found: list[Tensor] = []
    _tensors(value, found)
    return _replaced(value, (tensor.detach() for tensor in found))


def play(channel: Channel, fence) -> None:
    """Serve one exercise until the grader hangs up.  `fence` is called once what is trusted is ready."""
    message, _ = channel.receive()
    fence(message)
    space = {"__name__": "__main__", "__builtins__": __builtins__, "display": lambda *_, **__: None}
    notes = _run(message["statements"], space)
    answers, described = {}, {}
    for name in message["names"]:
        if name not in space:
            described[name] = {"kind": "missing"}
        elif callable(answers.setdefault(name, space[name])) and message["names"][name] == "function":
            described[name] = {"kind": "function", "signature": _signature(answers[name])}
        else:
            described[name] = {"kind": "value"}
    values = {name: answers[name] for name, about in described.items() if about["kind"] == "value"}
    _reply(channel, {"loaded": described, "notes": notes}, values)
    while True:
        try:
            message, arguments = channel.receive(asked=lambda number: _Asked(number, channel))
        except EOFError:
            return
        _call(channel, answers[message["call"]], arguments)


def _run(statements: list, space: dict) -> list:
    """Run each statement, the others too when one fails; what lacked a name is tried again at the end, for cells may have been moved."""
    notes, again = [], []
    for last in (False, True):
        for place, (number, code) in enumerate(again if last else statements):
            name = f"<cell {number}, {'again ' * last}{place}>"
            linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)  # for whoever reads a function's source, as Triton does
            try:
                exec(compile(code, name, "exec"), space)
            except NameError as error:
                (notes if last else again).append([number, type(error).__name__, str(error)[:500]] if last else [number, code])
            except (Exception, SystemExit) as error:
                notes.append([number, type(error).__name__, str(error)[:500]])
    return notes


def _call(channel: Channel, answer, arguments: list) -> None:
    before = [argument.detach().clone() if isinstance(argument, Tensor) else None for argument in arguments]
    try:
        output = answer(*arguments)
    except NotImplementedError:
        return channel.send({"raised": "NotImplementedError", "text": ""})
    except MemoryError:
        return channel.send({"raised": "MemoryError", "text": "your function asks for more memory than it is given"})
    except (Exception, SystemExit) as error:
        return channel.send({"raised": type(error).__name__, "text": str(error)[:2000]})
    changed = [old is not None and not torch.equal(old, new) for old, new in zip(before, arguments)]
    _reply(channel, {"returned": True, "changed": changed}, output)


def _reply(channel: Channel, message: dict, value) -> None:
    try:
        channel.send(message, value)
    except (ValueError, RecursionError, RuntimeError, TypeError, MemoryError) as error:
        channel.send({"raised": type(error).__name__, "text": f"what you return cannot be handed over: {str(error)[:500]}"})


def _signature(function) -> list | None:
    try:
        return [[p.name, int(p.kind), p.default is not p.empty] for p in inspect.signature(function).parameters.values()]
    except (TypeError, ValueError):
        return None
