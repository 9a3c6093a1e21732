"""deepgen: deep generative models learned by variational methods, exact where they are small enough.

`import deepgen_lib` needs torch and numpy alone; figures, widgets, checks, data and training load when first used.
"""
import importlib

from .claims import claim, derivation, planted_error
from .conv_dbn import ConvDBN
from .conv_rbm import ConvRBM
from .dbn import DBN
from .dbn_enumeration import aggregated_posterior, dbn_joint_log_prob, dbn_posterior, recognition_distribution, sleep_kl, wake_kl
from .enumeration import all_states, exact_log_likelihood, hidden_posterior, joint_log_prob, log_partition, state_numbers, visible_log_prob
from .kernels import gibbs_half_step, nearest_code, sum_softplus
from .labelled_rbm import LabelledRBM
from .likelihood import bernoulli_log_likelihood, bits_per_dim
from .max_pool import probabilistic_max_pool
from .mixture import BernoulliMixture, e_step, fit_em, m_step
from .objectives import cd_gradient, exact_gradient, expected_cd_gradient
from .partition import ais_log_partition, reverse_ais_log_partition
from .rbm import RBM, base_rate, init_visible_bias, random_rbm
from .rbm_training import CDOptions, RBMTrainer
from .sampling import gibbs_chain, gibbs_step, parallel_tempering, sample_bernoulli
from .tied import next_rbm, tied_rbm
from .variational import bound_terms, entropy, gap, gibbs_bound, kl_divergence, log_normaliser, posterior
from .vector_quantisation import perplexity, straight_through, vq_losses

_LAZY = {  # name -> the module that holds it; these need more than torch and numpy
    "fit": "fitting", "load_model": "checkpoint", "load_notes": "checkpoint", "save_model": "checkpoint", "load_mnist": "data", "load_caltech": "caltech", "load_colour_faces": "caltech",
    "AveragedParameters": "averaging", "AggregatedPosterior": "streams", "SampledPixels": "streams", "greedy_dbn": "stacking",
    "UpDownOptions": "updown", "UpDownTrainer": "updown", "wake_gradients": "updown", "sleep_gradients": "updown",
    "AdamOptions": "gradient_training", "GradientTrainer": "gradient_training", "ConvRBMTrainer": "conv_training", "greedy_conv_dbn": "conv_stacking", "whiten": "whitening",
    "VAE": "vae", "mlp_vae": "vae", "normal_kl": "latents", "LinearGaussian": "linear_gaussian", "random_linear_gaussian": "linear_gaussian",
    "pathwise_gradients": "gradient_estimators", "score_gradients": "gradient_estimators", "QuadraticToy": "gradient_estimators",
    "NVAE": "nvae", "NVAEConfig": "nvae", "NVAE_TABLE": "nvae", "residual_normal_kl": "residual_normal",
    "Codebook": "codebook", "VQVAE": "vqvae", "conv_encoder": "residual_conv", "conv_decoder": "residual_conv",
    "PixelCNN": "autoregressive", "training_rows": "autoregressive", "VQVAE2": "vqvae2", "TwoMaps": "vqvae2", "SwapCodes": "swap_codes", "code_bound": "code_likelihood",
    "fit_log_scales": "code_likelihood", "load_digit_classifier": "digit_classifier", "load_digit_codes": "vq_shipped", "load_face_codes": "vq_shipped", "load_labelled_digit_prior": "vq_shipped",
    "explore": "widgets", "predict": "widgets", "predict_number": "typed", "progress": "progress_page", "reveal": "widgets", "hint": "checks", "start_over": "checks",
}
_LAZY_MODULES = ("checks", "data", "plots", "widgets")

__all__ = [name for name in globals() if not name.startswith("_") and name != "importlib"]  # what `import *` gives: nothing lazy


def __getattr__(name: str):
    if name in _LAZY_MODULES:
        return importlib.import_module(f".{name}", __name__)
    if name in _LAZY:
        return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"deepgen_lib has no {name!r}; dir(deepgen_lib) lists what it has")


def __dir__() -> list[str]:
    return sorted([*__all__, *_LAZY, *_LAZY_MODULES])
