"""The notation's expressions: each, evaluated on models whose sizes differ, has the shape that stands beside it."""
import re

import pytest
import torch

import deepgen_lib as lib
from deepgen_lib.conv_rbm import random_conv_rbm
from deepgen_lib.mixture import random_mixture
from tools.sources import ROOT

PAGE = ROOT / "reference" / "notation.md"
SIZES = {"B": 5, "V": 6, "H": 4, "K": 3, "N": 7, "D": 2, "C": 2, "L": 4, "Y": 4, "w": 3, "n": 2, "n_0": 6, "n_1": 4, "n_2": 3, "n_3": 2}
ROW = re.compile(r"^\| [^|]* \| [^|]+ \| (?P<shape>\([^|]*\)) \| `(?P<code>[^|`]+)` \|$", re.M)


@pytest.fixture(scope="module")
def things():
    """What the expressions of the page speak of."""
    rng, n = torch.Generator().manual_seed(0), SIZES
    x = torch.randint(2, (n["B"], n["V"]), generator=rng).double()
    rbm, layers = lib.random_rbm(n["V"], n["H"], rng=rng), [n[f"n_{t}"] for t in range(4)]
    q = torch.rand(n["B"], n["K"], generator=rng).double().softmax(-1)
    nvae = lib.NVAE(lib.NVAEConfig(groups=(2, 2), image_size=8, n_down=1, n_latent=2, width=4, cells=1, outer_cells=1), rng=rng).eval()
    functions = {name: getattr(lib, name) for name in dir(lib) if name not in ("widgets", "plots", "checks", "data")}
    return functions | {
        "torch": torch, "rng": rng, "x": x, "v": x, "h": torch.ones(n["B"], n["H"]).double(), "rbm": rbm, "q": q, "log_joint": q.log() - 1,
        "mixture": random_mixture(x.float(), n_components=n["K"], rng=rng).double(),
        "ais": lib.ais_log_partition(rbm, base_mean=torch.full((n["V"],), 0.5).double(), n_chains=n["N"], n_temperatures=3, rng=rng),
        "dbn": lib.DBN([lib.random_rbm(*pair, rng=rng) for pair in zip(layers, layers[1:])]), "h0": x, "h1": torch.ones(n["B"], n["n_1"]).double(),
        "conv": random_conv_rbm(n["C"], n["K"], n["w"], block=n["n"], sigma=1.0, rng=rng).double(), "picture": torch.randn(n["B"], n["C"], 6, 6).double(),
        "vae": lib.mlp_vae(n["V"], [8], n["K"], rng=rng).double(), "z": q,
        "z_e": torch.randn(n["N"], n["D"]), "codes": torch.randn(n["K"], n["D"]),
        "delta_mu": q, "delta_log_sigma": q, "log_sigma": q, "nvae": nvae, "grey": torch.zeros(n["B"], 1, 8, 8),
    }


def wrong_shapes(text: str, things: dict) -> list[str]:
    """The rows whose expression has another shape than the page says."""
    found = []
    for match in ROW.finditer(text):
        with torch.no_grad():
            value = eval(match["code"], dict(things))  # our own page
        shape = tuple(torch.as_tensor(value).shape)
        said = tuple(int(eval(length.replace("^", "**").replace("/", "//"), dict(SIZES))) for length in match["shape"].strip("()").split(",") if length.strip())
        if shape != said:
            found.append(f"{match['code']} has shape {shape}, the page says {match['shape']} = {said}")
    return found


def test_every_expression_has_its_shape(things):
    text = PAGE.read_text(encoding="utf-8")
    assert len(ROW.findall(text)) >= 55 and wrong_shapes(text, things) == []


@pytest.mark.parametrize("old, new", [("| (V, H) | `rbm.W`", "| (H, V) | `rbm.W`"), ("| (B, H) | `rbm.hidden_logits(v)`", "| (B, V) | `rbm.hidden_logits(v)`"),
                                      ("`dbn.directed[0].W`", "`dbn.directed[1].W`"), ("| (2^n_1,) | `dbn.layer_log_prob(1)`", "| (n_1,) | `dbn.layer_log_prob(1)`")], ids=range(4))
def test_a_planted_shape_is_found(things, old, new):
    text = PAGE.read_text(encoding="utf-8")
    assert old in text
    assert len(wrong_shapes(text.replace(old, new), things)) == 1


def test_every_row_with_code_is_read():
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|") and line.endswith("` |")]
    assert [line for line in rows if not ROW.fullmatch(line)] == []
