"""Exercises of chapter 05, tied weights, second part: the recursion from the top down, and a second layer with more units than pixels."""
import torch
from torch import Tensor

from ..enumeration import all_states
from .engine import Exercise, Part, register
from .tied import CHAPTER, dbn_log_p, log_decoder, normal, parameters

_F64 = torch.float64
_softplus = torch.nn.functional.softplus


def _descend(log_p_top: Tensor, layers: list, *, step=None) -> Tensor:
    for W, b in layers:
        log_p_top = (step or _one_step)(W, b, log_p_top)
    return log_p_top


def _one_step(W, b, above):
    return (log_decoder(W, b) + above).logsumexp(1)


def _with_step(step):
    return lambda log_p_top, layers: _descend(log_p_top, layers, step=step)


def _mean_step(W, b, above):
    logits = (above.exp() @ all_states(W.shape[1])) @ W.T + b
    return all_states(len(b)) @ logits - _softplus(logits).sum()


def _deep(rng):
    def case(*sizes: int) -> tuple:  # from the top down
        layers = [(normal(low, up, rng=rng, scale=1.5), normal(low, rng=rng)) for up, low in zip(sizes, sizes[1:])]
        return normal(2**sizes[0], rng=rng).log_softmax(0), layers
    return {"from h2 down, sizes 2-3-4": case(2, 3, 4), "from h3 down, 3-3-3-3": case(3, 3, 3, 3)}


prior_recursion = register(Exercise(
    id="5.3", name="prior_recursion", title="From the top down", level="core", minutes=15, chapter=CHAPTER,
    success="each prior is the one above it, seen through a decoder",
    hints=("*Nudge.* One layer is two lines; a loop does the rest. Over which of the two layers must you sum?",
           r"*Equation.* $\log p(h^{t-1})=\log\sum_{h^t}\exp\big(\log P(h^{t-1}\mid h^t)+\log p(h^t)\big)$, $P$ a product of coins with logits $W_th^t+b_{t-1}$.",
           "*Pseudo-code.* for W, b in layers: logits = all_states(W.shape[1]) @ W.T + b; log P = all_states(W.shape[0]) @ logits.T - softplus(logits).sum(1), one column per upper state; `log_p = (log P + log_p).logsumexp(1)`."),
    parts=(Part(
        right=_descend, inputs=_deep, axes=("states of x",), misconceptions={
            "no bias": (lambda p, layers: _descend(p, [(W, 0 * b) for W, b in layers]), "the bias of the lower layer is missing: logits are W h + b"),
            "wrong conditional": (_with_step(lambda W, b, p: (log_decoder(W, b).log_softmax(1) + p).logsumexp(1)), "your P sums to one over the upper layer: it must for each upper state sum to one over the *lower* layer"),
            "unnormalised": (_with_step(lambda W, b, p: (all_states(len(b)) @ (all_states(W.shape[1]) @ W.T + b).T + p).logsumexp(1)), "your decoder is not normalised: subtract Σ softplus(logits), or it is an RBM's joint and no conditional"),
            "no prior": (_with_step(lambda W, b, p: log_decoder(W, b).logsumexp(1).log_softmax(0)), "log p of the layer above is not used: every upper state counts alike"),
            "best": (_with_step(lambda W, b, p: (log_decoder(W, b) + p).max(1).values), "you follow the best upper state only; add up all of them: logsumexp"),
            "only those on": (_with_step(lambda W, b, p: (all_states(len(b)) @ -_softplus(-(all_states(W.shape[1]) @ W.T + b)).T + p).logsumexp(1)),
                              "a unit that is off costs log(1 − p): you count only those that are on"),
            "undirected": (_with_step(lambda W, b, p: (all_states(len(b)) @ (all_states(W.shape[1]) @ W.T + b).T + p).logsumexp(1).log_softmax(0)),
                           "you normalise at the end: that is a deep Boltzmann machine; P(lower | upper) sums to one for each upper state by itself"),
            "upside down": (lambda p, layers: _descend(p, layers[::-1]), "`layers` comes from the TOP down already: do not reverse it"),
            "mean": (_with_step(_mean_step), "you send the mean of each layer down; the layers below then look independent, and they are not"),
            "only one layer": (lambda p, layers: _descend(_descend(p, layers[:1]).log_softmax(0), [(0 * W, b) for W, b in layers[1:]]), "after the first layer the others no longer depend on what is above them"),
            "sign": (_with_step(lambda W, b, p: (log_decoder(-W, -b) + p).logsumexp(1)), "your units fire with 1 − p: the logits have the wrong sign (the slide's 1/(1 + exp(W h)))"),
        }),)))


def _padded_log_p(answer, W: Tensor, b: Tensor, c: Tensor, n_hidden: int) -> Tensor:
    """log p(x) of the network that the answer makes, after its shapes are found right."""
    wanted = {"W2": (len(c), n_hidden), "b2": (len(c),), "c2": (n_hidden,)}
    found = [torch.as_tensor(part, dtype=_F64).detach() for part in answer]
    if [tuple(part.shape) for part in found] != list(wanted.values()):
        raise ValueError(f"you returned shapes {', '.join(str(tuple(part.shape)) for part in found)}, expected W2 {wanted['W2']}, b2 {wanted['b2']} (bias of h1), c2 {wanted['c2']} (bias of h2)")
    return dbn_log_p(W, b, *found)


def _padded(W, b, c, n_hidden, *, weights=None, biases=None):
    extra = n_hidden - len(b)
    more = torch.zeros(len(c), extra, dtype=_F64) if weights is None else weights(W.T, extra)
    return torch.cat([W.T, more], 1), c, torch.cat([b if biases is None else biases(b), torch.zeros(extra, dtype=_F64)])


def _front(W, b, c, n_hidden):
    return torch.cat([torch.zeros(len(c), n_hidden - len(b), dtype=_F64), W.T], 1), c, torch.cat([b, torch.zeros(n_hidden - len(b), dtype=_F64)])


def _twice(Wt: Tensor, extra: int) -> Tensor:
    return Wt[:, torch.arange(extra) % Wt.shape[1]]


def _spread(W, b, c, n_hidden):
    share = len(b) / n_hidden
    order = torch.arange(n_hidden) % len(b)
    return share * W.T[:, order], c, b[order]


padded_start = register(Exercise(
    id="5.4", name="padded_start", title="More units than pixels", level="core", minutes=10, chapter=CHAPTER,
    success="the larger layer starts on the same p(x). (Yours to choose: the biases of the extra units, for a unit without weights tells h1 nothing)",
    hints=("*Nudge.* The extra units must not tell h1 anything. When is the factor that a unit contributes to p(h1) the same for every h1?",
           r"*Equation.* A unit with weights $w$ and bias $a$ multiplies $p(h^1)$ by $1+e^{a+w^{\mathsf T}h^1}$, which is constant exactly when $w=0$.",
           "*Pseudo-code.* W2: zeros (H, n_hidden), its first V columns W.T. b2: c. c2: zeros (n_hidden,), its first V entries b."),
    parts=(Part(
        right=_padded, measure=_padded_log_p, quantity="log p(x) of the network", rtol=1e-9, atol=1e-9,
        inputs=lambda rng: {"4 pixels, 3 units, 7 above": (*parameters(rng), 7), "3 pixels, 4 units, 5 above": (*parameters(rng, 3, 4), 5)},
        misconceptions={
            "random": (lambda *a: _padded(*a, weights=lambda Wt, n: normal(len(Wt), n, rng=torch.Generator().manual_seed(0), scale=0.1)),
                       "the extra units have weights: each then bends p(h1), and p(x) is no longer the RBM's",
                       lambda answer, W, b, c, n: bool((torch.as_tensor(answer[0])[:, len(b):] != 0).any())),
            "copies": (lambda *a: _padded(*a, weights=_twice), "the extra units repeat the first ones: the same vote counted twice is another model"),
            "misaligned": (_front, "weights and biases of h2 are not in the same order: the zero columns and the zero biases belong to the same units"),
            "spread": (_spread, "sharing each unit's weights among several does not work: 1 + e^a is not the product of two (1 + e^{a/2})"),
            "no hidden bias": (lambda *a: _padded(*a, biases=lambda b: 0 * b), "h2's bias is zero: the first V units stand for x, and need b"),
            "no visible bias": (lambda W, b, c, n: (_padded(W, b, c, n)[0], 0 * c, _padded(W, b, c, n)[2]), "h1's bias is zero: it takes over c"),
        }),)))
