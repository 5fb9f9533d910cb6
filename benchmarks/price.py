"""What whole rules, parts of them and lotteries cost, and what is understood: the runs behind The price of a rule.

    python benchmarks/price.py                             one price at each size, timed
    python benchmarks/price.py --folder FOLDER             run what is missing in FOLDER, then write the data
    python benchmarks/price.py --folder FOLDER --jobs 1    the same in one process

how: "minimum" goes to a minimum of the norm directly, "flow" follows Eq. 20 to t = 14, "dual" finds the least norm at
any width up to 2 %, "training" is ordinary training with weight decay. An interrupted sweep goes on where it was; all
of it takes about an hour of one core.
"""

from functools import partial

import store
import timing
import torch

from grokbook import dual, isolated, price
from grokbook.network import TwoLayer
from grokbook.sweep import grid
from grokbook.tasks import lottery
from grokbook.training import train

WIDER = 1.5  # hidden units for every sample of the whole table
SHARES = {
    11: [0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9],
    13: [0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.9],
    17: [0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8],
    19: [0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7],
    23: [0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.7],
    31: [0.25, 0.3, 0.35, 0.4],
}
SEEDS = {11: 5, 13: 5, 17: 5}
HELD_BACK = 31
RISING, LATE = [0.3, 0.4, 0.5, 0.6, 0.75], [0.5, 0.75, 0.9]
OTHERS = {name: (17, RISING) for name in ("multiplication", "squares", "distance", "maximum")}
OTHERS |= {name: (17, LATE) for name in ("quadratic", "random")}
OTHERS |= {"xor": (16, [0.2, 0.25, *RISING]), "parity": (7, RISING), "majority": (7, RISING)}
TRAINED = {"addition": [0.5, 0.55, 0.6, 0.7], "distance": [0.4, 0.5, 0.6]}
TRAINING = dict(step=5.0, decay=1e-4, steps=40_000, record_every=40_000, progress=False)


def run(table, size, share, seed, how):
    """One split and one start. -> dict of plain numbers: samples, what they cost, what a lottery costs, accuracy."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(seed)
    task = price.task_of(table, size, share, generator)
    whole = len(task.X_train) + (len(task.X_test) if share < 1 else 0)
    shuffled, width = lottery(task, generator), int(WIDER * whole)
    found = dict(samples=len(task.X_train), held_back=len(task.X_test), width=width)
    if how == "minimum":
        evaluations = 600 if share == 1 else 300
        paid, chance = (price.price(one, width, generator, evaluations=evaluations) for one in (task, shuffled))
        return found | dict(paid=paid.cost, lottery=chance.cost, test_accuracy=paid.test_accuracy)
    if how == "flow":
        start = isolated.initial_embedding(task.p, width, generator, dtype=torch.float32)
        options = dict(method="adaptive", tolerance=1e-2, record_every=100, progress=False)  # once a unit of time
        paid, chance = (isolated.simulate(start, one, 1e-2, 1400, **options) for one in (task, shuffled))
        columns = dict(paid=paid.cost, lottery=chance.cost, test_accuracy=paid.test_accuracy)
        return found | {name: column.tolist() for name, column in columns.items()}
    if how == "dual":
        options = dict(gap=0.02, rounds=25, progress=False)
        paid, chance = (dual.minimum_norm(one, generator, **options) for one in (task, shuffled))
        bounds = dict(paid_bound=paid.bound, lottery_bound=chance.bound)
        return found | dict(paid=paid.cost, lottery=chance.cost, test_accuracy=paid.test_accuracy) | bounds
    network = TwoLayer(task.X_train.float(), 256, size)
    history = train(network, task, generator=generator, **TRAINING)
    last = dict(train_accuracy=history.train_accuracy, test_accuracy=history.test_accuracy, cost=history.norms.sum(1))
    return found | {name: float(column[-1]) for name, column in last.items()}


def settings():
    """Every setting of the sweep."""
    rows = []
    for p, shares in SHARES.items():
        whole = [0] if p == HELD_BACK else [0, 1, 2]
        rows += grid(table=["addition"], size=[p], share=[1.0], seed=whole, how=["minimum"])
        rows += grid(table=["addition"], size=[p], share=shares, seed=list(range(SEEDS.get(p, 3))), how=["minimum"])
    for table, (size, shares) in OTHERS.items():
        rows += grid(table=[table], size=[size], share=[*shares, 1.0], seed=[0, 1, 2], how=["minimum"])
    rows += grid(table=["addition"], size=[17], share=[0.5, 0.6, 1.0], seed=[0, 1, 2], how=["flow"])
    rows += grid(table=["addition"], size=[11], share=[0.7, 1.0], seed=[0], how=["dual"])
    for table, shares in TRAINED.items():
        rows += grid(table=[table], size=[17], share=shares, seed=[0, 1, 2], how=["training"])
    return rows


def one_price():
    """Print how long one price takes at each size, at 60 % of the pairs."""
    print(f"{'p':>4}{'pairs':>7}{'seconds':>9}")
    for p in (11, 17, 23):
        task = price.task_of("addition", p, 0.6, torch.Generator().manual_seed(0))
        width = int(WIDER * (len(task.X_train) + len(task.X_test)))
        once = {"price": partial(price.price, task, width, torch.Generator().manual_seed(0))}
        print(f"{p:4}{len(task.X_train):7}{timing.medians(once)['price']:9.2f}", flush=True)


if __name__ == "__main__":
    store.main(__doc__, "price", run, settings(), one_price)
