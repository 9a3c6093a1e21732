"""What an exercise asks for cannot be had from the library, whichever way it is fetched; tried where the library's function is the whole answer."""
import pytest

from grading.taken import TAKEN
from tests.grading_class import cell_of, lost, mark, result_of, solved

STEM, EXERCISE = "12_nvae_kl", "12.1"  # relative_kl(dmu, dsigma, sigma): residual_normal_kl of the library, summed
CALL = "(dmu, dsigma.log(), sigma.log()).sum(1)"
DEF = "def relative_kl(dmu, dsigma, sigma):\n    "
SOURCE = "import deepgen_lib.residual_normal as module\nfile = module.__file__\n"
RUN_TEXT = "    space = {'__name__': 'deepgen_lib.residual_normal', '__package__': 'deepgen_lib'}\n    exec(text, space)\n    return space['residual_normal_kl']" + CALL
WAYS = {  # code of exercise 12.1, words of the feedback
    "imported": ("from deepgen_lib import residual_normal_kl\n" + DEF + "return residual_normal_kl" + CALL, "of the library is what this exercise asks you to write"),
    "from the package": ("import deepgen_lib\n" + DEF + "return deepgen_lib.residual_normal_kl" + CALL, "earns nothing"),
    "by importlib": ("import importlib\n" + DEF + "return importlib.import_module('deepgen_lib.residual_normal').residual_normal_kl" + CALL, "earns nothing"),
    "a thin wrapper": ("from deepgen_lib.residual_normal import ResidualNormal\n" + DEF + "return ResidualNormal(0 * dmu, sigma.log(), dmu, dsigma.log()).kl().sum(1)", "earns nothing"),
    "a wrapper's helper": ("from deepgen_lib import residual_normal\n" + DEF + "return residual_normal._kl" + CALL.replace("dmu, dsigma.log(), sigma.log()", "dmu, dsigma.log(), sigma.log()"), "earns nothing"),
    "beside a draw": ("import torch\nfrom deepgen_lib.kernels import residual_normal_sample\n" + DEF + "return residual_normal_sample(0 * dmu, sigma.log(), dmu, dsigma.log(), clock=torch.tensor([1, 1])).kl.sum(1)", "earns nothing"),
    "inside a kernel": ("import sys, torch, deepgen_lib.kernels\nmodule = sys.modules['deepgen_lib.kernels.residual_normal_sample']\n" + DEF + "return module._Fused.apply(0 * dmu, sigma.log(), dmu, dsigma.log(), torch.tensor([1, 1]))[1].sum(1)", "not yet"),
    "another form": ("from deepgen_lib.residual_normal import two_normals_kl\n" + DEF + "return two_normals_kl(dmu, (sigma * dsigma).log(), 0 * dmu, sigma.log()).sum(1)", "earns nothing"),
    "through all classes": (DEF + "found = next(c for c in tuple.__subclasses__() if c.__name__ == 'ResidualNormal')\n    return found(0 * dmu, sigma.log(), dmu, dsigma.log()).kl().sum(1)", "earns nothing"),
    "unpickled": ("import pickle, torch, io\n" + DEF + "f = pickle.loads(b'cdeepgen_lib.residual_normal\\nresidual_normal_kl\\n.')\n    return f" + CALL, "earns nothing"),
    "unpickled by torch": ("import pickle, torch, io\nclass Again:\n    def __reduce__(self):\n        return getattr, (__import__('deepgen_lib.residual_normal', fromlist=['x']), 'residual_normal_kl')\n" + DEF +
                           "space = io.BytesIO()\n    torch.save({'f': 1}, space)\n    import deepgen_lib.residual_normal as m\n    f = torch.load(io.BytesIO(space.getvalue()), weights_only=False) and m.residual_normal_kl\n    return f" + CALL, "earns nothing"),
    "a copy under another name": (SOURCE + DEF + "import importlib.util\n    spec = importlib.util.spec_from_file_location('deepgen_lib.other', file)\n    other = importlib.util.module_from_spec(spec)\n    spec.loader.exec_module(other)\n    return other.residual_normal_kl" + CALL, "out of bounds"),
    "imported again": (DEF + "import sys, importlib\n    del sys.modules['deepgen_lib.residual_normal']\n    return importlib.import_module('deepgen_lib.residual_normal').residual_normal_kl" + CALL, "not yet"),
    "reloaded": (SOURCE + DEF + "import importlib\n    return importlib.reload(module).residual_normal_kl" + CALL, "not yet"),
    "its text, by inspect": (SOURCE + DEF + "import inspect\n    text = inspect.getsource(module)\n" + RUN_TEXT, "not yet"),
    "its text, by the loader": (SOURCE + DEF + "text = module.__loader__.get_source(module.__name__)\n" + RUN_TEXT, "not yet"),
    "its text, from disk": (SOURCE + DEF + "text = open(file).read()\n" + RUN_TEXT, "residual_normal.py is out of bounds"),
    "its text, by torch": (SOURCE + "import torch\n" + DEF + "for size in range(20_000, 1000, -1):\n        try:\n            text = bytes(torch.from_file(file, dtype=torch.uint8, size=size).tolist()).decode()\n            break\n        except RuntimeError: pass\n" + RUN_TEXT, "not yet"),
    "by torch.hub": (SOURCE + "import torch, os\n" + DEF + "return torch.hub.load(os.path.dirname(file), 'residual_normal_kl', source='local', trust_repo=True)" + CALL, "not yet"),
    "by runpy": (SOURCE + DEF + "import runpy\n    return runpy.run_path(file)['residual_normal_kl']" + CALL, "not yet"),
    "its code object": ("from types import FunctionType\nimport deepgen_lib.residual_normal as m\n" + DEF + "f = m.ResidualNormal.kl\n    return FunctionType(f.__code__, m.__dict__)(m.ResidualNormal(0 * dmu, sigma.log(), dmu, dsigma.log())).sum(1)", "not yet"),
}


def tried(code: str, tmp_path):
    notebook = solved(STEM)
    cell_of(notebook, "ex-12-1").source = code
    marked = mark(STEM, notebook, tmp_path)
    return lost(marked), result_of(marked, EXERCISE)


@pytest.mark.parametrize("way", WAYS)
def test_the_librarys_answer_earns_nothing_and_the_feedback_says_why(way, tmp_path):
    code, words = WAYS[way]
    gone, result = tried(code, tmp_path)
    assert EXERCISE in gone and words in result.feedback, result.feedback


def test_without_taking_it_away_it_would_have_earned_everything(tmp_path, monkeypatch):
    monkeypatch.setitem(TAKEN, EXERCISE, ())
    gone, result = tried(WAYS["imported"][0], tmp_path)
    assert EXERCISE not in gone, result.feedback
