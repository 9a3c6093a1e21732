"""Cases of kernel_speed: the nearest code, the totals of a batch, a quantiser's whole training step, the sum of softplus, the residual normal's draw and KL.

Agreement: ids must be equal; sums, values and gradients are compared with the definition in float64, to float32's rounding.
"""
from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from deepgen_lib import Codebook
from deepgen_lib.kernels import code_totals, residual_normal_sample, sum_softplus
from deepgen_lib.kernels.code_totals import code_totals_reference
from deepgen_lib.kernels.counter import new_clock
from deepgen_lib.kernels.nearest_code import nearest, nearest_code_reference
from deepgen_lib.kernels.residual_normal_sample import residual_normal_sample_reference
from deepgen_lib.kernels.softplus import sum_softplus_reference
from kernel_timing import Case, Run
from quantiser_step import cdist_search, our_step, peer_step

D = 64
AT_ONCE = 2**24  # numbers that the definition of the nearest code may hold at a time
CHECKED = 4096   # vectors whose ids are compared


def cases(device: torch.device, quick: bool) -> list[Case]:
    gpu = device.type == "cuda" and not quick
    n, k = (131072, 8192) if gpu else (256, 64) if quick else (2048, 512)
    rows, numbers = (65536, 2**26) if gpu else (64, 4096) if quick else (4000, 2**19)
    vectors = [nearest_codes(n, k, device, quick), totals(n, k, device, quick), quantiser_steps(n, k, device)]
    both = (False, True)
    return vectors + [softplus_sums(rows, 500, device, backward, quick) for backward in both] + [draws(numbers, device, backward, quick) for backward in both]


def normal(device: torch.device, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape) + sum(shape))).to(device)


def ways(ours: Run, eager: Callable, quick: bool) -> dict[str, Callable[[], Run]]:
    """ours, and the definition eager and compiled; eager takes a function that stands for the definition's inner step."""
    both = {"ours": lambda: ours, "definition, eager": lambda: eager(lambda f: f)}
    return both if quick else both | {"definition, compiled": lambda: eager(torch.compile)}


def beyond_rounding(names: str, got: list[Tensor], want: list[Tensor], scales: list[Tensor]) -> str:
    """Where a number is off by more than 2e-6 of its scale (the sum of the sizes of what was added up to make it)."""
    worst = {name: ((g.double() - w) / s.double().clamp(min=1e-30)).abs().max().item() for name, g, w, s in zip(names.split(), got, want, scales)}
    return "".join(f"{name} differs from the definition by {off:.3g} of its scale, allowed 2e-6; " for name, off in worst.items() if not off <= 2e-6)


def nearest_codes(n: int, k: int, device: torch.device, quick: bool) -> Case:
    z, codes = normal(device, n, D), normal(device, k, D)
    piece = max(1, AT_ONCE // (k * D))

    def definition(prepared: Callable) -> Run:
        reference = prepared(nearest_code_reference)
        return lambda: torch.cat([reference(part, codes) for part in z.split(piece)])

    def agrees() -> str:
        want = torch.cat([nearest_code_reference(part, codes) for part in z[:CHECKED].split(piece)])
        wrong = (nearest(z, codes)[:CHECKED] != want).sum().item()
        return f"{wrong} of {len(want)} ids differ from the definition's" if wrong else ""
    found = ways(lambda: nearest(z, codes), definition, quick) | {"cdist and argmin": lambda: lambda: torch.cdist(z, codes).argmin(1)}
    return Case(f"nearest code, {n:,} x {k:,}, D = {D}", agrees, found, 4 * (n + k) * D + 8 * n, 2 * n * k * D)


def totals(n: int, k: int, device: torch.device, quick: bool) -> Case:
    z = normal(device, n, D)
    ids = torch.randint(k, (n,), generator=torch.Generator().manual_seed(0)).to(device)

    def definition(prepared: Callable) -> Run:
        reference = prepared(code_totals_reference)
        return lambda: reference(z, ids, k)

    def agrees() -> str:
        counts, sums = (torch.zeros(k, *shape, dtype=torch.float64, device=device) for shape in ((), (D,)))
        counts.index_add_(0, ids, torch.ones_like(ids, dtype=torch.float64))
        size = torch.zeros_like(sums).index_add_(0, ids, z.double().abs())
        return beyond_rounding("counts sums", list(code_totals(z, ids, k)), [counts, sums.index_add_(0, ids, z.double())], [counts, size])
    return Case(f"counts and sums, {n:,} vectors, {k:,} codes", agrees, ways(lambda: code_totals(z, ids, k), definition, quick), 4 * (n + k) * D + 8 * n, n * D)


def quantiser_steps(n: int, k: int, device: torch.device) -> Case:
    """Search, straight-through, commitment, backward, running means."""
    z, upstream = normal(device, n, D).requires_grad_(), normal(device, n, D)

    def step(search: Callable[[Tensor, Tensor], Tensor]) -> Run:
        return our_step(search, z, upstream, Codebook(k, D, rng=torch.Generator().manual_seed(0)).to(device))

    def agrees() -> str:
        return nearest_codes(n, k, device, True).agrees() + totals(n, k, device, True).agrees()
    found = {"ours": lambda: step(nearest), "with cdist and argmin": lambda: step(cdist_search), "vector-quantize-pytorch": lambda: peer_step(z, upstream, k)}
    return Case(f"a quantiser's training step, {n:,} x {k:,}", agrees, found, 4 * 5 * n * D, 2 * n * k * D)


def with_backward(function: Callable[..., object], inputs: list[Tensor], upstream: list[Tensor], backward: bool) -> list[Tensor]:
    """What a function gives, and where asked for the gradients of its inputs."""
    if not backward:
        with torch.no_grad():
            out = function(*inputs)
        return [out] if isinstance(out, Tensor) else list(out)
    out = function(*inputs)
    out = [out] if isinstance(out, Tensor) else list(out)
    return [x.detach() for x in out] + list(torch.autograd.grad(out, inputs, [u.to(x.dtype) for u, x in zip(upstream, out)]))


def softplus_sums(rows: int, columns: int, device: torch.device, backward: bool, quick: bool) -> Case:
    x, upstream = (3 * normal(device, rows, columns)).requires_grad_(), normal(device, rows)

    def definition(prepared: Callable) -> Run:
        reference = prepared(sum_softplus_reference)
        return lambda: with_backward(reference, [x], [upstream], backward)

    def agrees() -> str:
        want = with_backward(sum_softplus_reference, [x.detach().double().requires_grad_()], [upstream], True)
        got = with_backward(sum_softplus, [x], [upstream], True)
        return beyond_rounding("y gradient", got, want, [want[0], upstream[:, None].abs()])
    traffic = 4 * rows * (columns + 1) + backward * 4 * rows * (2 * columns + 1)
    run = ways(lambda: with_backward(sum_softplus, [x], [upstream], backward), definition, quick)
    return Case(f"sum of softplus{' and its gradient' if backward else ''}, {rows:,} x {columns}", agrees, run, traffic, 0)


def draws(n: int, device: torch.device, backward: bool, quick: bool) -> Case:
    inputs = [(0.5 * normal(device, n + i)[:n]).requires_grad_() for i in range(4)]
    upstream, clock = [normal(device, n + i)[:n] for i in (4, 5)], new_clock(torch.Generator().manual_seed(0), device)

    def definition(prepared: Callable) -> Run:
        reference = prepared(residual_normal_sample_reference)
        return lambda: with_backward(lambda *x: reference(*x, clock=clock), inputs, upstream, backward)

    def ours(backward: bool) -> list[Tensor]:
        return with_backward(lambda *x: residual_normal_sample(*x, clock=clock), inputs, upstream, backward)

    def agrees() -> str:
        exact = [x.detach().double().requires_grad_() for x in inputs]
        want = with_backward(lambda *x: residual_normal_sample_reference(*x, clock=clock), exact, upstream, True)
        scale = sum(x.abs() for x in want) + 10
        return beyond_rounding("z KL mu log_sigma delta_mu delta_log_sigma", ours(True), want, [scale] * 6)
    name = f"residual normal's draw and KL{' and their gradients' if backward else ''}, {n:,} numbers"
    return Case(name, agrees, ways(lambda: ours(backward), definition, quick), (24 + backward * 32) * n, 0)
