"""Walls that a process builds around itself: Linux's Landlock (since 5.13), which needs no rights and cannot be taken off.

Python's audit hook sees Python's own doors to files; code in C has others. Behind Landlock the system itself refuses, for this
process and all it starts: every file outside the folders named, every program, and on newer systems TCP (6.7) and signals to
processes outside (6.12).
"""
from __future__ import annotations

import ctypes
import os
import struct

_CREATE, _ADD, _RESTRICT, _NO_NEW_PRIVILEGES = 444, 445, 446, 38
_EXECUTE, _WRITE, _READ, _LIST, _TRUNCATE = 1, 2, 4, 8, 1 << 14
_KNOWN = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}  # version -> rights to files that it knows


def version(libc) -> int:
    """0 where the system has no Landlock, or it is switched off."""
    return max(libc.syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1)), 0) if libc else 0


def lock(libc, *, readable: list[str], scratch: str) -> bool:
    """From here on: read below `readable`, read and write below `scratch`, nothing else; no programs. -> whether it holds."""
    if not (known := version(libc)):
        return False
    handled = max(rights for number, rights in _KNOWN.items() if number <= known)
    about = struct.pack("<QQQ", handled, 3 if known >= 4 else 0, 3 if known >= 6 else 0)[:8 if known < 4 else 16 if known < 6 else 24]
    ruleset = libc.syscall(_CREATE, about, ctypes.c_size_t(len(about)), ctypes.c_uint32(0))
    if ruleset < 0:
        return False
    try:
        for path in readable:
            _allow(libc, ruleset, path, (_READ | _LIST) & handled)
        for path in ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"):
            _allow(libc, ruleset, path, (_READ | _WRITE) & handled)
        _allow(libc, ruleset, scratch, handled & ~_EXECUTE)
        libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        return libc.syscall(_RESTRICT, ruleset, ctypes.c_uint32(0)) == 0
    finally:
        os.close(ruleset)


def _allow(libc, ruleset: int, path: str, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # not on this machine
        return
    if not os.path.isdir(path):
        rights &= _EXECUTE | _WRITE | _READ | _TRUNCATE
    libc.syscall(_ADD, ruleset, ctypes.c_int(1), struct.pack("<Qi", rights, handle), ctypes.c_uint32(0))
    os.close(handle)
