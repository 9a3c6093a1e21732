"""The page on clusters shows the committed measurement and nothing else, its program and options exist, and the program that is measured trains."""
import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "reference" / "cluster.md"


@pytest.fixture
def scripts(monkeypatch):
    """The two scripts, and their folder."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import scaling
    import train_together
    yield scaling, train_together
    for name in ("scaling", "train_together", "harness"):
        sys.modules.pop(name, None)


def test_the_page_shows_the_committed_measurement(scripts):
    text = PAGE.read_text(encoding="utf-8")
    assert scripts[0].with_table(text) == text, "run  python3 benchmarks/scaling.py --page"


@pytest.mark.parametrize("there", [True, False])
def test_another_number_is_seen(scripts, monkeypatch, tmp_path, there):
    scaling, _ = scripts
    monkeypatch.setattr(scaling, "RESULTS", tmp_path)
    if there:
        rounds = [{"ms": ms, "bytes": 400.0, "share": 0.25, "parameters": 100, "batch": 8} for ms in (4.0, 2.0, 3.0)]
        table = scaling.rows({"vae": {"1": [found | {"ms": 6.0} for found in rounds], "2": rounds}})
        assert table[1] == (scaling.WORDS["vae"], "100", 8, "2", "3", "2.00", "0.4", "25%")
        (tmp_path / "scaling.json").write_text(json.dumps({"columns": scaling.COLUMNS, "rows": table, "notes": "So many.", "machine": {"cores": "2"}}))
    text = scaling.with_table(PAGE.read_text(encoding="utf-8"))
    assert text.startswith("# Training in several processes") and text.count(scaling.MARK) == 1 and scaling.with_table(text) == text
    assert ("| 2 | 3 | 2.00 | 0.4 | 25% |" in text) is there and ("Not measured yet" in text) is not there


def unknown(text: str, source: str) -> set[str]:
    """Options and files that the page's commands name and that are not there."""
    calls = re.findall(r"train_together\.py (\w+)((?: --\w+ \S+)*)", text)
    assert len(calls) >= 3
    options = {option for _, rest in calls for option in re.findall(r"--\w+", rest)} | {f'"{model}"' for model, _ in calls}
    return {name for name in options if f'"{name}"' not in source and f"{name}: Plan" not in source} | {path for path in re.findall(r"benchmarks/\w+\.py", text) if not (ROOT / path).exists()}


def test_what_the_page_tells_to_type_exists(scripts):
    text, source = PAGE.read_text(encoding="utf-8"), Path(scripts[1].__file__).read_text(encoding="utf-8")
    assert unknown(text, source) == set()
    assert unknown(text.replace("--updates", "--steps").replace("py vae", "py gan"), source) == {"--steps", '"gan"'}
    assert unknown(text + "benchmarks/train_apart.py", source) == {"benchmarks/train_apart.py"}


@pytest.mark.parametrize("model", ["rbm_small", "ais"])
def test_the_program_is_measured_in_one_process(scripts, model):
    found = scripts[1].measured(model, 2, 4, 0)
    assert found["ms"] > 0 and found["parameters"] > 1000 and found["batch"] == 4 and found["share"] < 0.5


def test_a_batch_that_cannot_be_divided_is_named(scripts, monkeypatch):
    monkeypatch.setattr(scripts[1].processes, "n_processes", lambda: 3)
    with pytest.raises(ValueError, match="batch is 100 for 3 processes, expected a number that they divide; pass --batch 99"):
        scripts[1].part_of(100)


def test_the_pages_program_of_its_own_runs(monkeypatch, tmp_path):
    """The few lines for a program of one's own, with fewer updates."""
    code, = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    exec(code.replace("n_updates=10_000", "n_updates=3"), {})
    assert (tmp_path / "rbm.safetensors").exists()
