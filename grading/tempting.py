"""Why a known mistake is tempting: one sentence for each kind of mistake, found by the words of its name, else by those of its message.

A bank of an exercise says what a mistake is; a feedback page also says that one makes it for a reason. The first kind that fits counts.
"""
from __future__ import annotations

import functools
import re
from typing import NamedTuple


class Kind(NamedTuple):
    name: str    # of the kind
    called: str  # a pattern of its mistakes' names
    says: str    # a pattern of their messages; "" where only a name tells
    why: str


KINDS = (
    Kind("the slide", r"\bslide\b|\bprinted\b", r"as the paper prints it", "It stands like this on the slide or in the paper, and one trusts what is printed."),
    Kind("overflow", r"overflow|clamp|zero log zero|naive|NaN|exponentials", r"overflows|underflows|0 · log 0|is zero in the machine|divides (?:zero )?by zero|the logarithm of 0",
         "On paper the formula is exact; only numbers that are very large, very small or zero show what a machine makes of it."),
    Kind("judged on the wrong data", r"\btest\b|train score|on train|leaking|luck|judged on|fitted on", r"test (?:images|pictures) (?:take part|are among|have helped)|chose \w+ \w+ on the",
         "The numbers look better that way, and no program complains."),
    Kind("direction of a divergence", r"KL's direction|other divergence|one direction", r"KL (?:is|runs) the wrong way|divergence is not symmetric",
         "Both directions compare the same two distributions and agree where these are equal, so an easy case does not tell them apart."),
    Kind("sign", r"\bsign\b|^minus|negative|upside down|(?:down|up)hill|flipped$|^upwards$|^plus|complement|^off\b|1 - p", r"wrong sign|do the opposite|downhill|lost its minus|probability 1 [−-] p|sign is turned|enters? with a (?:plus|minus)",
         "The course changes between energies, losses and log-probabilities, and each change turns a sign; at zero, or in a square, the wrong one looks right."),
    Kind("order", r"swapped|exchanged|transposed|other way round|columns$|wrong axis|\baxes\b|misaligned|turned|reversed|last first|unturned", r"(?:are|is|have) (?:exchanged|changed places|swapped)|turned round|: transpose\b|upside down|rows are ",
         "Both orders give arrays of the same size, or of one that fits, so nothing complains."),
    Kind("units of a logarithm", r"\bbits\b|\bnats\b|log 2$|natural log|base two|per pixel", r"in nats|in bits|nats per pixel", "A number in another unit has the right order of size, and a constant factor does not look wrong by itself."),
    Kind("logarithm or not", r"^logits?$|probabilit|mean of logs|log of the mean|^no log$|^log$|logs first|log-sigmoid|^exponential$", r"average (?:the )?log|Jensen|take the exponential|give their logarithms|the sigmoid is missing|is a log-odds",
         "A probability and its logarithm put states in the same order and carry the same knowledge, so one goes on with the wrong one of the two."),
    Kind("squares and spreads", r"squared?\b|\broot\b|variances?$|sigma|precision|added scales", r"not squared|\w+'s variance|divisor|root of", "A scale and its square are both called spread, and they agree wherever it is 1."),
    Kind("sum or mean", r"^sums?\b|^summed|averaged|^means?$|divided|^counts?$|^per (?:picture|code|example|chain|state)|mean (?:over|of)|shared out|times the size|normalised|unweighted|harmonic|over (?:the batch|pictures)|weights add",
         r"take (?:the )?means?\b|you average|(?:are|is the) sums?\b|you divide|not divided|divide by|you add up|add (?:them|all) up|weight (?:each|them)|adds? up all|report the mean",
         "With one example, or with equal parts, a sum, a mean and a weighted mean agree or differ by a factor that one overlooks."),
    Kind("one value for many", r"^best\b|^mode$|^hard$|most likely|largest|strongest|mean[- ]field|gr[ae]y|drawn?\b|rounded|at the mean|through the means|the best state", r"largest term|the likeliest|the best \w+ (?:alone|for each)|probabilities of h|draw h|is drawn, |states are meant|nothing is drawn",
         "Where a distribution is sharp, its likeliest state or its mean does stand for all of it; where it is not, the other states count."),
    Kind("an old value", r"stale|\bold\b|refreshed|renewed|late\b|early|\banew\b|same (?:noise|uniforms)|one short|move first|last batch|last turn|never moved|frozen", r"the (?:step|one|last) before|after the update|of the first:|at every step",
         "The steps of an algorithm look alike in code, and a value of another step has the right size and nearly the right numbers."),
    Kind("a path for the gradient", r"gradient|detach|no copy|copied|commitment|quantization|taught|beta\b|straight-through|blind to", r"\bslope\b|\bgradients?\b|teach|stop-gradient|chain rule",
         "The values, and often the loss too, look right all the same; only the gradient shows which part moves."),
    Kind("counting", r"one (?:more|less|short)|offset|padding|halv|^half\b|twice|edge|mask|lane|\btile\b|same size|one-sided|^product$|written once", r"one is missing|one more|one less|twice as|half of (?:that|it)|beyond the end|size of the map|you count",
         "Counting steps, sides and edges by eye is easily off by one or by two, and an example of convenient size hides it."),
    Kind("sharing", r"\btied\b|shared?\b|copies|strangers|weight tying", "", "Two things with equal numbers look like one thing until one of them changes."),
    Kind("a term left out", r"^no |left out|dropped|forgotten|without|\balone$|ignored|only$|^missing", r"\b(?:is|are) missing|you forget|forgot|is dropped|without it|left out|is not used|does not depend on",
         "What remains is the part that one looks at most, and on easy cases the term left out is small or the same for all."),
    Kind("a quantity next door", r"posterior|prior|marginal|joint|conditional|undirected|recognition|generation|^q$", r"^(?:that|this|these|those) (?:is|are) |as if |\bbias\b.*\bbelongs\b|is for recognition",
         "It is a quantity in its own right, with the same shape, and only a few letters of its name or formula are different."),
)
GUESS = Kind("a rule taken too far", "", "", "It is a good first guess, true in the cases that one meets first; the case that breaks it has to be looked for.")
OTHER = Kind("close by", "", "", "It gives nearly the right numbers on an easy case, so that one number looked at does not give it away.")


@functools.lru_cache(maxsize=4096)
def kind_of(name: str, message: str = "", *, question: bool = False) -> Kind:
    """The kind of a known mistake, by its name where that says enough, else by its message. question: the answer was chosen, not computed."""
    named = next((kind for kind in KINDS if re.search(kind.called, name[:200])), None)
    said = next((kind for kind in KINDS if kind.says and re.search(kind.says, message[:1000])), None)
    return GUESS if question and not named else named or said or OTHER
