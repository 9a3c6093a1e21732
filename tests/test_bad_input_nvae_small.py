"""The small NVAE's helpers against random bad input, as test_bad_input.py does for the core."""
from deepgen_lib.nvae_small import small_digits
from tests import bad_values as bad
from tests.doors import Door, defined, door_tests, require_all_tried

MODULES = ["nvae_small"]
INNER = {"bare_small_nvae": "no arguments", "load_small_nvae": "no arguments"}


def doors() -> dict[str, Door]:
    return {"small_digits": Door(small_digits, dict(split="test"), dict(split=bad.choice("train", "valid", "train+valid", "test")))}


NAMES = defined(MODULES) | {"load_mnist"}
test_the_good_arguments_are_good, test_a_bad_argument_is_answered_with_got_expected_and_a_cure = door_tests(doors, NAMES, examples=10)


def test_every_public_function_is_tried():
    require_all_tried(doors(), MODULES, INNER)
