"""The shapes that docstrings state are those that functions take and return: read from the text, tried in calls.

`x, y: (n, m)` states shapes of arguments or fields by name, `(n, m), (m,) -> (n,)` of the arguments in order and of the
results. There is `like x`, `(n,) or (n, m)`, `(at most n,)`, `[(r, c)]` for a list, and `((n,) -> (m,))` or
`a function (n,) -> (m,)`. What the docstrings of a module and a class state also holds for their functions and methods.
"""

import ast
import importlib
import inspect
import re
import sys
from functools import cache, partial  # noqa: F401 - partial stands in a text
from types import SimpleNamespace

import pytest
import torch
from torch import nn

MODULES = "tasks activations network losses eq20 isolated dual flow integrators training linalg jacobians levelset"
MODULES = [*MODULES.split(), "nearest", "direction", "probe", "fourier", "measure", "toys", "typical", "margin"]
MODULES += ["operators", "scale_free", "ways", "free_readout", "noise", "clock", "copositive", "price", "watch"]
MODULES += ["cross_entropy"]
book = SimpleNamespace(**{name: importlib.import_module(f"grokbook.{name}") for name in MODULES})

# What is public and is neither called below nor returned from there.
EXCEPTIONS = {
    "cross_entropy.largest_decay": "returns a plain float",
    "dual.largest_ratio": "returns a plain float before its direction: tests/unit/test_dual.py checks both",
    "network.FeatureMap": "abstract: OneLayer and ManyLayers are called",
    "network.FeatureMap.hidden": "abstract: OneLayer and ManyLayers are called",
    "probe.Probe.projection": "returns a function, which probe.Probe.tangent calls",
    "watch.Watch": "takes what its module takes: tests/unit/test_watch.py watches",
    "watch.Stretch": "plain numbers",
    "watch.settings": "returns plain numbers",
    "probe.Probe": "takes what its module takes, of any shape: its methods are called",
}

# --- the calls ---

# In a line: [the sizes of symbols that nothing passed shows |] calls. No two sizes agree. The names stand further down.
WITH_LEADING = """
n=16, t=12, n_in="p", m="p" | tasks.table(7, lambda a, b: (a + b) % 7, **drawn); tasks.modular_addition(7, **drawn)
n=16, t=12, n_in="p", m="p" | tasks.modular_multiplication(7, **drawn); tasks.split(7, PAIRS, PAIRS[:, 0], **drawn)
n=20, t=12, n_in="bits", m=1 | tasks.boolean(5, lambda bits: bits[:, 0], **drawn)
n=17, t="n" | TASK.whole()
n=17, t=12 | ways.also_trained_on(TASK, draw(12, 8))
n=12, t=20, n_in=6, m=1 | price.task_of("majority", 5, 0.4, generator())
n=12, t=20, n_in=7, m=1 | price.with_constant(price.task_of("majority", 5, 0.4, generator()))
tasks.Task.from_arrays(*ARRAYS); TASK.to("cpu"); TASK.accuracy(draw(*lead, 12, 8)); tasks.lottery(TASK, generator())
tasks.largest(outputs, Y); tasks.same_sign(outputs, Y); tasks.near(outputs, Y)
TASK.inputs.times(E); TASK.inputs.add_transposed(G, E.clone()); SUMS.times(E); SUMS.add_transposed(G, E.clone())
activations.softplus(2.0); activations.gelu(2.0)
activations.smoothed(RELU, 0.1); activations.leaky_relu(runs); RELU.pull(runs.clone(), runs)
activations.activation_of("relu"); activations.activation_of("gelu"); activations.activation_of("square")
ONE_LAYER.hidden(E); ONE_LAYER.linearised(E)
widths=[9, 10], d_hidden=10 | MANY.hidden(draw(*lead, 153)); MANY.linearised(draw(*lead, 153))
r=[6, 5], c=[5, 8] | network.unstacked(draw(*lead, 70), [(6, 5), (5, 8)])
r=[7, 9, 10], c=[9, 10, 8], d=233 | DEEP.split(deep); DEEP.join(*DEEP.split(deep))
outputs=8, width=10 | DEEP.hidden(deep); DEEP.outputs(deep); DEEP.outputs(deep, X); DEEP.F(deep); DEEP.linearised(deep)
outputs=8 | DEEP.gradient(deep, Y); DEEP.vjp(deep, draw(*lead, 40)); DEEP.jvp(deep, deep)
outputs=8, d_hidden=9 | TWO.preactivations(two); TWO.linearised(two); TWO.vjp(two, draw(*lead, 40)); TWO.jvp(two, two)
n=5, m=8 | losses.loss_of("sum"); losses.loss_of("mean"); losses.loss_of("cross_entropy"); losses.Loss(*SQUARES)
isolated.readout(E, TASK); isolated.cost(E, TASK); isolated.velocity(E, TASK)
r=6, s=11 | isolated.simulate(E, TASK, snapshot_every=1, **options)
r=6 | typical.wander(E, TASK, generator(), 25, progress=False)
parts=5 | typical.wander(E, TASK, generator(), 25, progress=False).means(5)
scale_free.norm_of(E, TASK); scale_free.balanced(E, TASK)
eq20.Isolated(TASK, E); SOLVER.solve(E); SOLVER.cost(E); SOLVER.velocity(E); SOLVER.record(E, SOLVER.solve(E))
SOLVER.check(E)
eq20.lower_gram(G); linalg.factorised(G @ G.mT); fourier.features(draw(*lead, 11, 6)); measure.cosine(flat, flat)
k=5 | measure.chatter(draw(5, *lead))
flow.flow(*path, step=0.5); flow.flow(*path, method="RK45"); flow.Path.end.fget(flow.flow(*path, step=0.5))
r=5 | flow.follow(*steps); flow.follow(*steps).column("norm"); flow.follow(*steps).numbers("norm")
integrators.euler(*step); integrators.heun(*step); integrators.ralston(*step); integrators.rk4(*step)
integrators.adams_bashforth(*step); integrators.momentum(*step); integrators.adam(*step)
integrators.adaptive(*step); integrators.adaptive_heun(*step); integrators.clock(*step)
r=6, layers=2 | training.train(TWO, TASK, theta=two, **options)
r=6, layers=2 | training.train(TWO, TASK, theta=two, snapshots=True, **options)
training.train_to(TWO, TASK, 1e-3 * torch.arange(6), 0.1, two)
"""
WITHOUT_LEADING = """
operators.operator(X); operators.Matrix(X); operators.operator(ONE_HOT); operators.PairSums(*SUMS)
tasks.inputs(PAIRS, 7)
tasks.unordered_pairs(7); tasks.Task.p.fget(TASK); tasks.Task.labels_train.fget(TASK); tasks.Task.inputs.func(TASK)
tasks.Task.labels_test.fget(TASK)
n=12 | tasks.Task.inputs_test.func(TASK)
network.OneLayer(TASK.inputs); network.ManyLayers(TASK.inputs, 7, [9, 10])
network.Deep(X, [9, 10], 8); network.TwoLayer(X, 9, 8)
fan_in=6, fan_out=5 | network.uniform((6, 5), generator())
d=233, outputs=8 | DEEP.initial(generator()); DEEP.gram(draw(233))
d=135, outputs=8 | TWO.gram(draw(135)); TWO.holding_rows(PAIRS[:3])
r=45 | TWO.pinned(draw(135), 1e9)
isolated.initial_embedding(7, 9, generator()); isolated.minimise(draw(7, 9), TASK, evaluations=6)
ways.ways(draw(7, 9), generator())
r=6 | ways.descend(draw(7, 9), TASK, STRAIGHT, strides=5)
r=6 | ways.Descent.scale_free.fget(ways.descend(draw(7, 9), TASK, STRAIGHT, strides=5))
t=12, m=8 | ways.wrong_answers(TASK, generator())
scale_free.descended(draw(7, 9), TASK, 50.0); scale_free.raised(draw(7, 9).flip(0), TASK, 40.0, generator())
scale_free.of_norms(draw(7, 9).flip(0), TASK, [63.0, 7.7], generator())
free_readout.FreeReadout(TASK, 99.0); FREE_READOUT.log_weight(draw(7, 9)); FREE_READOUT.readout(draw(7, 9), generator())
free_readout.on_sphere(FREE_READOUT.log_weight, draw(7, 9), generator(), 3, 0.1)
r=6 | noise.noisy_descent(draw(7, 9), draw(9, 8), TASK, generator(), 0.1, 10, record_every=2)
dual.lower_bound(draw(7, 9), TASK, starts=9)
p=7, k=None | dual.minimum_norm(TASK, generator(), starts=9, rounds=1, progress=False)
p=3, k=48 | copositive.chambers(3)
m=8 | cross_entropy.margins(draw(5, 8), LABELS); cross_entropy.multipliers(draw(5, 8), LABELS, 0.1)
m=8 | cross_entropy.log_loss(draw(5, 8), LABELS)
d=135, n=5, m=8, k=2 | cross_entropy.stiffnesses(TWO, draw(135), LABELLED, 0.1)
d=135, k=2 | cross_entropy.settle(TWO, LABELLED, [0, 0.1], 0.1, draw(135))
d=135, k=2 | cross_entropy.sink(TWO, LABELLED, [0, 1], draw(135))
d=135, k=2 | cross_entropy.soft_direction(TWO, draw(135), LABELLED, 0.1, held=torch.eye(135).to(A)[:2])
d=135, p=7 | cross_entropy.lower_bound(TWO, draw(135), LABELLED, 0.1, starts=9)
copositive.proved(draw(4, 3), book.tasks.modular_addition(3, 0.7, generator()), 9.0)
integrators.method("adaptive"); integrators.Method(integrators.heun)
linalg.min_norm(A, b); linalg.ridge(A, b, 0.1); linalg.min_norm(A, B); linalg.ridge(A, B, 0.1)
linalg.null_space_projection(A.T, b); linalg.null_space_projection(A.T, B); linalg.rank(A); linalg.rank_tolerance(A)
linalg.counted(b.abs(), 0.1); linalg.cholesky_or_explain(A @ A.T); linalg.explain_singular(A @ A.T)
rank=2 | linalg.orthonormal_rows(A[:, :2] @ A[:2])
m=3 | linalg.gram_solver(A @ A.T)
jacobians.Dense(MATRIX); DENSE.rank(); DENSE.tangent(v); DENSE.multipliers(v); DENSE.min_norm(b[:3])
m=40 | jacobians.MatrixFree(TWO, draw(135), draw(6, 135)); FREE.rank(); FREE.tangent(draw(135))
m=40 | FREE.multipliers(draw(135)); FREE.min_norm(draw(46)); FREE.min_norm(draw(40))
r=2, d=6 | levelset.LevelSet(Z.F, Z.y, None, Z.constraints)
r=2 | Z.residual(v); Z.jacobian(v); Z.rank(v); Z.dimension(v); Z.is_singular(v); Z.require_regular(v); Z.retract(v)
r=2 | Z.multipliers(v, -v); Z.normal(v, -v); Z.tangent(v, -v); Z.project(v, -v); Z.distance(v, -v)
nearest.project(Z, v, -v); direction.norm_minimising_direction(Z, v, memorised=9.0)
direction.require_memorised(Z, v, memorised=9.0)
d=135 | direction.weighted_flow(TWO, 2.0)
m=24, d=44 | PROBE.theta(); PROBE.residual(); PROBE.loss_gradient(); PROBE.gram(); PROBE.direction(); PROBE.check(free)
m=24, d=44 | PROBE.flatten(free); PROBE.flatten(NAMED); PROBE.F(free); PROBE.jvp(free); PROBE.vjp(draw(24))
m=24, d=44 | watch.metric(ADAM, [*NAMED.values()])
m=24, d=44 | PROBE.tangent(free); PROBE.cosine(free); PROBE.tangential_share(free); PROBE.smallest_singular_value()
k=2, m=3 | margin.weakest(UNHELD, draw(2, 6), 9.0)
n_in=7 | price.price(TASK, 9, generator(), evaluations=6); price.least_price(TASK)
k=5 | price.transition(TIMES, TIMES / 6); price.transition(TIMES, TIMES / 6).at(TIMES)
fourier.circle_measures(F); fourier.parts(F); fourier.served_by(F); fourier.cosines(A); fourier.plane(draw(11, 6), 3)
fourier.order_round(draw(7, 2)); fourier.step_round(draw(7, 2)); fourier.polygon_order(F, 5)
r=3 | clock.follow(draw(7, 9), TASK, torch.arange(3) / 10)
measure.power(TIMES, TIMES); measure.powers(TIMES, TIMES**2); measure.rate(TIMES, TIMES)
measure.first_passage(TIMES, TIMES, 3); measure.crossing(TIMES, 3, TIMES)
measure.explained(draw(6, 4), torch.arange(6) // 2)
measure.sharpness(TWO, draw(135)); measure.sharpness(TWO, draw(135), speeds=TWO.speeds(2.0))
d=135 | TWO.speeds(2.0)
TOY.loss(v); toys.linear_descent(MATRIX, draw(3), 0.1, v, TIMES)
d=6 | TOY.descent(); toys.Toy(TOY.F, TOY.y)
m="k" | toys.linear(MATRIX, draw(3))
m=1 | toys.line(v, 1.0)
d=2, m=1 | toys.addition(); toys.two_layers(); toys.leaky_addition(); toys.parabola(); toys.circle()
"""


def generator():
    return torch.Generator().manual_seed(0)


def draw(*shape):
    return torch.randn(shape, generator=generator(), dtype=torch.float64)


TASK = book.tasks.Task.from_arrays(*(ARRAYS := [draw(5, 7), draw(5, 8), draw(12, 7), draw(12, 8)]))
LABELS = torch.eye(8, dtype=torch.float64)[:5]
LABELLED = book.tasks.Task.from_arrays(ARRAYS[0], LABELS, ARRAYS[2], ARRAYS[3])
X, Y, PAIRS = TASK.X_train, TASK.Y_train, torch.arange(56).view(28, 2) % 7
SUMS = book.operators.operator(ONE_HOT := book.tasks.inputs(PAIRS[:5], 7))
DEEP, TWO = book.network.Deep(X, [9, 10], 8), book.network.TwoLayer(X, 9, 8)
ONE_LAYER, MANY = book.network.OneLayer(TASK.inputs), book.network.ManyLayers(TASK.inputs, 7, [9, 10])
SOLVER, RELU = book.eq20.Isolated(TASK, draw(7, 9)), book.activations.activation_of("relu")
STRAIGHT = lambda E, v: v  # noqa: E731
FREE_READOUT = book.free_readout.FreeReadout(TASK, 99.0)
SQUARES = vars(book.losses.loss_of("sum")).values()
MATRIX, ROWS, TIMES, F = draw(3, 6), draw(2, 6), torch.arange(1, 6), book.fourier.features(draw(11, 6))
Z = book.levelset.LevelSet(lambda theta: MATRIX @ theta, draw(3), constraints=lambda theta: ROWS)
UNHELD = book.levelset.LevelSet(Z.F, Z.y)
DENSE, FREE = book.jacobians.Dense(MATRIX), book.jacobians.MatrixFree(TWO, draw(135), draw(6, 135))
MODULE = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4)).double()
PROBE, NAMED = book.probe.Probe(MODULE, draw(6, 3), MODULE(draw(6, 3)).detach()), dict(MODULE.named_parameters())
(ADAM := torch.optim.Adam(MODULE.parameters())).step(lambda: (MODULE(draw(6, 3)).sum().backward()))
TOY = book.toys.linear(MATRIX, draw(3))


def tensors(*lead):
    """What the calls are given beside these, by name."""
    A, b, B, v, free = draw(5, 7), draw(5), draw(5, 3), draw(6), PROBE.theta()
    runs, flat, E, G = draw(*lead), draw(*lead, 6), draw(*lead, 7, 9), draw(*lead, 5, 9)
    outputs, deep, two = draw(*lead, 5, 8), draw(*lead, 233), draw(*lead, 135)
    drawn, path = dict(generator=generator(), test_size=12), (torch.neg, runs, torch.arange(5))
    options, step = dict(step=1e-3, steps=10, record_every=2, progress=False), (torch.neg, flat, 0.1, {}, 1e-2)
    steps = torch.neg, flat, 0.1, 4, book.integrators.METHODS["heun"], lambda *at: {"norm": at[1].norm(dim=-1)}
    return locals()


def prepared(text, lead=()):
    """What a call, given as text, calls and with what."""
    end = ast.parse(text, mode="eval").body.func.end_col_offset
    return eval(f"partial({text[:end]}, {text[end + 1 :]}", globals() | vars(book) | tensors(*lead))


# --- what docstrings state ---

SHAPE = r"\((?:\)|\.\.\.\)|(?:[^()]|\([^()]*\))*,(?:[^()]|\([^()]*\))*\))"  # with a comma, or () or (...)
ONE = rf"(?:{SHAPE}|like \w+)"
EITHER = rf"{ONE}(?:,? or {ONE})*(?: bool)?"
SEVERAL = rf"{EITHER}(?:, {EITHER})*"
FUNCTION = rf"(?:\({SEVERAL} -> {SEVERAL}\)|a function {SEVERAL} -> {SEVERAL})"
RESULT = rf"(?:\w+: )?(?:{FUNCTION}|\[{ONE}\]|{EITHER})"
NAMES = r"\b(\w+(?:(?:, | and )\w+)*)(?:\([\w, ]*\))?: (?:complex )?"


def read(text, functions=()):
    """The shapes a docstring states: by name, of the arguments in order, of the results. functions: their names."""
    text = re.sub(r"`[^`]*`", "", text).replace("θ", "theta").replace("−", "-").replace("^", "**")
    named, text = {}, re.sub(r"\s+", " ", text)
    for match in re.finditer(rf"{NAMES}({SEVERAL} -> {SEVERAL})", text):
        if (names := match[1].split(", "))[0] in functions:
            named |= dict.fromkeys(names, match[2])
            text = text.replace(match[0], "")
    results = re.search(rf"-> ({RESULT}(?:, {RESULT})*)", text)
    text = text.replace(results[0], "-> ") if results else text
    for names, shape in re.findall(rf"{NAMES}(\[{ONE}\]|{EITHER})", text):
        named |= dict.fromkeys(re.split(", | and ", names), shape)
    ordered = re.search(rf"({SEVERAL}) -> ", re.sub(rf"{NAMES}{EITHER}", "", text))
    return named, re.findall(EITHER, ordered[1]) if ordered else [], re.findall(RESULT, results[1]) if results else []


def entries(shape):
    return [entry.strip() for entry in re.split(r",(?![^()]*\))", shape[1:-1]) if entry.strip()]


def is_ours(thing):
    return getattr(thing, "__module__", "").startswith("grokbook.")


@cache
def class_text(owner):
    """The docstrings of a class and its bases, the bases first, and the comments behind their fields."""
    bases = [base for base in owner.__mro__[::-1] if is_ours(base)]
    comments = re.findall(r"^    (\w+: )[\w.]+  # (.*)$", "".join(map(inspect.getsource, bases)), re.MULTILINE)
    return "; ".join([*(base.__doc__ for base in bases), *map("".join, comments)])


def fields(thing):
    """The fields or attributes of an object, and the shapes that its class states for them."""
    values = thing._asdict() if isinstance(thing, tuple) else vars(thing)
    return values, read(class_text(type(thing)), [name for name, value in values.items() if callable(value)])[0]


def sizes_of(thing):
    """What the symbols in the docstring of an object's class stand for, by its tensors and by those of its parts."""
    (values, stated), found = fields(thing), {}
    for value in values.values():
        found = sizes_of(value) | found if is_ours(type(value)) else found
    for name, value in values.items():
        if torch.is_tensor(value) and "..." not in (shape := stated.get(name, "...")):
            found |= dict(zip(entries(shape), value.shape, strict=True))
    return found


# --- whether it is so ---


class Shapes:
    """The sizes that symbols stand for in one call, and whether tensors have the shapes stated in these symbols."""

    def __init__(self, name, sizes):
        self.name, self.sizes, self.tensors, self.chosen, self.seen = name, sizes, {}, {}, {}

    def entries(self, shape):
        """The entries of a shape, with numbers for `...` and `like x`."""
        if shape.startswith("like "):
            return self.tensors[shape.removeprefix("like ")].shape
        assert "..." not in shape or "..." in self.sizes, f"{self.name} states leading dimensions: call it with some"
        return [part for entry in entries(shape) for part in (self.sizes["..."] if entry == "..." else [entry])]

    def size(self, entry):
        """The number that an entry stands for."""
        if isinstance(entry, int):
            return entry
        entry = entry.removeprefix("at most ")
        entry = self.sizes[entry] if isinstance(self.sizes.get(entry), str) else entry  # the same by another name
        try:
            self.seen[entry] = eval(re.sub(r"(?<=[\w)]) (?=[\w(])", "*", entry), {}, self.sizes)
        except (NameError, TypeError):
            pytest.fail(f"{self.name}: the docstring states a size {entry}, which nothing that is passed has")
        return self.seen[entry]

    def fits(self, shape, found, bind):
        wanted = self.entries(shape)
        if len(wanted) != len(found):
            return False
        for entry, size in zip(wanted, found, strict=True):
            if str(entry).isidentifier() and self.sizes.get(entry, None if bind else 0) is None:
                self.sizes[entry] = size
        pairs = [(size, self.size(entry), str(entry)) for entry, size in zip(wanted, found, strict=True)]
        return all(size <= limit if entry.startswith("at most ") else size == limit for size, limit, entry in pairs)

    def check(self, what, stated, value, bind=False):
        """A value must be as stated; bind: new symbols stand for its sizes."""
        stated = stated.split(": ")[-1]
        if " -> " in stated:
            return self.call(what, stated, value)
        if stated.startswith("["):
            for i, item in enumerate(value):
                sizes = {key: size[i] if isinstance(size, list) else size for key, size in self.sizes.items()}
                Shapes(self.name, sizes).check(f"{what}[{i}]", stated[1:-1], item)
            return
        shapes = re.findall(ONE, stated)
        chosen = self.chosen.get(len(shapes), range(len(shapes)))  # the alternative that an argument before took
        found = tuple(value.shape) if torch.is_tensor(value) else value
        fitting = [i for i in chosen if torch.is_tensor(value) and self.fits(shapes[i], found, bind)]
        known = ", ".join(f"{key}={size}" for key, size in self.sizes.items() if key in re.findall(r"[\w.]+", stated))
        assert fitting, f"{self.name}: the docstring states {what}: {stated} ({known or 'no symbols'}); found {found}"
        assert (value.dtype == torch.bool) == stated.endswith(" bool"), f"{self.name}: {what} is {value.dtype}"
        self.chosen |= {len(shapes): fitting[:1]} if len(shapes) > 1 else {}

    def spied(self, what, stated, function):
        """The function, checking what it takes and returns."""
        taken, given = (re.findall(EITHER, side) for side in stated.split(" -> "))

        def spy(*arguments):
            for either, argument in zip(taken, arguments, strict=True):
                self.check(f"what {what} takes", either, argument, bind=True)
            result = function(*arguments)
            for either, value in zip(given, result if isinstance(result, tuple) else [result], strict=True):
                self.check(f"what {what} returns", either, value)
            return result

        return spy

    def call(self, what, stated, function):
        """A function must take tensors of the stated shapes, and return such; once for each alternative."""
        taken = [re.findall(ONE, either) for either in re.findall(EITHER, stated.split(" -> ")[0])]
        for i in range(max(map(len, taken))):
            shapes = [[self.size(entry) for entry in self.entries(either[i % len(either)])] for either in taken]
            self.chosen = {len(either): [i] for either in taken if len(either) > 1}
            self.spied(what, stated, function)(*(torch.ones(shape, dtype=torch.float64) for shape in shapes))

    def holds(self, values, stated, whole=True):
        """Fields must be as stated; whole: each tensor must be stated."""
        for name, value in values.items():
            if name in stated and (torch.is_tensor(value) or " -> " in stated[name]):
                self.check(name, stated[name], value)
            assert name in stated or not (whole and torch.is_tensor(value)), f"{self.name}: no shape stated for {name}"


def target(call):
    """The function or class that is called, and the class whose method it is."""
    thing = getattr(call.func, "__self__", None)
    return getattr(call.func, "__func__", call.func), thing if inspect.isclass(thing) else thing and type(thing)


def name_of(function):
    return f"{function.__module__.removeprefix('grokbook.')}.{function.__qualname__}"


def try_call(call, sizes):
    """Every tensor that goes into a call or comes out of it must have a shape stated, and have that shape."""
    function, owner = target(call)
    kin = [vars(base).get(function.__name__) for base in owner.__mro__[::-1]] if owner else [function]
    own = [class_text(function)] if inspect.isclass(function) else [one.__doc__ for one in kin if one]
    bound = inspect.signature(call.func).bind(*call.args, **call.keywords)
    given, objects = bound.arguments, [getattr(call.func, "__self__", None), *bound.arguments.values()]
    known = {key: size for thing in objects if is_ours(type(thing)) for key, size in sizes_of(thing).items()}
    shapes = Shapes(name_of(function), known | {k: v for k, v in given.items() if type(v) is int} | sizes)

    functions = [key for key, value in given.items() if callable(value)]
    of_module, of_class, *of_own = (
        read(text, functions)
        for text in (sys.modules[function.__module__].__doc__, class_text(owner) if owner else "", *own)
    )
    named = {key: shape for names, _, _ in (of_module, of_class, *of_own) for key, shape in names.items()}
    tensors = shapes.tensors = {key: value for key, value in given.items() if torch.is_tensor(value)}
    unnamed, ordered = [key for key in tensors if key not in named], of_own[-1][1]
    if ordered:
        unnamed = list(tensors) if len(ordered) == len(tensors) else unnamed
        assert len(ordered) == len(unnamed), f"{shapes.name}: the docstring states {ordered} for {unnamed}"
        named |= zip(unnamed, ordered, strict=True)
    elif unnamed:  # a docstring may write A for `matrix`
        letters = [key for key in of_own[-1][0] if key not in inspect.signature(call.func).parameters]
        for key, letter in zip(unnamed, letters, strict=False):
            named[key], tensors[letter] = named[letter], tensors[key]
    for key, value in given.items():
        if torch.is_tensor(value) or named.get(key, "").startswith("["):
            assert key in named, f"{shapes.name}: no shape stated for {key}"
            shapes.check(key, named[key], value, bind=True)
        elif callable(value) and " -> " in named.get(key, ""):
            given[key] = shapes.spied(key, named[key], value)

    result = call.func(*bound.args, **bound.kwargs)
    if is_ours(type(result)):
        shapes.holds(*fields(result), isinstance(result, tuple) or hasattr(result, "__dataclass_fields__"))
    elif isinstance(result, dict):
        shapes.holds(result, named)
    else:
        stated = next((found for _, _, found in (*of_own[::-1], of_module) if found), [])
        results = result if type(result) is tuple else (result,)
        for one, value in zip(stated, results, strict=False):
            shapes.check("the result", one, value)
        rest = [value for value in results[len(stated) :] if torch.is_tensor(value) or callable(value)]
        assert len(stated) <= len(results) and not rest, f"{shapes.name}: the docstring states the results {stated}"
    numbers = [*shapes.seen.values(), *shapes.sizes.get("...", ())]
    assert len({*numbers}) == len(numbers), f"{shapes.name}: a confused axis would pass, sizes agree: {shapes.seen}"


CALLS = [
    pytest.param(text, sizes, lead, id=f"{text} {lead or ''}")
    for lead, lines in ((None, WITHOUT_LEADING), ((), WITH_LEADING), ((3, 4), WITH_LEADING))
    for sizes, _, calls in (line.rpartition(" | ") for line in lines.strip().splitlines())
    for text in calls.split("; ")
]


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # PyTorch's own forward mode
@pytest.mark.parametrize(("text", "sizes", "lead"), CALLS)
def test_shapes_are_as_the_docstring_states(text, sizes, lead):
    try_call(prepared(text, lead or ()), eval(f"dict({sizes})") | ({} if lead is None else {"...": lead}))


def public():
    """The names of all functions, classes, methods and properties without an underscore, but for errors."""
    for module in vars(book).values():
        things = [thing for thing in vars(module).values() if inspect.isclass(thing) or inspect.isfunction(thing)]
        for thing in things:
            if thing.__module__ != module.__name__ or (inspect.isclass(thing) and issubclass(thing, Exception)):
                continue
            for member in (thing, *(vars(thing).values() if inspect.isclass(thing) else ())):
                function = getattr(member, "fget", getattr(member, "func", getattr(member, "__func__", member)))
                path = getattr(function, "__qualname__", "")
                if path.startswith(thing.__qualname__) and not re.search(r"(^|\.)_", path):
                    yield name_of(function)


def test_everything_public_is_called():
    tried = [target(prepared(call.values[0]))[0] for call in CALLS]
    called = {name_of(function) for function in tried}
    returned = {name for function in tried for name in re.findall(r"-> (\w+)", function.__doc__)}
    missing = {name for name in public() if name not in called and name.split(".")[-1] not in returned}
    assert missing == {*EXCEPTIONS}, "call what is new above; what cannot be called needs a reason in EXCEPTIONS"
