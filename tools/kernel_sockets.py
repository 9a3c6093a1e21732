"""Kernels that talk through socket files. A TCP port is chosen first and bound later: of two kernels that start at once one may find its port taken."""
from __future__ import annotations

import os
import tempfile
import uuid

LONGEST_SOCKET_PATH = 100  # the system allows 107 characters, and the kernel adds the number of its channel


def kernel_transport() -> dict[str, str]:
    """Keyword arguments for a KernelManager: socket files of its own in the folder for temporary files.

    An empty dict (ports, Jupyter's default) on Windows, which has no such files for it, and where that folder's path is too long.
    """
    path = os.path.join(tempfile.gettempdir(), f"kernel-{uuid.uuid4().hex[:12]}")
    if os.name == "nt" or len(path) > LONGEST_SOCKET_PATH:
        return {}
    return {"transport": "ipc", "ip": path}
