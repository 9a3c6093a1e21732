"""Exercises of chapter 04 on what a DBN is: its conditionals, its joint table, its posterior, and the data of its next layer."""
import torch
from torch import Tensor

from ..enumeration import all_states
from .engine import Exercise, Part, register

CHAPTER = "04_dbn_stacking"
_F64 = torch.float64
_softplus, _sigmoid, _xlogy = torch.nn.functional.softplus, torch.sigmoid, torch.special.xlogy


def normal(*shape: int, rng: torch.Generator, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(*shape, generator=rng, dtype=_F64)


def bits(*shape: int, rng: torch.Generator) -> Tensor:
    return (torch.rand(*shape, generator=rng, dtype=_F64) < 0.5).double()


def generation(rng: torch.Generator, scale: float = 1.5) -> tuple[Tensor, ...]:
    """W1 (4, 3), b0 (4,), W2 (3, 2), b1 (3,), b2 (2,): all sizes differ, so that a transpose cannot pass."""
    return tuple(normal(*shape, rng=rng, scale=scale) for shape in ((4, 3), (4,), (3, 2), (3,), (2,)))


def coins(on: Tensor, states: Tensor) -> Tensor:
    """Probability of every state under independent units.  (B, n), (S, n) -> (B, S)."""
    return torch.where(states.bool(), on[:, None], 1 - on[:, None]).prod(2)


def _all_four(W1, b0, c1, W2, b1, b2, x, h1, h2):
    return tuple(map(_sigmoid, _inputs(W1, b0, c1, W2, b1, b2, x, h1, h2)))


def _inputs(W1, b0, c1, W2, b1, b2, x, h1, h2):
    return b0 + h1 @ W1.T, c1 + x @ W1, b1 + h2 @ W2.T, b2 + h1 @ W2


def _no_biases(W1, b0, c1, W2, b1, b2, x, h1, h2):
    return _all_four(W1, 0 * b0, 0 * c1, W2, 0 * b1, 0 * b2, x, h1, h2)


def _mirrored(*which: int):
    """The printed formula, 1 / (1 + exp(input)), in some of the four."""
    return lambda *a: tuple(1 - p if i in which else p for i, p in enumerate(_all_four(*a)))


def _with_bias(**change: str):
    """Another bias where c1 or b1 belongs: they have the same shape."""
    def wrong(W1, b0, c1, W2, b1, b2, x, h1, h2):
        biases = {"c1": c1, "b1": b1}
        return _all_four(W1, b0, biases[change.get("c1", "c1")], W2, biases[change.get("b1", "b1")], b2, x, h1, h2)
    return wrong


def _networks(rng):
    W1, b0, W2, b1, b2 = generation(rng)
    return {"random network": (W1, b0, normal(3, rng=rng), W2, b1, b2, bits(6, 4, rng=rng), bits(6, 3, rng=rng), bits(6, 2, rng=rng))}


conditionals = register(Exercise(
    id="4.1", name="conditionals", title="All conditionals of a 4-3-2 network", level="core", minutes=15, chapter=CHAPTER,
    success="four conditionals, each with its own bias, sign and orientation",
    hints=("*Nudge.* For each of the four ask: which layer do the units belong to (that gives the bias), and which layer do they listen to (that gives the side of $W$)?",
           r"*Equation.* Down: $\sigma(b_0+W_1h^1)$, $\sigma(b_1+W_2h^2)$. Up: $Q=\sigma(c_1+W_1^{\mathsf T}x)$, $\sigma(b_2+W_2^{\mathsf T}h^1)$. $\sigma(a)=1/(1+e^{-a})$.",
           "*Pseudo-code.* States are rows. Going down a row h is multiplied by `W.T`, going up by `W`. Add the bias of the layer you arrive at; four times `torch.sigmoid`."),
    parts=(Part(
        right=_all_four, inputs=_networks, axes=("B", "units"),
        misconceptions={
            "printed": (_mirrored(0, 1, 2, 3), "these are the chances to be off: the slide's 1/(1 + exp(a)) lacks the minus sign, σ(a) = 1/(1 + exp(−a))"),
            "printed up": (_mirrored(1, 3), "upwards your units do the opposite: σ(a) = 1/(1 + exp(−a)) there too"),
            "printed Q": (_mirrored(1), "your Q gives the chances to be off: a minus sign is missing in its exponent"),
            "no biases": (_no_biases, "the biases are missing: as printed on the slide, but each unit has one"),
            "Q with b1": (_with_bias(c1="b1"), "Q(h1 | x) belongs to the first RBM, so it takes that RBM's hidden bias c1; b1 is for generation"),
            "P with c1": (_with_bias(b1="c1"), "h1 is generated with b1, the visible bias of the RBM above; c1 is for recognition"),
            "swapped": (_with_bias(c1="b1", b1="c1"), "the two biases of h1 are exchanged: c1 when it is recognised from x, b1 when it is generated from h2"),
            "logits": (_inputs, "these are the inputs of the units, their log-odds: the sigmoid is missing"),
        }),)))


def _score(W: Tensor, lower_bias: Tensor) -> Tensor:
    """lowerᵀ W upper + bias of the lower layer, for every pair of states.  -> (2**n, 2**m)."""
    lower, upper = all_states(W.shape[0]), all_states(W.shape[1])
    return lower @ W @ upper.T + (lower @ lower_bias)[:, None]


def _top(W2, b1, b2) -> Tensor:
    """Minus the energy of the top RBM.  -> (2**n_1, 2**n_2)."""
    return _score(W2, b1) + all_states(len(b2)) @ b2


def _log_joint(W1, b0, W2, b1, b2):
    top = _top(W2, b1, b2)
    return torch.log_softmax(_score(W1, b0), 0)[:, :, None] + torch.log_softmax(top.flatten(), 0).reshape(top.shape)


def _unnormalised_top(W1, b0, W2, b1, b2):
    return torch.log_softmax(_score(W1, b0), 0)[:, :, None] + _top(W2, b1, b2)


def _one_constant(W1, b0, W2, b1, b2):
    score = _score(W1, b0)[:, :, None] + _top(W2, b1, b2)
    return torch.log_softmax(score.flatten(), 0).reshape(score.shape)


def _scores_below(W1, b0, W2, b1, b2):
    top = _top(W2, b1, b2)
    return _score(W1, b0)[:, :, None] + torch.log_softmax(top.flatten(), 0).reshape(top.shape)


def _wrong_axis(W1, b0, W2, b1, b2):
    top = _top(W2, b1, b2)
    return torch.log_softmax(_score(W1, b0), 1)[:, :, None] + torch.log_softmax(top.flatten(), 0).reshape(top.shape)


def _directed_top(W1, b0, W2, b1, b2):
    return torch.log_softmax(_score(W1, b0), 0)[:, :, None] + torch.log_softmax(_top(W2, b1, b2), 0)


dbn_table = register(Exercise(
    id="4.2", name="dbn_table", title="One table that sums to one", level="core", minutes=15, chapter=CHAPTER,
    success="512 probabilities that sum to one, with a single Z",
    hints=("*Nudge.* Two tables make the third: p(h1, h2), normalised as a whole, and P(x | h1), normalised for each h1. Which axis of which table must sum to one?",
           r"*Equation.* $\log p=\log P(x\mid h^1)+\log p(h^1,h^2)$, with $\log P(x\mid h^1)=x^{\mathsf T}(b_0+W_1h^1)-\sum_i\mathrm{softplus}(b_0+W_1h^1)_i$.",
           "*Pseudo-code.* `x, h1, h2 = map(all_states, (4, 3, 2))`. top = `h1 @ W2 @ h2.T + (h1 @ b1)[:, None] + h2 @ b2`, minus its logsumexp over everything. "
           "below = `x @ (b0 + h1 @ W1.T).T`, minus its logsumexp over x. Add with `below[:, :, None]`."),
    parts=(Part(
        right=_log_joint, inputs=lambda rng: {"random network": generation(rng)}, axes=("x states", "h1 states", "h2 states"),
        misconceptions={
            "no Z": (_unnormalised_top, "the top RBM's Z is missing: p(h1, h2) must sum to one as a whole"),
            "one constant": (_one_constant, "this is a deep Boltzmann machine: you add all energies and divide once; in a DBN P(x | h1) sums to one for every single h1"),
            "scores below": (_scores_below, "P(x | h1) is not normalised: subtract the softplus of each unit's input"),
            "wrong axis": (_wrong_axis, "your lower table sums to one over h1 for each x: that is the arrow turned; P(x | h1) sums to one over x"),
            "directed top": (_directed_top, "you made the top pair p(h1 | h2) alone: it lacks p(h2); the top RBM is normalised over h1 and h2 together"),
            "probabilities": (lambda *a: _log_joint(*a).exp(), "these are probabilities: give their logarithms"),
        }),)))


def _log_prior(W2, b1, b2) -> Tensor:
    return torch.log_softmax(_top(W2, b1, b2).logsumexp(1), 0)


def _log_both(W1, b0, W2, b1, b2, x) -> Tensor:
    """log p(x, h1).  -> (B, 8)."""
    logits = b0 + all_states(3) @ W1.T
    return x @ logits.T - _softplus(logits).sum(1) + _log_prior(W2, b1, b2)


def _posterior(W1, b0, W2, b1, b2, x):
    return _log_both(W1, b0, W2, b1, b2, x).softmax(1)


def _likelihood_alone(W1, b0, W2, b1, b2, x):
    return (_log_both(W1, b0, W2, b1, b2, x) - _log_prior(W2, b1, b2)).softmax(1)


def _tangle(p: Tensor) -> Tensor:
    product = coins(p @ all_states(3), all_states(3))
    return (_xlogy(p, p) - _xlogy(p, product)).sum(1)


def _tangle_turned(p: Tensor) -> Tensor:
    product = coins(p @ all_states(3), all_states(3))
    return (_xlogy(product, product) - _xlogy(product, p)).sum(1)


def _tables(rng):
    return {"random distributions": (normal(4, 8, rng=rng, scale=1.5).softmax(1),)}


not_factorial = register(Exercise(
    id="4.3", name="not_factorial", title="Not factorial", level="core", minutes=20, chapter=CHAPTER,
    success="the posterior of a DBN, and the nats that independent units lose",
    hints=("*Nudge.* Bayes: prior times likelihood, divided by the sum over all eight h1. The prior p(h1) is a marginal of the top RBM, not of the first one.",
           r"*Equation.* $p(h^1\mid x)\propto P(x\mid h^1)\sum_{h^2}p(h^1,h^2)$. Then $m_j=\sum_hp(h)h_j$ and $\sum_hp(h)\log\big(p(h)/\prod_jm_j^{h_j}(1-m_j)^{1-h_j}\big)$.",
           "*Pseudo-code.* log prior: logsumexp over h2 of the top's scores. Add `x @ L.T - softplus(L).sum(1)`, `L = b0 + h1 @ W1.T`; softmax over h1. "
           "Second: `m = p @ h1`, product of `where(h1 is 1, m, 1 - m)`, then the mean of log p minus log product under p."),
    parts=(
        Part(name="posterior", right=_posterior, axes=("B", "h1 states"),
             inputs=lambda rng: {"random network": (*generation(rng), bits(5, 4, rng=rng))}, misconceptions={
                 "Q": (lambda W1, b0, W2, b1, b2, x: coins(_sigmoid(x @ W1 + b1), all_states(3)),
                       "that is a product of sigmoids, an RBM's posterior: in the DBN the upper layer has changed p(h1), and the posterior is no product any more"),
                 "no prior": (_likelihood_alone, "the prior is missing: you normalise P(x | h1) over h1, as if every h1 were equally likely"),
                 "prior alone": (lambda W1, b0, W2, b1, b2, x: _log_prior(W2, b1, b2).exp().expand(len(x), -1), "that is p(h1) before x has been seen"),
                 "joint": (lambda *a: _log_both(*a).exp(), "that is p(x, h1): divide each row by its sum, which is p(x)"),
                 "h2 ignored": (lambda W1, b0, W2, b1, b2, x: (_log_both(W1, b0, W2, b1, b2, x) - _log_prior(W2, b1, b2) + all_states(3) @ b1).softmax(1),
                                "your prior is exp(b1·h1) alone: h2 must be summed away, which adds a softplus for each of its units"),
             }),
        Part(name="loss of a product", right=_tangle, inputs=_tables, axes=("B",), misconceptions={
            "turned": (_tangle_turned, "your KL runs the wrong way: average under p, log p minus log of the product"),
            "none": (lambda p: torch.zeros(len(p), dtype=p.dtype), "zero would mean that the units are independent; compare p with the product of its own chances"),
            "entropy": (lambda p: -_xlogy(p, p).sum(1), "that is the entropy of p; the loss is the entropy of the product minus this"),
            "uniform": (lambda p: _xlogy(p, p).sum(1) + 3 * torch.tensor(2.0, dtype=_F64).log(), "your coins are fair: give each unit its own chance, m = p @ h1"),
        }),
    )))


def _draw_up(rbms, x, u):
    for (W, c), noise in zip(rbms, u):
        x = (noise < _sigmoid(x @ W + c)).double()
    return x


def _chances_up(rbms, x, u):
    for W, c in rbms:
        x = _sigmoid(x @ W + c)
    return x


def _rounded(rbms, x, u):
    for W, c in rbms:
        x = (_sigmoid(x @ W + c) > 0.5).double()
    return x


def _stacks(rng):
    def case(*sizes: int) -> tuple:
        rbms = [(normal(a, b, rng=rng), normal(b, rng=rng)) for a, b in zip(sizes, sizes[1:])]
        return rbms, bits(40, sizes[0], rng=rng), [torch.rand(40, n, generator=rng, dtype=_F64) for n in sizes[1:]]
    return {"two layers below": case(6, 4, 5), "three layers below": case(6, 5, 4, 3)}


next_data = register(Exercise(
    id="4.4", name="next_data", title="What the next layer eats", level="core", minutes=10, chapter=CHAPTER,
    success="every unit of every layer drawn: the next RBM sees samples of the aggregated posterior",
    hints=("*Nudge.* Layer by layer: chances first, then draw, and only what was drawn goes up.",
           r"*Equation.* $h^t_j=1$ where $u^t_j<\sigma(c_t+W_t^{\mathsf T}h^{t-1})_j$, for $t=1,2,\dots$, with $h^0=x$.",
           "*Pseudo-code.* for each (W, c) and its noise: `x = (noise < sigmoid(x @ W + c)).double()`; return the last x."),
    parts=(Part(
        right=_draw_up, inputs=_stacks, axes=("B", "units"),
        misconceptions={
            "probabilities": (_chances_up, "these are probabilities, in every layer: as data they are another objective, and units that are on together are no longer seen together"),
            "drawn late": (lambda rbms, x, u: _draw_up(rbms[-1:], _chances_up(rbms[:-1], x, u), u[-1:]),
                           "only the last layer is drawn; the layers below passed probabilities up, and Q is defined for states"),
            "not drawn last": (lambda rbms, x, u: _chances_up(rbms[-1:], _draw_up(rbms[:-1], x, u), u), "the last layer is not drawn: return its states, not its chances"),
            "rounded": (_rounded, "you round at 0.5: every unit below 0.5 is never on, so the next layer never sees what is merely possible"),
            "flipped": (lambda rbms, x, u: _draw_up([(-W, -c) for W, c in rbms], x, u), "your units do the opposite, with chance 1 − p: σ(a) = 1/(1 + exp(−a))"),
            "above": (lambda rbms, x, u: _draw_up([(-W, -c) for W, c in rbms], x, [1 - noise for noise in u]), "a unit is on where its noise is *below* its chance"),
            "no bias": (lambda rbms, x, u: _draw_up([(W, 0 * c) for W, c in rbms], x, u), "the hidden biases c are missing"),
        }),)))
