"""Right answers of chapter 02, written in other ways than the checks' own."""
import torch

from deepgen_lib import RBM, all_states, exact_gradient, expected_cd_gradient
from deepgen_lib.objectives import Gradient, centred


def model(W, b, c):
    rbm = RBM(*W.shape).double().requires_grad_(False)
    rbm.load_state_dict({"W": W, "b": b, "c": c})
    return rbm


def free_energy_by_library(W, b, c, v):
    return model(W, b, c).free_energy(v)


def free_energy_by_enumeration(W, b, c, v):
    h = all_states(W.shape[1])
    return -((v @ W) @ h.T + (v @ b)[:, None] + h @ c).logsumexp(1)


def sweeps_by_numbers(W, b, c, v, u_h, u_v):
    for noise_h, noise_v in zip(u_h, u_v):
        h = torch.where(noise_h < 1 / (1 + torch.exp(-(v @ W + c))), 1.0, 0.0).to(v)
        v = torch.where(noise_v < 1 / (1 + torch.exp(-(h @ W.T + b))), 1.0, 0.0).to(v)
    return v, 1 / (1 + torch.exp(-(v @ W + c)))


def sweeps_by_logits(W, b, c, v, u_h, u_v):
    for step in range(u_h.shape[0]):
        h = (torch.logit(u_h[step]) < v @ W + c).double()
        v = (torch.logit(u_v[step]) < h @ W.T + b).double()
    return v, torch.sigmoid(torch.einsum("bv,vh->bh", v, W) + c)


def slopes_by_einsum(v_data, h_data, v_model, h_model):
    W = torch.einsum("nv,nh->vh", v_data, h_data) / v_data.shape[0] - torch.einsum("nv,nh->vh", v_model, h_model) / v_model.shape[0]
    return W, v_data.mean(0) - v_model.mean(0), h_data.mean(0) - h_model.mean(0)


def slopes_by_outer(v_data, h_data, v_model, h_model):
    def average(v, h):
        return (v[:, :, None] * h[:, None]).mean(0)
    return Gradient(average(v_data, h_data) - average(v_model, h_model), v_data.mean(0).sub(v_model.mean(0)), h_data.mean(0).sub(h_model.mean(0)))


def bias_by_odds(x, clamp):
    mean = x.mean(0).clip(clamp, 1 - clamp)
    return torch.log(mean / (1 - mean))


def bias_by_two_logs(x, clamp):
    mean = torch.minimum(torch.maximum(x.sum(0) / len(x), torch.tensor(clamp)), torch.tensor(1 - clamp))
    return mean.log() - (-mean).log1p()


def parity_by_detectors(n, remainder):
    states = torch.tensor([[float(code >> i & 1) for i in range(n)] for code in range(2**n) if code.bit_count() % 2 == remainder], dtype=torch.float64)
    return 30 * (2 * states.T - 1), torch.zeros(n), 30 * (0.4 - states.sum(1))


def parity_by_bending(n, remainder, K=12.0):
    """In the count s of ones: a downward parabola -K s (s - 1), made of pairs of bits, bent up again at every wrong count."""
    W, b, c = [], torch.zeros(n, dtype=torch.float64), []
    for i in range(n):
        for j in range(i + 1, n):
            w = torch.zeros(n, dtype=torch.float64)
            w[i], w[j] = 4 * K, -4 * K       # softplus(4K (v_i - v_j) - 2K) is nearly 2K v_i (1 - v_j)
            W, c = [*W, w], [*c, -2 * K]
            b[i] -= 2 * K                    # so that -2K v_i v_j remains
    rest = [(0.0 if s % 2 == remainder else -K) + K * s * (s - 1) for s in range(n + 1)]
    b += rest[1] - rest[0]
    for s in range(1, n):
        bend = rest[s + 1] - 2 * rest[s] + rest[s - 1]
        if bend > 0:
            W, c = [*W, torch.full((n,), bend, dtype=torch.float64)], [*c, -bend * s]
    return torch.stack(W, 1), b, torch.tensor(c)


def after_by_matrix_power(joint, p, k):
    T = (joint / joint.sum(1)[:, None]) @ (joint / joint.sum(0)).T
    return p @ torch.linalg.matrix_power(T, k)


def after_by_softmax(joint, p, k):
    log_joint = joint.log()
    for _ in range(k):
        p = log_joint.softmax(0) @ (p @ log_joint.softmax(1))
    return p


def bias_by_difference(W, b, c, v, k):
    rbm = model(W, b, c)
    return torch.sub(expected_cd_gradient(rbm, v, n_gibbs_steps=k).W, exact_gradient(rbm, v).W)


def bias_by_enumeration(W, b, c, v, k):
    states, hidden = all_states(len(b)), all_states(len(c))
    joint = torch.softmax((states @ W @ hidden.T + (states @ b)[:, None] + hidden @ c).flatten(), 0).reshape(len(states), len(hidden))
    start = (v[:, None] == states).all(2).double().mean(0)
    weight = joint.sum(1) - after_by_matrix_power(joint, start, k)
    return (weight[:, None] * states).T @ torch.sigmoid(states @ W + c)


def flip_by_product(W, b, c):
    return W.neg(), b.neg(), c + torch.ones(len(b), dtype=W.dtype) @ W


def flip_by_energy(W, b, c):
    """Reads the parameters of the flipped energy off its values at unit vectors."""
    def minus_energy(v, h):
        return (1 - v) @ W @ h + (1 - v) @ b + h @ c
    V, H = W.shape
    eye_v, eye_h, zero_v, zero_h = torch.eye(V).to(W), torch.eye(H).to(W), torch.zeros(V).to(W), torch.zeros(H).to(W)
    base = minus_energy(zero_v, zero_h)
    new_b = torch.stack([minus_energy(e, zero_h) - base for e in eye_v])
    new_c = torch.stack([minus_energy(zero_v, e) - base for e in eye_h])
    new_W = torch.stack([torch.stack([minus_energy(e, f) - base for f in eye_h]) for e in eye_v]) - new_b[:, None] - new_c
    return new_W, new_b, new_c


def centre_by_library(g_W, g_b, g_c, mu, lam):
    return centred(Gradient(g_W, g_b, g_c), mu, lam)


def centre_by_broadcasting(g_W, g_b, g_c, mu, lam):
    slope = g_W - mu[:, None] * g_c - g_b[:, None] * lam
    return [slope, g_b - (slope * lam).sum(1), g_c - (mu[:, None] * slope).sum(0)]


def jacobian_by_autograd(field, theta):
    return torch.autograd.functional.jacobian(field, theta)


def jacobian_by_columns(field, theta):
    J = torch.empty(len(theta), len(theta), dtype=theta.dtype)
    for j in range(len(theta)):
        left, right = theta.clone(), theta.clone()
        left[j] -= 1e-6
        right[j] += 1e-6
        J[:, j] = (field(right) - field(left)) / 2e-6
    return J


VERDICT = {"exact gradient": True, "E[CD-1]": False, "E[CD-1000]": True}

RIGHT = {
    "2.1": [free_energy_by_library, free_energy_by_enumeration],
    "2.2": [sweeps_by_numbers, sweeps_by_logits],
    "2.3": [slopes_by_einsum, slopes_by_outer],
    "2.4": [bias_by_odds, bias_by_two_logs],
    "2.5": [parity_by_detectors, parity_by_bending],
    "2.6": [(after_by_matrix_power, bias_by_difference), (after_by_softmax, bias_by_enumeration)],
    "2.7": [(flip_by_product, centre_by_library), (flip_by_energy, centre_by_broadcasting)],
    "2.8": [(jacobian_by_autograd, VERDICT), (jacobian_by_columns, VERDICT)],
}
