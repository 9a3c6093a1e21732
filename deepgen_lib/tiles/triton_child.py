"""Run by in_triton.py in a process of its own, with TRITON_INTERPRET=1: load kernels and launches from a folder, run them, write what came out."""
import importlib.util
import sys
from pathlib import Path

import torch


def main(folder: Path) -> None:
    import triton
    found = []
    for number, call in enumerate(torch.load(folder / "calls.pt", weights_only=True)):
        try:
            kernel = getattr(_module(folder / f"kernel_{number}.py"), call["kernel"])
            kernel[tuple(call["grid"])](**call["arguments"])
            found.append({"tensors": {name: value for name, value in call["arguments"].items() if isinstance(value, torch.Tensor)}, "error": ""})
        except Exception as error:
            found.append({"tensors": {}, "error": f"{type(error).__name__}: {error}"[-500:]})
    torch.save({"version": triton.__version__, "found": found}, folder / "answer.pt")


def _module(path: Path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main(Path(sys.argv[1]))
