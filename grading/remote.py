"""The grader's end of one exercise in the sandbox: a student's function as a stand-in that fetches its outputs from there.

The engine of the checks calls the stand-in as it would call the function itself; inputs leave and outputs arrive as plain data.
"""
from __future__ import annotations

import inspect
import json
import os
import signal
import time

import torch
from torch import Tensor

from .sandbox import Play
from .wire import WireError, encode

_CALLS = 20_000  # to functions that the grader holds, in one exercise


class Ended(BaseException):
    """The exercise's process is of no more use; the message says why. Not an Exception: no check may catch it."""


class Remote:
    """One exercise of one hand-in: `load` builds its namespace in the sandbox, then `answers` holds what was asked for by name."""

    def __init__(self, play: Play, *, seconds: float):
        self.play, self.answers, self.notes = play, {}, []
        self._end, self._calls, self._graphs, self._seconds = time.monotonic() + seconds, 0, {}, seconds

    def load(self, statements: list, kinds: dict[str, str], taken: list[str]) -> None:
        """Run the statements.  `kinds`: name -> "function" or "value".  `taken`: library functions put out of reach."""
        limits = self.play.limits
        asked = {"statements": statements, "names": kinds, "taken": taken,
                 "limits": {"seconds": limits.seconds, "memory_mb": limits.memory_mb, "processes": limits.processes, "file_mb": limits.file_mb}}
        message, values = self._exchange(asked)
        if "raised" in message:
            raise Ended(str(message.get("text"))[:500])
        loaded, values = message.get("loaded"), values[0] if values and type(values[0]) is dict else {}
        self.notes = [(int(cell), str(kind), str(text)) for cell, kind, text in message.get("notes", [])[:20]]
        for name, kind in kinds.items():
            about = loaded.get(name, {}) if isinstance(loaded, dict) else {}
            if about.get("kind") == "function":
                self.answers[name] = StandIn(self, name, about.get("signature"))
            elif about.get("kind") == "value":
                self.answers[name] = values.get(name)

    def call(self, name: str, arguments: tuple):
        """The function's output; raises what it raised, by name."""
        asks: list = []
        if '"t": "other"' in json.dumps([encode(argument, [], asks) for argument in arguments]):
            raise Ended("this exercise hands over an object that cannot be sent to another process: it is not graded here, ask for it to be marked by hand")
        asks.clear()
        message, values = self._exchange({"call": name}, *arguments, asks=asks)
        if "raised" in message:
            raise _error(str(message["raised"]), str(message.get("text", ""))[:2000])
        for argument, changed in zip(arguments, message.get("changed", [])):
            if changed is True and isinstance(argument, Tensor) and argument.numel():
                argument.detach().view(-1)[0] = float("nan") if argument.is_floating_point() else 1 - argument.detach().view(-1)[0].to(torch.int64)
        return values[0] if values else None

    def _exchange(self, message: dict, *values, asks: list | None = None) -> tuple[dict, list]:
        """Send, answer whatever is asked meanwhile, and return the reply."""
        channel = self.play.channel
        try:
            channel.send(message, *values, asks=asks, seconds=self._left())
            while True:
                reply, found = channel.receive(seconds=self._left())
                if "ask" in reply:
                    self._ask(reply, found, asks or [])
                elif "back" in reply:
                    self._back(reply, found)
                else:
                    return reply, found
        except TimeoutError:
            raise Ended(f"your code ran longer than {self._seconds:g} s and was stopped: is there a loop that never ends?") from None
        except WireError as error:
            raise Ended(f"what your function returns cannot be taken: {error}") from None
        except (EOFError, OSError):
            raise Ended(_how_it_died(self.play.end())) from None

    def _left(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _ask(self, message: dict, found: list, asks: list) -> None:
        """Call a function of ours on arrays from there; keep its graph where slopes may be asked."""
        self._calls += 1
        try:
            if self._calls > _CALLS:
                raise ValueError(f"more than {_CALLS} calls")
            arguments, options = found
            inputs = _tensors((arguments, options))
            answer = asks[message["ask"]](*arguments, **options)
            outputs = _tensors(answer)
        except Exception as error:
            return self.play.channel.send({"failed": f"{type(error).__name__}: {error}"[:500]}, seconds=self._left())
        if any(output.requires_grad for output in outputs):
            self._graphs[self._calls] = ([x for x in inputs if x.requires_grad], outputs)
        self.play.channel.send({"call": self._calls}, answer, seconds=self._left())

    def _back(self, message: dict, found: list) -> None:
        inputs, outputs = self._graphs.get(message["back"], ([], []))
        pairs = [(output, slope) for output, slope in zip(outputs, found[0]) if slope is not None and output.requires_grad]
        try:
            slopes = torch.autograd.grad([a for a, _ in pairs], inputs, [b for _, b in pairs], retain_graph=True, allow_unused=True)
        except (RuntimeError, TypeError):  # slopes that do not fit are the student's own doing
            slopes = [None] * len(inputs)
        self.play.channel.send({}, list(slopes), seconds=self._left())


class StandIn:
    """Called like the student's function, with its signature."""

    def __init__(self, remote: Remote, name: str, signature):
        self._remote, self._name = remote, name
        self.__name__ = name
        self.__signature__ = _signature(signature)

    def __call__(self, *arguments):
        return self._remote.call(self._name, arguments)


def _signature(described) -> inspect.Signature:
    try:
        return inspect.Signature([inspect.Parameter(str(name), inspect._ParameterKind(kind), default=... if has_default else inspect.Parameter.empty)
                                  for name, kind, has_default in described])
    except (TypeError, ValueError):  # none, or no true one
        return inspect.signature(lambda *args, **options: None)


def _error(name: str, text: str) -> Exception:
    if name == "NotImplementedError":
        return NotImplementedError()
    return type(name if name.isidentifier() else "Error", (Exception,), {})(text)


def _tensors(value) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [tensor for item in items for tensor in _tensors(item)]


def _how_it_died(status: int | None) -> str:
    if status is not None and os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number == signal.SIGXCPU:
            return "your code used more processor time than it is given: is there a loop that never ends?"
        if number != signal.SIGKILL:
            return f"your code ended its process ({signal.Signals(number).name}): too much memory, or a recursion without end?"
    return "your code ended its process: it may not exit, kill or run out of memory"
