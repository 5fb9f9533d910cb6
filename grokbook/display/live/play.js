// Eq. 20 live: controls, a run in a worker, and pictures that follow it. Everything computed comes from session.js.

import { isCalm, tell } from "./live.js";
import { ACTIVATION_NAMES, MOTION_NAMES, markup } from "./page.js";
import { drawRun } from "./pictures.js";
import { CHOICES, LIMITS, checked, fittingWidth, problem } from "./problem.js";

export const DEFAULTS = {
  p: 17, share: 75, width: 128, size: 1, activation: "relu", seed: 0, motion: "flow", norm: 170, decay: 0.3,
};
const NETWORK = ["p", "share", "width", "size", "activation", "seed"]; // what a run cannot change on its way
const MOST_RECORDS = 1200;
const CALM = 500; // milliseconds between two pictures where the reader's system asks for less motion

/** The settings in a page's address, as `#ID:p=17,share=75`; null if it is about something else. */
export function settingsIn(hash, id) {
  const [name, list] = hash.slice(1).split(":");
  if (name !== id || list === undefined) return null;
  const found = {}, unknown = [];
  for (const part of list.split(",")) {
    const [key, value = ""] = part.split("=");
    if (key in LIMITS || key in CHOICES) found[key] = value;
    else unknown.push(part);
  }
  return { found, unknown };
}

export function linkTo(settings, id) {
  return `#${id}:${Object.entries(settings).map(([key, value]) => `${key}=${value}`).join(",")}`;
}

/** root: the element to fill; connect(hear) -> post(message), to a server of session.js. */
export class Explorable {
  constructor(root, preset, connect) {
    Object.assign(this, { root, id: root.id, connect, post: null, run: 0, records: [], shown: -1, kept: null });
    this.state = "idle";
    root.innerHTML = markup(this.id, { ...DEFAULTS, ...preset });
    this.form = root.querySelector("form");
    this.set({ ...DEFAULTS, width: fittingWidth({ ...DEFAULTS, ...preset }), ...preset });
    this.listen();
    this.obeyLink();
    this.draw();
  }

  find(name) {
    return this.root.querySelector(`.play-${name}`);
  }

  control(name) {
    return this.root.querySelector(`[name="${name}"]`);
  }

  // --- controls ---

  set(settings) {
    for (const [name, value] of Object.entries(settings)) {
      this.control(name).value = ["norm", "decay"].includes(name) ? Math.log(value) : value;
    }
    if ("motion" in settings) this.chooseAxis();
    this.changed();
  }

  /** What a motion is best seen against: at constant norm Eq. 20's time stands still. */
  chooseAxis() {
    this.control("axis").value = this.control("motion").value === "hold" ? "distance" : "time";
  }

  given() {
    const found = Object.fromEntries([...NETWORK, "motion"].map((name) => [name, this.control(name).value]));
    for (const name of ["norm", "decay"]) found[name] = Number(Math.exp(this.control(name).value).toPrecision(3));
    return found;
  }

  /** After any change of a control: sentences, outputs, the link. -> the settings, or null where one is wrong */
  changed() {
    const { settings, wrong } = checked(this.given());
    for (const name of [...NETWORK, "motion", "norm", "decay"]) {
      this.root.querySelector(`#${CSS.escape(`${this.id}-${name}-wrong`)}`).textContent = wrong[name] ?? "";
      this.control(name).setAttribute("aria-invalid", String(name in wrong));
    }
    for (const [name, motion] of [["norm", "hold"], ["decay", "train"]]) {
      this.root.querySelector(`[data-field="${name}"]`).hidden = settings.motion !== motion;
      tell(this.control(name), String(settings[name]));
    }
    this.find("link").setAttribute("href", linkTo(this.given(), this.id));
    return Object.keys(wrong).length ? null : settings;
  }

  obeyLink() {
    const link = settingsIn(window.location.hash, this.id);
    if (!link) return;
    for (const name of Object.keys(link.found)) {
      const value = Number(link.found[name]), list = CHOICES[name];
      const fits = list ? list.includes(link.found[name]) : value >= LIMITS[name].low && value <= LIMITS[name].high;
      if (!fits) {
        link.unknown.push(`${name}=${link.found[name]}`);
        delete link.found[name];
      }
    }
    const { p, share } = { ...DEFAULTS, ...link.found };
    this.set({ width: fittingWidth({ p: Number(p), share: Number(share) }), ...link.found });
    this.root.scrollIntoView();
    const nonsense = link.unknown.length ? ` It also says ${link.unknown.join(", ").slice(0, 80)}, which means nothing here.` : "";
    this.say(`The settings are those of a link. Press Run.${nonsense}`);
  }

  listen() {
    const on = (name, act) => this.find(name).addEventListener("click", act);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.state === "running") this.pause();
      else this.start();
    });
    this.form.addEventListener("input", (event) => this.edited(event.target.name));
    on("back", () => this.show(this.shown - 1));
    on("forward", () => this.show(this.shown + 1));
    on("fresh", () => this.clear("A new start. Press Run."));
    on("keep", () => this.keep());
    this.find("range").addEventListener("input", (event) => this.show(Number(event.target.value)));
    for (const name of ["axis", "frequency"]) this.control(name).addEventListener("change", () => this.draw());
    window.addEventListener("hashchange", () => this.obeyLink());
  }

  edited(name) {
    if (name === "p" || name === "share") {
      const { settings, wrong } = checked(this.given());
      if (!wrong.p && !wrong.share) this.control("width").value = fittingWidth(settings);
    }
    const settings = this.changed();
    if (name === "motion") this.chooseAxis();
    if (!settings || this.state !== "running") return;
    if (name === "motion") this.start();
    else if (name === "norm" || name === "decay") this.post({ command: "tune", ...settings });
  }

  // --- the run ---

  start() {
    const settings = this.changed();
    if (!settings) return this.say("One of the settings does not fit; see the sentence beside it.");
    const before = this.settings, same = (names) => names.every((name) => before?.[name] === settings[name]);
    const goesOn = this.records.length > 0 && same(NETWORK);
    const last = this.shown === this.records.length - 1;
    this.settings = settings;
    this.post ??= this.connect((message) => this.hear(message));
    this.setState("running", `Running: ${MOTION_NAMES[settings.motion]}.`);
    if (goesOn && last && this.unfinished && same(["motion"])) {
      this.post({ command: "tune", ...settings });
      return this.post({ command: "go" });
    }
    if (goesOn) this.records.length = this.shown + 1;
    else this.begin();
    const from = goesOn ? this.records[this.shown] : null;
    this.unfinished = true;
    this.post({ command: "start", settings, from, run: ++this.run });
  }

  begin() {
    this.problem = problem(this.settings);
    this.records = [];
    this.shown = -1;
    const half = Math.floor((this.settings.p - 1) / 2), chosen = this.control("frequency").value;
    const names = Array.from({ length: half }, (_, i) => `<option>${i + 1}</option>`).join("");
    this.control("frequency").innerHTML = `<option value="strongest">strongest</option>${names}`;
    if (Number(chosen) >= 1 && Number(chosen) <= half) this.control("frequency").value = chosen;
  }

  hear({ kind, record, run, says }) {
    if (kind === "record" && run === this.run) this.take(record);
    if (kind === "record" || this.state !== "running") return;
    this.unfinished = false;
    this.setState("ended", kind === "end" ? `${says} Press Run to go on.` : says);
    this.draw();
  }

  take(record) {
    const following = this.shown === this.records.length - 1;
    this.records.push({ ...record, ...this.shares(record.right) });
    if (following) this.shown = this.records.length - 1;
    if (record.right.every(Boolean) && !this.records.at(-2)?.right.every(Boolean)) {
      this.say(`Every held-back pair is answered rightly, from t = ${record.time.toFixed(2)} on.`);
    }
    if (this.records.length >= MOST_RECORDS && this.state === "running") {
      this.pause(`${MOST_RECORDS} moments are kept, and no more. Step back, or make a new start.`);
    }
    this.drawSoon();
  }

  /** The shares of held-back and of training pairs that are right. */
  shares(right) {
    const { trained } = this.problem, sums = [0, 0], counts = [0, 0];
    right.forEach((value, i) => {
      sums[trained[i]] += value;
      counts[trained[i]]++;
    });
    return { test: sums[0] / counts[0], train: sums[1] / counts[1] };
  }

  pause(says = "Paused. Run goes on from the moment shown, also with another motion.") {
    this.post({ command: "pause" });
    this.setState("paused", says);
    this.draw();
  }

  show(index) {
    if (!this.records.length) return;
    if (this.state === "running") this.pause();
    this.shown = Math.max(0, Math.min(index, this.records.length - 1));
    this.draw();
  }

  clear(says) {
    this.post?.({ command: "pause" });
    this.run++;
    this.records = [];
    this.shown = -1;
    this.setState("idle", says);
    this.draw();
  }

  keep() {
    if (!this.records.length) return this.say("There is no run to keep yet. Press Run.");
    const { p, size, activation, seed, motion } = this.settings;
    this.kept = this.records.map(({ E, W, right, ...numbers }) => numbers);
    this.say(`Kept, and drawn dashed: p = ${p}, size ${size}, ${ACTIVATION_NAMES[activation]}, seed ${seed}, ` +
      `${MOTION_NAMES[motion]}. Change a setting and press Run.`);
    this.draw();
  }

  setState(state, says) {
    this.state = state;
    this.find("run").textContent = state === "running" ? "Pause" : "Run";
    this.say(says);
  }

  say(text) {
    this.find("status").textContent = text;
  }

  // --- the pictures ---

  drawSoon() {
    if (this.waiting) return;
    this.waiting = true;
    const draw = () => {
      this.waiting = false;
      this.draw();
    };
    if (isCalm()) setTimeout(draw, CALM);
    else requestAnimationFrame(draw);
  }

  draw() {
    const { records, shown } = this, range = this.find("range");
    range.max = Math.max(0, records.length - 1);
    range.value = shown;
    range.disabled = records.length < 2;
    range.setAttribute("aria-valuetext", shown < 0 ? "none yet" : `t = ${records[shown].time.toFixed(2)}`);
    for (const name of ["back", "forward", "keep", "fresh"]) this.find(name).disabled = !records.length;
    drawRun((name) => this.find(name), this, this.control("axis").value, this.control("frequency").value);
  }
}
