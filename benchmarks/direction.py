"""What one norm-minimising direction costs (Eq. 29), in the setting of App. D, for widths h = 64 to 512.

    python benchmarks/direction.py

Three ways to the same vector (I − J⁺J)(−θ), in float64, at a point of Z:
  appendix   the Jacobian row by row with autograd, then `torch.linalg.pinv`, as App. D prescribes
  jacrev     the Jacobian with `torch.func.jacrev`, then one solve with JJᵀ
  grokbook   `LevelSet.tangent` with the closed forms of `TwoLayer`: J is never formed
"""

import sys

import timing
import torch

from grokbook.levelset import LevelSet
from grokbook.network import TwoLayer
from grokbook.tasks import modular_addition

WIDTHS = (64, 128, 256, 512)
N = 11  # the modulus of App. D, with 7 pairs held back


def by_appendix(net, level_set, theta):
    J = torch.autograd.functional.jacobian(net.F, theta)
    return -theta + torch.linalg.pinv(J) @ (J @ theta)


def by_jacrev(net, level_set, theta):
    J = torch.func.jacrev(net.F)(theta)
    return -theta + J.T @ torch.linalg.solve(J @ J.T, J @ theta)


def by_grokbook(net, level_set, theta):
    return level_set.tangent(theta, -theta)


WAYS = {"appendix": by_appendix, "jacrev": by_jacrev, "grokbook": by_grokbook}


def setting(width):
    """The network of App. D at this width, its level set, and PyTorch's default start."""
    generator = torch.Generator().manual_seed(0)
    task = modular_addition(N, generator=generator, test_size=7)
    net = TwoLayer(task.X_train, width, N, "relu")
    level_set = LevelSet(net.F, task.Y_train, net)
    return net, level_set, net.initial(generator)


def compare(width):
    """One line of the table."""
    net, level_set, start = setting(width)
    theta = level_set.retract(start)
    vectors = {name: way(net, level_set, theta) for name, way in WAYS.items()}
    seconds = timing.medians({name: lambda way=way: way(net, level_set, theta) for name, way in WAYS.items()})
    apart = max(float((vectors[name] - vectors["appendix"]).norm()) for name in WAYS) / float(theta.norm())
    memory = {name: timing.peak_memory(__file__, name, width) for name in WAYS}
    ours = seconds["grokbook"]
    return (
        f"{width:5d}{len(theta):8d}"
        + "".join(f"{1e3 * seconds[name]:10.1f}" for name in WAYS)
        + f"{seconds['appendix'] / ours:9.0f}x{seconds['jacrev'] / ours:7.1f}x"
        + "".join(f"{memory[name]:10.0f}" for name in WAYS)
        + f"{apart:10.0e}"
    )


def main():
    threads = torch.get_num_threads()
    print(f"One norm-minimising direction, App. D: n = {N}, 59 pairs, 649 equations; float64, threads: {threads}\n")
    names = "".join(f"{name:>10s}" for name in WAYS)
    print(f"{'':13s}{'median time, ms':>30s}{'ours faster':>18s}{'peak extra memory, MiB':>30s}")
    print(f"{'h':>5s}{'d':>8s}{names}{'appendix':>10s}{'jacrev':>8s}{names}{'apart':>10s}")
    for width in WIDTHS:
        print(compare(width), flush=True)
    print("\napart: the largest distance between the three vectors, beside |θ|")


def report_memory(name, width):
    """Print what one direction adds to the resident memory of this process, started for nothing else."""
    net, level_set, theta = setting(int(width))
    theta @ theta  # the library's own buffers are not the method's
    before = timing.resident_peak()
    WAYS[name](net, level_set, theta)
    print(timing.resident_peak() - before)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--memory"]:
        report_memory(*sys.argv[2:])
    else:
        main()
