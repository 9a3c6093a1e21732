"""NVAE's trainings as a whole: gradients of every parameter against finite differences, bfloat16 beside float32."""

import pytest
import torch

from deepgen_lib.fitting import fit
from deepgen_lib.gradient_training import AdamOptions, GradientTrainer
from deepgen_lib.nvae import NVAE
from deepgen_lib.nvae import towers
from deepgen_lib.residual_normal import ResidualNormal
from tests.nvae_models import pictures, random_nvae, tiny_config


def seeded(n=0):
    return torch.Generator().manual_seed(n)


# ---- gradients through the whole hierarchy

def slope_error(likelihood: str = "bernoulli") -> float:
    """Backpropagation's slope of the bound beside a finite difference's, all parameters moved at once, over five directions; relative."""
    model = random_nvae(regularisation=0.0, likelihood=likelihood, n_mixtures=2).eval()
    x, noise, rng, worst = pictures(model, 3), model.noise(3, seeded()), seeded(1), 0.0
    parameters = list(model.parameters())
    gradients = torch.autograd.grad(model(x, noise).total.sum(), parameters)
    for _ in range(5):
        direction, ends = [torch.randn(p.shape, dtype=p.dtype, generator=rng) for p in parameters], []
        for step in (1e-6, -2e-6):  # there, then to the other side
            with torch.no_grad():
                for p, d in zip(parameters, direction):
                    p.add_(d, alpha=step)
                ends.append(model(x, noise).total.sum().item())
        with torch.no_grad():
            for p, d in zip(parameters, direction):
                p.add_(d, alpha=1e-6)
        slope, asked = sum((g * d).sum().item() for g, d in zip(gradients, direction)), (ends[0] - ends[1]) / 2e-6
        worst = max(worst, abs(slope - asked) / max(1.0, abs(asked)))
    return worst


@pytest.mark.parametrize("likelihood", ["bernoulli", "logistic_mixture"])
def test_all_gradients_are_those_of_finite_differences(likelihood):
    assert slope_error(likelihood) < 1e-5


def detached_prior(self):
    return RIGHT_KL(self._replace(mu=self.mu.detach(), log_sigma=self.log_sigma.detach()))


def detached_draw(self, noise):
    return RIGHT_DRAW(self, noise).detach()


def detached_way(self, h, z):
    return RIGHT_JOIN(self, h.detach(), z)


RIGHT_KL, RIGHT_DRAW, RIGHT_JOIN = ResidualNormal.kl, ResidualNormal.draw, towers.Group.join


@pytest.mark.parametrize("owner, name, wrong", [(ResidualNormal, "kl", detached_prior), (ResidualNormal, "draw", detached_draw), (towers.Group, "join", detached_way)],
                         ids=["the KL of a detached prior", "a draw without its gradient", "a shared path cut between groups"])
def test_a_cut_gradient_is_seen(monkeypatch, owner, name, wrong):
    monkeypatch.setattr(owner, name, wrong)
    assert slope_error() > 1e-3


# ---- half precision

class Half(NVAE):
    def forward(self, x, noise):
        with torch.autocast("cpu", torch.bfloat16):
            return super().forward(x, noise)


def trained_bound(kind, *, learning_rate=0.03) -> torch.Tensor:
    """Of a small network after 60 updates on three pictures, evaluated in float32."""
    config = tiny_config(image_size=12, width=4, n_latent=3)
    model, plain = kind(config, rng=seeded()), NVAE(config, rng=seeded())
    x = pictures(model, 3).repeat(8, 1, 1, 1)
    fit(GradientTrainer(model, AdamOptions(kind="adamax", learning_rate=learning_rate)), x, n_updates=60, batch_size=8, rng=seeded(1))
    plain.load_state_dict(model.state_dict())
    with torch.no_grad():
        return torch.stack([plain.elbo(x, seeded(n)).total.mean() for n in range(8)]).mean()


def test_training_in_bfloat16_ends_where_float32_ends():
    wide, half = trained_bound(NVAE), trained_bound(Half)
    assert 0 < (wide - half).abs() < 0.5
    assert wide - trained_bound(Half, learning_rate=1e-5) > 2, "half a nat is little beside what was learned"
