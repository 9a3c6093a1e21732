"""Choices that a secret key makes: the same key gives the same ones, another key others, and nobody without it can tell which."""
from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence


class Draw:
    """Choices for one exercise. `structure` remembers those that change what is asked; names do not count."""

    def __init__(self, key: str, exercise: str, attempt: int = 0):
        self._key, self._where, self.structure = key.encode(), f"{exercise}/{attempt}", {}

    def one(self, what: str, options: Sequence[str]) -> str:
        """One of the options, by name; a part of the structure."""
        self.structure[what] = options[self._number(what) % len(options)]
        return self.structure[what]

    def yes(self, what: str) -> bool:
        return self.one(what, ("no", "yes")) == "yes"

    def some(self, what: str, options: Sequence[str], n: int) -> tuple[str, ...]:
        """n different options, in their order; a part of the structure."""
        chosen = sorted(options, key=lambda option: self._number(f"{what}/{option}"))[:n]
        self.structure[what] = " and ".join(option for option in options if option in chosen)
        return tuple(option for option in options if option in chosen)

    def name(self, what: str, pool: Sequence[str], taken: Sequence[str] = ()) -> str:
        """A name of the pool that is not taken yet."""
        free = [name for name in pool if name not in taken]
        if not free:
            raise ValueError(f"Draw.name: all of {', '.join(pool)} are taken, expected a free name for {what}; give it a longer pool")
        return free[self._number(f"name/{what}") % len(free)]

    def _number(self, what: str) -> int:
        return int.from_bytes(hmac.new(self._key, f"{self._where}/{what}".encode(), hashlib.sha256).digest()[:8], "big")
