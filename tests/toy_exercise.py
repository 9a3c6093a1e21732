"""A small exercise to try the engine of the checks on: turn logits into probabilities, row by row."""
import pytest
import torch

from deepgen_lib.checks.engine import Exercise, Part

HINTS = ("Think of one row.", "$p_k = e^{a_k} / Z$", "exponential, then divide by the row's sum")


def cases(rng):
    return {"random logits": (torch.randn(4, 3, generator=rng, dtype=torch.float64),), "one row": (torch.tensor([[0.0, 1, 5]]),)}


BANK = {
    "columns": (lambda logits: logits.softmax(0), "you normalise columns"),
    "log": (lambda logits: logits.log_softmax(-1), "these are log-probabilities"),
    "shares": (lambda logits: logits / logits.sum(-1, keepdim=True), "a logit is not a share"),
    "tempered": (lambda logits: (0.9 * logits).softmax(-1), "no temperature is asked", lambda out, logits: bool((out.argmax(-1) == logits.argmax(-1)).all())),
}
SOFTMAX = Part(right=lambda logits: logits.softmax(-1), inputs=cases, axes=("B", "K"), misconceptions=BANK)


def exercise(*parts, **changes):
    card = dict(id="1.1", name="toy", title="A toy", level="core", minutes=5, chapter="01_gibbs_bound", hints=HINTS,
                success="every row is a distribution", parts=parts or (SOFTMAX,))
    return Exercise(**(card | changes))


def error_of(check, *answers, **options):
    with pytest.raises(AssertionError) as caught:
        check(*answers, **options)
    text = str(caught.value)
    assert text.startswith(f"{check.id} not yet") and text.endswith(f'Next: hint("{check.id}")'), text
    return text


def values(right, bank=None, *, id="1.1", name="toy", **options):
    return exercise(Part(right=right, misconceptions=bank or {}, **options), id=id, name=name)
