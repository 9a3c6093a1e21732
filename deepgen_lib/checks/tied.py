"""Exercises of chapter 05, tied weights, first half: the proof line by line, the moving term, the recursion, padding."""
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
    success="prior, tied start and network: three functions, and together the proof",
    hints=("*Nudge.* Line 1 is a free energy seen from the other side: sum out the *visible* units. For the tied start ask of each layer: which layer of the RBM does it stand for?",
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


_MOVES = {"reconstruction": "stays", "prior": "moves", "entropy": "stays", "log p(x)": "moves", "gap": "moves"}

moving_term = register(Exercise(
    id="5.2", name="moving_term", title="The moving term", level="core", minutes=25, chapter=CHAPTER,
    success="one term moves, and its slope is that of an RBM on the aggregated posterior",
    hints=("*Nudge.* In which of the five does p(h1) occur? And what is the average over pictures of an average over q?",
           r"*Equation.* With $\bar q=\frac1N\sum_nq_n$ and $p$ the RBM's own $p(h^1)$: $\partial W=\sum_{h^1}\big(\bar q(h^1)-p(h^1)\big)\,h^1\,\mathbb{E}[h^2\mid h^1]^{\mathsf T}$; for $b$ and $c$ leave out one of the two factors.",
           "*Pseudo-code.* h = all_states(n); on = sigmoid(c + h @ W); p = softmax of (h @ b + softplus(c + h @ W).sum(1)); d = q.mean(0) - p. Return `(d[:, None] * h).T @ on`, `d @ h`, `d @ on`. "
           "Or let autograd do it: make W, b, c require gradients and differentiate `q.mean(0) @ log p`."),
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
    )))


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
    success="the larger layer starts on the same p(x)",
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
