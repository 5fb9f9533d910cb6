"""Attention networks in training, beside the directions that theory predicts: the runs behind Your own network.

    python benchmarks/your_network.py                     how long a look at one network takes
    python benchmarks/your_network.py --folder FOLDER     run what is missing in FOLDER, then write the data

Every run trains one attention network on sums modulo 17 in float32, by gradient descent with momentum ("sgd") or by
AdamW, and watches it at some steps. All of it takes half an hour of one core.
"""

import time

import store
import torch

from grokbook.attention import Attention
from grokbook.tasks import modular_addition
from grokbook.watch import Watch

SIZE = dict(p=17, share=0.8, window=50)
RECORDS = 250  # steps between two looks at the accuracy
WAYS = {
    "sgd": dict(rate=0.3, decay=1e-4, steps=16_000, at=[500, 1000, 2000, 4000, 8000, 15_950]),
    "adamw": dict(rate=1e-3, decay=1.0, steps=6000, at=[500, 1000, 1500, 2000, 3000, 5950]),
}


def prepared(p, share, seed):
    """A task and a network in float32."""
    torch.manual_seed(seed)
    return modular_addition(p, share, torch.Generator().manual_seed(seed)), Attention(p)


def optimiser_of(way, model, rate, decay):
    """The optimiser of this name."""
    if way == "sgd":
        return torch.optim.SGD(model.parameters(), rate, momentum=0.9, weight_decay=decay)
    return torch.optim.AdamW(model.parameters(), rate, weight_decay=decay)


def run(p, share, window, way, rate, decay, steps, at, seed):
    """One run. -> its stretches, and step, training and test accuracy, |F − y|² and |θ|² every 250 steps."""
    torch.set_num_threads(1)
    task, model = prepared(p, share, seed)
    inputs, targets = task.pairs_train, task.Y_train.float()
    optimiser = optimiser_of(way, model, rate, decay)
    watch = Watch(model, inputs, targets, optimiser, at, window, chunk=200)
    records = []
    for step in range(steps + 1):
        watch(step)
        if step % RECORDS == 0:
            with torch.no_grad():
                right = [
                    float(task.right(model(x), y.float()).double().mean())
                    for x, y in ((inputs, targets), (task.pairs_test, task.Y_test))
                ]
                missed = float((model(inputs) - targets).square().sum())
                records.append([step, *right, missed, float(sum(w.square().sum() for w in model.parameters()))])
        optimiser.zero_grad()
        (model(inputs) - targets).square().mean().backward()
        optimiser.step()
    return dict(stretches=[stretch._asdict() for stretch in watch.stretches], records=records)


def settings():
    """Every setting of the sweep."""
    return [SIZE | dict(way=way) | options | dict(seed=seed) for way, options in WAYS.items() for seed in (0, 1, 2)]


def one_look():
    """Print what the products of one network cost."""
    task, model = prepared(17, 0.8, 0)
    watch = Watch(model, task.pairs_train, task.Y_train, optimiser_of("sgd", model, 0.3, 1e-4), [0], 1, chunk=200)
    start = time.perf_counter()
    watch(0)
    print(f"{task.Y_train.numel()} equations, {sum(w.numel() for w in model.parameters())} parameters:", end=" ")
    print(f"{time.perf_counter() - start:.1f} s a look")


if __name__ == "__main__":
    store.main(__doc__, "your_network", run, settings(), one_look)
