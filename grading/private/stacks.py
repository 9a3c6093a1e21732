"""Template for stacks (chapter 05): a directed layer of other units under another prior; tied.py has the tied start."""
from __future__ import annotations

from .draw import Draw
from .units import LOG_SUM, LOG_SUM_AGAIN, VALUES
from .variant import Variant, named

CHAPTER = "05_tied_weights"
TAKEN = ("tied.tied_rbm", "tied.next_rbm", "dbn_enumeration.dbn_joint_log_prob", "dbn_enumeration.dbn_posterior", "enumeration.visible_log_prob", "enumeration.joint_log_prob",
         "enumeration.log_partition", "rbm.RBM.free_energy")
PRIORS = {  # of h: (arguments, log p(h) of each row of h as Python, again, proof as a list over rows, in words, inputs)
    "table": ({"p": ("(K,)", "log p(h) of each row of h")}, "p", "p", "p", "given as a table of $\\log p(h)$", "normal(rng, K).log_softmax(0)"),
    "own units": ({"r": ("(H,)", "fields of the units of h")}, "(h @ r).log_softmax(0)", "(h @ r - torch.logsumexp(h @ r, 0))", "torch.stack([row @ r for row in h]).log_softmax(0)",
                  "one of independent units, $p(h)\\propto e^{r\\cdot h}$", "normal(rng, 2)"),
    "machine": ({"r": ("(H, U)", "weights of the upper machine"), "c": ("(H,)", "biases of its lower layer, h"), "s": ("(U,)", "biases of its upper layer, u")},
                "(h @ c + {log_sum}.sum(1)).log_softmax(0)", "(h @ c + {again}.sum(1)).log_softmax(0)", "torch.stack([torch.logsumexp(torch.stack([row @ r @ u + c @ row + s @ u for u in states({values}, 3)]), 0) for row in h]).log_softmax(0)",
                "that of an upper machine, $p(h)\\propto\\sum_ue^{h^\\top ru+c^\\top h+s^\\top u}$, whose units u are {words}", "normal(rng, 2, 3), normal(rng, 2), normal(rng, 3)"),
}
ANSWERS = {"log p(x)": ("joint.logsumexp(1)", "(B,): $\\log p(x)$"), "posterior": ("joint.log_softmax(1)", "(B, K): $\\log p(h\\mid x)$ of every row of h"), "mean": ("joint.softmax(1) @ h", "(B, H): the mean of h given x"),
           "divergence": ("(joint.softmax(1) * (joint.log_softmax(1) - log_prior)).sum(1)", "(B,): $\\mathrm{KL}\\big(p(h\\mid x)\\,\\Vert\\,p(h)\\big)$")}


def directed_layer(draw: Draw) -> Variant:
    """x under h, h under a prior: log p(x), or what x says of h."""
    low, high, above = draw.one("units of x", ("pm", "three", "levels", "halves")), draw.one("units of h", ("pm", "three", "bits")), draw.one("prior", tuple(PRIORS))
    top, answer = draw.one("units of u", ("pm", "three", "levels", "halves")) if above == "machine" else "pm", draw.one("answer", tuple(ANSWERS))
    p_args, prior, prior_again, prior_proof, p_words, p_inputs = PRIORS[above]
    turned = draw.yes("weights turned")
    W = "W" if turned else "W.T"

    def body(low: str = low, top: str = top, prior: str = prior, answer: str = ANSWERS[answer][0], decoder: str = "x @ field.T - {}.sum(1)", pieces: dict = LOG_SUM) -> str:
        above_field = "field = h @ r + s\n" if above == "machine" else ""
        return (f"field = h @ {W} + b\ndecoder = {decoder.format(pieces[low])}\n{above_field}log_prior = {prior.format(log_sum=pieces[top], again=pieces[top])}\njoint = decoder + log_prior\nreturn {answer}").replace("x @ ", "v @ ")
    flat = "torch.zeros_like(h[:, 0]).log_softmax(0)"
    wrong = {
        "public": (body("bits", "bits"), "that is the public exercise's network, another model: there every unit is 0 or 1, and the normaliser of each is softplus. Sum over the values that these units take"),
        "undirected": (body(decoder="x @ field.T"), "p(x | h) does not add up to one over x: the lower layer is directed, each of its units has a normaliser of its own"),
        "other values of x": (body(low="three" if low != "three" else "pm"), "the normaliser of x adds up over other values than these units take"),
        "no prior": (body(prior=flat), "every h counts alike: add log p(h)"),
        "prior twice": (body().replace("decoder + log_prior", "decoder + 2 * log_prior"), "the prior counts twice"),
        "the best h": (body(answer="joint.max(1).values" if answer in ("log p(x)", "divergence") else "torch.nn.functional.one_hot(joint.argmax(1), len(h)).to(h)" + (" @ h" if answer == "mean" else "")), "you take the likeliest h alone; all of them are added up"),
        "decoder alone": (body(answer=ANSWERS[answer][0].replace("joint", "decoder")), "that is what the lower layer says; the prior of h is missing from it"),
        "the joint": (body(answer="joint" if answer == "posterior" else "joint.mean(1)"), "that is log p(x, h), not yet normalised or summed over h"),
    } | ({"other values of u": (body(top="three" if top != "three" else "pm"), "the upper units are summed over other values than they take")} if above == "machine" else {})
    proof = (f"log_prior = {prior_proof.format(values=VALUES[top][1])}\nevery = states({VALUES[low][1]}, len(b))\nrows = []\nfor x in v:\n    rows.append(torch.stack([x @ ({W}.T @ one + b) - torch.logsumexp(torch.stack([y @ ({W}.T @ one + b) for y in every]), 0) + log_prior[k] "
             "for k, one in enumerate(h)]))\njoint = torch.stack(rows)\nw = torch.exp(joint) / torch.exp(joint).sum(1, keepdim=True)\nreturn "
             + {"log p(x)": "torch.log(torch.exp(joint).sum(1))", "posterior": "torch.log(w)", "mean": "torch.stack([sum(a * one for a, one in zip(row, h)) for row in w])", "divergence": "(w * torch.log(w) - w * log_prior).sum(1)"}[answer])
    again = body(prior=prior_again, pieces=LOG_SUM_AGAIN, decoder="torch.einsum('nv,kv->nk', v, field) - {}.sum(1)")
    weights = "normal(rng, 2, 3)" if turned else "normal(rng, 3, 2)"
    return named(Variant(
        chapter=CHAPTER, number=1, title="A directed layer of other units", minutes=30, function="",
        arguments={"v": ("(B, V)", f"data x, {VALUES[low][0]}"), "h": ("(K, H)", f"all states of h, {VALUES[high][0]}, one a row"), "W": ("(H, V)" if turned else "(V, H)", "weights from h down to x"), "b": ("(V,)", "biases of x")} | p_args,
        gives=ANSWERS[answer][1],
        prompt=f"Below h lies a directed layer: given h, the units of x are independent, $p(x_i\\mid h)\\propto e^{{x_ia_i}}$ with $a_i=b_i+\\sum_jW_{{{'ji' if turned else 'ij'}}}h_j$, where $x_i$ is {VALUES[low][0]}. "
               f"The units of h are {VALUES[high][0]}. The prior of h is {p_words.replace('{words}', VALUES[top][0])}.\n\nReturn {ANSWERS[answer][1].split(': ', 1)[1]}, in nats where it is a logarithm.",
        inputs=f"h = states({VALUES[high][1]}, 2)\nK = len(h)\ndef case(n):\n    return among(rng, {VALUES[low][1]}, n, 3), h, {weights}, normal(rng, 3), {p_inputs}\nreturn {{'3 rows': case(3), '2 rows': case(2)}}",
        right=body(), again=again, proof=proof, wrong=wrong,
        hints=("*Nudge.* Make the table log p(x | h) + log p(h), data by states of h. What is asked is one line from there.",
               "*Equation.* log p(x | h) = Σᵢ (xᵢaᵢ − log Σ exp(y·aᵢ)), y over the values of one unit.",
               "*Pseudo-code.* field = h W + b; decoder = x · field − the logarithm of each unit's own sum; log prior, normalised over the rows of h; add; logsumexp or softmax over h."),
        success="a directed layer with a normaliser of its own", taken=TAKEN, structure={}), draw, ("network_score", "through_the_layer", "seen_from_below", "lower_layer", "explained"))


TEMPLATES = (directed_layer,)
