"""Exercises of chapter 06, second half: what a unit looks for, a probe on few labels, and two models ranked oppositely."""
import math

import torch
from torch import Tensor

from ..enumeration import all_states
from .engine import Exercise, Part, register

CHAPTER = "06_up_down"
_F64 = torch.float64
_sigmoid = torch.sigmoid


def _normal(*shape: int, rng: torch.Generator, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(*shape, generator=rng, dtype=_F64)


def _combine(W1: Tensor, W2: Tensor, unit: int) -> Tensor:
    return W1 @ W2[:, unit]


def _maximise(W1, c1, W2, unit, x, n_steps, rate) -> Tensor:
    return _ascend(W1, c1, W2, unit, x, n_steps, rate)


def _ascend(W1, c1, W2, unit, x, n_steps, rate, *, sign=1, slope=True, clamp="each", bias=1) -> Tensor:
    """Ascent on the unit's logit; the options are the ways in which students go wrong."""
    for _ in range(n_steps):
        p = _sigmoid(x @ W1 + bias * c1)
        x = x + sign * rate * W1 @ ((p * (1 - p) if slope else 1.0) * W2[:, unit])
        x = x.clamp(0, 1) if clamp == "each" else x
    return x.clamp(0, 1) if clamp == "end" else x


def _on_probability(W1, c1, W2, unit, x, n_steps, rate) -> Tensor:
    for _ in range(n_steps):
        p = _sigmoid(x @ W1 + c1)
        on = _sigmoid(p @ W2[:, unit])
        x = (x + rate * on * (1 - on) * W1 @ (p * (1 - p) * W2[:, unit])).clamp(0, 1)
    return x


def _stacks(rng):
    def case(n: int, unit: int) -> tuple:
        return _normal(n, 5, rng=rng), _normal(5, 4, rng=rng), unit
    return {"6 pixels": case(6, 2), "9 pixels": case(9, 0)}


def _climbs(rng):
    def case(n: int, unit: int, n_steps: int, rate: float) -> tuple:
        return _normal(n, 5, rng=rng), _normal(5, rng=rng), _normal(5, 4, rng=rng), unit, torch.rand(n, generator=rng, dtype=_F64), n_steps, rate
    return {"one step": case(6, 1, 1, 0.1), "twenty steps": case(9, 3, 20, 0.15)}


what_it_seeks = register(Exercise(
    id="6.5", name="what_it_seeks", title="What a unit looks for", level="stretch", minutes=25, chapter=CHAPTER,
    success="a sum of filters, and a picture that the unit itself asked for",
    hints=("*Nudge.* A first-layer unit has a picture: its column of W1. A unit above weights these units. For the second part apply the chain rule to its logit, with σ' = σ(1 − σ).",
           r"*Equation.* $W_1w$ with $w$ the unit's column of $W_2$; and $\nabla_xa=W_1\,\big(p\odot(1-p)\odot w\big)$ with $p=\sigma(W_1^{\mathsf T}x+c_1)$.",
           "*Pseudo-code.* `W1 @ W2[:, unit]`. In a loop: `p = sigmoid(x @ W1 + c1)`; `x = (x + rate * W1 @ (p * (1 - p) * W2[:, unit])).clamp(0, 1)`."),
    parts=(
        Part(name="combine", right=_combine, inputs=_stacks, axes=("V",), misconceptions={
            "row": (lambda W1, W2, unit: W1[:, :4] @ W2[unit, :4], "you take a row of W2; the weights into a unit are its column"),
            "one filter": (lambda W1, W2, unit: W1[:, W2[:, unit].argmax()], "that is the single strongest filter; add all of them, with their weights"),
            "sizes": (lambda W1, W2, unit: W1 @ W2[:, unit].abs(), "a filter that speaks against the unit counts negatively: keep the sign"),
            "all of them": (lambda W1, W2, unit: W1 @ W2, "that is the picture of every unit, one a column: asked is one"),
        }),
        Part(name="maximise", right=_maximise, inputs=_climbs, axes=("V",), misconceptions={
            "descent": (lambda *p: _ascend(*p, sign=-1), "that goes downhill: it finds what the unit dislikes"),
            "no slope": (lambda *p: _ascend(*p, slope=False), "p(1 − p) is missing: a first-layer unit that is already sure cannot be moved, that is what makes this differ from the sum of filters"),
            "no clamp": (lambda *p: _ascend(*p, clamp="never"), "your picture leaves [0, 1]: clamp after each step"),
            "clamp at the end": (lambda *p: _ascend(*p, clamp="end"), "you clamp only at the end; clamp after each step, else the slopes are taken at pictures that cannot be"),
            "no bias": (lambda *p: _ascend(*p, bias=0), "the first layer's bias c1 is missing: it decides where its units are unsure"),
            "on the probability": (_on_probability, "you climb the unit's probability; climb its logit, whose slope does not vanish where the unit is sure"),
        })),
))

_K = 10


def _one_hot(labels: Tensor) -> Tensor:
    return torch.eye(_K, dtype=_F64)[labels]


def _probe(train: Tensor, labels: Tensor, test: Tensor, strength: float) -> Tensor:
    return _ridge(train, labels, test, strength)


def _ridge(train, labels, test, strength, *, centre="train", per_example=1.0, offset=True) -> Tensor:
    """Scores (M, 10); the options are the ways in which students go wrong."""
    mean = {"train": train.mean(0), "none": torch.zeros_like(train[0]), "both": torch.cat([train, test]).mean(0)}.get(centre, train.mean(0))
    x, y = train - mean, _one_hot(labels)
    W = torch.linalg.solve(x.T @ x + strength * per_example * torch.eye(x.shape[1], dtype=_F64), x.T @ y)
    return (test - (test.mean(0) if centre == "own" else mean)) @ W + offset * y.mean(0)


def _few_labels(rng):
    def case(n: int, f: int, strength: float) -> tuple:
        labels = torch.randint(_K, (n,), generator=rng)
        centres = 1 + _normal(_K, f, rng=rng)
        return centres[labels] + _normal(n, f, rng=rng), labels, 1.3 + _normal(7, f, rng=rng), strength
    return {"fewer features than examples": case(30, 6, 2.0), "more features than examples": case(8, 12, 0.5)}


_START, _WORST, _SEES, _TEST, _BETTER = ("the start at the DBN makes fewer errors than the random one", "most errors on 100 labels", "greedy training has seen the labels",
                                        "the strength may be chosen on the test images", "a better bound means better features")
_FOUND = {_START: True, _WORST: "pixels", _SEES: False, _TEST: False, _BETTER: False}

hundred_labels = register(Exercise(
    id="6.6", name="hundred_labels", title="One hundred labels", level="stretch", minutes=35, chapter=CHAPTER,
    success="a probe in four lines, and you know what unlabelled pictures are good for",
    hints=("*Nudge.* Centre with what you know before the test comes. Then it is least squares with a penalty: one linear system for all ten columns.",
           r"*Equation.* $W=(X^{\mathsf T}X+\lambda I)^{-1}X^{\mathsf T}Y$ with $X$ the centred training features, $Y$ one-hot; scores $(x_{\text{test}}-m)^{\mathsf T}W+\bar y$.",
           "*Pseudo-code.* `m = train.mean(0)`; `X = train - m`; `Y = eye(10)[labels]`; `W = torch.linalg.solve(X.T @ X + strength * eye, X.T @ Y)`; `(test - m) @ W + Y.mean(0)`."),
    parts=(
        Part(name="probe", right=_probe, inputs=_few_labels, axes=("M", "10"), rtol=1e-6, misconceptions={
            "test means": (lambda *p: _ridge(*p, centre="own"), "you centre the test features with their own mean; use the training mean, a test image comes alone"),
            "both means": (lambda *p: _ridge(*p, centre="both"), "the test images take part in your mean: use the training features only"),
            "not centred": (lambda *p: _ridge(*p, centre="none"), "you did not centre: then the penalty also punishes what should be the offset"),
            "per example": (lambda *p: _ridge(*p, per_example=len(p[0])), "you multiply the strength by the number of examples; here it stands as it is"),
            "no offset": (lambda *p: _ridge(*p, offset=False), "the mean of Y is missing: a test image in the very middle should get the frequencies of the classes"),
            "no penalty": (lambda train, labels, test, s: _ridge(train, labels, test, 1e-9), "the penalty is missing: with more features than examples there are many W, and with few examples all are noise"),
            "labels as numbers": (lambda train, labels, test, s: (test - train.mean(0)) @ torch.linalg.solve((train - train.mean(0)).T @ (train - train.mean(0)) + s * torch.eye(train.shape[1], dtype=_F64), (train - train.mean(0)).T @ labels.double()),
                                  "you predict the label as a number; a 9 is not more than a 1: one column for each class"),
        }),
        Part(name="found", right=_FOUND, misconceptions={
            "any start will do": ({_START: False}, "compare the last two numbers again: the same network, the same labels, less is better"),
            "features hurt": ({_WORST: "h1"}, "compare the first two numbers again: more errors is worse"),
            "features hurt more": ({_WORST: "h2"}, "compare the first and the third number again: more errors is worse"),
            "labels were seen": ({_SEES: True}, "the RBMs were trained on pictures alone; that is why labels may be few"),
            "chosen on the test": ({_TEST: True}, "then the test images have helped to train: choose it on other labelled images"),
            "bound and features": ({_BETTER: True}, "the bound asks how probable pictures are, a probe asks what can be read off: section 6.10 has models that disagree"),
        })),
))

_LEAD = 0.1


def _pair(n: int, strength: float = 20.0) -> tuple:
    nothing = torch.zeros(n, n, dtype=_F64), torch.zeros(n, dtype=_F64), torch.zeros(n, dtype=_F64)
    counts = strength * torch.ones(n, n, dtype=_F64), torch.zeros(n, dtype=_F64), -strength * (torch.arange(n, dtype=_F64) + 0.5)
    return nothing, counts


def _copies(n: int, strength: float = 20.0) -> tuple:
    half = torch.full((n,), -strength / 2, dtype=_F64)
    return strength * torch.eye(n, dtype=_F64), torch.zeros(n, dtype=_F64), half


def _one_unit(n: int) -> tuple:
    return torch.full((n, 1), 20.0, dtype=_F64), torch.zeros(n, dtype=_F64), torch.full((1,), -20.0 * (n - 0.5), dtype=_F64)


def _machine(parts, n: int, name: str) -> tuple[Tensor, Tensor, Tensor]:
    if not isinstance(parts, (tuple, list)) or len(parts) != 3:
        raise ValueError(f"machine {name} is three tensors: W (n, H), b (n,), c (H,)")
    W, b, c = (torch.as_tensor(part, dtype=_F64).detach() for part in parts)
    if W.ndim != 2 or W.shape[0] != n or b.shape != (n,) or c.shape != (W.shape[1],):
        raise ValueError(f"machine {name}: W is {tuple(W.shape)}, b {tuple(b.shape)}, c {tuple(c.shape)}; expected ({n}, H), ({n},), (H,)")
    if not 1 <= W.shape[1] <= 12 or not all(part.isfinite().all() and part.abs().max() <= 100 for part in (W, b, c)):
        raise ValueError(f"machine {name}: use 1 to 12 hidden units and numbers from -100 to 100")
    return W, b, c


def _score(W: Tensor, b: Tensor, c: Tensor) -> Tensor:
    x = all_states(len(b))
    return torch.log_softmax(x @ b + torch.nn.functional.softplus(x @ W + c).sum(1), 0).mean()


def _probe_error(W: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Share of the 2^n pictures whose parity a logistic regression on the features gets wrong (Newton, a trace of weight decay)."""
    x = all_states(len(b))
    y, features = x.sum(1) % 2, torch.cat([_sigmoid(x @ W + c), torch.ones(len(x), 1, dtype=_F64)], 1)
    w = torch.zeros(features.shape[1], dtype=_F64)
    for _ in range(60):
        p = _sigmoid(features @ w)
        curvature = features.T @ ((p * (1 - p))[:, None] * features) + 1e-4 * torch.eye(len(w), dtype=_F64)
        w = w + torch.linalg.solve(curvature, features.T @ (y - p) - 1e-4 * w).clamp(-5, 5)
    return (((features @ w) > 1e-3).double() != y).double().mean()


def _shortfalls(answer, n: int) -> Tensor:
    """What is missing of (lead of A in nats, A's probe errors, B's probe without errors), each cut off at 0."""
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        raise ValueError("return two machines: ((W, b, c), (W, b, c))")
    A, B = (_machine(parts, n, name) for parts, name in zip(answer, "AB"))
    return torch.stack([_LEAD - (_score(*A) - _score(*B)), 0.3 - _probe_error(*A), _probe_error(*B)]).clamp_min(0)


opposites = register(Exercise(
    id="6.7", name="opposites", title="Better likelihood, useless features", level="project", minutes=40, chapter=CHAPTER,
    success="A knows the pictures better, B knows what can be read off them",
    hints=("*Nudge.* The pictures are all equally frequent: which machine is a perfect model of *that*? And parity can be read off if you know how many pixels are on: let units count.",
           r"*Equation.* A: $W=0$, $b=0$, so $\log p(x)=-n\log2$. B: unit $j$ is on where at least $j$ pixels are on, $c_j=-s(j-\frac12)$, $W=s$; parity $=h_1-h_2+h_3-\dots$",
           "*Pseudo-code.* A: zeros. B: W filled with s = 20, b zeros, `c = -s * (arange(n) + 0.5)`."),
    parts=(Part(
        right=_pair, inputs=lambda _: {"4 pixels": (4,), "3 pixels": (3,)}, measure=_shortfalls, expected=lambda n: torch.zeros(3, dtype=_F64), atol=1e-9, rtol=1e-6,
        quantity="shortfall (A's lead in nats, A's errors below 0.3, B's errors)",
        misconceptions={
            "exchanged": (lambda n: _pair(n)[::-1], "your machines are exchanged: A has the likelihood, B the features"),
            "the same twice": (lambda n: (_pair(n)[1],) * 2, "your machines are the same: A needs a better likelihood and worse features"),
            "pixels": (lambda n: (_pair(n)[0], _copies(n)), "B's units copy the pixels, and no weighted sum of pixels is their parity: it needs units that look at several pixels"),
            "one count": (lambda n: (_pair(n)[0], _one_unit(n)), "one unit can tell one count from the rest; parity needs every count told apart"),
            "two empty ones": (lambda n: (_pair(n)[0],) * 2, "a machine without weights has features that say nothing: right for A, not for B"),
        }),)))
