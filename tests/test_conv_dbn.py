"""Convolutional DBN: generation against its enumerated p(v), hierarchical inference against the enumerated joint, bases against the linear map."""
import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from deepgen_lib.conv_dbn import ConvDBN
from deepgen_lib.conv_enumeration import all_pictures, all_pooled_states, conv_log_likelihood
from deepgen_lib.conv_inference import block_logits, hierarchical_energy, hierarchical_sweep, infer
from deepgen_lib.conv_rbm import ConvRBM, random_conv_rbm
from deepgen_lib.max_pool import probabilistic_max_pool, spread

EXACT = dict(atol=1e-10, rtol=0)


def stack(rng, sigma=None, second=(1, 2), scale=0.8) -> ConvDBN:
    """Pictures 3 x 3 (one block) or 3 x 5 (two blocks side by side): 2 filters of 2 x 2, blocks of 2; then 2 filters, blocks of 1."""
    lower = random_conv_rbm(1, 2, 2, sigma=sigma, scale=scale, rng=rng)
    upper = random_conv_rbm(2, second[1], second[0], block=1, scale=scale, rng=rng)
    return ConvDBN([lower, upper]).requires_grad_(False)


def chi_square_is_fine(index: torch.Tensor, p: torch.Tensor) -> bool:
    """States drawn, as indices, against their probabilities; rare states are put together."""
    counts, expected = torch.bincount(index, minlength=len(p)).double(), len(index) * p
    rare = expected < 5
    counts, expected = (torch.cat([x[~rare], x[rare].sum()[None]]) for x in (counts, expected))
    return bool(((counts - expected)**2 / expected.clamp_min(1)).sum() < len(counts) - 1 + 4.5 * (2 * len(counts))**0.5)


def place(states: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """Index of each drawn state in the list of all."""
    weights = 2.0 ** torch.arange(states[0].numel(), dtype=torch.float64)
    code, order = states.flatten(1) @ weights, drawn.flatten(1) @ weights
    ranked, by = code.sort()
    found = torch.searchsorted(ranked, order)
    assert torch.equal(ranked[found], order)
    return by[found]


def generated_log_prob(dbn: ConvDBN) -> torch.Tensor:
    """log p(v) of 3 x 3 binary pictures: Σ over p¹ (top RBM), the places of its units and h¹, by the definition.  -> (512,)."""
    lower, top = dbn.rbms
    pools = all_pictures(2, 1, 1)
    log_pool = conv_log_likelihood(top, pools)
    h = all_pooled_states(2, 2, 2, block=2)
    pool_of_h = F.max_pool2d(h, 2)
    fits = (pool_of_h[None] == pools[:, None]).all(-1).all(-1).all(-1)
    log_place = torch.where(fits, -torch.tensor(4.0).double().log() * h.sum((1, 2, 3)), -torch.inf)  # each of the four places as likely
    v, mean = all_pictures(1, 3, 3), lower.visible_mean(h)
    log_v = torch.einsum("vcij,scij->vs", v, mean.log()) + torch.einsum("vcij,scij->vs", 1 - v, torch.log1p(-mean))
    return torch.logsumexp(log_v + torch.logsumexp(log_pool[:, None] + log_place, 0), 1)


def test_generation_is_a_distribution_and_descend_samples_it(rng):
    dbn, n = stack(rng), 40_000
    p = generated_log_prob(dbn).exp()
    assert_close(p.sum(), torch.ones((), dtype=torch.float64), **EXACT)
    pools = all_pictures(2, 1, 1)
    start = pools[torch.multinomial(conv_log_likelihood(dbn.top, pools).exp(), n, replacement=True, generator=rng)]  # exactly in the target
    for steps in (0, 1):
        drawn = dbn.sample(n, image_size=(3, 3), n_gibbs_steps=steps, start=start, rng=rng)
        assert chi_square_is_fine(place(all_pictures(1, 3, 3), drawn), p), steps
    undirected = torch.stack([-hierarchical_energy(dbn, v.expand(25, -1, -1, -1), [all_pooled_states(2, 2, 2, block=2), all_pictures(2, 1, 1)[:1].expand(25, -1, -1, -1)]) for v in all_pictures(1, 3, 3)])
    assert not chi_square_is_fine(place(all_pictures(1, 3, 3), drawn), undirected.logsumexp(1).softmax(0))  # another model's p is told apart


def test_a_long_run_of_the_top_forgets_its_start_and_planted_no_run_does_not(rng):
    dbn, n = stack(rng), 20_000
    p, blank = generated_log_prob(dbn).exp(), torch.zeros(n, 2, 1, 1, dtype=torch.float64)
    far, near = (dbn.sample(n, image_size=(3, 3), n_gibbs_steps=steps, start=blank, rng=rng) for steps in (0, 40))
    assert chi_square_is_fine(place(all_pictures(1, 3, 3), near), p) and not chi_square_is_fine(place(all_pictures(1, 3, 3), far), p)


def every_state(dbn: ConvDBN, size) -> tuple[torch.Tensor, torch.Tensor]:
    """All (h¹, h²) side by side."""
    (height, width), lower, top = size, *dbn.rbms
    first = all_pooled_states(lower.n_filters, *lower.map_size(height, width), block=lower.block)
    second = all_pooled_states(top.n_filters, *top.map_size(*dbn.pooled_sizes(height, width)[1]), block=top.block)
    return first.repeat_interleave(len(second), 0), second.repeat(len(first), 1, 1, 1)


@pytest.mark.parametrize("sigma", [None, 0.7])
def test_block_conditionals_are_those_of_the_enumerated_joint(sigma, rng):
    """Two blocks side by side, 625 x 4 hidden states: h¹ given v and h², and h² given h¹, to 1e-10."""
    dbn = stack(rng, sigma, second=(1, 1))
    v = torch.randn(1, 1, 3, 5, dtype=torch.float64, generator=rng)
    v = v if sigma else (v > 0).double()
    first, second = every_state(dbn, (3, 5))
    log_p = -hierarchical_energy(dbn, v.expand(len(first), -1, -1, -1), [first, second])
    n2 = len(all_pooled_states(1, 1, 2, block=1))
    table = log_p.view(-1, n2)
    states1, states2 = first[::n2], second[:n2]
    for j in range(n2):
        got = probabilistic_max_pool(block_logits(dbn, v, [states1[:1], states2[j:j + 1]], 1), 2).p_detection[0]
        assert_close(got, torch.einsum("s,skij->kij", table[:, j].softmax(0), states1), **EXACT)
    for i in range(0, len(states1), 60):
        got = probabilistic_max_pool(block_logits(dbn, v, [states1[i:i + 1], states2[:1]], 2), 1).p_detection[0]
        assert_close(got, torch.einsum("s,skij->kij", table[i].softmax(0), states2), **EXACT)


def planted_top_down(dbn, v, hidden, mistake):
    logits, top = dbn.rbms[0].hidden_logits(v), dbn.rbms[1]
    if mistake == "context left out":
        return logits
    if mistake == "context divided by the block":
        return logits + spread(top.visible_input(hidden[1]), 2) / 4
    if mistake == "visible bias counted too":
        return logits + spread(top.visible_input(hidden[1]) + top.b[:, None, None], 2)
    h, W = hidden[1], top.W  # unturned filters on the way down
    return logits + spread(F.conv2d(F.pad(h, [W.shape[-1] - 1] * 4), W.transpose(0, 1)), 2)


@pytest.mark.parametrize("mistake", ["context left out", "context divided by the block", "visible bias counted too", "unturned filters on the way down"])
def test_planted_context_is_not_the_joints(mistake, rng):
    dbn = ConvDBN([random_conv_rbm(1, 1, 2, rng=rng), random_conv_rbm(1, 2, 2, block=1, rng=rng)]).requires_grad_(False)
    v = (torch.rand(1, 1, 5, 5, dtype=torch.float64, generator=rng) < 0.5).double()  # p¹ is 2 x 2, h² is 1 x 1
    h2 = torch.ones(1, 2, 1, 1, dtype=torch.float64)
    states = all_pooled_states(1, 4, 4, block=2)
    p = torch.softmax(-hierarchical_energy(dbn, v.expand(len(states), -1, -1, -1), [states, h2.expand(len(states), -1, -1, -1)]), 0)
    want = torch.einsum("s,skij->kij", p, states)
    assert_close(probabilistic_max_pool(block_logits(dbn, v, [states[:1], h2], 1), 2).p_detection[0], want, **EXACT)
    assert (probabilistic_max_pool(planted_top_down(dbn, v, [states[:1], h2], mistake), 2).p_detection[0] - want).abs().max() > 0.01


def test_block_gibbs_leaves_the_joint_invariant_with_unknown_pixels(rng):
    """v of 3 x 3 with its right column unknown: (v, h¹, h²) started exactly in the model given the known pixels stays there."""
    dbn, n = stack(rng, scale=0.6), 30_000
    known = torch.tensor([1.0, 1, 0]).double().expand(1, 1, 3, 3)
    seen = torch.tensor([[1.0, 0, 0], [0, 1, 0], [1, 1, 0]]).double()
    completions = seen.expand(8, 1, 3, 3).clone()
    completions[:, 0, :, 2] = all_pictures(1, 3, 1)[:, 0, :, 0]
    first, second = every_state(dbn, (3, 3))
    log_p = torch.stack([-hierarchical_energy(dbn, x.expand(len(first), -1, -1, -1), [first, second]) for x in completions])
    p = log_p.flatten().softmax(0)
    start = torch.multinomial(p, n, replacement=True, generator=rng)
    v, h1, h2 = completions[start // len(first)], first[start % len(first)], second[start % len(first)]
    v, (h1, h2) = hierarchical_sweep(dbn, v, [h1, h2], known=known, rng=rng)
    assert torch.equal(v * known, (seen * known).expand_as(v))
    index = place(completions, v) * len(first) + place(torch.cat([first.flatten(1), second.flatten(1)], 1), torch.cat([h1.flatten(1), h2.flatten(1)], 1))
    assert chi_square_is_fine(index, p)
    v, (h1, h2) = hierarchical_sweep(dbn, v, [h1, h2], known=known, top_down=False, rng=rng)  # planted: layers that do not listen
    index = place(completions, v) * len(first) + place(torch.cat([first.flatten(1), second.flatten(1)], 1), torch.cat([h1.flatten(1), h2.flatten(1)], 1))
    assert not chi_square_is_fine(index, p)


def test_inference_finds_the_exact_means(rng):
    dbn, n = stack(rng, scale=0.6), 4_000
    known = torch.tensor([1.0, 1, 0]).double().expand(1, 1, 3, 3)
    v = torch.zeros(n, 1, 3, 3, dtype=torch.float64)
    v[:, 0, 1, :2] = 1
    completions = v[:8].clone()
    completions[:, 0, :, 2] = all_pictures(1, 3, 1)[:, 0, :, 0]
    first, second = every_state(dbn, (3, 3))
    p = torch.stack([-hierarchical_energy(dbn, x.expand(len(first), -1, -1, -1), [first, second]) for x in completions]).flatten().softmax(0).view(8, -1)
    found = infer(dbn, v, n_sweeps=40, known=known, rng=rng)
    assert (found.v.mean(0) - torch.einsum("i,icyx->cyx", p.sum(1), completions)).abs().max() < 0.02
    assert (found.p_pool[0].mean(0) - torch.einsum("s,skij->kij", p.sum(0), F.max_pool2d(first, 2))).abs().max() < 0.02
    assert (found.p_pool[1].mean(0) - torch.einsum("s,skij->kij", p.sum(0), second)).abs().max() < 0.02
    assert torch.equal(found.v * known, v * known)


def test_features_are_pooling_probabilities_passed_upwards(rng):
    dbn = ConvDBN([random_conv_rbm(1, 2, 3, rng=rng), random_conv_rbm(2, 3, 2, rng=rng)])
    v = torch.rand(2, 1, 8, 12, dtype=torch.float64, generator=rng)
    first = probabilistic_max_pool(F.conv2d(v, dbn.rbms[0].W, dbn.rbms[0].c), 2).p_pool
    assert_close(dbn.features(v, 1), first, **EXACT)
    assert_close(dbn.features(v, 2), probabilistic_max_pool(F.conv2d(first, dbn.rbms[1].W, dbn.rbms[1].c), 2).p_pool, **EXACT)
    assert [tuple(dbn.features(v, level).shape[2:]) for level in (1, 2)] == dbn.pooled_sizes(8, 12)[1:] == [(3, 5), (1, 2)]


def test_bases_are_the_linear_way_down(rng):
    """The response of the linear network (sums over blocks, no softmax) to a picture is the picture's product with the basis."""
    dbn = ConvDBN([random_conv_rbm(2, 3, 3, rng=rng), random_conv_rbm(3, 2, 2, rng=rng), random_conv_rbm(2, 4, 2, block=1, rng=rng)]).requires_grad_(False)
    assert torch.equal(dbn.bases(1), dbn.rbms[0].W)
    for level, side in ((2, 6), (3, 12)):
        basis = dbn.bases(level)
        assert basis.shape == (dbn.rbms[level - 1].n_filters, 2, side, side)
        v = torch.randn(1, 2, side, side, dtype=torch.float64, generator=rng)
        x = v
        for rbm in dbn.rbms[:level - 1]:
            x = F.avg_pool2d(F.conv2d(x, rbm.W), 2)
        assert_close(F.conv2d(x, dbn.rbms[level - 1].W).flatten(), (basis * v).sum((1, 2, 3)), **EXACT)


def test_it_holds_copies_and_a_gaussian_first_layer(rng):
    lower = ConvRBM(1, 2, 2, sigma=0.5)
    dbn = ConvDBN([lower, ConvRBM(2, 2, 1, block=1)]).requires_grad_(False)
    lower.W.data.fill_(9.0)
    assert dbn.rbms[0].W.max() < 1
    means = dbn.sample(5, image_size=(3, 3), n_gibbs_steps=1, means=True, rng=rng)
    assert means.shape == (5, 1, 3, 3) and means.abs().max() < 0.2 < dbn.sample(5, image_size=(3, 3), n_gibbs_steps=1, rng=rng).std()
    alone = ConvDBN([ConvRBM(1, 2, 2)]).requires_grad_(False)
    assert set(alone.sample(5, image_size=(3, 3), n_gibbs_steps=2, rng=rng).unique().tolist()) <= {0.0, 1.0}
