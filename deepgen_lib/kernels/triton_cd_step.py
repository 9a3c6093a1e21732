"""A whole update of contrastive divergence on the GPU, launch after launch, captured in a CUDA graph and replayed."""
import torch
from torch import Tensor

from . import triton_cd_update, triton_gibbs, triton_sweeps
from .cd_step import Plan
from .cd_update import Parameters
from .counter import DATA, set_clock

MOST_GRAPHS = 4  # one for each size of batch; more would only hold memory


def launches(parameters: Parameters, v: Tensor, chains: Tensor, clock: Tensor, rate: Tensor, plan: Plan) -> None:
    """The update in place, chains included; nothing here waits for the device or depends on a number that only the host knows."""
    W, b, c = parameters[:3]
    h = torch.empty(len(v), len(c), dtype=torch.uint8, device=v.device)
    p = torch.empty(len(v), len(c), dtype=torch.float32, device=v.device)
    triton_gibbs.launch(v, W, c, clock, stream=DATA, out=h, p=p)
    v_model, p_model, after = triton_sweeps.launch(chains if plan.persistent else h, W, b, c, clock, plan.n_gibbs_steps)
    triton_cd_update.launch(parameters, (v, p, v_model, p_model), rate, plan.rates)
    if plan.persistent:
        chains.copy_(after)


class _Replayed:
    """The update for tensors at fixed addresses: run twice to compile and warm up, then captured."""

    def __init__(self, v: Tensor):
        self.v, self.clock = torch.empty_like(v), torch.zeros(2, dtype=torch.int64, device=v.device)
        self.rate, self.runs, self.graph = torch.zeros((), device=v.device), 0, None

    def __call__(self, parameters: Parameters, v: Tensor, chains: Tensor, plan: Plan) -> None:
        self.v.copy_(v)
        arguments = parameters, self.v, chains, self.clock, self.rate, plan
        if self.graph is None and self.runs == 2 and v.is_cuda:
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                launches(*arguments)
        if self.graph is None:
            launches(*arguments)
            self.runs += 1
        else:
            self.graph.replay()


class CapturedStep:
    """`launches`, replayed for each set of addresses that comes again."""

    def __init__(self, plan: Plan):
        self.plan, self.replayed = plan, {}

    def __call__(self, parameters: Parameters, v: Tensor, chains: Tensor, rate: float, rng: torch.Generator) -> Tensor:
        key = (v.shape, v.dtype, chains.shape, *(x.data_ptr() for x in (*parameters, chains)))
        if key not in self.replayed:
            if len(self.replayed) == MOST_GRAPHS:
                self.replayed.clear()
            self.replayed[key] = _Replayed(v)
        step = self.replayed[key]
        set_clock(step.clock, rng)
        step.rate.fill_(rate)
        step(parameters, v, chains, self.plan)
        return chains
