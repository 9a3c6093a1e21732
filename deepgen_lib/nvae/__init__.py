"""NVAE, a very deep VAE built carefully (Vahdat & Kautz 2020): cells, towers, the model, what training adds, the lecture's table."""
from .anatomy import encoder_fields, generative_fields, network_parts
from .balancing import balance_weights, kl_weight, weighted_kl
from .cells import EncoderCell, GenerativeCell, SqueezeExcite, encoder_cell_parameters, generative_cell_parameters
from .config import AUTHORS_MILLIONS, NVAE_TABLE, NVAEConfig
from .flows import FlowCell, flow_cell_parameters
from .model import NVAE, NVAETerms
from .spectral import SpectralPenalty, batch_norm_penalty
from .statistics import reestimated

__all__ = ["AUTHORS_MILLIONS", "NVAE", "NVAE_TABLE", "EncoderCell", "FlowCell", "GenerativeCell", "NVAEConfig", "NVAETerms", "SpectralPenalty", "SqueezeExcite", "balance_weights",
           "batch_norm_penalty", "encoder_cell_parameters", "encoder_fields", "flow_cell_parameters", "generative_cell_parameters", "generative_fields", "kl_weight", "network_parts", "reestimated", "weighted_kl"]
