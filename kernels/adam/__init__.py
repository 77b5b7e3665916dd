"""adam: one Adam step with an L2 penalty, dense over a whole parameter.

    g = grad + 2·penalty·theta                     gradient of loss + penalty·Σ theta²
    m = β₁·m + (1 − β₁)·g
    v = β₂·v + (1 − β₂)·g²
    "tensorflow"   theta −= lr·√(1 − β₂ᵗ)/(1 − β₁ᵗ) · m / (√v + ε)
    "pytorch"      theta −= lr · m̂ / (√v̂ + ε),   m̂ = m/(1 − β₁ᵗ),  v̂ = v/(1 − β₂ᵗ)

t = `step`, counted from 1. The forms differ in what ε is added to: in TensorFlow's it is
ε/√(1 − β₂ᵗ) of PyTorch's, 32 times as much at the first step.

update(theta, grad, m, v, *, lr, step, penalty=0.0, beta1=0.9, beta2=0.999, epsilon=1e-8,
       form="tensorflow") → float
    theta, grad, m, v: one shape (any), one dtype F (float32 or float64), C-contiguous, none
    overlapping another. Writes theta, m and v in place; grad is only read. grad = None stands for
    zeros. Returns Σ theta² from before the update as a float64 sum, for the penalty's value.
    One pass; the sum goes by fixed pieces in order, so it does not depend on the threads.
    ValueError for another form, for step < 1, and for arrays that do not fit.

update_scheduled(theta, grad, m, v, rates, clock, *, penalty, beta1, beta2, epsilon) → Σ theta²
    The same with `bias_corrections` of the step from row clock[0] of rates (steps, 2) float64, for
    steps that a device replays: cuda.py alone has it. There Σ theta² stays on the device, ().

average(theta, mean, decay, step)
    mean += (theta − mean)·max(1 − decay, 1/step), in place: the plain mean of the first
    1/(1 − decay) steps, then an exponential one. theta, mean: one shape and dtype F, C-contiguous;
    step counts from 1, so the first one sets mean to theta.

average_scheduled(theta, mean, decay, clock)
    The same at step = clock[1] + 1: cuda.py alone has it.

learning_rate(base, decay, decay_steps, step0) → base · decay^⌊step0 / decay_steps⌋
    step0 counts from 0.

Source: Kingma & Ba 2015, Sec. 2 (TensorFlow's form is its last paragraph); penalty and schedule:
release.
"""

from __future__ import annotations

FORMS = ("tensorflow", "pytorch")


def learning_rate(base: float, decay: float, decay_steps: int, step0: int) -> float:
    """Learning rate of step `step0` (from 0): falls by the factor `decay` every `decay_steps`.

    >>> learning_rate(1e-3, 0.96, 39, 38), learning_rate(1e-3, 0.96, 39, 39)
    (0.001, 0.00096)
    """
    return base * decay ** (step0 // decay_steps)


def bias_corrections(
    lr: float, step: int, beta1: float, beta2: float, form: str
) -> tuple[float, float]:
    """(rate, root scale): both forms are theta −= rate · m / (root scale · √v + ε)."""
    rate = lr / (1 - beta1**step)
    root = (1 - beta2**step) ** 0.5
    return (rate * root, 1.0) if form == "tensorflow" else (rate, 1 / root)


def check(theta, grad, m, v, step: int, form: str) -> None:
    """ValueError for arguments that would silently give a wrong update."""
    if form not in FORMS:
        raise ValueError(f"Adam form {form!r} is unknown; use one of {', '.join(FORMS)}.")
    if step < 1:
        raise ValueError(f"Adam step {step} is below 1; steps count from 1.")
    for name, array in (("theta", theta), ("grad", grad), ("m", m), ("v", v)):
        if array is None and name == "grad":
            continue
        if array.shape != theta.shape or array.dtype != theta.dtype:
            raise ValueError(
                f"{name} is {array.dtype} of shape {array.shape}, theta {theta.dtype} of shape "
                f"{theta.shape}; they must be alike."
            )
        if not array.flags.c_contiguous:
            raise ValueError(f"{name} is not C-contiguous; pass np.ascontiguousarray of it.")


def share_of(decay: float, step: int) -> float:
    """What a step's parameters weigh in the running average."""
    return max(1 - decay, 1 / step)
