"""Eq. 20 live in a page: the solver in the browser against the book's, and the explorable as a reader meets it."""

import itertools
import json
import math
import re

import pytest
import torch
from axe_playwright_python.sync_playwright import Axe

import chapters
from grokbook import fourier, integrators, isolated, scale_free, typical
from grokbook.display import explore
from grokbook.network import TwoLayer
from grokbook.tasks import modular_addition
from grokbook.training import train_to

LIVE = chapters.PACKAGE / "display" / "live"
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
# Press to the end, on a machine that does other things as well; alone, it takes a second.
PATIENCE = 60_000
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:playwright"),
    pytest.mark.xdist_group("play"),
]

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Live</title>
<meta name="viewport" content="width=device-width"><body><main><h1>Live</h1>{}</main></body></html>"""


def page_of(**preset):
    return PAGE.format(explore.play("demo", **preset).data)


@pytest.fixture(scope="module")
def solver(browser, serve):
    """A function that runs `body`, JavaScript with the modules' names and `job` at hand, and returns its value.

    The modules are loaded as what they are, without the inlining that makes a page of them.
    """
    tab = browser.new_page()
    tab.goto(f"{serve(LIVE)}/play.css")
    names = ["eq20", "holding", "training", "problem", "products", "activations", "session"]

    def run(body, **job):
        imports = "".join(f'const {name} = await import("/{name}.js");' for name in names)
        last = "const last = (all) => { let found; for (const one of all) found = one ?? found; return found; };"
        return tab.evaluate(f"async (job) => {{ {imports} {last} {body} }}", job)

    return run


def case(p, width, share=0.7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    task = modular_addition(p, share, generator)
    return task, isolated.initial_embedding(p, width, generator)


def job_of(task, E, activation="relu"):
    """What the page's solver takes, and the held-back pairs as `asked`."""
    asked = dict(p=task.p, pairs=task.pairs_test.tolist(), labels=task.labels_test.tolist(), E=E.flatten().tolist())
    trained = dict(pairs=task.pairs_train.tolist(), labels=task.labels_train.tolist())
    return {"task": asked | trained | {"activation": activation}, "asked": asked | {"activation": activation}}


def away(found, wanted):
    """How far apart, beside the size of what was wanted."""
    wanted = wanted.flatten()
    return float((torch.tensor(found, dtype=torch.float64) - wanted).norm() / wanted.norm())


PLAIN = """const plain = (record) => ({ ...record, E: [...record.E], W: [...record.W],
    accuracy: record.right ? record.right.reduce((sum, one) => sum + one) / record.right.length : null });"""


# --- the solver ---


@pytest.mark.parametrize("activation", ["relu", "gelu", "square"])
@pytest.mark.parametrize("native", [True, False])
def test_velocity_is_the_books(solver, activation, native):
    task, E = case(11, 64)
    body = "return [...new eq20.Isolated({ ...job.task, native: job.native }).velocity(job.task.E)];"
    found = solver(body, **job_of(task, E, activation), native=native)
    assert away(found, isolated.velocity(E, task, activation)) < 1e-9
    assert away(found, isolated.velocity(1.001 * E, task, activation)) > 1e-4


def test_velocity_takes_plain_arrays(solver):
    task, E = case(7, 32)
    found = solver("return [...eq20.velocity(job.task)];", **job_of(task, E))
    assert away(found, isolated.velocity(E, task)) < 1e-9


# Beyond, ReLU's kinks and GELU's flat end make any two ways of rounding drift apart.
@pytest.mark.parametrize(("activation", "p", "width", "stretches"), [("relu", 17, 128, 40), ("gelu", 11, 64, 20)])
def test_the_path_is_the_books(solver, activation, p, width, stretches):
    task, E = case(p, width)
    body = PLAIN + """const questions = new eq20.Questions(job.asked);
        return plain(last(eq20.simulate({ ...job.task, span: 0.05, stretches: job.stretches, questions })));"""
    found = solver(body, **job_of(task, E, activation), stretches=stretches)
    book = isolated.simulate(
        E, task, 0.05, stretches, activation, method="adaptive", record_every=1, progress=False
    )
    assert away(found["E"], book.E) < 1e-6
    assert away(found["E"], E) > 0.1
    assert away(found["W"], isolated.readout(book.E, task, activation).T) < 1e-6
    assert found["accuracy"] == pytest.approx(float(book.test_accuracy[-1]), abs=1e-12)
    assert found["evaluations"] == int(book.evaluations[-1])
    assert found["norms"] == pytest.approx(book.norms[-1].tolist(), rel=1e-6)


def test_the_clock_runs_as_one_over_the_fourth_power(solver):
    """A path whose norm is known: with σ = ReLU, (r⁴)′ = −4 r⁴ + 4 f, and r³ r′ + r⁴ = f along it."""
    task, E = case(7, 32)
    body = PLAIN + """const records = [];
        for (const record of eq20.simulate({ ...job.task, span: 0.01, stretches: 100, tolerance: 1e-3 }))
            if (record) records.push([record.time, record.clock, record.norms[0]]);
        return records;"""
    time, clock, square = torch.tensor(solver(body, **job_of(task, E)), dtype=torch.float64).T
    assert float(clock[-1]) == pytest.approx(float(torch.trapezoid(square**-2, time)), rel=1e-3)


def test_constant_norm_is_the_books_motion(solver):
    task, E = case(11, 64)
    E = scale_free.balanced(E, task)
    generator, steps = torch.Generator().manual_seed(5), 60
    seed = int(torch.randint(2**62, (1,), generator=torch.Generator().manual_seed(5)))
    blocks = []
    for block in range(3):
        order = torch.randperm(E.numel(), generator=torch.Generator().manual_seed((seed + block) % 2**63))
        blocks.append(order[: E.numel() - E.numel() % 3].tolist())
    book = typical.wander(E, task, generator, steps, 0.01, triples_every=25, record_every=steps, progress=False)
    body = PLAIN + """const triples = (block) => Int32Array.from(job.blocks[block]);
        const motion = new holding.Holding({ ...job.task, step: 0.01, span: job.steps, triplesEvery: 25, triples });
        const questions = new eq20.Questions(job.asked);
        const found = plain(last(eq20.follow(motion, 1, questions)));
        return { ...found, putBack: motion.putBack, ownTime: motion.ownTime };"""
    found = solver(body, **job_of(task, E), blocks=blocks, steps=steps)
    assert away(found["E"], book.E) < 1e-6
    assert away(found["E"], E) > 0.1
    assert found["norms"] == pytest.approx(book.norms[-1].tolist(), rel=1e-6)
    assert found["accuracy"] == pytest.approx(float(book.test_accuracy[-1]), abs=1e-12)
    assert (found["putBack"], found["ownTime"]) == pytest.approx((float(book.put_back[-1]), float(book.time[-1])))


@pytest.mark.parametrize("activation", ["relu", "gelu", "square"])
def test_training_is_the_books(solver, activation):
    task, E = case(7, 32)
    W = isolated.readout(E, task, activation)
    network = TwoLayer(task.X_train, 32, 7, activation)
    times, decay = [0.0, 0.02, 0.05], 0.5
    book = network.split(train_to(network, task, times, decay, network.join(E, W))[-1])
    body = PLAIN + """let at = { W: job.W };
        for (const span of job.spans)
            at = last(eq20.follow(new training.Training({ ...job.task, ...at, decay: job.decay, span }), 1));
        return plain(at);"""
    spans = [after - before for before, after in itertools.pairwise(times)]
    found = solver(body, **job_of(task, E, activation), W=W.T.flatten().tolist(), spans=spans, decay=decay)
    assert away(found["E"], book[0]) < 1e-6
    assert away(found["W"], book[1].T) < 1e-6
    assert away(found["E"], E) > 1e-3
    assert found["time"] == pytest.approx(times[-1])


def test_a_norm_is_reached_from_both_sides_without_changing_more_than_scale(solver):
    task, E = case(11, 64)
    job = job_of(task, E)
    start = "const E = Float64Array.from(job.task.E);"
    found = solver(f"{start} return [...holding.balanced(job.task, E, new eq20.Isolated(job.task))];", **job)
    assert away(found, scale_free.balanced(E, task)) < 1e-9
    norm = float(scale_free.norm_of(E, task))
    body = """const path = holding.towardsNoise(Float64Array.from(job.task.E), 3);
        const E = holding.crossing(job.task, path, job.norm, new eq20.Isolated(job.task));
        return E && [...E];"""
    below = isolated.minimise(E, task).E
    E_up = torch.tensor(solver(body, **job_of(task, below), norm=2 * norm / 3), dtype=torch.float64).view_as(E)
    assert float(scale_free.norm_of(E_up, task)) == pytest.approx(2 * norm / 3, rel=1e-3)
    assert float(isolated.cost(E_up, task)) == pytest.approx(2 * norm / 3, rel=1e-3)
    assert solver(body, **job_of(task, below), norm=1e6) is None


def test_the_circle_is_the_books(solver):
    _, E = case(11, 16)
    job = dict(E=E.flatten().tolist())
    start = "const E = Float64Array.from(job.E);"
    for k in (1, 3, 5):
        points = torch.tensor(solver(f"{start} return problem.plane(E, 11, {k});", **job), dtype=torch.float64)
        assert (points - fourier.plane(E, k)).abs().max() < 1e-12
    power = fourier.circle_measures(fourier.features(E)).power
    assert solver(f"{start} return problem.strongest(E, 11);", **job) == int(power.argmax()) + 1


def test_gelu_is_exact_to_rounding(solver):
    z = torch.cat([torch.linspace(-12, 12, 4001, dtype=torch.float64), torch.randn(1000, dtype=torch.float64)])
    body = """const Z = Float64Array.from(job.z), H = Z.slice(), slope = Z.slice();
        activations.ACTIVATIONS.gelu.apply(Z, H, slope);
        return [[...H], [...slope]];"""
    H, slope = torch.tensor(solver(body, z=z.tolist()), dtype=torch.float64)
    z.requires_grad_()
    value = torch.nn.functional.gelu(z)
    (derivative,) = torch.autograd.grad(value.sum(), z)
    units = torch.finfo(torch.float64).eps * z.detach().abs().clamp(min=1)
    assert ((H - value).abs() / units).max() < 8
    assert ((slope - derivative).abs() / units).max() < 16


def test_random_numbers_are_normal_and_seeds_differ(solver):
    body = "return [0, 1].map((seed) => [...problem.normal(20000, problem.randomNumbers(seed))]);"
    first, second = torch.tensor(solver(body), dtype=torch.float64)
    for draw in (first, second):
        assert abs(float(draw.mean())) < 0.03
        assert abs(float(draw.std()) - 1) < 0.03
        assert abs(float((draw**4).mean()) - 3) < 0.2
    assert abs(float((first * second).mean())) < 0.03


def test_a_problem_is_the_tables_split(solver):
    body = """const { all, allLabels, trained, pairs, labels, E } = problem.problem(job);
        return { all, allLabels, trained: [...trained], pairs, labels, E: [...E] };"""
    found = solver(body, p=11, share=70, width=64, size=2, seed=3)
    whole = modular_addition(11, 0.7, torch.Generator()).whole()
    assert sorted(found["all"]) == sorted(whole.pairs_train.tolist())
    assert len(found["pairs"]) == len(case(11, 64)[0].pairs_train) == sum(found["trained"])
    assert all((a + b) % 11 == label for (a, b), label in zip(found["all"], found["allLabels"], strict=True))
    assert all((a + b) % 11 == label for (a, b), label in zip(found["pairs"], found["labels"], strict=True))
    assert float(torch.tensor(found["E"]).std()) == pytest.approx(2 / 11**0.5, rel=0.1)


UNSOLVABLE = [("a repeated pair", "pivot"), ("not a number", "pivot"), ("narrow", "exceed")]


@pytest.mark.parametrize(("change", "says"), UNSOLVABLE)
def test_what_cannot_be_solved_is_an_error(solver, change, says):
    task, E = case(7, 32)
    job = job_of(task, E)
    if change == "a repeated pair":
        job["task"]["pairs"][1] = job["task"]["pairs"][0]
    elif change == "not a number":
        job["task"]["E"][:32] = [float("nan")] * 32
    else:
        job["task"]["E"] = job["task"]["E"][: 7 * 10]
    body = "try { eq20.velocity(job.task); return ''; } catch (error) { return error.message; }"
    assert says in solver(body, **job)


def test_the_step_is_the_books():
    """What the page repeats of the integrator's numbers."""
    text = (LIVE / "eq20.js").read_text(encoding="utf-8")
    assert f"GROWTH = {integrators.GROWTH:g};" in text
    assert f"tolerance = {integrators.METHODS['adaptive'].tolerance:g}".replace("0.01", "1e-2") in text


# --- the page ---


class Reader:
    """Someone who opens a page and presses what there is, with all that went wrong meanwhile."""

    def __init__(self, browser, address, size=WIDE, **options):
        self.context = browser.new_context(viewport=size, **options)
        self.tab = self.context.new_page()
        self.troubles = []
        self.tab.on("request", lambda request: self.judge(request.url, address.split("#")[0]))
        self.tab.on("pageerror", lambda error: self.troubles.append(f"script error: {error}"))
        self.tab.on("console", lambda message: self.troubles.append(message.text) if message.type == "error" else None)

    def judge(self, url, address):
        if url.split("#")[0] != address and not url.startswith(("data:", "blob:")):
            self.troubles.append(f"asks for {url}")

    def text(self, part):
        return self.tab.inner_text(f".play-{part}")

    def press(self, part):
        self.tab.click(f".play-{part}")

    def wait(self, words, part="status"):
        self.tab.wait_for_function(
            "([part, words]) => document.querySelector(`.play-${part}`).textContent.includes(words)",
            arg=[part, words],
            timeout=PATIENCE,
        )

    def pause(self):
        """Press Pause, and wait for what was on its way from the worker."""
        self.press("run")
        self.tab.wait_for_timeout(300)

    def run_for(self, moments):
        self.press("run")
        self.wait_for_moments(moments)
        self.pause()

    def choose(self, **settings):
        for name, value in settings.items():
            control = self.tab.locator(f"[name={name}]")
            if control.evaluate("control => control.tagName") == "SELECT":
                control.select_option(value)
            else:
                control.fill(str(value))

    def moments(self):
        return int(self.tab.locator(".play-range").get_attribute("max"))

    def wait_for_moments(self, count):
        self.tab.wait_for_function(
            "count => Number(document.querySelector('.play-range').max) >= count", arg=count, timeout=PATIENCE
        )

    def pictures(self):
        return self.tab.evaluate("() => [...document.querySelectorAll('.play svg')].map(svg => svg.innerHTML)")

    def sound(self):
        """No trouble, and no picture with a number that is none."""
        assert self.troubles == []
        assert not [picture for picture in self.pictures() if re.search(r"NaN|Infinity|undefined", picture)]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The default page, as a file that someone was sent."""
    path = tmp_path_factory.mktemp("live") / "live.html"
    path.write_text(page_of(), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def open_page(browser, file, tmp_path):
    """A function that opens the page, or one of another preset; at the end each must be sound."""
    readers = []

    def opened(hash="", preset=None, prepare=None, **options):
        address = file
        if preset is not None:
            (tmp_path / "other.html").write_text(page_of(**preset), encoding="utf-8")
            address = (tmp_path / "other.html").as_uri()
        readers.append(Reader(browser, address, **options))
        if prepare:
            readers[-1].tab.add_init_script(prepare)
        readers[-1].tab.goto(address + hash)
        return readers[-1]

    yield opened
    for reader in readers:
        reader.sound()
        reader.context.close()


def test_from_press_to_every_pair_while_the_page_answers(open_page):
    reader = open_page()
    watch = """() => { window.longest = 0; let before = performance.now();
        const look = () => { const now = performance.now(); window.longest = Math.max(window.longest, now - before);
            before = now; requestAnimationFrame(look); }; requestAnimationFrame(look); }"""
    reader.tab.evaluate(watch)
    reader.press("run")
    reader.wait("Every held-back pair")
    assert reader.tab.evaluate("() => window.longest") < 1000  # milliseconds between two frames
    reader.press("run")
    assert reader.text("status").startswith("Paused")
    assert "held-back pairs 100 %" in reader.text("now")
    assert all(reader.pictures())


def test_pause_step_back_and_go_on_with_another_motion(open_page):
    reader = open_page()
    reader.run_for(8)
    moments, last = reader.moments(), reader.text("now")
    reader.press("back")
    assert reader.text("now") != last
    reader.press("forward")
    assert reader.text("now") == last
    reader.tab.locator(".play-range").fill("3")
    assert "t = 0.15" in reader.text("now")
    reader.choose(motion="hold")
    reader.run_for(moments + 8)
    norms = [float(number) for number in re.findall(r"² = ([\d.]+)", reader.text("now"))]
    assert norms == pytest.approx([85, 85], rel=1e-2)  # the norm to hold is 170, and the layers are balanced
    assert "distance" in reader.pictures()[0]


def test_training_begins_where_eq20_stands(open_page):
    reader = open_page()
    reader.choose(p=7, share=70)
    reader.run_for(4)
    reader.choose(motion="train")
    moments = reader.moments()
    reader.run_for(moments + 1)
    assert "loss" in reader.text("now")
    assert "training pairs 100 %" in reader.text("now")


def test_the_norm_can_be_changed_on_the_way(open_page):
    reader = open_page(preset=dict(p=11, motion="hold", norm=100))
    reader.press("run")
    slide = "(range, value) => { range.value = value; range.dispatchEvent(new Event('input', { bubbles: true })); }"
    for norm in (100, 140, 90):
        reader.tab.locator("[name=norm]").evaluate(slide, math.log(norm))
        reader.wait(f"‖W‖² = {norm / 2:.1f}", "now")
    reader.pause()


def test_at_constant_norm_the_distance_runs_and_not_the_time(open_page):
    """However the reader came to this motion: by a preset, by a link, or by the menu."""

    def axis(reader):
        return reader.tab.locator("[name=axis]").input_value()

    held, linked, plain = open_page(preset={"motion": "hold"}), open_page(hash="#play-demo:motion=hold"), open_page()
    assert [axis(reader) for reader in (held, linked, plain)] == ["distance", "distance", "time"]
    plain.tab.locator("[name=motion]").select_option("hold")
    assert axis(plain) == "distance"


def test_two_runs_are_compared(open_page):
    reader = open_page()
    reader.choose(p=7)
    reader.run_for(5)
    alone = reader.pictures()[0]
    assert "play-kept" not in alone
    reader.press("keep")
    reader.choose(size=2)
    reader.run_for(5)
    kept = re.findall(r'class="play-curve play-one( play-kept)?" d="([^"]*)"', reader.pictures()[1])
    assert sorted(style for style, _ in kept) == ["", " play-kept"]
    assert kept[0][1][:40] != kept[1][1][:40]


def test_a_link_reproduces_a_run(open_page):
    readers = [open_page()]
    readers[0].choose(p=11, share=80, size=1.5, seed=4, activation="gelu")
    link = readers[0].tab.locator(".play-link").get_attribute("href")
    readers.append(open_page(hash=link))
    shown = []
    for reader in readers:
        reader.run_for(6)
        reader.tab.locator(".play-range").fill("6")
        shown.append((reader.text("now"), reader.pictures()[2:]))
    assert shown[0] == shown[1]
    other = open_page(hash=link.replace("seed=4", "seed=5"))
    other.run_for(6)
    other.tab.locator(".play-range").fill("6")
    assert other.text("now") != shown[0][0]


NONSENSE = ["p=17,colour=red", "p=banana", "%E0%A4%A", "size=<b>1</b>", "", "p=1e9", "motion=up"]


def test_a_link_with_nonsense_is_answered_by_a_sentence(open_page):
    reader = open_page(hash=f"#play-demo:{NONSENSE[0]}")
    for nonsense in NONSENSE:
        reader.tab.evaluate("hash => { location.hash = hash; }", "")
        reader.tab.evaluate("hash => { location.hash = hash; }", f"play-demo:seed=5,{nonsense}")
        reader.tab.wait_for_timeout(50)
        assert "means nothing here" in reader.text("status"), nonsense
        assert reader.tab.input_value("[name=p]") == "17"
        assert reader.tab.input_value("[name=seed]") == "5"
    reader.press("run")
    reader.wait_for_moments(2)


WRONG = [
    (dict(p=99), "p", "from 7 to 37"),
    (dict(p=7.5), "p", "whole number"),
    (dict(p=""), "p", "Nothing"),
    (dict(share=100), "share", "between 30 and 95"),
    (dict(size=0), "size", "between 0.2 and 10"),
    (dict(seed=-1), "seed", "from 0 to 99999"),
    (dict(width=100), "width", "exceeds 114"),
]


def test_bad_input_is_answered_beside_its_control(open_page):
    reader = open_page()
    for settings, field, words in WRONG:
        reader.choose(p=17, share=75, width=128, size=1, seed=0)
        assert reader.tab.get_attribute(f"[name={field}]", "aria-invalid") == "false"
        reader.choose(**settings)
        assert words in reader.tab.inner_text(f"#play-demo-{field}-wrong")
        assert reader.tab.get_attribute(f"[name={field}]", "aria-invalid") == "true"
        reader.press("run")
        assert "does not fit" in reader.text("status")
        assert reader.moments() == 0


def test_a_singular_gram_matrix_is_answered_by_a_sentence(solver, open_page):
    """Nine units for eight pairs: some seeds leave a pair without any unit that is on."""
    settings = dict(p=7, share=30, width=9, size=1, activation="relu", motion="flow", norm=100, decay=0.1)
    body = """for (let seed = 0; seed < 2000; seed++)
        try { new session.Session({ ...job, seed }).records().next(); } catch { return seed; }"""
    seed = solver(body, **settings)
    assert seed is not None
    reader = open_page(preset=dict(p=7, share=30, width=9, seed=seed))
    reader.press("run")
    reader.wait("HHᵀ is singular")
    assert reader.text("run") == "Run"
    reader.choose(seed=next(other for other in range(9) if other != seed))
    reader.press("run")
    reader.wait_for_moments(3)


def test_a_norm_too_small_to_reach_is_answered_by_a_sentence(open_page):
    reader = open_page(preset=dict(p=7, share=60, motion="hold", norm=20))
    reader.press("run")
    reader.wait("hold a larger norm")


def test_it_runs_where_no_worker_can(open_page):
    reader = open_page(prepare="window.Worker = class { constructor() { throw new Error('none'); } };")
    reader.run_for(4)
    assert reader.text("status").startswith("Paused")


def test_the_keyboard_is_enough(open_page):
    reader = open_page()
    reader.tab.focus("[name=p]")
    reader.tab.keyboard.press("ArrowUp")
    assert reader.tab.input_value("[name=p]") == "18"
    assert reader.tab.input_value("[name=width]") == "192"
    reader.tab.keyboard.press("Enter")
    reader.wait_for_moments(4)
    reader.tab.focus(".play-run")
    reader.tab.keyboard.press("Space")
    reader.tab.wait_for_timeout(300)
    assert reader.text("status").startswith("Paused")
    before = reader.text("now")
    reader.tab.focus(".play-range")
    reader.tab.keyboard.press("ArrowLeft")
    assert reader.text("now") != before


@pytest.mark.parametrize("size", [WIDE, NARROW])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_accessible_and_fits(open_page, size, theme):
    reader = open_page(size=size, color_scheme=theme, reduced_motion="reduce")
    root = "document.documentElement"
    reader.tab.evaluate(f"theme => {{ {root}.dataset.theme = theme; {root}.style.colorScheme = theme; }}", theme)
    reader.choose(p=7, motion="train")
    reader.run_for(1)
    reader.choose(p=99)  # with a sentence that says what is wrong
    findings = Axe().run(reader.tab, options={"resultTypes": ["violations"]}).response["violations"]
    assert [(finding["id"], finding["nodes"][0]["html"][:200]) for finding in findings] == []
    assert reader.tab.evaluate("() => document.documentElement.scrollWidth") <= size["width"]
    smallest = """() => Math.min(...[...document.querySelectorAll(".play svg text")].map((text) =>
        parseFloat(getComputedStyle(text).fontSize) * text.ownerSVGElement.getScreenCTM().a))"""
    assert reader.tab.evaluate(smallest) >= 11


# --- what Python makes of it ---


@pytest.mark.parametrize(
    ("preset", "words"),
    [(dict(p=99), "p=99"), (dict(colour=1), "colour"), (dict(motion="up"), "flow, hold"), (dict(size=0), "size=0")],
)
def test_a_preset_that_means_nothing(preset, words):
    with pytest.raises(ValueError, match=words):
        explore.play("demo", **preset)


def test_a_name_that_is_none():
    with pytest.raises(ValueError, match="letter first"):
        explore.play("<b>")


def test_python_and_the_page_know_the_same_settings(solver):
    limits = solver("return Object.entries(problem.LIMITS).map(([name, { low, high }]) => [name, low, high]);")
    assert {name: (low, high) for name, low, high in limits} == explore.PLAY_LIMITS
    choices = solver("return problem.CHOICES;")
    assert {name: tuple(known) for name, known in choices.items()} == explore.PLAY_CHOICES


def test_every_module_is_inlined_and_none_asks_for_another():
    names = {path.stem for path in LIVE.glob("*.js")}
    assert names >= {*explore.SOLVER_MODULES, *explore.PAGE_MODULES}
    page = explore.play("demo").data
    assert not re.search(r"^\s*(import|export)\b", page, re.MULTILINE)
    assert page.count("</script>") == 1
    assert "http" not in page


def test_a_preset_cannot_leave_its_script():
    assert json.dumps({"p": 11}) in explore.play("demo", p=11).data


def test_stored_explorables_are_todays():
    """The fingerprint of a chapter knows Python alone; run the chapter again after a change of the modules."""
    for path in chapters.notebooks():
        for cell in chapters.read(path).cells:
            for output in cell.get("outputs", []):
                page = "".join(output.get("data", {}).get("text/html", ""))
                if 'play" id="play-' in page:
                    assert explore._play_script() in page, f"{path.stem} holds an old explorable: run make execute"
