"""Cases of kernel_speed: half a Gibbs step, chains, the update of contrastive divergence, annealed importance sampling. 784 visible, 500 hidden units.

Agreement: the definition gets the very uniform numbers that ours draws, and dyadic weights, so states must be equal bit for bit.
"""
from __future__ import annotations

import contextlib
import sys

import torch
from torch import Tensor

from deepgen_lib.kernels import counter
from deepgen_lib.kernels.anneal import Route, anneal, anneal_reference
from deepgen_lib.kernels.backend import use_triton
from deepgen_lib.kernels.cd_step import CDStep, Plan
from deepgen_lib.kernels.cd_update import Parameters, Phases, Rates, update, update_reference
from deepgen_lib.kernels.gibbs import gibbs_half_step_reference, half_step
from deepgen_lib.kernels.noise import scaled_noise
from deepgen_lib.kernels.sweeps import sweeps, sweeps_reference
from kernel_timing import Case

V, H = 784, 500
modules = {name: sys.modules[f"deepgen_lib.kernels.{name}"] for name in ("sweeps", "anneal")}  # functions of the same names hide them


class Machine:
    """An RBM's tensors on the device, all multiples of 1/64, and a generator for ours."""

    def __init__(self, n: int, device: torch.device):
        rng = torch.Generator().manual_seed(0)
        def dyadic(*shape: int) -> Tensor:
            return (torch.randint(-16, 17, shape, generator=rng) / 64).to(device)
        self.W, self.b, self.c, self.a = dyadic(V, H), dyadic(V), dyadic(H), dyadic(V)
        self.v, self.h = (torch.randint(0, 2, (n, k), generator=rng).float().to(device) for k in (V, H))
        self.rng, self.device = torch.Generator().manual_seed(1), device

    def parameters(self) -> Parameters:
        zeros = [torch.zeros_like(x) for x in (self.W, self.b, self.c)]
        return Parameters(self.W.clone(), self.b.clone(), self.c.clone(), *zeros, torch.full_like(self.b, 0.5), torch.full_like(self.c, 0.5))

    @contextlib.contextmanager
    def same_numbers(self):
        """Inside, the definitions draw what ours will draw next from self.rng.  -> their clock."""
        twin = torch.Generator()
        twin.set_state(self.rng.get_state())
        if use_triton("kernel_speed", self.W):
            yield counter.new_clock(twin, self.device)
            return
        def from_twin(clock: Tensor, stream: int, n_rows: int, n_units: int, *, step: int = 0, first_row: int = 0) -> Tensor:
            return (scaled_noise(torch.Size((n_rows, n_units)), twin) + 32768) / 65536
        kept = [(module, module.counter_uniforms) for module in (counter, modules["sweeps"], modules["anneal"])]
        try:
            for module, _ in kept:
                module.counter_uniforms = from_twin
            yield torch.zeros(2, dtype=torch.int64)
        finally:
            for module, function in kept:
                module.counter_uniforms = function


def unequal(name: str, got: Tensor, want: Tensor, tolerance: float = 0.0) -> str:
    worst = (got.double().cpu() - want.double().cpu()).abs().max().item()
    return "" if worst <= tolerance else f"{name} differs from the definition by {worst:.3g}, allowed {tolerance:g}; "


def half_steps(n: int, device: torch.device) -> Case:
    machine = Machine(n, device)
    v, W, c = machine.v, machine.W, machine.c

    def eager() -> Tensor:
        return gibbs_half_step_reference(v, W, c, torch.rand(n, H, device=device))

    def agrees() -> str:
        with machine.same_numbers() as clock:
            want = gibbs_half_step_reference(v, W, c, counter.counter_uniforms(clock, counter.HIDDEN, n, H))
        return unequal("h", half_step(v, W, c, machine.rng), want)
    ways = {"ours": lambda: lambda: half_step(v, W, c, machine.rng), "definition, eager": lambda: eager, "definition, compiled": lambda: torch.compile(eager)}
    return Case(f"half a Gibbs step, {n} chains", agrees, ways, 4 * (n * V + V * H + n * H), 2 * n * V * H)


def chains(n: int, k: int, device: torch.device) -> Case:
    machine = Machine(n, device)
    model = machine.h, machine.W, machine.b, machine.c

    def eager() -> Tensor:
        h, W, b, c = model
        for _ in range(k):
            v = gibbs_half_step_reference(h, W.T, b, torch.rand(n, V, device=device))
            h = gibbs_half_step_reference(v, W, c, torch.rand(n, H, device=device))
        return h

    def agrees() -> str:
        with machine.same_numbers() as clock:
            want = sweeps_reference(*model, clock, 2)
        got = sweeps(*model, 2, machine.rng)
        return unequal("v", got[0], want[0]) + unequal("h", got[2], want[2])
    ways = {"ours": lambda: lambda: sweeps(*model, k, machine.rng), "definition, eager": lambda: eager, "definition, compiled": lambda: torch.compile(eager)}
    if device.type == "cuda":
        ways["definition, CUDA graph"] = lambda: replayed(eager)
    return Case(f"{k} sweeps of {n} chains", agrees, ways, 4 * (V * H + n * (V + 2 * H)), 4 * k * n * V * H)


def replayed(function):
    """Captured in a CUDA graph."""
    for _ in range(3):
        function()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        function()
    return graph.replay


def updates(n: int, k: int, device: torch.device) -> Case:
    machine, rates = Machine(n, device), Rates(0.5, 1e-3, 0.01)

    def eager_update() -> list[Tensor]:
        """CD-k as one writes it, with momentum, decay and centring."""
        old = machine.parameters()
        def run() -> Parameters:
            p = torch.sigmoid(machine.v @ old.W + old.c)
            h = (torch.rand_like(p) < p).float()
            for _ in range(k):
                v = gibbs_half_step_reference(h, old.W.T, old.b, torch.rand(n, V, device=device))
                p_model = torch.sigmoid(v @ old.W + old.c)
                h = (torch.rand_like(p_model) < p_model).float()
            new = update_reference(old, Phases(machine.v, p, v, p_model), 1e-3, rates)
            for x, y in zip(old, new):
                x.copy_(y)
        return run

    def ours():
        step, parameters = CDStep(Plan(k, False, rates)), machine.parameters()
        return lambda: step(parameters, machine.v, machine.h[:0], 1e-3, machine.rng)

    def agrees() -> str:
        old, rng = machine.parameters(), torch.Generator().manual_seed(2)
        phases = Phases(machine.v, *(torch.rand(n, size, generator=rng).to(device) for size in (H, V, H)))
        want = update_reference(Parameters(*(x.double() for x in old)), Phases(*(x.double() for x in phases)), 0.1, rates)
        update(old, phases, 0.1, rates)
        return "".join(unequal(name, x, y, 1e-5 if x.ndim == 2 else 1e-4) for name, x, y in zip(Parameters._fields, old, want))
    ways = {"ours": ours, "definition, eager": eager_update, "definition, compiled": lambda: torch.compile(eager_update())}
    if device.type == "cuda":
        ways["definition, CUDA graph"] = lambda: replayed(eager_update())
    ways |= {"rbms": lambda: rbms(machine, n, k), "learnergy": lambda: learnergy(machine, n, k)}
    return Case(f"CD-{k} update, batch {n}", agrees, ways, 4 * (4 * V * H + n * (2 * V + 3 * H)), 2 * n * V * H * (2 * k + 3))


def rbms(machine: Machine, n: int, k: int):
    """Its centred step and optimiser, as in its own loop, on the same device."""
    from rbms.bernoulli_bernoulli.classes import BBRBM
    from rbms.training.pcd import fit_batch_pcd
    parameters = BBRBM(machine.W.clone(), machine.b.clone(), machine.c.clone())
    optimizer = torch.optim.SGD(parameters.parameters(), lr=1e-3, maximize=True)
    for p in parameters.parameters():
        p.grad = torch.zeros_like(p)
    state = {"chains": parameters.init_chains(n)}
    weights = torch.ones(n, 1, device=machine.device)

    def run() -> None:
        optimizer.zero_grad(set_to_none=False)
        state["chains"], _ = fit_batch_pcd((machine.v, weights), state["chains"], parameters, gibbs_steps=k, beta=1.0)
        optimizer.step()
    return run


def learnergy(machine: Machine, n: int, k: int):
    """Its samplers, cost and optimiser; without the loader, the error and the pseudo-likelihood that its own loop computes for every batch."""
    import logging
    from learnergy.models.bernoulli import RBM as LearnergyRBM
    logging.disable(logging.INFO)
    model = LearnergyRBM(V, H, steps=k, learning_rate=1e-3, momentum=0.5, decay=0.01, use_gpu=machine.device.type == "cuda")

    def run() -> None:
        v = model.gibbs_sampling(machine.v)[-1].detach()
        cost = model.energy(machine.v).mean() - model.energy(v).mean()
        model.optimizer.zero_grad()
        cost.backward()
        model.optimizer.step()
    return run


def annealing(n: int, n_temperatures: int, device: torch.device) -> Case:
    machine = Machine(n, device)
    def route(T: int) -> Route:
        return Route(machine.W, machine.b, machine.c, machine.a, torch.linspace(0, 1, T, dtype=torch.float64))

    def eager() -> Tensor:
        way, v, log_w = route(n_temperatures), machine.v, torch.zeros(n, dtype=torch.float64, device=device)
        for old, new in zip(way.beta.tolist(), way.beta.tolist()[1:]):
            x = v @ way.W + way.c
            log_w += (new - old) * (v @ (way.b - way.a)) + (torch.logaddexp(new * x, x.new_zeros(())) - torch.logaddexp(old * x, x.new_zeros(()))).sum(1)
            h = (torch.rand_like(x) < torch.sigmoid(new * x)).float()
            v = (torch.rand_like(v) < torch.sigmoid((1 - new) * way.a + new * (h @ way.W.T + way.b))).float()
        return log_w

    def agrees() -> str:
        with machine.same_numbers() as clock:
            want = anneal_reference(machine.v, route(9), clock)  # 1/8 is exact, so states are equal; sums of 500 float32 are not
        return unequal("log w", anneal(machine.v, route(9), machine.rng), want, 1e-2)
    ways = {"ours": lambda: lambda: anneal(machine.v, route(n_temperatures), machine.rng), "definition, eager": lambda: eager}
    steps = n_temperatures - 1
    return Case(f"AIS, {n} chains, {n_temperatures} temperatures", agrees, ways, 4 * V * H + n * (V + 8), 4 * steps * n * V * H)


def cases(device: torch.device, quick: bool) -> list[Case]:
    if quick:
        return [half_steps(10, device), chains(10, 1, device), updates(10, 1, device), annealing(5, 3, device)]
    if device.type == "cuda":
        return [half_steps(100, device), half_steps(8192, device), chains(100, 25, device), chains(8192, 25, device),
                updates(100, 1, device), updates(100, 25, device), annealing(1000, 14_500, device)]
    return [half_steps(100, device), half_steps(2000, device), chains(100, 5, device), updates(100, 1, device), updates(100, 5, device), annealing(100, 50, device)]
