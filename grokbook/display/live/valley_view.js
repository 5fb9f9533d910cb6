// The valley as a reader meets it: a sheet with two weights to drag, sliders, and sentences. Numbers come from valley.js.

import { caption, isCalm, knob, labelled, line, options, powerOfTen, tell } from "./live.js";
import {
  SETS, along, contours, descend, flow, forces, inside, loss, multiplier, nearest, norm, residual, split, trace,
} from "./valley.js";

const SIDE = 360, EDGE = { left: 36, right: 8, top: 8, bottom: 36 };
const WIDTH = SIDE - EDGE.left - EDGE.right;
const ARROW = 0.45; // a force v is drawn 0.45 v/(2λ) long, so that decay spans 0.45 of the way to the origin,
const LONGEST = 0.4; // and at most this part of the sheet
const SECONDS = 4; // for the whole path
const FIRST = 0.02; // the time that passes at the beginning as slowly as a reader can follow
const CHOICES = {
  decay: [0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5],
  step: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1],
  ratio: [0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 256],
  zoom: Array.from({ length: 17 }, (_, k) => 10 ** (k / 4)),
};
const LABELS = { decay: "weight decay λ", step: "step η", ratio: "speed ratio ρ of the weights", zoom: "zoom" };
const WRITTEN = { zoom: (value) => `×${value < 100 ? value.toPrecision(2) : Math.round(value)}`, default: String };

const written = (name, value) => (WRITTEN[name] ?? WRITTEN.default)(value);
const short = (value) =>
  Math.abs(value) < 1e-3 ? powerOfTen(value, 1) : String(Number(value.toPrecision(3))).replace("-", "−");
const place = (w) => `(${w.map((x) => x.toFixed(2).replace("-", "−")).join(", ")})`;

/** root: the element to fill; settings: what Python's valley() takes. */
export class Valley {
  constructor(root, settings) {
    Object.assign(this, { root, id: root.id, settings, zoom: 1, moment: 0, moving: null });
    for (const name of ["decay", "step", "ratio"]) this[name] = settings[name];
    this.values = Object.fromEntries(Object.entries(CHOICES).map(([name, list]) => [name, withOwn(list, this[name])]));
    root.innerHTML = this.markup();
    this.svg = root.querySelector("svg");
    this.choose(settings.set, settings.start);
    this.listen();
  }

  find(name) {
    return this.root.querySelector(`.valley-${name}`);
  }

  zooms() {
    return this.settings.controls.includes("zoom");
  }

  /** Another set: its sheet, the ball at `start`. */
  choose(name, start) {
    this.name = name;
    this.set = SETS[name];
    this.names = this.settings.names ?? this.set.names;
    this.home = start;
    this.zoom = 1;
    if (this.zooms()) {
      const { point, distance } = nearest(this.set, start);
      this.sheet = { centre: point, half: 1.6 * distance };
    } else {
      this.sheet = this.set.sheet;
    }
    this.drawSheet();
    this.put(start, this.zooms() ? "Drag the point, or move the slider." : "Drag the point and let go.");
  }

  window() {
    return { centre: this.sheet.centre, half: this.sheet.half / this.zoom };
  }

  // --- motion ---

  /** The ball to w, and with it the start of the path. */
  put(w, words) {
    this.rest();
    this.start = this.ball = w;
    this.moment = 0;
    if (!this.zooms()) {
      this.training = { set: this.set, decay: this.decay, ratio: this.ratio, step: this.step, sheet: this.sheet };
      this.path = flow(this.training, w);
      this.dots = null; // not while the ball is dragged: thousands of steps
      this.last = this.path.times.at(-1);
    }
    this.draw();
    if (words !== undefined) this.say(words);
  }

  run() {
    this.put(this.start);
    this.go();
  }

  back() {
    this.zoom = 1;
    this.drawSheet();
    this.put(this.home, "The point is back where it began.");
    this.turn();
  }

  /** The path runs. */
  go() {
    if (this.zooms()) return;
    if (isCalm()) return this.show(1);
    this.rest();
    const begun = performance.now();
    this.say("Training runs.");
    const next = (now) => {
      const part = Math.min(1, Math.max(0, now - begun) / (1000 * SECONDS));
      this.show(part);
      this.moving = part < 1 ? requestAnimationFrame(next) : null;
    };
    this.moving = requestAnimationFrame(next);
  }

  rest() {
    if (this.moving !== null) cancelAnimationFrame(this.moving);
    this.moving = null;
  }

  /** The path up to a part of it, from 0 to 1, its time on a logarithmic scale. */
  show(part) {
    this.moment = part;
    if (this.step !== null) this.dots ??= descend(this.training, this.start);
    const time = this.time(), { dots } = this;
    this.ball = dots ? dots.points[this.count()] : along(this.path, time);
    this.draw();
    if (part === 1) this.say(this.ending());
  }

  time() {
    return this.moment === 1 ? this.last : FIRST * ((1 + this.last / FIRST) ** this.moment - 1);
  }

  /** The dots of descent that are there by now. A path that leaves the sheet is followed as far as it goes. */
  count() {
    const { points, left } = this.dots, shown = left === null ? points.length - 1 : left - 1;
    return this.moment === 1 ? shown : Math.min(shown, Math.floor(this.time() / this.step + 1e-9));
  }

  ending() {
    const { dots, path } = this;
    if (!dots && path.end === "rest") return `The flow rests at ${place(this.ball)}.`;
    if (!dots) return `At t = ${short(this.last)}, where the flow was stopped, the weights still move; they are at ${place(this.ball)}.`;
    const { points, left, end } = dots, steps = points.length - 1;
    if (left !== null) {
      return `The step is too long: the weights leave the sheet after ${left} ${left === 1 ? "step" : "steps"}.`;
    }
    if (end === "jumps") return `The step is too long: after ${steps} steps the weights still jump to and fro across the valley.`;
    if (end === "steps") return `After ${steps} steps the weights have not come to rest; they are at ${place(this.ball)}.`;
    return `After ${steps} steps the weights rest at ${place(this.ball)}.`;
  }

  // --- drawing ---

  X(x) {
    const { centre, half } = this.window();
    return EDGE.left + (WIDTH * (x - centre[0] + half)) / (2 * half);
  }

  Y(y) {
    const { centre, half } = this.window();
    return EDGE.top + (WIDTH * (centre[1] + half - y)) / (2 * half);
  }

  line(points) {
    return line(points.map(([x, y]) => [this.X(x), this.Y(y)]));
  }

  /** What does not move with the ball: set, level lines, axes. */
  drawSheet() {
    const view = this.window(), { set } = this;
    this.find("set").setAttribute("d", trace(set, view).map((points) => this.line(points)).join(""));
    const most = Math.max(...[-1, 0, 1].flatMap((i) => [-1, 0, 1].map((j) =>
      Math.abs(residual(set, [view.centre[0] + i * view.half, view.centre[1] + j * view.half])))));
    const ofLoss = [-4, -3, -2, -1, 1, 2, 3, 4].map((k) => (k * most) / 5);
    const ofNorm = Array.from({ length: 12 }, (_, k) => (k + 1) * 0.5);
    this.find("ball").setAttribute("aria-valuemin", view.centre[0] - view.half);
    this.find("ball").setAttribute("aria-valuemax", view.centre[0] + view.half);
    const lines = this.settings.levels === "loss" ? contours((w) => residual(set, w), ofLoss, view) : contours(norm, ofNorm, view);
    this.find("levels").setAttribute("d", lines.map((pair) => this.line(pair)).join(""));
    this.find("ticks").innerHTML = this.zooms() ? this.scale() : this.ticks();
  }

  ticks() {
    const { centre, half } = this.sheet, bottom = SIDE - EDGE.bottom;
    const whole = (middle) => Array.from({ length: 2 * Math.ceil(half) + 3 }, (_, k) => Math.round(middle) - Math.ceil(half) - 1 + k)
      .filter((tick) => Math.abs(tick - middle) <= half + 1e-9);
    const text = (tick) => String(tick).replace("-", "−");
    return whole(centre[0]).map((tick) => caption(this.X(tick), bottom + 15, text(tick))).join("")
      + whole(centre[1]).map((tick) => caption(EDGE.left - 6, this.Y(tick) + 4, text(tick), "end")).join("")
      + caption(EDGE.left + WIDTH / 2, SIDE - 4, this.names[0])
      + caption(11, this.Y(Math.round(centre[1]) + 0.5) + 4, this.names[1]);
  }

  /** Under a lens: how wide the window is. */
  scale() {
    return caption(EDGE.left + WIDTH / 2, SIDE - 14, `the window is ${short(2 * this.window().half)} wide`);
  }

  draw() {
    const { set, ball } = this, view = this.window();
    const foot = nearest(set, ball), force = forces(set, ball, this.decay);
    const at = `translate(${this.X(ball[0]).toFixed(2)} ${this.Y(ball[1]).toFixed(2)})`;
    this.find("ball").setAttribute("transform", at);
    this.find("start").setAttribute("transform", `translate(${this.X(this.start[0]).toFixed(2)} ${this.Y(this.start[1]).toFixed(2)})`);
    this.find("start").setAttribute("visibility", this.moment ? "visible" : "hidden");
    this.find("foot").setAttribute("d", inside(view, ball) ? this.line(this.zooms() ? this.normal(foot, view) : [foot.point, ball]) : "");
    this.drawArrows(force, view);
    if (!this.zooms()) this.drawPath();
    this.write(foot, force);
  }

  normal({ point }, { half }) {
    const [j1, j2] = this.set.J(point), size = Math.hypot(j1, j2) || 1;
    return [-1, 1].map((sign) => [point[0] + (3 * sign * half * j1) / size, point[1] + (3 * sign * half * j2) / size]);
  }

  /** All arrows to one scale; a dashed one is longer than it is drawn. */
  drawArrows(force, { half }) {
    const unit = this.zooms() ? (ARROW * half) / (norm(force.loss) || 1) : ARROW / (2 * (this.decay || 0.05));
    let cuts = 0;
    for (const name of ["loss", "decay", "sum"]) {
      const v = force[name], drawn = unit * norm(v), most = 2 * half * LONGEST, cut = drawn > most ? most / drawn : 1;
      const [dx, dy] = [unit * cut * v[0], -unit * cut * v[1]].map((x) => (x * WIDTH) / (2 * half));
      const length = Math.hypot(dx, dy), arrow = this.find(name);
      const [x, y] = [this.X(this.ball[0]), this.Y(this.ball[1])];
      const shown = length > 3 && (name !== "sum" || (this.settings.total && cut === 1));
      arrow.setAttribute("d", shown ? arrowPath(x, y, dx, dy, length) : "");
      arrow.classList.toggle("valley-cut", shown && cut < 1);
      cuts += shown && cut < 1;
    }
    this.find("note").hidden = cuts === 0;
  }

  drawPath() {
    const time = this.time(), { path, dots } = this, whole = this.moment === 0;
    const until = whole ? path.points : [...path.points.filter((_, i) => path.times[i] <= time), along(path, time)];
    this.find("flow").setAttribute("d", this.line(until));
    this.find("flow").classList.toggle("valley-ahead", whole);
    let d = "", before = [-99, -99];
    if (dots && !whole) {
      for (const w of dots.points.slice(0, this.count() + 1)) {
        const at = [this.X(w[0]), this.Y(w[1])];
        if (Math.hypot(at[0] - before[0], at[1] - before[1]) < 2) continue; // one would hide the other
        d += `M${at[0].toFixed(1)} ${at[1].toFixed(1)}h0`;
        before = at;
      }
      const { points, left } = dots;
      if (this.moment === 1 && left !== null) this.find("lost").setAttribute("d", this.line([points[left - 1], points[left] ?? points[left - 1]]));
    }
    if (this.moment < 1 || !dots || dots.left === null) this.find("lost").setAttribute("d", "");
    this.find("dots").setAttribute("d", d);
  }

  // --- words ---

  write(foot, force) {
    const { set, ball } = this, size = norm(force.loss);
    const share = foot.singular ? null : norm(split(set, foot.point, force.loss).tangent) / size;
    const known = size > 1e-12 && !foot.singular && !foot.corner;
    const why = foot.singular ? "no tangent at a singular point" : foot.corner ? "no tangent at a corner" : "no force";
    this.now = {
      loss: loss(set, ball), norm: norm(ball) ** 2, distance: foot.distance, share: known ? share : null, foot: foot.point,
      time: this.zooms() ? null : this.time(), force, ball,
    };
    const texts = {
      loss: short(this.now.loss), norm: short(this.now.norm), distance: short(foot.distance),
      share: known ? `${short(100 * share)} %` : why,
      angle: known ? `${short((180 / Math.PI) * Math.asin(Math.min(1, share)))}°` : why,
      ratio: known && foot.distance > 0 ? short(share / foot.distance) : "none",
      rescaled: this.decay ? short(-residual(set, ball) / this.decay) : "none, λ = 0",
      multiplier: short(multiplier(set, ball)),
    };
    for (const [name, text] of Object.entries(texts)) {
      const cell = this.find(`of-${name}`);
      if (cell) cell.textContent = text;
    }
    const ball_ = this.find("ball"), [first, second] = this.names;
    ball_.setAttribute("aria-valuenow", ball[0].toPrecision(6));
    ball_.setAttribute("aria-valuetext", `${first} = ${short(ball[0])}, ${second} = ${short(ball[1])}, loss ${texts.loss}, distance ${texts.distance}`);
    this.sync("moment", Math.round(1000 * this.moment), this.zooms() ? "" : this.clock());
  }

  clock() {
    const time = `t = ${short(this.time())}`;
    return this.step === null ? time : `${time}, step ${this.dots ? this.count() : 0}`;
  }

  inWords() {
    const { distance, share } = this.now;
    if (share === null) return "The loss has no force here.";
    return `At the distance ${short(distance)} the force leans ${short((180 / Math.PI) * Math.asin(share))}° off the normal.`;
  }

  say(words) {
    this.find("status").textContent = words;
  }

  sync(name, value, text) {
    const input = this.root.querySelector(`[name="${name}"]`);
    if (!input) return;
    input.value = value;
    if (input.type === "range") tell(input, text);
  }

  // --- controls ---

  markup() {
    const { id, settings } = this, { controls, total } = settings, lens = controls.includes("zoom");
    const range = (name, most, label) =>
      labelled(id, name, label, knob(id, name, `min="0" max="${most}" step="1" value="0"`));
    const titles = Object.fromEntries(Object.entries(SETS).map(([name, { title }]) => [name, title]));
    const sets = labelled(id, "set", "zero-loss set",
      `<select id="${id}-set" name="set">${options(titles, settings.set)}</select>`);
    const row = (name, label) => `<div><dt>${label}</dt><dd class="valley-of-${name}"></dd></div>`;
    const mark = (name, label) => `<li><i class="valley-${name}"></i>${label}</li>`;
    return `<p class="valley-status" role="status"></p>
  <div class="valley-body"><div class="valley-picture">
  <svg viewBox="0 0 ${SIDE} ${SIDE}" role="group" aria-label="Two weights and the set of zero loss">
    <clipPath id="${id}-sheet"><rect x="${EDGE.left}" y="${EDGE.top}" width="${WIDTH}" height="${WIDTH}"/></clipPath>
    <g clip-path="url(#${id}-sheet)">
      <rect class="valley-sheet" x="${EDGE.left}" y="${EDGE.top}" width="${WIDTH}" height="${WIDTH}"/>
      <path class="valley-levels"/><path class="valley-set"/><path class="valley-foot"/>
      <path class="valley-flow"/><path class="valley-lost"/><path class="valley-dots"/>
      <path class="valley-start" d="M0 -6L5.5 4H-5.5Z" visibility="hidden"/>
      <path class="valley-sum"/><path class="valley-loss"/><path class="valley-decay"/>
    </g>
    <g class="valley-ticks" aria-hidden="true"></g>
    <g class="valley-ball" role="slider" tabindex="0" aria-label="the weights: drag, or press the arrow keys"
      aria-valuenow="0">
      <circle class="valley-reach" r="22"/><circle class="valley-focus" r="12"/><circle class="valley-point" r="7"/></g>
  </svg>
  <ul class="live-legend">${[
    ["set", "zero loss"], ["levels", settings.levels === "loss" ? "equal loss" : "equal norm"], ["loss", "−∇L, the loss"],
    ...(lens ? [["foot", "normal"]] : [["decay", "−2λw, decay"]]), ...(total ? [["sum", "both together"]] : []),
    ...(lens ? [] : [["flow", "gradient flow"]]), ...(lens || this.step === null ? [] : [["dots", "gradient descent"]]),
  ].map(([name, label]) => mark(name, label)).join("")}<li class="valley-note" hidden>dashed: longer than drawn</li></ul></div>
  <form class="valley-controls" novalidate>
    ${controls.includes("set") ? sets : ""}
    ${["decay", "step", "ratio", "zoom"].filter((name) => controls.includes(name)).map((name) => range(name, this.values[name].length - 1, LABELS[name])).join("")}
    ${lens ? "" : range("moment", 1000, "moment of the path")}
    <p class="live-buttons">${lens ? "" : '<button type="submit" class="live-run valley-run">Run</button>'}
      <button type="button" class="valley-reset">Back to the start</button></p>
    <dl>${row("loss", "loss L")}${lens ? "" : row("norm", "squared norm")}${row("distance", "distance to the set")}
      ${lens ? row("angle", "force off the normal") + row("ratio", "cosine ÷ distance") : row("share", "part of −∇L along the set")}
      ${total ? row("rescaled", "−residual ÷ λ") + row("multiplier", "multiplier μ") : ""}</dl>
  </form></div>`;
  }

  listen() {
    const ball = this.find("ball");
    const held = (event) => {
      const drag = (to) => this.request(() => this.pull(this.under(to)));
      const letGo = () => {
        for (const name of ["pointermove", "pointerup", "pointercancel"]) this.svg.removeEventListener(name, name === "pointermove" ? drag : letGo);
        this.flush();
        this.go();
      };
      this.svg.setPointerCapture(event.pointerId);
      this.svg.addEventListener("pointermove", drag);
      this.svg.addEventListener("pointerup", letGo);
      this.svg.addEventListener("pointercancel", letGo);
      ball.focus({ preventScroll: true });
      this.pull(this.under(event));
      event.preventDefault();
    };
    // A finger beside the point scrolls the page, so it has to take the point itself.
    this.svg.addEventListener("pointerdown", (event) => {
      if (event.button === 0 && (event.pointerType === "mouse" || ball.contains(event.target))) held(event);
    });
    ball.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
    ball.addEventListener("keydown", (event) => this.press(event));
    this.root.querySelector("form").addEventListener("input", (event) => this.turned(event.target));
    this.root.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.run();
    });
    this.find("reset").addEventListener("click", () => this.back());
    this.turn();
  }

  /** At most one picture a frame. */
  request(act) {
    const waits = this.waiting;
    this.waiting = act;
    if (!waits) this.frame = requestAnimationFrame(() => this.flush());
  }

  flush() {
    cancelAnimationFrame(this.frame);
    const act = this.waiting;
    this.waiting = null;
    act?.();
  }

  /** The place under a pointer. */
  under(event) {
    const box = this.svg.getBoundingClientRect(), { centre, half } = this.window(), size = SIDE / box.width;
    const x = ((event.clientX - box.left) * size - EDGE.left) / WIDTH, y = ((event.clientY - box.top) * size - EDGE.top) / WIDTH;
    return [centre[0] + half * (2 * x - 1), centre[1] + half * (1 - 2 * y)];
  }

  /** The ball to w, or to the edge of the sheet where w is beyond it. */
  pull(w, words = "") {
    const { centre, half } = this.window();
    const kept = w.map((x, i) => Math.min(Math.max(x, centre[i] - half), centre[i] + half));
    const beyond = !inside({ centre, half }, w);
    const [low, high] = [-1, 1].map((sign) => centre.map((x) => short(x + sign * half)));
    const ends = `The sheet ends here: ${this.names[0]} from ${low[0]} to ${high[0]}, ${this.names[1]} from ${low[1]} to ${high[1]}.`;
    this.put(kept, beyond ? ends : this.zooms() ? "" : words);
    if (this.zooms() && !beyond) this.say(this.inWords());
  }

  press(event) {
    const size = this.window().half / (event.shiftKey ? 10 : 50);
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    if (event.key in moves) this.pull(moves[event.key].map((move, i) => this.ball[i] + size * move), "Press Enter to let it run.");
    else if (event.key === "Enter" || event.key === " ") this.run();
    else if (event.key === "Home") this.back();
    else return;
    event.preventDefault();
  }

  /** The controls show what is set. */
  turn() {
    for (const name of ["decay", "step", "ratio", "zoom"]) {
      const value = this[name];
      this.sync(name, this.values[name].indexOf(value), value === null ? "" : written(name, value));
    }
  }

  turned({ name, value }) {
    if (name === "moment") {
      this.rest();
      return this.request(() => this.show(value / 1000));
    }
    if (name === "set") return this.choose(value, SETS[value].sheet.centre.map((x, i) => x + (i ? -0.4 : 0.6) * SETS[value].sheet.half));
    const before = this.zoom, { centre } = this.sheet;
    this[name] = this.values[name][Number(value)];
    this.turn();
    if (name !== "zoom") return this.put(this.start, "Press Run, or drag the point.");
    this.drawSheet();
    this.put(this.ball.map((x, i) => centre[i] + ((x - centre[i]) * before) / this.zoom)); // it keeps its place in the window
    this.say(this.inWords());
  }
}

function withOwn(list, value) {
  return value === null || value === undefined || list.includes(value) ? list : [...list, value].sort((a, b) => a - b);
}

function arrowPath(x, y, dx, dy, length) {
  const [ux, uy] = [dx / length, dy / length], head = Math.min(9, length), [tx, ty] = [x + dx, y + dy];
  const side = (sign) => `${(tx - head * ux + sign * 0.5 * head * uy).toFixed(1)} ${(ty - head * uy - sign * 0.5 * head * ux).toFixed(1)}`;
  return `M${x.toFixed(1)} ${y.toFixed(1)}L${tx.toFixed(1)} ${ty.toFixed(1)}M${side(1)}L${tx.toFixed(1)} ${ty.toFixed(1)}L${side(-1)}`;
}
