"""What one norm-minimising direction costs for a torch.nn.Module: 55,210 parameters, 200 samples, 2000 equations.

    python benchmarks/probe.py --threads 2

Ways to the same vector (I − J⁺J)(−θ), for a 64–200–200–10 ReLU network with biases whose targets are its own outputs:
  pinv       J with `torch.func.jacrev`, then `torch.linalg.pinv`, as App. D prescribes; takes minutes
  solve      J with `torch.func.jacrev`, then one solve with JJᵀ
  products   `Probe` with JJᵀ from products, as it does for convolutions and attention
  layers     `Probe` with JJᵀ layer by layer, as it does for this network
  pinned     as layers, with the pre-activations below 1e-3 held: another vector, for its cost
"""

import argparse
import sys

import timing
import torch
from torch import nn

from grokbook.probe import Probe

SIZES = (64, 200, 200, 10)
SAMPLES = 200
ONCE = ("pinv", "solve", "products")  # they take a minute or more on a busy machine; the others are timed ROUNDS times
ROUNDS = 5


def by_pinv(probe, _):
    theta = probe.theta()
    J = torch.func.jacrev(probe.F)(theta)
    return -theta + torch.linalg.pinv(J) @ (J @ theta)


def by_solve(probe, _):
    theta = probe.theta()
    J = torch.func.jacrev(probe.F)(theta)
    return -theta + J.T @ torch.linalg.solve(J @ J.T, J @ theta)


WAYS = {
    "pinv": by_pinv,
    "solve": by_solve,
    "products": lambda _, hidden: hidden.direction(),
    "layers": lambda probe, _: probe.direction(),
    "pinned": lambda probe, _: probe.direction(kinks=1e-3),
}


def setting(dtype):
    """The network as a Probe, and once more with an axis between the samples and the inputs, which hides its layers."""
    torch.manual_seed(0)
    layers = [nn.Linear(SIZES[0], SIZES[1]), nn.ReLU(), nn.Linear(SIZES[1], SIZES[2]), nn.ReLU(), nn.Linear(*SIZES[2:])]
    network = nn.Sequential(*layers).to(dtype)
    hidden = nn.Sequential(nn.Unflatten(1, (1, SIZES[0])), network, nn.Flatten())
    X = torch.randn(SAMPLES, SIZES[0], dtype=dtype)
    Y = network(X).detach()
    return Probe(network, X, Y), Probe(hidden, X, Y)


def main():
    parser = argparse.ArgumentParser(description="One norm-minimising direction of a torch.nn.Module.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float64")
    parser.add_argument("--quick", action="store_true", help="without pinv")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    dtype = getattr(torch, arguments.dtype)
    probes = setting(dtype)
    print(f"{probes[0]!r}, {arguments.dtype}, threads: {arguments.threads}")
    names = [name for name in WAYS if name != "pinv" or not arguments.quick]
    vectors = {}

    def call(name):
        vectors[name] = WAYS[name](*probes)

    for name in names:
        if name not in ONCE:
            call(name)  # a first call pays for threads and caches
    seconds = timing.medians({name: lambda name=name: call(name) for name in names if name in ONCE}, 1)
    seconds |= timing.medians({name: lambda name=name: call(name) for name in names if name not in ONCE}, ROUNDS)
    print(f"{'':10}{'s':>9}{'/ layers':>10}{'MiB more':>10}{'of J':>7}{'apart':>10}")
    jacobian = len(probes[0].targets) * len(probes[0].theta()) * dtype.itemsize / 2**20
    for name in names:
        memory = timing.peak_memory(__file__, name, arguments.dtype)
        apart = float((vectors[name] - vectors[names[0]]).norm() / probes[0].theta().norm())
        ratio = seconds[name] / seconds["layers"]
        print(f"{name:10}{seconds[name]:9.2f}{ratio:10.1f}{memory:10.0f}{memory / jacobian:7.2f}{apart:10.0e}")
    print(f"apart: from {names[0]}, beside |θ|; J alone: {jacobian:.0f} MiB")


def report_memory(name, dtype):
    """Print what one direction adds to the resident memory of this process, started for nothing else."""
    small = Probe(nn.Sequential(nn.Linear(2, 9), nn.ReLU(), nn.Linear(9, 1)), torch.ones(2, 2), torch.ones(2, 1))
    small.direction(memorised=float("inf"))  # the library's own buffers are not the method's
    probes = setting(getattr(torch, dtype))
    before = timing.resident_peak()
    WAYS[name](*probes)
    print(timing.resident_peak() - before)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--memory"]:
        report_memory(*sys.argv[2:])
    else:
        main()
