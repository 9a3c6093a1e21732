"""In Triton's interpreter: a whole update of contrastive divergence. What a CUDA graph does with it only a GPU can show; here its launches run one by one."""
import copy

import pytest
import torch
from torch.testing import assert_close

from deepgen_lib.kernels import triton_cd_step
from deepgen_lib.kernels.cd_step import CDStep, Plan
from deepgen_lib.kernels.cd_update import Parameters, Phases, Rates, update_reference
from deepgen_lib.kernels.counter import DATA, counter_uniforms, new_clock
from deepgen_lib.kernels.sweeps import sweeps_reference
from deepgen_lib.rbm import RBM, base_rate
from deepgen_lib.rbm_training import OFFSET_RATE, CDOptions, RBMTrainer
from deepgen_lib.sampling import gibbs_chain

RATES = Rates(0.5, 0.01, 0.1, 0.2, 0.1)


def case(V, H, B, N, rng):
    def dyadic(*shape):
        return torch.randint(-16, 17, shape, generator=rng) / 64
    parameters = Parameters(dyadic(V, H), dyadic(V), dyadic(H), dyadic(V, H), dyadic(V), dyadic(H), torch.rand(V, generator=rng), torch.rand(H, generator=rng))
    return parameters, torch.rand(B, V, generator=rng).round(), torch.rand(N, H, generator=rng).round(), new_clock(rng, torch.device("cpu"))


def definition(parameters, v, chains, clock, rate, plan):
    """The new parameters and chains."""
    W, b, c = parameters[:3]
    p = torch.sigmoid(v @ W + c)
    start = chains if plan.persistent else (counter_uniforms(clock, DATA, len(v), len(c)) < p).float()
    v_model, p_model, h = sweeps_reference(start, W, b, c, clock, plan.n_gibbs_steps)
    return update_reference(parameters, Phases(v, p, v_model, p_model), rate, plan.rates), h if plan.persistent else chains


@pytest.mark.parametrize("persistent", [False, True], ids=["CD", "PCD"])
def test_a_counted_update_is_its_definition_on_the_chains_that_a_process_has(persistent, monkeypatch, rng):
    """The third of processes with five chains each draws the numbers of chains 10 to 14."""
    parameters, v, chains, clock = case(9, 6, 5, 5, rng)
    parameters.W.mul_(16)  # so that a chain remembers where it began
    plan, then = Plan(2, persistent, RATES), clock.clone()
    W, b, c = parameters[:3]
    p = torch.sigmoid(v @ W + c)
    start = chains if persistent else (counter_uniforms(clock, DATA, 5, 6, first_row=10) < p).float()
    v_model, p_model, h = sweeps_reference(start, W, b, c, clock, 2, first_row=10)
    want = update_reference(parameters, Phases(v, p, v_model, p_model), 0.1, RATES)
    monkeypatch.setattr("deepgen_lib.kernels.cd_step.rank", lambda: 2)
    after = CDStep(plan)(parameters, v, chains, 0.1, rng, clock=clock)
    for got, expected in zip(parameters, want):
        assert_close(got, expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(after, h if persistent else chains) and torch.equal(clock - then, torch.tensor([0, 2]))


@pytest.mark.parametrize("persistent", [False, True], ids=["CD", "PCD"])
def test_an_update_is_its_definition(persistent, rng):
    parameters, v, chains, clock = case(9, 6, 5, 7, rng)
    plan = Plan(2, persistent, RATES)
    want, want_chains = definition(parameters, v, chains, clock, 0.1, plan)
    triton_cd_step.launches(parameters, v, chains, clock, torch.tensor(0.1), plan)
    for got, expected in zip(parameters, want):
        assert_close(got, expected, rtol=2e-6, atol=2e-6)
    assert torch.equal(chains, want_chains)


def test_updates_go_on_with_fresh_numbers_and_a_new_rate(rng):
    parameters, v, chains, _ = case(9, 6, 5, 7, rng)
    start, step, seeds = Parameters(*(x.clone() for x in parameters)), CDStep(Plan(1, True, Rates())), torch.Generator().manual_seed(3)
    want, want_chains, again = start, chains.clone(), torch.Generator().manual_seed(3)
    for rate in (0.1, 0.0, 0.3):
        assert step(parameters, v, chains, rate, seeds) is chains
        want, want_chains = definition(want, v, want_chains, new_clock(again, v.device), rate, step.plan)
    assert torch.equal(chains, want_chains)
    assert_close(parameters.W, want.W, rtol=1e-5, atol=1e-5)


def test_a_batch_of_another_size_is_taken_and_few_are_remembered(rng):
    parameters, v, chains, _ = case(9, 6, 8, 7, rng)
    step = CDStep(Plan(1, False, Rates()))
    for n in (8, 5, 8, 3, 2, 1):
        step(parameters, v[:n], chains[:0], 0.1, rng)
    assert len(step._captured.replayed) <= triton_cd_step.MOST_GRAPHS


def test_a_copied_step_shares_no_graph(rng):
    parameters, v, chains, _ = case(9, 6, 8, 7, rng)
    step = CDStep(Plan(1, False, Rates()))
    step(parameters, v, chains[:0], 0.1, rng)
    assert copy.deepcopy(step)._captured is None and step._captured is not None


@pytest.mark.parametrize("options", [CDOptions(learning_rate=0.5, momentum=0.5, weight_decay=0.1),
                                     CDOptions(learning_rate=0.5, persistent=True, centred=True, n_chains=7, sparsity_target=0.2, sparsity_weight=0.3)], ids=["CD", "centred PCD"])
def test_the_trainer_takes_the_kernels(options, rng):
    """Two updates of the public trainer, the learning rate falling, are two of the definition."""
    x, rbm = torch.rand(8, 5, generator=rng).round(), RBM(5, 4, weight_std=1.0, rng=rng)
    trainer = RBMTrainer(rbm, options, data_mean=base_rate(x), rng=rng)
    sparsity = (0.3, 0.2) if options.persistent else (0.0, 0.0)
    plan = Plan(1, options.persistent, Rates(options.momentum, options.weight_decay, OFFSET_RATE if options.centred else None, *sparsity))
    with torch.no_grad():
        want, chains = Parameters(*(y.clone() for y in trainer._parameters())), trainer.chains.clone()
        state = rng.get_state()
        for fraction in (0.0, 0.5):
            trainer.update(x, fraction, rng)
        rng.set_state(state)
        for rate in (0.5, 0.25):
            want, chains = definition(want, x, chains, new_clock(rng, x.device), rate, plan)
    for name, got, expected in zip(Parameters._fields, trainer._parameters(), want):
        assert_close(got.data, expected, rtol=1e-5, atol=1e-5, msg=lambda text: f"{name}: {text}")
    assert torch.equal(trainer.chains, chains)


def test_a_chain_of_the_library_goes_through_the_kernels(rng):
    rbm, v = RBM(5, 4, weight_std=1.0, rng=rng), torch.rand(3, 5, generator=rng).round()
    assert gibbs_chain(rbm, v, n_steps=3, rng=rng).unique().tolist() == [0.0, 1.0]
