"""The library functions that an exercise asks for: out of reach while it is graded, and with them all that is built on them.

Where the course's own exercises import a function as a tool, it stays. "module.function" or "module.Class.method".
"""
_MAX_POOL = ("max_pool.probabilistic_max_pool", "max_pool.log_block_sums")
_TIED = ("tied.tied_rbm", "tied.next_rbm")
_RESIDUAL = ("residual_normal.residual_normal_kl", "residual_normal.two_normals_kl", "residual_normal.ResidualNormal.kl", "residual_normal.ResidualNormal.log_ratio",
             *(f"kernels.residual_normal_sample.{name}" for name in ("residual_normal_sample", "residual_normal_sample_reference", "_Fused")))  # a draw comes with its KL

TAKEN: dict[str, tuple[str, ...]] = {
    "1.1": ("variational.gibbs_bound", "variational.bound_terms", "variational.gap"),
    "1.4": ("mixture.m_step",),
    "1.5": ("mixture.e_step", "variational.posterior", "variational.log_normaliser"),
    "2.1": ("rbm.RBM.free_energy",),
    "2.4": ("rbm.init_visible_bias",),
    "2.7": ("objectives.centred",),
    "3.1": ("likelihood.bits_per_dim",),
    "4.2": ("dbn_enumeration.dbn_joint_log_prob",),
    "4.3": ("dbn_enumeration.dbn_posterior",),
    "5.1": _TIED,
    "5.4": _TIED,
    "6.2": ("dbn_enumeration.wake_kl", "dbn_enumeration.sleep_kl"),
    "7.1": _MAX_POOL,
    "7.6": _MAX_POOL,
    "8.1": ("gradient_estimators.pathwise_gradients", "gradient_estimators.score_gradients"),
    "8.2": ("latents.normal_kl",),
    "8.3": ("linear_gaussian.LinearGaussian.best_q",),
    "9.3": ("vector_quantisation.vq_losses", "vector_quantisation.losses"),
    "10.2": ("vector_quantisation.perplexity",),
    "11.1": ("nvae.NVAEConfig.latent_shapes", "nvae.NVAEConfig.latent_sizes"),
    "11.2": ("nvae.generative_cell_parameters", "nvae.encoder_cell_parameters"),
    "11.6": ("nvae.SpectralPenalty",),
    "12.1": _RESIDUAL,
    "12.2": ("residual_normal.relative_to",),
    "12.4": _RESIDUAL,
    "12.6": ("nvae.balance_weights",),
    "14.1": ("roofline.cost", "roofline.half_step_work"),
    "14.6": ("kernels.code_totals",),
}
