"""Class labels: what they must be, and rows that carry them to a trainer, [x, one-hot label]."""
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from .validate import require_count, require_matrix


def labelled_rows(x: Tensor, labels: Tensor, n_classes: int) -> Tensor:
    """[x, one-hot label], one tensor that `fit` can draw rows from.  (N, n_0), (N,) int64 -> (N, n_0 + K)."""
    require_matrix("labelled_rows", "x", x)
    require_count("labelled_rows", "n_classes", n_classes, minimum=2)
    require_labels("labelled_rows", "labels", labels, len(x), n_classes=n_classes)
    return torch.cat([x, one_hot(labels, n_classes).to(x)], 1)


def require_labels(where: str, name: str, labels: Tensor, n: int, *, n_classes: int | None = None) -> None:
    """labels is a vector (n,) of int64 class numbers from 0 (to n_classes - 1, if given)."""
    if not isinstance(labels, Tensor):
        raise ValueError(f"{where}: {name} is {type(labels).__name__}, expected a torch.Tensor of class numbers; wrap it: torch.as_tensor({name})")
    if labels.dtype != torch.int64:
        raise ValueError(f"{where}: {name} is {labels.dtype}, expected torch.int64 class numbers; convert: {name}.long()")
    if labels.shape != (n,):
        raise ValueError(f"{where}: {name} has shape {tuple(labels.shape)}, expected ({n},), one class number an example; from one-hot rows: {name}.argmax(1)")
    if labels.min() < 0 or (n_classes is not None and labels.max() >= n_classes):
        top = "" if n_classes is None else f" to {n_classes - 1}"
        raise ValueError(f"{where}: {name} runs from {labels.min().item()} to {labels.max().item()}, expected class numbers from 0{top}; count classes from 0, without gaps")


def require_one_hot(where: str, rows: Tensor) -> None:
    """Every row of rows (N, K) has a single 1 and zeros else."""
    sums = rows.sum(1)
    if not ((rows == 0) | (rows == 1)).all() or not (sums == 1).all():
        k = rows.shape[1]
        raise ValueError(f"{where}: the last {k} columns of data are no one-hot labels (entries from {rows.min().item():.3g} to {rows.max().item():.3g}, rows sum from "
                         f"{sums.min().item():.3g} to {sums.max().item():.3g}), expected a single 1 a row; make them: labelled_rows(x, labels, {k})")
