"""Exercises of chapter 02, the RBM, second half: parity, the bias of CD, flipping, and whose gradient CD is."""
import torch
from torch import Tensor

from ..enumeration import all_states, exact_log_likelihood
from ..objectives import exact_gradient, expected_cd_gradient
from ..rbm import RBM, random_rbm
from .engine import Exercise, Part, register
from .rbm import CHAPTER, _F64, _bits, _normal, _parameters


def _rbm(W: Tensor, b: Tensor, c: Tensor) -> RBM:
    rbm = RBM(*W.shape).double().requires_grad_(False)
    for parameter, value in zip((rbm.W, rbm.b, rbm.c), (W, b, c)):
        parameter.copy_(value)
    return rbm


def _with_parity(n: int, remainder: int) -> Tensor:
    states = all_states(n)
    return states[states.sum(1) % 2 == remainder]


def _detectors(states: Tensor, a: float, threshold: float = 0.5) -> tuple[Tensor, Tensor, Tensor]:
    """One hidden unit per state, on for that state alone."""
    return a * (2 * states - 1).T, torch.zeros(states.shape[1], dtype=_F64), -a * (states.sum(1) - threshold)


def _counters(n: int, remainder: int) -> tuple[Tensor, Tensor, Tensor]:
    """A unit at each wanted count of ones: it can only bend the score upwards, so no count can be a valley between two peaks."""
    counts = torch.arange(n + 1, dtype=_F64)[remainder::2]
    return torch.full((n, len(counts)), 20.0, dtype=_F64), torch.zeros(n, dtype=_F64), -20.0 * (counts - 0.5)


def _gap_to_optimum(answer, n: int, remainder: int) -> Tensor:
    """How far the student's RBM stays below -(n - 1) log 2 on the states of that parity."""
    try:
        W, b, c = (torch.as_tensor(part, dtype=_F64).detach() for part in answer)
    except (TypeError, ValueError):
        raise ValueError(f"parity_rbm returned {type(answer).__name__}, expected three tensors W, b, c") from None
    if W.ndim != 2 or W.shape[0] != n or b.shape != (n,) or c.shape != W.shape[1:]:
        raise ValueError(f"parity_rbm returned W {tuple(W.shape)}, b {tuple(b.shape)}, c {tuple(c.shape)} for n = {n}; expected ({n}, H), ({n},) and (H,)")
    if not all(part.isfinite().all() for part in (W, b, c)):
        raise ValueError("parity_rbm returned infinite or undefined parameters, expected finite ones; a sharpness of 20 is plenty")
    return -(n - 1) * torch.tensor(2.0, dtype=_F64).log() - exact_log_likelihood(_rbm(W, b, c), _with_parity(n, remainder)).mean()


def _cases_of_parity(rng):
    odd = int(torch.randint(2, (), generator=rng))
    sizes = (torch.randperm(4, generator=rng)[:2] + 3).tolist()
    return {f"n = {n}, {('even', 'odd')[r]} number of ones": (n, r) for n, r in zip(sizes, (odd, 1 - odd))}


parity_rbm = register(Exercise(
    id="2.5", name="parity_rbm", title="What pairs cannot hold", level="stretch", minutes=30, chapter=CHAPTER,
    success="within 0.01 nats of the optimum; every model of pairs stays log 2 = 0.693 below it",
    hints=("*Nudge.* Think of a hidden unit as a detector: which weights and which bias make it fire for one state and for no other?",
           r"*Equation.* $w=a(2s-1)$ and $c=-a(|s|-\tfrac12)$ give $c+v^{\mathsf T}w=a(\tfrac12-d)$, $d$ the number of bits in which $v$ and $s$ differ.",
           "*Pseudo-code.* states of the wanted parity, shape (N, n); `W = a * (2 * states - 1).T`, `b = 0`, `c = -a * (states.sum(1) - 0.5)`, with a about 20."),
    parts=(Part(
        right=lambda n, remainder: _detectors(_with_parity(n, remainder), 20.0), inputs=_cases_of_parity, measure=_gap_to_optimum,
        expected=lambda n, remainder: 0.0, atol=0.01, quantity="gap to the optimum",
        misconceptions={
            "no thresholds": (lambda n, r: (*_detectors(_with_parity(n, r), 20.0)[:2], torch.zeros(2 ** (n - 1), dtype=_F64)),
                              "your detectors have no threshold: without the bias half a match is enough to fire"),
            "the others": (lambda n, r: _detectors(_with_parity(n, 1 - r), 20.0), "your detectors fire for the states of the other parity"),
            "blunt": (lambda n, r: _detectors(_with_parity(n, r), 4.0), "the right idea, but too blunt: make the weights larger, so that a wanted state outweighs the others"),
            "no zeros": (lambda n, r: (20.0 * _with_parity(n, r).T, torch.zeros(n, dtype=_F64), -20.0 * (_with_parity(n, r).sum(1) - 0.5)),
                         "your detectors ask for the ones and ignore the zeros: they also fire when more bits are on; give the zeros the weight −a"),
            "counting": (_counters, "units that all count the ones can only bend the score upwards: no count becomes a valley between two peaks"),
            "coins": (lambda n, r: (torch.zeros(n, 1, dtype=_F64), torch.zeros(n, dtype=_F64), torch.zeros(1, dtype=_F64)),
                      "this is as good as fair coins, which is all that a model of pairs can reach", lambda out, n, r: abs(float(_gap_to_optimum(out, n, r)) - 0.6931) < 1e-3),
        }),)))


def _after_sweeps(joint: Tensor, p: Tensor, k: int) -> Tensor:
    up, down = joint / joint.sum(1, keepdim=True), joint / joint.sum(0)
    for _ in range(k):
        p = p @ up @ down.T
    return p


def _tables(rng):
    def case(k: int) -> tuple:
        joint = torch.softmax(_normal(32, rng=rng, scale=1.5), 0).reshape(8, 4)
        return joint, torch.eye(8, dtype=_F64)[[1, 6]].mean(0), k
    return {"k = 1": case(1), "k = 3": case(3)}


def _swapped(joint, p, k):
    up, down = joint / joint.sum(1, keepdim=True), joint / joint.sum(0)
    for _ in range(k):
        p = p @ down @ up.T
    return p


def _bias(W: Tensor, b: Tensor, c: Tensor, v: Tensor, k: int) -> Tensor:
    rbm = _rbm(W, b, c)
    return expected_cd_gradient(rbm, v, n_gibbs_steps=k).W - exact_gradient(rbm, v).W


def _biased_cases(rng):
    return {f"k = {k}": (*_parameters(rng), _bits(6, 5, rng=rng), k) for k in (1, 2)}


cd_bias = register(Exercise(
    id="2.6", name="cd_bias", title="What CD leaves out, exactly", level="stretch", minutes=30, chapter=CHAPTER,
    success="the distribution after k sweeps, and the bias it causes",
    hints=("*Nudge.* A sweep is two matrix products on a row of probabilities. Which normalisation of the joint table is p(h | v), which is p(v' | h)?",
           r"*Equation.* $p_{s+1}(v')=\sum_{v,h}p_s(v)\,p(h\mid v)\,p(v'\mid h)$. In the bias the data's phase cancels: $\mathbb{E}_{p}[vh^{\mathsf T}]-\mathbb{E}_{p_k}[vh^{\mathsf T}]$.",
           "*Pseudo-code.* `up = joint / joint.sum(1, keepdim=True)`; `down = joint / joint.sum(0)`; k times `p = p @ up @ down.T`. Then, with `on = sigmoid(c + states @ W)`: "
           "`(p_model[:, None] * states).T @ on` minus the same with p_k."),
    parts=(
        Part(name="after k sweeps", right=_after_sweeps, inputs=_tables, axes=("V states",), misconceptions={
            "swapped": (_swapped, "your two conditionals are exchanged: up is p(h | v), rows of the table; down is p(v | h), columns"),
            "one short": (lambda joint, p, k: _after_sweeps(joint, p, k - 1), "one sweep is missing: CD-k makes k full sweeps v → h → v"),
            "one more": (lambda joint, p, k: _after_sweeps(joint, p, k + 1), "one sweep too many: CD-k makes k full sweeps v → h → v"),
            "the model": (lambda joint, p, k: joint.sum(1), "that is the model's own p(v), where the chain would be after infinitely many sweeps; CD starts at p and stops after k"),
            "still": (lambda joint, p, k: p, "the chain has not moved: h must be drawn given v, and then v anew given h"),
        }),
        Part(name="bias of E[CD-k]", right=_bias, inputs=_biased_cases, axes=("V", "H"), misconceptions={
            "unbiased": (lambda W, b, c, v, k: torch.zeros_like(W), "you say that CD follows the likelihood: it does so only for k → ∞"),
            "sign": (lambda *a: -_bias(*a), "that is the exact gradient minus CD; a bias is what the estimate has too much, E[CD-k] minus the exact gradient"),
            "CD itself": (lambda W, b, c, v, k: expected_cd_gradient(_rbm(W, b, c), v, n_gibbs_steps=k).W, "that is E[CD-k] itself: subtract the exact gradient"),
            "gradient itself": (lambda W, b, c, v, k: exact_gradient(_rbm(W, b, c), v).W, "that is the exact gradient: the bias is E[CD-k] minus it"),
        }),
    )))


def _flip(W: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return -W, -b, c + W.sum(0)


def _centre(g_W: Tensor, g_b: Tensor, g_c: Tensor, mu: Tensor, lam: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    W = g_W - torch.outer(mu, g_c) - torch.outer(g_b, lam)
    return W, g_b - W @ lam, g_c - W.T @ mu


def _gradients(rng):
    return {"random gradient": (*_parameters(rng), torch.rand(5, generator=rng, dtype=_F64), torch.rand(3, generator=rng, dtype=_F64))}


flip_and_centre = register(Exercise(
    id="2.7", name="flip_and_centre", title="Zero is not neutral", level="stretch", minutes=40, chapter=CHAPTER,
    success="the flipped model has the same probabilities, and the centred gradient flips with it",
    hints=("*Nudge.* Put v = 1 − v' into the energy and sort the terms: which multiply v'h, which v', which h?",
           r"*Equation.* Flip: $W'=-W,\ b'=-b,\ c'=c+W^{\mathsf T}\mathbf 1$. Centre: $\nabla W-\mu\,\nabla c^{\mathsf T}-\nabla b\,\lambda^{\mathsf T}=:G$, then $\nabla b-G\lambda$ and $\nabla c-G^{\mathsf T}\mu$.",
           "*Pseudo-code.* Flip: `-W, -b, c + W.sum(0)`. Centre: `G = g_W - outer(mu, g_c) - outer(g_b, lam)`; return `G, g_b - G @ lam, g_c - G.T @ mu`."),
    parts=(
        Part(name="flipped", right=_flip, inputs=lambda rng: {"random model": _parameters(rng)}, misconceptions={
            "hidden bias kept": (lambda W, b, c: (-W, -b, c), "the hidden bias has to pay: (1 − v')ᵀWh leaves a term ΣᵢW_ij for every hidden unit"),
            "visible bias kept": (lambda W, b, c: (-W, b, c + W.sum(0)), "the visible bias keeps its sign in your answer: a pixel that was mostly on is now mostly off"),
            "wrong sign of the sum": (lambda W, b, c: (-W, -b, c - W.sum(0)), "the sum of the weights enters with a plus: at v' = 0 the old v was all ones"),
            "all negated": (lambda W, b, c: (-W, -b, -c), "the hidden units are not flipped: their bias keeps its sign and gains the sum of its weights"),
        }),
        Part(name="centred gradient", right=_centre, inputs=_gradients, misconceptions={
            "weights only": (lambda W, b, c, mu, lam: (_centre(W, b, c, mu, lam)[0], b, c), "only W is corrected: written with offsets the biases change too, or the step is no longer the centred one"),
            "old gradient": (lambda W, b, c, mu, lam: (_centre(W, b, c, mu, lam)[0], b - W @ lam, c - W.T @ mu), "the biases must be corrected with the centred W slope, not with the plain one"),
            "plus": (lambda W, b, c, mu, lam: _centre(W, b, c, -mu, -lam), "your offsets are added: v − μ and h − λ subtract them"),
            "one offset": (lambda W, b, c, mu, lam: _centre(W, b, c, mu, torch.zeros_like(lam)), "only the visible units are centred; the hidden ones have their offset λ too"),
        }),
    )))


def _jacobian(field, theta: Tensor) -> Tensor:
    columns = []
    for step in 1e-5 * torch.eye(len(theta), dtype=theta.dtype):
        columns.append((field(theta + step) - field(theta - step)) / 2e-5)
    return torch.stack(columns, 1)


class _Field:
    """A smooth vector field on R^n that is no gradient; `deepcopy` and repeated calls are safe."""

    def __init__(self, A: Tensor):
        self.A = A

    def __call__(self, theta: Tensor) -> Tensor:
        return torch.tanh(self.A @ theta) + theta**2


nobodys_gradient = register(Exercise(
    id="2.8", name="nobodys_gradient", title="Whose gradient is CD?", level="project", minutes=60, chapter=CHAPTER,
    success="E[CD-1] turns as it goes: no function has it as its gradient (Sutskever and Tieleman 2010)",
    hints=("*Nudge.* Second derivatives do not mind their order. So what must be true of the matrix of derivatives of a gradient?",
           r"*Equation.* $J_{ij}=\partial f_i/\partial\theta_j\approx\big(f_i(\theta+\epsilon e_j)-f_i(\theta-\epsilon e_j)\big)/2\epsilon$; $f$ is a gradient only if $J=J^{\mathsf T}$ everywhere.",
           "*Pseudo-code.* for each j: add ε to θ_j alone, call the field, subtract ε, call it again; the difference divided by 2ε is *column* j. ε = 1e-5 in float64."),
    parts=(
        Part(name="jacobian", right=_jacobian, axes=("i", "j"), rtol=1e-4, atol=1e-6,
             inputs=lambda rng: {"a field on R^4": (_Field(_normal(4, 4, rng=rng)), _normal(4, rng=rng))}, misconceptions={
                 "transposed": (lambda f, t: _jacobian(f, t).T, "rows and columns are exchanged: row i is component i of the field, column j the parameter that moves"),
                 "not divided": (lambda f, t: _jacobian(f, t) * 2e-5, "the difference is not divided by the length of the step",
                                 lambda out, f, t: float(out.abs().max()) < 0.01),
                 "half": (lambda f, t: _jacobian(f, t) * 2, "the two points are 2ε apart: divide by 2ε"),
                 "diagonal": (lambda f, t: torch.diag(_jacobian(f, t).diagonal()), "only the diagonal is filled: every parameter moves every component"),
             }),
        Part(name="verdict", right={"exact gradient": True, "E[CD-1]": False, "E[CD-1000]": True}, misconceptions={
            "CD is a gradient": ({"E[CD-1]": True}, "E[CD-1] has an asymmetric Jacobian on nearly every model: compute J − J.T at a random start"),
            "nothing is": ({"exact gradient": False}, "the exact gradient is the slope of the log-likelihood: its Jacobian, the Hessian, is symmetric"),
            "long chains": ({"E[CD-1000]": False}, "after 1,000 sweeps of a tiny, well-mixing model CD is the exact gradient to rounding"),
        }),
    )))
