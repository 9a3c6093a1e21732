"""Exercises of chapter 02, the RBM, first half: energy, sampling, the gradient's phases, the start."""
import torch
from torch import Tensor

from .engine import Exercise, Part, register

CHAPTER = "02_rbm"
_F64 = torch.float64
_softplus, _sigmoid = torch.nn.functional.softplus, torch.sigmoid


def _normal(*shape: int, rng: torch.Generator, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(*shape, generator=rng, dtype=_F64)


def _bits(*shape: int, rng: torch.Generator, p: float = 0.5) -> Tensor:
    return (torch.rand(*shape, generator=rng, dtype=_F64) < p).double()


def _parameters(rng: torch.Generator, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """W (5, 3), b (5,), c (3,): V and H differ, so that a transpose cannot pass."""
    return _normal(5, 3, rng=rng, scale=scale), _normal(5, rng=rng, scale=scale), _normal(3, rng=rng, scale=scale)


def _free_energy(W: Tensor, b: Tensor, c: Tensor, v: Tensor) -> Tensor:
    return -v @ b - torch.logaddexp(c + v @ W, torch.zeros((), dtype=_F64)).sum(1)


def _mean_field_energy(W: Tensor, b: Tensor, c: Tensor, v: Tensor) -> Tensor:
    return -v @ b - (_sigmoid(c + v @ W) * (c + v @ W)).sum(1)


def _huge(rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    W, b, c = _parameters(rng, 900.0)
    return W.abs(), b, c, torch.ones(2, 5, dtype=_F64)  # every logit in the thousands


free_energy = register(Exercise(
    id="2.1", name="free_energy", title="Sum the hidden units away", level="core", minutes=10, chapter=CHAPTER,
    success="F(v) agrees with the sum over all h, also where e^x overflows",
    hints=("*Nudge.* The hidden units are independent given $v$, so the sum over $2^H$ states is a product of $H$ sums. How many terms has each?",
           r"*Equation.* $F(v)=-b^{\mathsf T}v-\sum_j\log\big(1+e^{x_j}\big)$ with $x=c+v^{\mathsf T}W$. For large $x$, $\log(1+e^x)$ is nearly $x$, but $e^x$ is infinite.",
           "*Pseudo-code.* `x = c + v @ W`, shape (B, H). Return minus `v @ b` minus the sum over H of `torch.nn.functional.softplus(x)` (or of `logaddexp(x, 0)`)."),
    parts=(Part(
        right=_free_energy, axes=("B",), rtol=1e-6,
        inputs=lambda rng: {"random model": (*_parameters(rng), _bits(4, 5, rng=rng)), "huge weights": _huge(rng)},
        misconceptions={
            "missing minus": (lambda W, b, c, v: v @ b - _softplus(c + v @ W).sum(1), "the visible term has lost its minus: ink that the bias likes must lower the energy"),
            "overflow": (lambda W, b, c, v: -v @ b - torch.log(1 + torch.exp(c + v @ W)).sum(1), "e^x overflows for large x: use softplus or logaddexp, which never form it"),
            "log-sigmoid": (lambda W, b, c, v: -v @ b - torch.nn.functional.logsigmoid(c + v @ W).sum(1),
                            "log σ(x) = x − softplus(x) is not softplus(x): each hidden unit contributes log(1 + e^x)"),
            "best h": (lambda W, b, c, v: -v @ b - torch.relu(c + v @ W).sum(1), "that is the energy of the best h alone; F adds up all h, so log(1 + e^x), not max(x, 0)"),
            "mean field": (_mean_field_energy, "that is the mean energy under p(h | v); the free energy also subtracts the entropy of p(h | v)"),
            "upside down": (lambda W, b, c, v: -_free_energy(W, b, c, v), "that is −F(v), the logarithm of the sum; energy is its negative"),
            "hidden bias outside": (lambda W, b, c, v: -v @ b - c.sum() - _softplus(v @ W).sum(1), "the hidden bias belongs inside the softplus: it counts only when the unit is on"),
        }),)))


def _sweeps(W: Tensor, b: Tensor, c: Tensor, v: Tensor, u_h: Tensor, u_v: Tensor) -> tuple[Tensor, Tensor]:
    return _chain(W, b, c, v, u_h, u_v)


def _chain(W, b, c, v, u_h, u_v, *, up=None, down=None, reuse=False, final=None, complement=False) -> tuple[Tensor, Tensor]:
    """k sweeps; the options are the ways in which students go wrong."""
    fire = (lambda u, p: (u > p).double()) if complement else (lambda u, p: (u < p).double())
    for step in range(len(u_h)):
        use = 0 if reuse else step
        p_h, before = _sigmoid(c + v @ W), v
        h = p_h if up == "probabilities" else fire(u_h[use], p_h)
        p_v = _sigmoid(b + h @ W.T)
        v = p_v if down == "probabilities" else fire(u_v[use], p_v)
    ends = {None: _sigmoid(c + v @ W), "stale": _sigmoid(c + before @ W), "drawn": h}
    return v, ends[final]


def _chains(rng):
    def case(k: int, n: int) -> tuple:
        return (*_parameters(rng, 1.5), _bits(n, 5, rng=rng), torch.rand(k, n, 3, generator=rng, dtype=_F64), torch.rand(k, n, 5, generator=rng, dtype=_F64))
    return {"one sweep": case(1, 40), "three sweeps": case(3, 40)}


negative_phase = register(Exercise(
    id="2.2", name="negative_phase", title="k sweeps from the data", level="core", minutes=15, chapter=CHAPTER,
    success="every state of the chain agrees, and the probabilities belong to the last v",
    hints=("*Nudge.* One sweep is four lines: probabilities of h, draw h, probabilities of v, draw v. What must be computed once more after the last one?",
           r"*Equation.* $h_j=[u<\sigma(c+v^{\mathsf T}W)_j]$, then $v_i=[u<\sigma(b+Wh)_i]$. At the end $p(h=1\mid v_k)=\sigma(c+v_k^{\mathsf T}W)$, with the *new* $v_k$.",
           "*Pseudo-code.* for each sweep s: `h = (u_h[s] < sigmoid(c + v @ W)).double()`; `v = (u_v[s] < sigmoid(b + h @ W.T)).double()`. After the loop return v and `sigmoid(c + v @ W)`."),
    parts=(Part(
        right=_sweeps, inputs=_chains, axes=("B", "units"),
        misconceptions={
            "stale hidden": (lambda *a: _chain(*a, final="stale"), "your hidden probabilities belong to the v before the last one: recompute p(h | v) at the v you return"),
            "drawn hidden": (lambda *a: _chain(*a, final="drawn"), "you return the drawn h that made v; the average wants the probabilities p(h = 1 | v) at the last v"),
            "grey pictures": (lambda *a: _chain(*a, down="probabilities"), "your v holds probabilities, not states: a chain of grey pictures samples another distribution"),
            "grey causes": (lambda *a: _chain(*a, up="probabilities"), "probabilities of h drive your chain: draw h first, or the hidden layer tells v more than its bits can hold"),
            "both grey": (lambda *a: _chain(*a, up="probabilities", down="probabilities"), "nothing is drawn at all: mean-field steps are no sampling"),
            "same uniforms": (lambda *a: _chain(*a, reuse=True), "every sweep uses the uniforms of the first: the noise must be fresh each time, u_h[s] and u_v[s]"),
            "complement": (lambda *a: _chain(*a, complement=True), "your units fire with probability 1 − p: on means u < p"),
        }),)))


def _slopes(v_data: Tensor, h_data: Tensor, v_model: Tensor, h_model: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return (v_data.T @ h_data / len(v_data) - v_model.T @ h_model / len(v_model), v_data.mean(0) - v_model.mean(0), h_data.mean(0) - h_model.mean(0))


def _of_means(v_data, h_data, v_model, h_model):
    W, b, c = _slopes(v_data, h_data, v_model, h_model)
    return torch.outer(v_data.mean(0), h_data.mean(0)) - torch.outer(v_model.mean(0), h_model.mean(0)), b, c


def _phases(rng):
    return {"7 data, 11 chains": (_bits(7, 5, rng=rng, p=0.7), torch.rand(7, 3, generator=rng, dtype=_F64), _bits(11, 5, rng=rng, p=0.3), torch.rand(11, 3, generator=rng, dtype=_F64))}


phases = register(Exercise(
    id="2.3", name="phases", title="Two phases make a slope", level="core", minutes=10, chapter=CHAPTER,
    success="uphill, averaged over each phase's own rows",
    hints=("*Nudge.* Write the data's phase first. Its average of v hᵀ over the rows is one matrix product and one division.",
           r"*Equation.* $\frac1B\sum_n v_nh_n^{\mathsf T}-\frac1N\sum_n\tilde v_n\tilde h_n^{\mathsf T}$ for $W$; differences of means for $b$ and $c$.",
           "*Pseudo-code.* `v_data.T @ h_data / len(v_data)` minus `v_model.T @ h_model / len(v_model)`; then `v_data.mean(0) - v_model.mean(0)`; the same for h."),
    parts=(Part(
        right=_slopes, inputs=_phases,
        misconceptions={
            "downhill": (lambda *a: tuple(-g for g in _slopes(*a)), "your slope points downhill: the data's phase is added, the model's phase is subtracted"),
            "data alone": (lambda vd, hd, vm, hm: (vd.T @ hd / len(vd), vd.mean(0), hd.mean(0)),
                           "the model's phase is missing: with the data's phase alone every weight grows for ever"),
            "sums": (lambda vd, hd, vm, hm: (vd.T @ hd - vm.T @ hm, vd.sum(0) - vm.sum(0), hd.sum(0) - hm.sum(0)), "these are sums over rows: divide each phase by its own number of rows"),
            "one length": (lambda vd, hd, vm, hm: ((vd.T @ hd - vm.T @ hm) / len(vd), (vd.sum(0) - vm.sum(0)) / len(vd), (hd.sum(0) - hm.sum(0)) / len(vd)),
                           "both phases are divided by the batch size: there are 11 chains and 7 examples, each phase has its own number"),
            "divided twice": (lambda *a: tuple(g / len(a[0]) for g in _slopes(*a)), "you divide by the batch size twice: an average is divided once"),
            "product of means": (_of_means, "E[v] E[h]ᵀ is not E[v hᵀ]: multiply row by row first, then average; the difference is what v and h tell of each other"),
            "transposed": (lambda *a: (_slopes(*a)[0].T, *_slopes(*a)[1:]), "the slope of W has shape (H, V): W is (V, H), so it is v.T @ h"),
        }),)))


def _start_bias(x: Tensor, clamp: float) -> Tensor:
    return torch.logit(x.mean(0).clamp(clamp, 1 - clamp))


def _pictures(rng):
    x = torch.stack([_bits(50, rng=rng, p=p) for p in (0.1, 0.5, 0.9)], 1)
    return {"ordinary pixels": (x, 0.001), "a pixel never on, one always on": (torch.cat([x, torch.zeros(50, 1), torch.ones(50, 1)], 1), 0.01)}


visible_bias = register(Exercise(
    id="2.4", name="visible_bias", title="A head start", level="core", minutes=5, chapter=CHAPTER,
    success="without weights the model has the data's pixel means, and no bias is infinite",
    hints=("*Nudge.* With W = 0 each pixel is a coin with p(v = 1) = σ(b). Which b gives the pixel's mean?",
           r"*Equation.* $b_i=\log\frac{m_i}{1-m_i}$, $m_i$ the mean of pixel $i$, first held inside $[\text{clamp},1-\text{clamp}]$.",
           "*Pseudo-code.* mean over the rows, `.clamp(clamp, 1 - clamp)`, then `torch.logit`."),
    parts=(Part(
        right=_start_bias, inputs=_pictures, axes=("V",),
        misconceptions={
            "means": (lambda x, clamp: x.mean(0), "these are the means themselves: a bias is a log-odds, log(m / (1 − m))"),
            "clamped means": (lambda x, clamp: x.mean(0).clamp(clamp, 1 - clamp), "these are the clamped means: a bias is a log-odds, log(m / (1 − m))"),
            "log": (lambda x, clamp: x.mean(0).clamp(clamp, 1 - clamp).log(), "log m forgets the other outcome: divide by 1 − m inside the logarithm"),
            "no clamp": (lambda x, clamp: torch.logit(x.mean(0)), "a pixel that is never on gets the bias −∞ and can never learn: clamp the mean first"),
            "one side": (lambda x, clamp: torch.logit(x.mean(0).clamp(min=clamp)), "a pixel that is always on still gets +∞: clamp on both sides"),
            "clamped too late": (lambda x, clamp: torch.logit(x.mean(0)).clamp(clamp, 1 - clamp), "you clamp the bias; it is the mean that must stay inside [clamp, 1 − clamp]"),
            "flipped": (lambda x, clamp: -_start_bias(x, clamp), "your odds are upside down: σ(b) would be the share of zeros"),
        }),)))
