"""What an NVAE is made of: one frozen record, and the six that the lecture's table shows (Vahdat & Kautz 2020, table 6).

Scales and groups are counted from the top down: groups[0] is the coarsest scale, the one that a sample starts with.
"""
from __future__ import annotations

from dataclasses import dataclass

from ..validate import in_words, require_choice, require_count, require_flag, require_number

LIKELIHOODS = ("bernoulli", "logistic_mixture")


@dataclass(frozen=True)
class NVAEConfig:
    """Sizes first, then how the two normals of a group are written, then what training adds to the bound."""
    groups: tuple[int, ...] = (2, 2)        # latent groups of each scale, from the top down; each scale has half the side of the next
    image_size: int = 28                    # side of a picture; padded at once to a multiple of what the halvings need
    n_channels: int = 1                     # 1 grey, 3 colour
    n_down: int = 2                         # halvings between the picture and the finest scale
    n_latent: int = 20                      # channels of each group's z
    width: int = 32                         # channels at the picture's own size; doubled by every halving
    cells: int = 2                          # residual cells for each group, in the encoder and in the generative model
    outer_cells: int = 2                    # residual cells for each halving outside of the scales, the one that halves among them
    expansion: int = 6                      # of the generative cell; 3 outside of the scales
    residual_scale: float = 0.1             # a cell adds this much of its branch
    likelihood: str = "bernoulli"           # or "logistic_mixture"
    n_mixtures: int = 10                    # logistics of the mixture
    n_levels: int = 256                     # grey levels of the data under the mixture
    relative: bool = True                   # q relative to p; False: q has a mean and a scale of its own
    clamp: float | None = 5.0               # soft clamp, residual_normal.practical; None for the bare formula
    floor: float = 0.0                      # added to every sigma, residual_normal.practical
    flow_cells: int = 0                     # of an inverse-autoregressive flow after each posterior's draw, flows.py; 0: none
    flow_scale: bool = False                # the flow scales as well as shifts
    flow_context: bool = False              # the flow sees what the posterior sees
    warm_up: float = 0.3                    # share of training in which the KL's weight climbs from 0 to 1
    balance: bool = True                    # balance the groups' KL while it climbs
    regularisation: float = 0.01            # of the largest singular values and the batch norms' largest scales; 0: none

    def __post_init__(self):
        if not isinstance(self.groups, tuple) or not self.groups:
            raise ValueError(f"NVAEConfig: groups is {in_words(self.groups)}, expected a tuple of whole numbers from the top down; pass for example groups=(5, 10)")
        for n in self.groups:
            require_count("NVAEConfig", "groups", n)
        for name, low in (("image_size", 2), ("n_channels", 1), ("n_down", 0), ("n_latent", 1), ("width", 1), ("cells", 1), ("outer_cells", 1), ("expansion", 1), ("n_mixtures", 1), ("flow_cells", 0)):
            require_count("NVAEConfig", name, getattr(self, name), minimum=low)
        require_count("NVAEConfig", "n_levels", self.n_levels, minimum=2, maximum=65_536)
        require_choice("NVAEConfig", "likelihood", self.likelihood, LIKELIHOODS)
        if self.likelihood == "logistic_mixture" and self.n_channels not in (1, 3):
            raise ValueError(f"NVAEConfig: n_channels is {self.n_channels} under the logistic mixture, expected 1 or 3; grey or red, green, blue")
        for name in ("residual_scale", "floor", "regularisation"):
            require_number("NVAEConfig", name, getattr(self, name), low=0)
        require_number("NVAEConfig", "warm_up", self.warm_up, low=0, high=1)
        if self.clamp is not None:
            require_number("NVAEConfig", "clamp", self.clamp, low=1e-3)
        for name in ("relative", "balance", "flow_scale", "flow_context"):
            require_flag("NVAEConfig", name, getattr(self, name))

    @property
    def n_groups(self) -> int:
        return sum(self.groups)

    @property
    def padded_size(self) -> int:
        """The picture's side after padding: the next multiple of 2^(halvings)."""
        step = 2 ** (self.n_down + len(self.groups) - 1)
        return -(-self.image_size // step) * step

    @property
    def latent_sizes(self) -> tuple[int, ...]:
        """Side of z in each scale, from the top down."""
        finest = self.padded_size // 2**self.n_down
        return tuple(finest // 2 ** (len(self.groups) - 1 - scale) for scale in range(len(self.groups)))

    @property
    def latent_shapes(self) -> tuple[tuple[int, int, int], ...]:
        """(channels, height, width) of every group's z, from the top down."""
        return tuple((self.n_latent, side, side) for side, n in zip(self.latent_sizes, self.groups) for _ in range(n))

    @property
    def scale_widths(self) -> tuple[int, ...]:
        """Channels of the network at each scale, from the top down."""
        n_scales = len(self.groups)
        return tuple(self.width * 2 ** (self.n_down + n_scales - 1 - scale) for scale in range(n_scales))


_COLOUR = dict(n_channels=3, n_down=1, likelihood="logistic_mixture")
_FACES = dict(groups=(4, 4, 4, 8, 16), image_size=256, width=30, n_levels=32, **_COLOUR)  # 5 bits a colour
NVAE_TABLE: dict[str, NVAEConfig] = {
    "MNIST": NVAEConfig(groups=(5, 10), width=32),
    "CIFAR-10": NVAEConfig(groups=(30,), image_size=32, width=128, **_COLOUR),
    "ImageNet 32": NVAEConfig(groups=(28,), image_size=32, width=192, **_COLOUR),
    "CelebA 64": NVAEConfig(groups=(5, 10, 20), image_size=64, width=64, regularisation=0.1, **_COLOUR),
    "CelebA-HQ 256": NVAEConfig(**_FACES),
    "FFHQ 256": NVAEConfig(regularisation=0.1, **_FACES),
}
# Parameters of the authors' own networks in millions, counted by building them; the paper prints none. Ours differ where the paper leaves a choice open.
AUTHORS_MILLIONS: dict[str, float] = {"MNIST": 33.36, "CIFAR-10": 130.85, "ImageNet 32": 268.51, "CelebA 64": 153.28, "CelebA-HQ 256": 330.80, "FFHQ 256": 330.80}
