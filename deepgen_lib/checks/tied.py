"""Exercises of chapter 05, tied weights, first part: the proof line by line, and the moving term."""
import torch
from torch import Tensor

from ..enumeration import all_states
from .engine import Exercise, Part, register

CHAPTER = "05_tied_weights"
_F64 = torch.float64
_softplus, _sigmoid = torch.nn.functional.softplus, torch.sigmoid


def normal(*shape: int, rng: torch.Generator, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(*shape, generator=rng, dtype=_F64)


def parameters(rng: torch.Generator, n_visible: int = 4, n_hidden: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """W (V, H), b (V,), c (H,) of a random RBM."""
    return normal(n_visible, n_hidden, rng=rng), normal(n_visible, rng=rng), normal(n_hidden, rng=rng)


def log_prior(W: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """log p(h) of every hidden state of an RBM.  -> (2**H,)."""
    return _log_sums(W, b, c).log_softmax(0)


def log_decoder(W: Tensor, b: Tensor) -> Tensor:
    """log P(lower | upper) for every pair of states.  W (lower, upper), b (lower,) -> (2**lower, 2**upper)."""
    logits = all_states(W.shape[1]) @ W.T + b
    return all_states(W.shape[0]) @ logits.T - _softplus(logits).sum(1)


def dbn_log_p(W: Tensor, b: Tensor, W2: Tensor, b2: Tensor, c2: Tensor) -> Tensor:
    """log p(x) of every x: decoder (W, b) under the RBM (W2, b2, c2) of h1 and h2.  -> (2**V,)."""
    return (log_decoder(W, b) + log_prior(W2.T, c2, b2)).logsumexp(1)


def _log_sums(W, b, c):
    h = all_states(W.shape[1])
    return h @ c + _softplus(b + h @ W.T).sum(1)


def _tied(W, b, c):
    return W.T, c, b


def _joint_sums(W, b):
    """xᵀ(W h1 + b) for every pair of states: the decoder before it is normalised."""
    return all_states(len(b)) @ (all_states(W.shape[1]) @ W.T + b).T


def _mixed(decoder, W2, b2, c2):
    return (decoder + log_prior(W2.T, c2, b2)).logsumexp(1)


def _undirected(W, b, W2, b2, c2):
    """As if all layers were undirected: a deep Boltzmann machine."""
    x, h = all_states(len(b)), all_states(len(b2))
    return (x @ W @ h.T + (x @ b)[:, None] + h @ b2 + _softplus(c2 + h @ W2).sum(1)).logsumexp(1).log_softmax(0)


def _mean_h1(W, b, W2, b2, c2):
    logits = (log_prior(W2.T, c2, b2).exp() @ all_states(len(b2))) @ W.T + b
    return all_states(len(b)) @ logits - _softplus(logits).sum()


def _stacks(rng):
    def case(n: int, h: int, top: int) -> tuple:
        W, b, _ = parameters(rng, n, h)
        return (W, b, *parameters(rng, h, top))
    return {"sizes 4-3-2": case(4, 3, 2), "sizes 3-4-5": case(3, 4, 5)}


_rbms = lambda rng: {"4 visible, 3 hidden": parameters(rng), "3 visible, 3 hidden": parameters(rng, 3, 3)}

tied_proof = register(Exercise(
    id="5.1", name="tied_proof", title="The proof, line by line", level="core", minutes=30, chapter=CHAPTER,
    success="prior, tied start and network: together they are the proof. (`log_p_h(W.T, c, b)` is log p(x): an RBM does not know which of its layers is called hidden)",
    hints=("*Nudge.* `log_p_h` is line 1 of the proof in section 5.5: a free energy seen from the other side: sum out the *visible* units. For the tied start ask of each layer: which layer of the RBM does it stand for?",
           r"*Equation.* $\log p(h)=c^{\mathsf T}h+\sum_i\mathrm{softplus}\big(b_i+(Wh)_i\big)-\log Z$;  $(W_2,b_2,c_2)=(W^{\mathsf T},c,b)$;  $p(x)=\sum_{h^1}P(x\mid h^1)\,p(h^1)$.",
           "*Pseudo-code.* With h = all_states(H): `(h @ c + softplus(b + h @ W.T).sum(1)).log_softmax(0)`. The decoder: logits = h @ W.T + b, log P = x @ logits.T - softplus(logits).sum(1). "
           "Add log p(h1) of the second RBM, where h1 is *visible*; logsumexp over h1."),
    parts=(
        Part(name="log p(h)", right=log_prior, inputs=_rbms, axes=("states of h",), misconceptions={
            "unnormalised": (_log_sums, "your probabilities do not add up to one: log Z is missing"),
            "log p(x)": (lambda W, b, c: log_prior(W.T, c, b), "that is log p(x): here the visible units are summed out, one number for each state of h"),
            "best x": (lambda W, b, c: (all_states(len(c)) @ c + torch.relu(b + all_states(len(c)) @ W.T).sum(1)).log_softmax(0),
                       "you take the best x for each h; p(h) adds up all of them: softplus, not max(0, ·)"),
            "no hidden bias": (lambda W, b, c: log_prior(W, b, 0 * c), "cᵀh is missing: the hidden bias counts in every term"),
            "minus": (lambda W, b, c: (-_log_sums(W, b, c)).log_softmax(0), "your sign is that of an energy: low energy, high probability"),
        }),
        Part(name="tied start", right=_tied, inputs=_rbms, misconceptions={
            "biases not swapped": (lambda W, b, c: (W.T, b, c), "the biases are not swapped: h1 was the hidden layer, so its bias c becomes the *visible* bias of the second RBM; h2 takes b"),
            "not transposed": (lambda W, b, c: (W, c, b), "W is not transposed: the second RBM's visible layer is h1, so its weights are (H, V)"),
            "a copy": (lambda W, b, c: (W, b, c), "that is the first RBM itself; in the second one h1 is visible"),
            "zero biases": (lambda W, b, c: (W.T, 0 * c, 0 * b), "the biases are zero: p(h1) then forgets how often each unit is on"),
            "zero hidden bias": (lambda W, b, c: (W.T, c, 0 * b), "h2's bias is zero: h2 stands for x, and needs x's bias b"),
            "zero visible bias": (lambda W, b, c: (W.T, 0 * c, b), "h1's bias is zero: it is the hidden bias c of the first RBM"),
            "minus": (lambda W, b, c: (-W.T, c, b), "the weights have changed sign: only their orientation changes"),
        }),
        Part(name="log p(x) of the network", right=dbn_log_p, inputs=_stacks, axes=("states of x",), misconceptions={
            "undirected": (_undirected, "that is a deep Boltzmann machine: here the lower layer is directed, P(x | h1) sums to one for each h1"),
            "mean": (_mean_h1, "you put the mean of h1 through the decoder; p(x) is the mean of P(x | h1), not P(x | mean)"),
            "no prior": (lambda W, b, W2, b2, c2: log_decoder(W, b).logsumexp(1) - W.shape[1] * torch.tensor(2.0, dtype=_F64).log(), "every h1 counts alike: weight each by p(h1)"),
            "wrong side": (lambda W, b, W2, b2, c2: (log_decoder(W, b) + all_states(len(b2)) @ b2 - torch.logsumexp(all_states(len(b2)) @ b2, 0)).logsumexp(1),
                           "h2 is not summed out: p(h1) has the factor Π (1 + exp(c2 + h1 W2))"),
            "best h1": (lambda W, b, W2, b2, c2: (log_decoder(W, b) + log_prior(W2.T, c2, b2)).max(1).values, "you take the best h1; log p(x) adds up all of them: logsumexp"),
            "a probability": (lambda *a: dbn_log_p(*a).exp(), "these are probabilities; the logarithm is asked"),
            "decoder not normalised": (lambda W, b, *top: _mixed(_joint_sums(W, b), *top), "your decoder is not normalised: for each h1 subtract Σ softplus(logits), else it is no P(x | h1)"),
            "softplus without b": (lambda W, b, *top: _mixed(_joint_sums(W, b) - _softplus(all_states(W.shape[1]) @ W.T).sum(1), *top), "b is missing inside the softplus: the logits of x are W h1 + b in both places"),
            "h1 as hidden": (lambda W, b, W2, b2, c2: (log_decoder(W, b) + log_prior(W2, b2, c2)).logsumexp(1),
                             "in the second RBM h1 is the VISIBLE layer, W2 is (H, V2): its prior is log_p_h(W2.T, c2, b2), not log_p_h(W2, b2, c2)"),
            "h1 as hidden, biases swapped": (lambda W, b, W2, b2, c2: (log_decoder(W, b) + (all_states(len(b2)) @ b2 + _softplus(c2 + all_states(len(b2)) @ W2.T).sum(1)).log_softmax(0)).logsumexp(1),
                                             "W2 is (H, V2), h1 its VISIBLE side: take W2.T where log_p_h wants (visible, hidden), so log_p_h(W2.T, c2, b2)"),
        }),
    )))


def _slope(W: Tensor, b: Tensor, c: Tensor, q: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return _two_phases(W, b, c, q.mean(0))


def _two_phases(W, b, c, target, *, model: float = 1.0):
    h = all_states(len(b))
    on, excess = _sigmoid(c + h @ W), target - model * log_prior(W.T, c, b).exp()
    return (excess[:, None] * h).T @ on, excess @ h, excess @ on


def _greys(W, b, c, q):
    """Probabilities of h1 as data."""
    grey = q @ all_states(len(b))
    h, p = all_states(len(b)), log_prior(W.T, c, b).exp()
    on = _sigmoid(c + grey @ W)
    model = _two_phases(W, b, c, p * 0)
    return grey.T @ on / len(q) + model[0], grey.mean(0) - p @ h, on.mean(0) + model[2]


def _guesses(rng):
    def case(n: int, m: int, rows: int) -> tuple:
        return (*parameters(rng, n, m), normal(rows, 2**n, rng=rng, scale=1.5).softmax(1))
    return {"3 units, 4 above, 5 pictures": case(3, 4, 5), "2 units, 2 above, one picture": case(2, 2, 1)}


def _pictures(rng):
    def case(n: int, m: int, rows: int) -> tuple:
        return (*parameters(rng, n, m), -normal(rows, 2**n, rng=rng, scale=2.0).abs())
    return {"3 units, 4 above, 5 pictures": case(3, 4, 5), "2 units, 2 above, one picture": case(2, 2, 1)}


def _slope_of_likelihood(W, b, c, decoder, *, prior: float = 1.0, best: bool = False):
    joint = decoder + prior * log_prior(W.T, c, b)
    posterior = torch.nn.functional.one_hot(joint.argmax(1), joint.shape[1]).to(_F64) if best else joint.softmax(1)
    return _two_phases(W, b, c, posterior.mean(0))


def _slope_log_p(W: Tensor, b: Tensor, c: Tensor, decoder: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return _slope_of_likelihood(W, b, c, decoder)


_MOVES = {"reconstruction": "stays", "prior": "moves", "entropy": "stays", "log p(x)": "moves", "gap": "moves"}

moving_term = register(Exercise(
    id="5.2", name="moving_term", title="The moving term", level="core", minutes=25, chapter=CHAPTER,
    success="one term moves, an RBM on the aggregated posterior; with the true posterior for q the same slope is that of log p(x)",
    hints=("*Nudge.* In which of the five does p(h1) occur? And what is the average over pictures of an average over q?",
           r"*Equation.* With $\bar q=\frac1N\sum_nq_n$ and $p$ the RBM's own $p(h^1)$: $\partial W=\sum_{h^1}\big(\bar q(h^1)-p(h^1)\big)\,h^1\,\mathbb{E}[h^2\mid h^1]^{\mathsf T}$; for $b$ and $c$ leave out one of the two factors.",
           "*Pseudo-code.* h = all_states(n); on = sigmoid(c + h @ W); p = softmax of (h @ b + softplus(c + h @ W).sum(1)); d = q.mean(0) - p. Return `(d[:, None] * h).T @ on`, `d @ h`, `d @ on`. "
           "Or autograd: differentiate `q.mean(0) @ log p`. For `slope_log_p`: q = (decoder + log p).softmax(1)."),
    parts=(
        Part(name="predictions", right=_MOVES, misconceptions={
            "the slide": ({"prior": "stays"}, "the prior term is the one that holds p(h1), which you are training; the slide calls it constant, and is wrong"),
            "reconstruction": ({"reconstruction": "moves"}, "the reconstruction holds P(x | h1) and q: both belong to the first layer, which is frozen"),
            "entropy": ({"entropy": "moves"}, "the entropy is that of q, which is frozen"),
            "log p(x)": ({"log p(x)": "stays"}, "log p(x) = log Σ P(x | h1) p(h1) changes with p(h1)"),
            "gap": ({"gap": "stays"}, "the gap is KL(q ‖ p(h1 | x)): the posterior moves with p(h1), q does not"),
        }),
        Part(name="slope", right=_slope, inputs=_guesses, misconceptions={
            "the slide's sign": (lambda *a: tuple(-s for s in _slope(*a)), "your slope points downhill: the prior term enters the bound with a plus (the slide prints a minus)"),
            "data alone": (lambda W, b, c, q: _two_phases(W, b, c, q.mean(0), model=0.0), "the model's phase is missing: log p(h1) holds −log Z"),
            "sum over pictures": (lambda W, b, c, q: tuple(len(q) * s for s in _slope(W, b, c, q)) if len(q) > 1 else _slope(W, b, c, q),
                                  "you add up over pictures; the mean over the data is asked"),
            "greys": (_greys, "you feed probabilities of h1 where states are meant: average over the states h1 with weight q, after the sigmoid"),
            "one picture": (lambda W, b, c, q: _two_phases(W, b, c, q[0]) if len(q) > 1 else _slope(W, b, c, q), "that is the slope for the first picture alone: average q over the pictures"),
            "swapped": (lambda W, b, c, q: (_slope(W, b, c, q)[0], _slope(W, b, c, q)[2], _slope(W, b, c, q)[1]), "the slopes of b and c have changed places: b is the visible bias, that of h1"),
        }),
        Part(name="slope of log p(x)", right=_slope_log_p, inputs=_pictures, misconceptions={
            "decoder as q": (lambda W, b, c, d: _slope_of_likelihood(W, b, c, d, prior=0.0), "your weights know only the decoder: the posterior is P(x | h1) p(h1), normalised over h1"),
            "not normalised": (lambda W, b, c, d: _slope(W, b, c, d.exp()), "P(x | h1) is no distribution over h1: multiply by p(h1) and normalise each row, then it is the posterior"),
            "best h1": (lambda W, b, c, d: _slope_of_likelihood(W, b, c, d, best=True), "you take the most probable h1 alone: every h1 counts, as much as its posterior says"),
            "down": (lambda *a: tuple(-s for s in _slope_log_p(*a)), "your slope of log p(x) points downhill"),
        }),
    )))
