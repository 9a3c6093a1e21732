"""Joint training of a greedily trained convolutional DBN, for conv_dbn.py: maximum likelihood of the undirected model that hierarchical inference samples.

    slope of -log p(v) = E_{h | data}[∂E(v, h¹, h², h³)] - E_model[∂E(v, h¹, h², h³)]          E as in conv_inference.hierarchical_energy

Layer by layer nobody ever sees that model: in it a unit listens to both neighbours and to the visible biases of neither, evidence counts twice, and half a face that is hidden ends
with every unit on. Persistent chains of the whole model find such states and unlearn them (as in deep Boltzmann machines, Salakhutdinov and Hinton 2009). W¹, shared by all networks, stays.
"""
import torch

from deepgen_lib import ConvDBN
from deepgen_lib.conv_inference import hierarchical_energy, hierarchical_sweep
from deepgen_lib.conv_networks import SIDES, half_known


class HalfTrainer:
    """A trainer for `fit`: Adam on W², W³ and all c. The data's phase: whole pictures, block Gibbs over the layers. The model's: one half hidden and grey at first, block Gibbs over layers and hidden pixels."""

    def __init__(self, dbn: ConvDBN, *, data_sweeps: int, model_sweeps: int, weight_rate: float, bias_rate: float):
        self.model, self.data_sweeps, self.model_sweeps = dbn, data_sweeps, model_sweeps
        self.rates = weight_rate, bias_rate
        weights, biases = [rbm.W for rbm in dbn.rbms[1:]], [rbm.c for rbm in dbn.rbms]
        for parameter in weights + biases:
            parameter.requires_grad_(True)
        self.optimiser = torch.optim.Adam([{"params": weights}, {"params": biases}], betas=(0.5, 0.99))

    def update(self, batch: torch.Tensor, fraction: float, rng: torch.Generator) -> None:
        dbn, side = self.model, SIDES[int(torch.randint(4, (1,), generator=rng))]
        known = half_known(side)
        hidden, seen = dbn.recognise(batch, rng), batch * known
        for _ in range(self.data_sweeps):
            _, hidden = hierarchical_sweep(dbn, batch, hidden, rng=rng)
        dreamt = dbn.recognise(seen, rng)
        for _ in range(self.model_sweeps):
            seen, dreamt = hierarchical_sweep(dbn, seen, dreamt, known=known, rng=rng)
        self.last = seen, dreamt, hidden, known
        self.optimiser.zero_grad()
        (hierarchical_energy(dbn, batch, hidden).mean() - hierarchical_energy(dbn, seen, dreamt).mean()).backward()
        for group, rate in zip(self.optimiser.param_groups, self.rates):
            group["lr"] = rate * (1 - fraction)
        self.optimiser.step()

    def check_data(self, data: torch.Tensor) -> None:
        """The model's functions look at every batch."""

    def state(self) -> dict[str, torch.Tensor]:
        return {}

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Runs here are too short to be resumed."""

    def describe(self) -> dict[str, str]:
        return {"rates": str(self.rates)}
