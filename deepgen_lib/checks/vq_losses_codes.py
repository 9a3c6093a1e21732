"""Exercises of chapter 09, the losses of a VQ-VAE, last part: a walk across borders, k-means, its moving average, one gradient check."""
from collections.abc import Callable

import torch
from torch import Tensor

from .engine import Exercise, Part, register
from .vq_losses import CHAPTER, nearest, normal, total_pushes

_F64 = torch.float64


def _walk(z: Tensor, target: Tensor, codes: Tensor, rate: float, n_steps: int) -> Tensor:
    return walk(z, target, codes, rate, n_steps)


def walk(z, target, codes, rate, n_steps, *, at="code", first=True, sign=-1.0, again=True):
    """Codes chosen along the copied gradient; the options are the ways in which students go wrong."""
    ids = [nearest(z[None], codes)[0]]
    for _ in range(n_steps):
        now = codes[nearest(z[None], codes)[0] if again else ids[0]]
        z = z + sign * rate * ((now if at == "code" else z) - target)
        ids.append(nearest(z[None], codes)[0])
    return torch.stack(ids if first else ids[1:])


def _walks(rng):
    codes = torch.tensor([[-1.5, 1.1], [0.0, 1.5], [1.6, 0.9], [-1.2, -0.9], [0.5, -0.7], [1.9, -1.3]], dtype=_F64)
    def case(start: list[float], n: int) -> tuple:
        return torch.tensor(start, dtype=_F64) + normal(2, rng=rng, scale=0.1), torch.tensor([1.5, 0.7], dtype=_F64) + normal(2, rng=rng, scale=0.05), codes, 0.05, n
    return {"30 steps": case([-2.0, -1.0], 30), "60 steps from another cell": case([0.3, -0.5], 60)}


across_the_border = register(Exercise(
    id="9.5", name="across_the_border", title="Across the border", level="core", minutes=10, chapter=CHAPTER,
    success="the copied push carries z_e over the borders, one after the other",
    hints=("*Nudge.* The push is computed at the code, and moves z_e. Which of the two do you need for the next nearest code?",
           r"*Equation.* $z_{t+1}=z_t-\eta\,(e_{k_t}-x)$, $k_t$ the code nearest to $z_t$.",
           "*Pseudo-code.* ids = [nearest(z)]; n_steps times: z = z - rate * (codes[ids[-1]] - target); append nearest(z). Stack: n_steps + 1 numbers."),
    parts=(Part(
        right=_walk, inputs=_walks, axes=("steps and one",), misconceptions={
            "at z": (lambda *a: walk(*a, at="z"), "you take the slope at z_e, as if nothing were quantised: the decoder sees the code, so the slope is e_k − x"),
            "upwards": (lambda *a: walk(*a, sign=1.0), "you climb the loss: subtract"),
            "late": (lambda *a: walk(*a, first=False), "the code of the start is missing: n_steps + 1 numbers"),
            "frozen": (lambda *a: walk(*a, again=False), "you keep the first code's push for ever: look for the nearest code at every step"),
            "no copy": (lambda *a: walk(*a, sign=0.0), "the code never changes: either z_e does not move (the argmin without straight-through), or it is pulled to its own code (that is the commitment); the copied gradient is e_k − x"),
            "twice": (lambda z, x, e, rate, n: walk(z, x, e, 2 * rate, n), "your steps are twice too long: the loss has a ½, its gradient at the code is e_k − x"),
        }),)))


def _k_means(z: Tensor, codes: Tensor) -> Tensor:
    return centres(z, codes)


def centres(z, codes, *, divide="own", empty="stays"):
    """Codes after one step; the options are the ways in which students go wrong."""
    ids = nearest(z, codes)
    sums = torch.zeros_like(codes).index_add(0, ids, z)
    counts = torch.bincount(ids, minlength=len(codes)).to(codes)[:, None]
    share = {"own": counts.clamp(min=1), "nothing": 1.0, "all": float(len(z)), "even": len(z) / len(codes)}[divide]
    return torch.where(counts > 0, sums / share, codes if empty == "stays" else torch.zeros_like(codes))


def _own_code_too(z, codes):
    ids = nearest(z, codes)
    counts = torch.bincount(ids, minlength=len(codes)).to(codes)[:, None]
    return torch.zeros_like(codes).index_add(0, ids, z).add(codes) / (counts + 1)


def _halfway(z, codes):
    return (codes + centres(z, codes)) / 2


def _medians(z, codes):
    ids = nearest(z, codes)
    return torch.stack([z[ids == k].median(0).values if (ids == k).any() else e for k, e in enumerate(codes)])


def _nearest_point(z, codes):
    return z[((z[:, None] - codes) ** 2).sum(-1).argmin(0)]


def _clouds(rng):
    return {"40 points, 4 codes": (1 + normal(40, 2, rng=rng), 1 + normal(4, 2, rng=rng)),
            "9 points, one code unused": (1 + normal(9, 3, rng=rng), torch.cat([normal(2, 3, rng=rng), torch.full((1, 3), 40.0, dtype=_F64)]))}


sum_or_mean = register(Exercise(
    id="9.6", name="sum_or_mean", title="Sum or mean?", level="core", minutes=10, chapter=CHAPTER,
    success="the mean of the encoder outputs minimises the quantization term; the slide's sum does not",
    hints=("*Nudge.* Differentiate the term in one code and set it to zero. How often does the code occur?",
           r"*Equation.* $\sum_j2(e_k-z_j)=0\;\Rightarrow\;e_k=\frac1{n_k}\sum_jz_j$ over the $n_k$ points that chose $k$; nobody chose it: $e_k$ stays.",
           "*Pseudo-code.* ids = nearest(z, codes); new = codes.clone(); for k in range(K): if (ids == k).any(): new[k] = z[ids == k].mean(0)."),
    parts=(Part(
        right=_k_means, inputs=_clouds, axes=("codes", "coordinates"), misconceptions={
            "the slide": (lambda z, e: centres(z, e, divide="nothing"), "that is the slide's sum: 1/n is missing"),
            "all": (lambda z, e: centres(z, e, divide="all"), "you divide by the number of all points: divide by those that chose the code"),
            "even": (lambda z, e: centres(z, e, divide="even"), "you divide as if every code had as many points"),
            "empty at zero": (lambda z, e: centres(z, e, empty="zero"), "a code that nobody chose jumps to the origin: leave it where it is"),
            "empty NaN": (lambda z, e: torch.stack([z[nearest(z, e) == k].mean(0) for k in range(len(e))]), "a mean over no points is NaN: a code that nobody chose stays",
                          lambda output, z, e: bool(torch.as_tensor(output).isnan().any())),
            "own code": (_own_code_too, "the old code is averaged in as if it were one of its points: the minimum is the mean of the points alone"),
            "two turns": (lambda z, e: centres(z, centres(z, e)), "you chose anew and averaged again: the choices that `codes` make now stay, one turn"),
            "halfway": (_halfway, "you go halfway; the minimum is the mean itself"),
            "medians": (_medians, "medians minimise absolute distances; squares want the mean"),
            "a point": (_nearest_point, "you move each code onto its nearest point; it belongs at the mean of all points that chose it"),
        }),)))


def _moving(batches: Tensor, codes: Tensor, decay: float) -> tuple[Tensor, Tensor]:
    return moving_average(batches, codes, decay)


def moving_average(batches, codes, decay, *, start=1.0, divide=True, early=False, smooth=0.0, of_means=False, mix=None, choose_anew=True):
    """Codes after all batches and what each point was given; the options are the ways in which students go wrong."""
    counts, sums, given, first = torch.full((len(codes),), start, dtype=_F64), codes.clone(), [], codes
    old, new = mix(decay) if mix else (decay, 1 - decay)
    for z in batches:
        ids = nearest(z, codes if choose_anew else first)
        before, n = codes, torch.bincount(ids, minlength=len(codes)).to(_F64)
        total = torch.zeros_like(codes).index_add(0, ids, z)
        counts, sums = old * counts + new * n, old * sums + new * total
        if smooth:
            counts = (counts + smooth) / (counts.sum() + len(counts) * smooth) * counts.sum()
        codes = sums / counts[:, None] if divide else sums
        if of_means:
            codes = torch.where(n[:, None] > 0, decay * before + (1 - decay) * total / n.clamp(min=1)[:, None], before)
        given.append((codes if early else before if choose_anew else first)[ids])
    return codes, torch.stack(given)


def _streams(rng):
    def case(n_batches: int, n: int, k: int, decay: float) -> tuple:
        return 1 + normal(n_batches, n, 2, rng=rng), torch.cat([1 + normal(k - 1, 2, rng=rng), torch.full((1, 2), 30.0, dtype=_F64)]), decay
    return {"6 batches, decay 0.9": case(6, 20, 4, 0.9), "3 batches, decay 0.5": case(3, 8, 3, 0.5)}


counts_and_sums = register(Exercise(
    id="9.7", name="counts_and_sums", title="Counts and sums", level="stretch", minutes=25, chapter=CHAPTER,
    success="a moving mean of what each code is given; an unused code stays where it is",
    hints=("*Nudge.* Two averages run, one of how many, one of how much. Which codes was a batch quantised with: those before its statistics, or after?",
           r"*Equation.* $N_k\leftarrow\gamma N_k+(1-\gamma)n_k$, $S_k\leftarrow\gamma S_k+(1-\gamma)\sum_jz_j$, $e_k=S_k/N_k$; at the start $N_k=1$, $S_k=e_k$.",
           "*Pseudo-code.* N = ones(K); S = codes.clone(); for z in batches: ids = nearest(z, codes); keep codes[ids]; n, s = counts and sums of this batch; update N, S; codes = S / N[:, None]. Return codes, torch.stack(kept)."),
    parts=(Part(
        right=_moving, inputs=_streams, misconceptions={
            "sums alone": (lambda *a: moving_average(*a, divide=False), "your codes are the moving sums: divide by the moving counts"),
            "counts at zero": (lambda *a: moving_average(*a, start=0.0), "your counts start at zero while the sums start at the codes: a code that nobody chooses is divided by almost nothing and flies away; start at one"),
            "early": (lambda *a: moving_average(*a, early=True), "you quantise with the codes after the update: a batch gets the codes that were there when it came"),
            "smoothing": (lambda *a: moving_average(*a, smooth=1e-2), "the smoothed count is written back into the running one, again at every batch: smooth a copy, or not at all"),
            "mean of means": (lambda *a: moving_average(*a, of_means=True), "you average the means of batches: a batch with one point then weighs as much as one with hundred; average counts and sums"),
            "decay swapped": (lambda *a: moving_average(*a, mix=lambda g: (1 - g, g)), "decay is the share of the old: γ old + (1 − γ) new"),
            "no decay": (lambda *a: moving_average(*a, mix=lambda g: (1.0, 1.0)), "nothing is forgotten: you add up counts and sums; average them, γ old + (1 − γ) new"),
            "first codes": (lambda *a: moving_average(*a, choose_anew=False), "you choose by the codes of the start for ever: each batch is quantised with the codes that are there when it comes"),
            "never moved": (lambda batches, codes, decay: (codes, torch.stack([codes[nearest(z, codes)] for z in batches])), "your codes never move"),
        }),)))

VARIANTS = {  # what a training step can get wrong, all with a falling loss
    "right": {}, "no straight-through": {"copy": ""}, "codes frozen": {"quantization": ""}, "no commitment": {"commitment": ""},
    "beta on the wrong term": {"weights": (None, 1.0)}, "quantization pulls the encoder": {"quantization": "z_e"},
}


def pusher(variant: str, beta: float) -> Callable:
    """push(x, z_e, codes) -> gradients at z_e and at codes, of one training step with the fault called `variant`."""
    options = dict(VARIANTS[variant])
    if variant == "beta on the wrong term":
        options["weights"] = (beta, 1.0)

    def push(x: Tensor, z_e: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """The gradients of one training step in z_e and in codes."""
        return total_pushes(x.to(_F64), z_e.to(_F64), codes.to(_F64), beta, **options)
    return push


def _diagnose(push: Callable, beta: float) -> str:
    x, z, codes = (torch.tensor([point], dtype=_F64) for point in ([4.0, 0.0], [1.0, 2.0], [0.0, 0.0]))
    found = torch.stack([part[0] for part in push(x, z, codes)])
    for variant in VARIANTS:
        if torch.allclose(found, torch.stack([part[0] for part in pusher(variant, beta)(x, z, codes)])):
            return variant
    return "unknown"


def _always(word: str) -> Callable:
    return lambda push, beta: word


def _blind(said: str, fault: str, message: str) -> tuple:
    """A diagnosis that takes `fault` for `said`, and what to tell its author."""
    return (lambda push, beta: said if _diagnose(push, beta) == fault else _diagnose(push, beta), message,
            lambda answer, push, beta: answer == said and _diagnose(push, beta) == fault)


def _patients(rng):
    order, beta = torch.randperm(len(VARIANTS), generator=rng).tolist(), round(0.1 + 0.4 * float(torch.rand((), generator=rng)), 2)
    return {f"step {number + 1} of {len(order)}, beta {beta}": (pusher(list(VARIANTS)[i], beta), beta) for number, i in enumerate(order)}


diagnose = register(Exercise(
    id="9.8", name="diagnose", title="Project: one gradient check", level="project", minutes=40, chapter=CHAPTER,
    success="six training steps with falling losses, and one check tells them apart",
    hints=("*Nudge.* Choose one point and one code, and put x, z_e and e so that the three pushes have three different directions or lengths.",
           r"*Equation.* At $z_e$: $(e-x)+2\beta(z_e-e)$; at the code: $2(e-z_e)$. Take $e=0$, $x=(4,0)$, $z_e=(0,1)$: the first coordinate is the copy, the second the commitment.",
           "*Pseudo-code.* g_z, g_e = push(x, z, e), then in this order. g_z[0] is 0: no straight-through. g_z[1] is 0: no commitment. g_e is 0: if g_z[1] is 2β codes frozen, if it is 2 + 2β quantization pulls the encoder. g_z[1] is 2β: right. Else: beta on the wrong term."),
    parts=(Part(
        right=_diagnose, inputs=_patients, misconceptions={
            "always right": (_always("right"), "you find nothing: compare both gradients with the formula"),
            "no such name": (_always("fine"), f"that is none of the six names: {', '.join(VARIANTS)}", lambda answer, push, beta: answer not in VARIANTS),
            "blind to copy": _blind("right", "no straight-through", "a step without straight-through passes your check: put x where the copy at z_e shows"),
            "blind to codes": _blind("right", "codes frozen", "frozen codes pass your check: look at the gradient of the codes"),
            "blind to commitment": _blind("right", "no commitment", "a missing commitment passes your check: look at z_e across the direction of the copy"),
            "blind to beta": _blind("right", "beta on the wrong term", "beta on the wrong term passes your check: a zero tells nothing here, compare the lengths"),
            "blind to the side": _blind("codes frozen", "quantization pulls the encoder", "this quantization term freezes the codes too, but it pulls at z_e, together with the commitment 2 + 2β: compare the lengths there"),
            "beta for the side": _blind("beta on the wrong term", "quantization pulls the encoder", "here both distances pull at z_e, 2 + 2β in all, and the codes hear nothing; with beta on the wrong term they would hear 2β"),
        }),)))
