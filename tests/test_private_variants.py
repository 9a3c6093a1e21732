"""Graded variants: every answer against its proof over many keys, other keys other structure, and what a template may say."""
import ast
import functools
import itertools

import pytest
import torch

from grading.fence import located
from grading.private.course import TEMPLATES, variants_of
from grading.private.draw import Draw
from grading.private.prove import FEWEST, exercises_of, faults, load, pruned
from grading.private.variant import Variant, module_text, renamed

KEYS = [f"a key for tests, number {number}" for number in range(10)]
EACH = [(chapter, template) for chapter, templates in TEMPLATES.items() for template in templates]
NAMES = [f"{chapter[:2]}-{template.__name__}" for chapter, template in EACH]


@functools.cache
def drawn(chapter: str, template, key: str) -> Variant:
    return template(Draw(key, f"{chapter}/{template.__name__}"))


def form(variant: Variant) -> str:
    """The right answer's code without its names and numbers: what is left is structure."""
    tree = ast.parse(f"{variant.head('f')}\n" + "\n".join(f"    {line}" for line in variant.code(variant.right).splitlines()))
    numbers: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = numbers.setdefault(node.id, f"n{len(numbers)}")
        elif isinstance(node, ast.arg):
            node.arg = numbers.setdefault(node.arg, f"n{len(numbers)}")
        elif isinstance(node, ast.Constant):
            node.value = 0
    return ast.dump(tree)


@pytest.mark.parametrize("chapter, template", EACH, ids=NAMES)
def test_the_answers_are_proved_and_the_mistakes_refused_over_keys(chapter, template):
    for key in KEYS[:3]:
        variant = pruned(drawn(chapter, template, key))
        assert faults(load(module_text(chapter, [variant]), "checks"), seeds=(3,)) == [], variant.structure
        assert len(variant.wrong) >= FEWEST and "another model" in next(iter(variant.wrong.values()))[1]


@pytest.mark.parametrize("chapter", TEMPLATES)
def test_two_keys_give_another_structure(chapter):
    """In code and in choices, for every pair of ten keys: a whole chapter never comes twice, and an exercise seldom."""
    templates = TEMPLATES[chapter]
    codes = {key: [form(drawn(chapter, template, key)) for template in templates] for key in KEYS}
    choices = {key: [drawn(chapter, template, key).structure for template in templates] for key in KEYS}
    pairs = list(itertools.combinations(KEYS, 2))
    assert all(codes[a] != codes[b] for a, b in pairs)
    same = sum(one == other for a, b in pairs for one, other in zip(choices[a], choices[b]))
    assert same <= 0.12 * len(pairs) * len(templates)


def test_names_and_numbers_are_no_structure():
    one = drawn(*EACH[0], KEYS[0])
    other = one._replace(names={short: f"{name}_too" for short, name in one.names.items()}, right=one.right.replace("0.5", "0.25"))
    assert form(one) == form(other) and form(one) != form(one._replace(right=one.right.replace("return ", "return -")))


def test_the_same_key_gives_the_same_text_and_no_draw_is_repeated_when_unlike():
    first = variants_of("08_vae", KEYS[0])
    assert module_text("08_vae", first) == module_text("08_vae", variants_of("08_vae", KEYS[0]))
    again = variants_of("08_vae", KEYS[0], unlike={variant.id: variant.structure for variant in first})
    assert all(a.structure != b.structure for a, b in zip(first, again))


@pytest.mark.parametrize("chapter, template", EACH, ids=NAMES)
def test_prompts_hints_and_messages_are_whole(chapter, template):
    for key in KEYS[:5]:
        variant = drawn(chapter, template, key)
        words = [variant.prompt, variant.gives, variant.success, *variant.hints, *(message for _, message in variant.wrong.values())]
        assert all(text.strip() and "{}" not in text and not text.startswith((" ", "\n")) for text in words)
        assert variant.prompt.count("$") % 2 == 0 and len(set(variant.names.values())) == len(variant.arguments)
        assert not any(name in variant.prompt for name in variant.names.values() if "_" in name)


def test_every_library_function_that_is_taken_exists():
    for chapter, template in EACH:
        for name in drawn(chapter, template, KEYS[0]).taken:
            owner, last = located(name)
            assert callable(getattr(owner, last)), name


@pytest.mark.parametrize("spoil, words", [
    (("right", "return", "return 1.001 *"), "right answer 1 is not what its proof says"),
    (("again", "return", "return 0.999 *"), "right answer 2 is not what its proof says"),
    (("proof", "return", "return 2 *"), "is not what its proof says"),
])
def test_a_planted_mistake_in_an_answer_or_proof_is_found(spoil, words):
    part, old, new = spoil
    variant = drawn("02_rbm", TEMPLATES["02_rbm"][1], KEYS[0])
    broken = variant._replace(**{part: getattr(variant, part).replace(old, new)})
    found = faults(load(module_text("02_rbm", [broken]), "checks"), seeds=(0,))
    assert any(words in fault for fault in found) and not any(name in fault for fault in found for name in [*variant.names.values(), variant.function])


def test_a_wrong_answer_that_is_right_is_dropped_or_reported():
    variant = drawn("02_rbm", TEMPLATES["02_rbm"][1], KEYS[0])
    careless = variant._replace(wrong=variant.wrong | {"none": (variant.again, "no mistake at all"), "broken": ("return unknown", "never runs")})
    assert set(pruned(careless).wrong) == set(pruned(variant).wrong)
    assert "a wrong answer passes" in faults(load(module_text("02_rbm", [careless]), "checks"), seeds=(0,))[0]
    with pytest.raises(ValueError, match="draw it again"):
        pruned(variant._replace(wrong={"public": (variant.again, "no mistake")}))


def test_code_is_renamed_and_texts_are_not():
    assert renamed("x = W.T @ v + f('W')\nreturn a.v", {"W": "links", "v": "seen"}) == "x = links.T @ seen + f('W')\nreturn a.v"


def test_a_module_says_its_exercises():
    space = load(module_text("12_nvae_kl", variants_of("12_nvae_kl", KEYS[1])), "checks")
    assert [exercise.id for exercise in exercises_of(space)] == ["12.101", "12.102"] and set(space["PROOFS"]) == {"12.101", "12.102"}
    assert float(space["integral"](lambda z: torch.exp(-z), 0.0, 5.0, 45.0)) == pytest.approx(1, abs=1e-12)
