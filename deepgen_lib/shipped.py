"""What ships with the package: where trained models lie, and the bytes of a data file once they are seen to be the right ones."""
import hashlib
from pathlib import Path

CHECKPOINTS = Path(__file__).parent / "embedded" / "checkpoints"  # trained models
REPAIR = ("repair: `git checkout -- deepgen_lib/embedded` in a clone, then `python3 tools/course.py setup`; "
          "where the package was installed from elsewhere, install it again")


def shipped_bytes(where: str, folder: Path, name: str, expected: tuple[int, str]) -> bytes:
    """Content of folder/name if it has the expected size and SHA-256; else ValueError (damaged) or FileNotFoundError, each with the repair. `where`: the caller."""
    n_bytes, digest = expected
    path = folder / name
    if not path.is_file():
        raise FileNotFoundError(f"{where}: there is no file deepgen_lib/embedded/{name}, expected {n_bytes} bytes that ship with the package; {REPAIR}")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise ValueError(f"{where}: deepgen_lib/embedded/{name} is damaged: got {len(content)} bytes with SHA-256 {found[:16]}..., "
                         f"expected {n_bytes} bytes with SHA-256 {digest[:16]}...; {REPAIR}")
    return content
