"""What one evaluation of Eq. 20 costs at the size of Fig. 6, beside what a reader of the paper would write.

    python benchmarks/eq20.py [--p 37] [--width 512] [--rounds 40] [--threads 2]

All are measured in turns in one process, each after itself, as in a simulation. The limit is the arithmetic that no
method on dense matrices avoids, at the rate that a large matrix product reaches in the same run.
"""

import argparse

import torch
from timing import medians

from grokbook.isolated import initial_embedding, velocity
from grokbook.tasks import modular_addition


def as_printed(E, X, Y):
    """Eq. 20 letter by letter: an inverse and five dense products, from left to right."""
    H = torch.relu(X @ E)
    A = torch.linalg.inv(H @ H.T)
    return X.T @ ((A @ Y @ Y.T @ A @ H) * (X @ E > 0)) - E


def autograd(E, X, Y, solve):
    """−∇R/(2λ) with R as Eq. 19 writes it; `solve(K, Y)` is K⁻¹Y."""
    E = E.clone().requires_grad_()
    H = torch.relu(X @ E)
    cost = (E**2).sum() + torch.trace(Y.T @ solve(H @ H.T, Y))
    cost.backward()
    return -E.grad / 2


def candidates(task, E):
    """Name -> function of nothing that evaluates Eq. 20 at E."""
    X, Y = task.X_train.to(E.dtype), task.Y_train.to(E.dtype)
    return {
        "velocity (this book)": lambda: velocity(E, task),
        "Eq. 20 as printed": lambda: as_printed(E, X, Y),
        "autograd through Eq. 19 as printed": lambda: autograd(E, X, Y, lambda K, B: torch.linalg.inv(K) @ B),
        "autograd, with a solve for the inverse": lambda: autograd(E, X, Y, torch.linalg.solve),
    }


def unavoidable(n, d, p):
    """Floating-point operations: half of HHᵀ, a Cholesky factor, two triangular solves, W, and AY Wᵀ."""
    return n**2 * d + n**3 / 3 + 2 * n**2 * p + 2 * n * d * p + 2 * n * d * p


def product_rate(dtype, rounds, size=1024):
    """The median rate of a square matrix product, in floating-point operations a second."""
    matrix = torch.randn(size, size, dtype=dtype)
    seconds = medians({"product": lambda: matrix @ matrix}, rounds, settle=True)
    return 2 * size**3 / seconds["product"]


def measure(dtype, p, width, rounds):
    """Print the rows of one precision."""
    generator = torch.Generator().manual_seed(0)
    task = modular_addition(p, 0.7, generator)
    E = initial_embedding(p, width, generator, dtype=dtype)
    calls = candidates(task, E)
    rate = product_rate(dtype, rounds)
    limit = unavoidable(len(task.labels_train), width, p) / rate
    seconds = medians(calls, rounds, settle=True)
    ours = seconds["velocity (this book)"]
    exact = velocity(E.double(), task)
    for name, call in calls.items():
        error = ((call().double() - exact).norm() / exact.norm()).item()
        row = f"{1e3 * seconds[name]:9.2f}{seconds[name] / ours:9.2f}{seconds[name] / limit:10.2f}{error:11.0e}"
        print(f"{str(dtype)[6:]:9}{name:42}{row}")
    print(f"{str(dtype)[6:]:9}{f'limit, at {rate / 1e9:.0f} GFLOP/s':42}{1e3 * limit:9.2f}{limit / ours:9.2f}{1:10.2f}")


def main():
    parser = argparse.ArgumentParser(description="One evaluation of Eq. 20, side by side.")
    parser.add_argument("--p", type=int, default=37)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    size = f"p = {arguments.p}, d_h = {arguments.width}"
    print(f"Eq. 20, {size}, {arguments.threads} threads, median of {arguments.rounds}")
    print(f"{'':51}{'ms':>9}{'/ ours':>9}{'/ limit':>10}{'error':>11}")
    for dtype in (torch.float64, torch.float32):
        measure(dtype, arguments.p, arguments.width, arguments.rounds)


if __name__ == "__main__":
    main()
