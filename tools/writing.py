"""Files that are written whole or not at all, and what to say when a disk does not take them. Standard library only."""
from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
CLOSED = {errno.EROFS, errno.EACCES, errno.EPERM}


def write_whole(path: Path, content: str | bytes) -> None:
    """Put content (text as UTF-8, its line ends as they are) in the place of path's; whatever stops it, path holds the old content or the new one, and nothing lies beside it."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        os.replace(draft, path)
    except OSError as error:
        error.filename = str(path)  # not the draft's, and a full disk names none
        error.filename2 = None
        raise
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def trouble(error: OSError) -> str:
    """An error of the file system in words: which file, what is the matter, what to do."""
    where = f"{error.filename} could not be written" if error.filename else "a file could not be written"
    if error.errno in FULL:
        return f"{where}: the disk, or your share of it, is full. Free some space and call again; what was there before is whole."
    if error.errno in CLOSED:
        return f"{where}: you have no leave to write there. Copy the course to a folder of your own and call again there, or ask for leave."
    return f"{type(error).__name__}: {error}"
