"""The few operations that training spends its time on: each file has the definition, the tuned path and the public function."""
from .cd_update import apply_phases
from .gibbs import gibbs_half_step
from .nearest_code import nearest_code
from .softplus import sum_softplus

__all__ = ["apply_phases", "gibbs_half_step", "nearest_code", "sum_softplus"]
