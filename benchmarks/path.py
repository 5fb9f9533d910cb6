"""What a stride of a way down costs, and the runs behind the chapter Other ways down.

    python benchmarks/path.py                             one stride of each way
    python benchmarks/path.py --folder FOLDER             run what is missing in FOLDER, then write the data
    python benchmarks/path.py --folder FOLDER --jobs 1    the same in one process

Kinds of runs: ways down the norm beside Eq. 20 ("way"), the same with the training labels shuffled ("shuffled"), ways
that lie about the held-back pairs, and what becomes of the liar once it is let go ("lie"), typical networks of the
liars' width ("typical"), and real training ("training"). An interrupted sweep goes on where it was; all of it takes
about an hour of one core.
"""

import store
import timing
import torch

from grokbook import isolated, scale_free, typical, ways
from grokbook.eq20 import Isolated
from grokbook.measure import crossing
from grokbook.network import TwoLayer
from grokbook.sweep import grid
from grokbook.tasks import lottery, modular_addition
from grokbook.training import train

GENTLY = 0.02  # how long every run first follows Eq. 20, which is stiff at a random start
LEVELS = (0.1, 0.5, 0.9)
POINTS = 30  # of a stored curve
SMALL, MIDDLE = dict(p=17, d_hidden=160, share=0.75), dict(p=23, d_hidden=256, share=0.75)
FEW = dict(p=17, d_hidden=128, share=0.7)
WIDE = dict(p=17, d_hidden=232, share=0.75), dict(p=23, d_hidden=414, share=0.75)  # wider than there are pairs in all
LARGE = dict(p=37, d_hidden=512, share=0.7)  # the paper's own
ALL = ["steepest", "swirl 1", "swirl 3", "swirl 10", "swirl 30", "own speeds", "signs", "equal units", "noise"]
ALL += ["momentum", "adam", "half the units", "half the residues"]
SWIRLS = ["steepest", "swirl 3", "swirl 10", "swirl 30"]
MEMORY = dict(
    momentum=dict(method="momentum", span=0.002, strides=4000, record_every=20),
    adam=dict(method="adam", span=0.001, strides=8000, record_every=20),
)
RULES = {
    "descent": dict(step=3.0, decay=1e-4, steps=30_000),
    "ratio 4": dict(step=0.8, decay=1e-4, steps=40_000, ratio=4.0),
    "AdamW": dict(step=1e-3, decay=1.0, steps=12_000, method="adam"),
}


def run(kind, p, d_hidden, share, seed, **setting):
    """One run. -> dict of plain numbers; norms are 2‖E‖‖W‖ over the smallest that was found, if not said otherwise."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(seed)
    task = modular_addition(p, share, generator)
    E = isolated.initial_embedding(p, d_hidden, generator)
    if kind == "shuffled":
        task = lottery(task, generator)
    smallest = float(scale_free.norm_of(isolated.minimise(E, task).E, task))
    E = isolated.simulate(E, task, GENTLY / 10, 10, method="adaptive", record_every=10, progress=False).E
    kinds = dict(way=way, shuffled=way, lie=lie, typical=typical_at, training=training)
    found = kinds[kind](E, task, smallest, generator, setting)
    return dict(smallest=smallest, held_back=len(task.X_test)) | found


def way(E, task, smallest, generator, setting):
    """One way down, until all held-back pairs are right."""
    name = setting["way"]
    options = MEMORY.get(name, dict(strides=200))
    going = ways.ways(E, generator)["steepest" if name in MEMORY else name]
    return described(ways.descend(E, task, going, stop_at=1.0, **options), smallest)


def described(found, smallest):
    """Both clocks, the norms R and 2‖E‖‖W‖ where the accuracy passes three levels, and a thinned curve."""
    norm, R = found.scale_free / smallest, found.norms.sum(1)
    columns = dict(time=found.time, lowered=found.lowered, norm=norm, R=R)
    return curve(found.test_accuracy, columns)


def curve(accuracy, columns):
    passages = {}
    for level in LEVELS:
        values = [None] * len(columns)
        if accuracy[0] >= level:
            values = [float(column[0]) for column in columns.values()]
        elif accuracy.max() >= level:
            values = crossing(accuracy, level, *columns.values())
        passages[f"{100 * level:.0f} %"] = dict(zip(columns, values, strict=True))
    kept = torch.linspace(0, len(accuracy) - 1, min(POINTS, len(accuracy))).round().long()
    thin = {name: [float(f"{value:.4g}") for value in column[kept].tolist()] for name, column in columns.items()}
    return dict(passages=passages, accuracy=[round(value, 4) for value in accuracy[kept].tolist()], **thin)


def lie(E, task, smallest, generator, setting):
    """The way of Eq. 20 on all pairs, the held-back ones with wrong answers, and the liar's life after it is let go."""
    lies = ways.also_trained_on(task, ways.wrong_answers(task, generator))
    layer = Isolated(lies, E)
    path = ways.descend(E, task, lambda E, v: layer.velocity(E), strides=120)
    liar = isolated.minimise(path.E, lies).E
    norm = float(scale_free.norm_of(liar, task))
    raised = scale_free.raised(liar, task, 1.25 * norm, generator)
    options = dict(generator=generator, steps=1000, step=0.01, progress=False)
    held, lifted = (typical.wander(start, task, **options) for start in (scale_free.balanced(liar, task), raised))
    freed = ways.descend(liar, task, lambda E, v: v, stop_at=1.0)
    return described(path, smallest) | dict(
        end_norm=norm / smallest,
        end_norm_with_lies=float(scale_free.norm_of(liar, lies)) / smallest,
        end_accuracy=float(held.test_accuracy[0]),
        raised_norm=1.25 * norm / smallest,
        raised_accuracy=float(lifted.test_accuracy[0]),
        held=held.means(8).tolist(),
        raised=lifted.means(8).tolist(),
        put_back=[float(run.put_back[-1]) for run in (held, lifted)],
        freed=described(freed, smallest),
    )


def typical_at(E, task, smallest, generator, setting):
    """The motion of the next chapter at a held norm, from the descending flow."""
    start = scale_free.descended(E, task, setting["ratio"] * smallest)
    found = typical.wander(start, task, generator, 1000, 0.01, progress=False)
    return dict(first=float(found.test_accuracy[0]), means=found.means(8).tolist(), put_back=float(found.put_back[-1]))


def training(E, task, smallest, generator, setting):
    """Real training from the zero-loss set, of both layers, in single precision."""
    rule = RULES[setting["rule"]]
    network = TwoLayer(task.X_train.float(), E.shape[1], task.p)
    theta = network.join(E.float(), isolated.readout(E, task).float())
    found = train(network, task, theta=theta, record_every=50, stop_at=1.0, progress=False, **rule)
    time = found.step.double() * rule["step"] * rule["decay"]
    columns = dict(time=time, norm=2 * found.norms.prod(1).sqrt() / smallest, R=found.norms.sum(1))
    return curve(found.test_accuracy, columns) | dict(
        train_accuracy=float(found.train_accuracy.min()), train_loss=float(found.train_loss[-1])
    )


def settings():
    """Every setting of the sweep."""
    seeds = dict(seed=[0, 1, 2])
    rows = [dict(kind="lie") | size | row for size in WIDE for row in grid(**seeds)]
    rows += [dict(kind="way") | size | row for size in WIDE for row in grid(**seeds, way=["steepest"])]
    rows += [dict(kind="way") | size | row for size in (MIDDLE, SMALL, FEW) for row in grid(**seeds, way=ALL)]
    rows += [dict(kind="way", **LARGE, seed=0, way=way) for way in ALL]
    rows += [dict(kind="way") | LARGE | row for row in grid(seed=[1, 2], way=SWIRLS)]
    few = ["steepest", "swirl 10", "swirl 30"]
    rows += [dict(kind="shuffled") | MIDDLE | row for row in grid(**seeds, way=few)]
    rows += [dict(kind="training") | SMALL | row for row in grid(**seeds, rule=list(RULES))]
    rows += [dict(kind="typical") | size | row for size in WIDE for row in grid(**seeds, ratio=[1.5, 2.0, 2.5])]
    return rows


def one_stride():
    """Print what a stride of each way costs, beside its evaluations."""
    generator = torch.Generator().manual_seed(0)
    task = modular_addition(23, 0.75, generator)
    E = isolated.initial_embedding(23, 256, generator)
    E = isolated.simulate(E, task, GENTLY / 10, 10, method="adaptive", record_every=10, progress=False).E
    seconds = timing.medians(
        {name: lambda w=w: ways.descend(E, task, w, strides=1) for name, w in ways.ways(E, generator).items()}
    )
    for name, value in seconds.items():
        print(f"{name:20}{1e3 * value:8.1f} ms", flush=True)


if __name__ == "__main__":
    store.main(__doc__, "path", run, settings(), one_stride)
