"""The few operations that training spends its time on: each file has the definition, the tuned path and the public function."""
from .cd_update import apply_phases
from .code_totals import code_totals
from .gibbs import gibbs_half_step
from .nearest_code import nearest_code
from .residual_normal_sample import residual_normal_sample
from .softplus import sum_softplus

__all__ = ["apply_phases", "code_totals", "gibbs_half_step", "nearest_code", "residual_normal_sample", "sum_softplus"]
