"""Exercises of chapter 05, tied weights, third part: the shared chain, three curves, and a network that breaks the promise."""
import torch
from torch import Tensor

from ..dbn import DBN
from ..rbm import RBM
from ..tied import tied_rbm
from .engine import Exercise, Part, register
from .tied import CHAPTER, log_decoder, log_prior, normal, parameters

_F64 = torch.float64
_sigmoid = torch.sigmoid
SMALLEST = 0.01  # nats by which the bound must rise and the log-likelihood fall
MAX_UNITS = 6    # of a layer in 5.7


def _sample(W, b, c, h, u_up, u_down, u_x) -> Tensor:
    return _chain(W, b, c, h, u_up, u_down, u_x)


def _chain(W, b, c, h, u_up, u_down, u_x, *, end="x", up_bias=None, down_bias=None, x_bias=1.0, grey=False, reuse=False, complement=False):
    """The tied chain; the options are the ways in which students go wrong."""
    fire = (lambda u, p: (u > p).double()) if complement else (lambda u, p: (u < p).double())
    for step in range(len(u_up)):
        use = 0 if reuse else step
        p = _sigmoid((b if up_bias is None else up_bias) + h @ W.T)
        h2 = p if grey else fire(u_up[use], p)
        h = fire(u_down[use], _sigmoid((c if down_bias is None else down_bias) + h2 @ W))
    p_x = _sigmoid(x_bias * b + h @ W.T)
    return {"x": fire(u_x, p_x), "h2": h2, "probabilities": p_x}[end]


def _one_more(W, b, c, h, u_up, u_down, u_x):
    """The last step down drives one more turn: x from the h1 before the last."""
    return _chain(W, b, c, h, u_up[:-1], u_down[:-1], u_x)


def _noise(rng):
    def case(k: int, n: int, n_visible: int, n_hidden: int) -> tuple:
        u = lambda *shape: torch.rand(*shape, generator=rng, dtype=_F64)
        return (*parameters(rng, n_visible, n_hidden), (u(n, n_hidden) < 0.5).double(), u(k, n, n_visible), u(k, n, n_hidden), u(n, n_visible))
    return {"two turns": case(2, 40, 4, 3), "five turns": case(5, 40, 3, 3)}


tied_chain = register(Exercise(
    id="5.5", name="tied_chain", title="One chain, two names", level="core", minutes=20, chapter=CHAPTER,
    success="every bit agrees, and it is the RBM's own chain h → x → h → ... → x, with h2 in the place of x",
    hints=("*Nudge.* Write the second RBM's parameters first: $(W^{\\mathsf T},c,b)$. Its visible layer is $h^1$. Where does the sample leave the top RBM?",
           r"*Equation.* $h^2=[u<\sigma(b+Wh^1)]$, then $h^1=[u<\sigma(c+W^{\mathsf T}h^2)]$; after the last turn $x=[u_x<\sigma(b+Wh^1)]$, by the *directed* layer.",
           "*Pseudo-code.* for each turn s: `h2 = (u_up[s] < sigmoid(b + h @ W.T)).double()`; `h = (u_down[s] < sigmoid(c + h2 @ W)).double()`. After the loop return `(u_x < sigmoid(b + h @ W.T)).double()`."),
    parts=(Part(
        right=_sample, inputs=_noise, axes=("chains", "pixels"), misconceptions={
            "h2": (lambda *a: _chain(*a, end="h2"), "you return h2, the top layer: the sample is x, one step down from the last h1"),
            "no last turn": (_one_more, "your x comes from the h1 before the last turn"),
            "probabilities": (lambda *a: _chain(*a, end="probabilities"), "you return probabilities; the last step is drawn too, with u_x"),
            "grey": (lambda *a: _chain(*a, grey=True), "probabilities of h2 drive your chain: draw h2, or h1 hears more than its bits say"),
            "no bias of h2": (lambda W, b, *a: _chain(W, b, *a, up_bias=0 * b), "h2 is drawn without a bias: it takes over the visible bias b"),
            "no bias of h1": (lambda W, b, c, *a: _chain(W, b, c, *a, down_bias=0 * c), "h1 is drawn without a bias: it keeps c, now as a visible bias"),
            "no bias of x": (lambda *a: _chain(*a, x_bias=0.0), "x is drawn without its bias b: the last step down is σ(W h1 + b)"),
            "same uniforms": (lambda *a: _chain(*a, reuse=True), "every turn uses the numbers of the first: take u_up[s] and u_down[s]"),
            "complement": (lambda *a: _chain(*a, complement=True), "your units fire with probability 1 − p: on means u < p"),
        }),)))


def _curves(log_p_x_given_h: Tensor, q: Tensor, log_priors: Tensor) -> Tensor:
    return _three(log_p_x_given_h, q, log_priors)


def _three(decoder, q, priors, *, entropy=1.0, kl="right", prior=1.0, mean=True, renew=False):
    """The three columns; the options are the ways in which students go wrong."""
    rows = []
    for log_p_h in priors:
        joint = decoder + log_p_h                                        # (N, K)
        post, log_p = joint.log_softmax(1), joint.logsumexp(1)
        guess = post.exp() if renew else q
        bound = (guess * (decoder + prior * log_p_h)).sum(1) + entropy * torch.special.entr(guess).sum(1)
        right = (guess * (guess.log() - post)).sum(1)
        right = torch.where(right.abs() < 1e-12, 0.0, right)             # rounding at the tied start
        gap = {"right": right, "reversed": (post.exp() * (post - guess.log())).sum(1), "minus": -right,
               "to the prior": (guess * (guess.log() - log_p_h)).sum(1)}[kl]
        triple = torch.stack([log_p, bound, gap])
        rows.append(triple.mean(1) if mean else triple.sum(1))
    return torch.stack(rows)


def _climbs(rng):
    def case(n_visible: int, n_hidden: int, n: int) -> tuple:
        W, b, c = parameters(rng, n_visible, n_hidden)
        rows = torch.randperm(2**n_visible, generator=rng)[:n]
        decoder, start = log_decoder(W, b)[rows], log_prior(W, b, c)
        q = (decoder + start).softmax(1)                                 # the RBM's posterior
        end = q.mean(0).log() + 0.3 * normal(len(start), rng=rng)
        return decoder, q, torch.stack([start, *((s * end + (1 - s) * start).log_softmax(0) for s in (0.3, 0.7, 1.0))])
    return {"5 pictures, 8 states": case(4, 3, 5), "2 pictures, 4 states": case(3, 2, 2)}


three_curves = register(Exercise(
    id="5.6", name="three_curves", title="Tight, then not", level="stretch", minutes=25, chapter=CHAPTER,
    success="the KL is zero in the first row, the tied start (T3), then it opens, and in every row log p(x) = bound + KL (T4)",
    hints=("*Nudge.* With only a few states of h1 everything is a table. Form log p(x, h1) for one prior; all three numbers come from it and from q.",
           r"*Equation.* $f=\log P(x\mid h^1)+\log p(h^1)$. $\log p(x)=\log\sum e^f$; bound $=\sum q f-\sum q\log q$; $\mathrm{KL}=\sum q\,(\log q-\log p(h^1\mid x))$ with $\log p(h^1\mid x)=f-\log p(x)$.",
           "*Pseudo-code.* for each row of log_priors: f = decoder + row; log_p = f.logsumexp(1); bound = (q * f).sum(1) - (q * q.log()).sum(1); kl = (q * (q.log() - f + log_p[:, None])).sum(1); append the three means."),
    parts=(Part(
        right=_curves, inputs=_climbs, axes=("steps", "log p, bound, KL"), rtol=1e-8, atol=1e-9, misconceptions={
            "reversed": (lambda *a: _three(*a, kl="reversed"), "your KL averages over the posterior: the gap is KL(q ‖ posterior), an average over q"),
            "renewed": (lambda *a: _three(*a, renew=True), "you renew q with the posterior of each step: then the gap never opens; q is frozen at the start"),
            "no entropy": (lambda *a: _three(*a, entropy=0.0), "the bound has lost its entropy: even at the start it would not be tight"),
            "entropy's sign": (lambda *a: _three(*a, entropy=-1.0), "the entropy is added to the bound: H(q) = −Σ q log q"),
            "the slide": (lambda *a: _three(*a, prior=-1.0), "the prior term enters with a plus; a minus is the slide's slip"),
            "negative": (lambda *a: _three(*a, kl="minus"), "your KL is negative: q log(q / p), not q log(p / q)"),
            "KL to the prior": (lambda *a: _three(*a, kl="to the prior"), "your KL goes to the prior p(h1); the gap is the KL to the posterior p(h1 | x)"),
            "columns": (lambda *a: _three(*a).T, "steps are rows and the three curves columns: transpose"),
            "sums": (lambda *a: _three(*a, mean=False), "these are sums over the pictures: take means"),
        }),)))


def _rbm(W, b, c) -> RBM:
    W = torch.as_tensor(W, dtype=_F64)
    rbm = RBM(*W.shape).double().requires_grad_(False)
    rbm.load_state_dict({"W": W, "b": torch.as_tensor(b, dtype=_F64), "c": torch.as_tensor(c, dtype=_F64)})
    return rbm


def _verdict(answer) -> str:
    """What the third layer's training did to bound and log-likelihood, in words; the start is made here, tied to the second RBM."""
    missing = [key for key in ("first", "second", "third", "x") if not isinstance(answer, dict) or key not in answer]
    if missing:
        raise ValueError(f"your answer lacks {missing[0]!r}: it is a dictionary of three RBMs, first, second and third (after training), and the data x")
    rbms = [answer[key] for key in ("first", "second", "third")]
    if not all(type(rbm) is RBM for rbm in rbms) or max(max(rbm.W.shape) for rbm in rbms) > MAX_UNITS:
        raise ValueError(f"first, second and third must be RBMs of the library with at most {MAX_UNITS} units a layer")
    first, second, third = (_rbm(rbm.W.detach(), rbm.b.detach(), rbm.c.detach()) for rbm in rbms)
    x = torch.as_tensor(answer["x"], dtype=_F64)
    old, new = DBN([first, second, tied_rbm(second, n_hidden=third.n_hidden)]), DBN([first, second, third])
    with torch.no_grad():
        gains = {"bound": new.bound(x).total - old.bound(x).total, "log p(x)": new.log_likelihood(x) - old.log_likelihood(x)}
    return ", ".join(f"{name} {_word(gain.mean())}" for name, gain in gains.items())


def _word(change: Tensor) -> str:
    return f"stays within {SMALLEST} nats" if abs(change) < SMALLEST else "rises" if change > 0 else "falls"


_FIRST = _rbm([[0, 2, 2], [-2, 3, -2], [-1, 2, 0], [-3, 1, 0]], [0, 0, 3, 3], [5, 0, 5])
_SECOND = _rbm([[4, 4, -2, -1], [-1, 3, -2, 4], [-1, 3, 4, -1]], [0, -2, -2], [0, 1, 0, 1])
_FOUND = {  # random whole numbers, 400 steps of exact ascent from the tied start, rounded to halves: bound +0.58, log p(x) -0.61
    "first": _FIRST, "second": _SECOND, "x": torch.tensor([[0.0, 1, 1, 1], [1, 1, 0, 0]], dtype=_F64),
    "third": _rbm([[3.5, -1, -1.5], [3.5, 3.5, 3], [-2, -1, 4.5], [-1, 4, -0.5]], [-0.5, 1, 0.5, 1], [-0.5, -1.5, -2]),
}


def _with(**changes) -> dict:
    return _FOUND | changes


_LUCKY = _rbm([[4.5, -0.5, -1], [4.5, 2.5, 3], [-3.5, -1.5, 3], [-1.5, 3, -1]], [0, 1.5, -2, 1], [0, -2, -2])
_IDLE = _rbm([[3.5, -0.5, -1.5], [3.5, 4, 1.5], [-1.5, -2, 4], [-1, 3, 0.5]], [0, 1, 0, 1], [0, -2, -2])

break_it = register(Exercise(
    id="5.7", name="break_it", title="Project: bound up, likelihood down", level="project", minutes=45, chapter=CHAPTER,
    success="the bound rises, log p(x) falls: stacking does not always help",
    hints=("*Nudge.* You need a gap that is wide open before the third layer is trained. Which second RBM makes it so: one near the tied start, or one far from it?",
           r"*Equation.* $\log p(x)=\text{bound}+\mathrm{KL}(q\Vert p(h^1,h^2\mid x))$: you want the bound to rise by less than the KL falls.",
           "*Pseudo-code.* for seed in range(100): draw first (4, 3) and second (3, 4) with random_rbm(scale=2), x = two rows of all_states(4); aggregate = aggregated_posterior(DBN([first, second, tied]), x, level=2); "
           "climb E_aggregate[log p(h2)] from tied_rbm(second), that is: add 0.2 * slope(third.W, third.b, third.c, aggregate[None]) 60 times; ask gains(...); keep the seed whose log p(x) falls most."),
    parts=(Part(
        right=_FOUND, measure=_verdict, quantity="outcome", misconceptions={
            "not trained": (_with(third=tied_rbm(_SECOND)), "nothing moves: is your third RBM still the tied one? (And a DBN holds copies of its RBMs: after training build a new one, or use `gains`)"),
            "both rise": (_with(x=torch.tensor([[1.0, 0, 0, 0], [1, 0, 1, 1]], dtype=_F64)), "both rise: a good network, and no counterexample. Open the gap first: take a second RBM far from the tied one, and few pictures"),
            "both fall": (_with(third=_rbm(-tied_rbm(_SECOND).W.detach(), [0, 1, 0, 1], [0, -2, -2])), "both fall: then your third layer was not trained, for exact ascent raises the bound; check its sign and its step"),
            "bound falls": (_with(third=_LUCKY), "the bound falls and log p(x) rises: also possible, but the other way round is asked; climb the bound"),
            "a draw": (_with(third=_IDLE), f"the bound rises, but log p(x) stays within {SMALLEST} nats: look for a network where it falls"),
        }),)))
