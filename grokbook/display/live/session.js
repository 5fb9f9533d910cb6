// A run from its settings to its records, and a server of runs that can be paused: in a worker, or beside the page.

import { Flow, Isolated, Questions, noted } from "./eq20.js";
import { Holding, balanced, costOf, crossing, seededTriples, towardsNoise } from "./holding.js";
import { SingularError } from "./products.js";
import { problem } from "./problem.js";
import { Training } from "./training.js";

const LONGEST = 8; // of time, with Eq. 20 and in training; 1/(2λ) is its unit
const LONGEST_DESCENT = 16; // to a norm that is to be held
const FARTHEST = 40; // lengths of E, at constant norm
const SPAN = 0.05, STEPS = 10; // between two records: of time, and of the motion at constant norm
const SLICE = 40; // milliseconds of computing between two looks at the messages

/** One run: its motion, from the settings' start or from a record to go on from. norm, decay: may change while it runs. */
export class Session {
  constructor(settings, from = null) {
    const { all, allLabels, ...task } = problem(settings);
    Object.assign(this, { settings, norm: settings.norm, decay: settings.decay });
    this.task = { ...task, activation: settings.activation };
    this.questions = new Questions({ ...this.task, pairs: all, labels: allLabels });
    this.at = from ?? { E: task.E, time: 0, clock: 0, distance: 0 };
  }

  /** Yields records, and null in between; returns why it ended. */
  *records() {
    if (this.settings.motion === "hold") return yield* this.hold();
    return yield* this.settings.motion === "train" ? this.train() : this.flow();
  }

  *flow() {
    const end = Math.max(LONGEST, this.at.time + LONGEST / 2);
    const motion = new Flow({ ...this.task, ...this.at, span: SPAN });
    yield* this.until(motion, () => motion.time > end - SPAN / 2);
    return `t = ${end.toFixed(1)} is reached.`;
  }

  *train() {
    const end = Math.max(LONGEST, this.at.time + LONGEST / 2);
    const W = this.at.W ?? new Isolated({ ...this.task, ...this.at }).solve(this.at.E).W;
    const motion = new Training({ ...this.task, ...this.at, W, decay: this.decay, span: SPAN });
    yield* this.until(motion, () => {
      motion.decay = this.decay;
      return motion.time > end - SPAN / 2;
    });
    return `t = ${end.toFixed(1)} is reached.`;
  }

  /** Comes to the norm that is asked for, moves there, and begins again when another is asked for. */
  *hold() {
    const draw = seededTriples(this.settings.seed), end = this.at.distance + FARTHEST;
    let block = 0; // new triples also after a change of the norm
    while (this.at.distance < end) {
      const norm = this.norm;
      yield* this.comeTo(norm);
      const triples = (_, size) => draw(block++, size);
      const motion = new Holding({ ...this.task, ...this.at, span: STEPS, triples });
      yield* this.until(motion, () => this.norm !== norm || motion.distance >= end);
    }
    return `The network went ${FARTHEST} times its own length at constant norm.`;
  }

  /** By Eq. 20 if the norm has to fall; by mixing noise into E if it has to rise. */
  *comeTo(norm) {
    const { task, at } = this;
    this.solver ??= new Isolated(task);
    at.E = balanced(task, at.E, this.solver);
    if (costOf(at.E, this.solver) > norm) return yield* this.descend(norm);
    const E = crossing(task, towardsNoise(at.E, this.settings.seed), norm, this.solver);
    if (!E) throw new Error(`even noise in place of E has no norm of ${norm.toFixed(0)}; hold a smaller one`);
    at.E = E;
  }

  *descend(norm) {
    const motion = new Flow({ ...this.task, ...this.at, span: SPAN }), end = this.at.time + LONGEST_DESCENT;
    const { task, solver } = this;
    let before = motion.E.slice();
    const isThere = () => costOf(balanced(task, motion.E, solver), solver) <= norm;
    while (!isThere()) {
      if (motion.time > end) {
        const [e, w] = motion.norms();
        throw new Error(`Eq. 20 came down to ${(e + w).toFixed(0)} and hardly falls any more; hold a larger norm`);
      }
      before = motion.E.slice();
      yield* this.stretch(motion);
    }
    const last = motion.E, path = (s) => last.map((value, i) => before[i] + s * (value - before[i]));
    this.at = { ...placeOf(motion), E: crossing(task, path, norm, solver) ?? balanced(task, last, solver) };
  }

  /** Records a motion, its start included, until `ended()`, which is asked after each stretch. */
  *until(motion, ended) {
    yield this.record(motion);
    while (!ended()) yield* this.stretch(motion);
    this.at = placeOf(motion);
  }

  *stretch(motion) {
    yield* motion.advance();
    yield this.record(motion);
  }

  record(motion) {
    const found = noted(motion, this.questions);
    if (!(motion instanceof Training)) delete found.W; // E tells it
    found.loss = motion.loss ?? 0;
    return found;
  }
}

function placeOf({ E, time, clock, distance }) {
  return { E: E.slice(), time, clock, distance };
}

/** A sentence for whoever watches, without a NaN in a plot: what went wrong. */
function explained(error) {
  if (error instanceof SingularError) {
    return `HHᵀ is singular here (${error.message}): some training pairs look alike to this network, and no readout ` +
      "can answer them all. Take another seed, or a larger width.";
  }
  return `The run ends here: ${error.message}.`;
}

/** Runs sessions; post(message) gets { kind: "record", record }, { kind: "end" or "wrong", says }. -> receive(message) */
export function server(post) {
  let session = null, records = null, turn = 0;

  async function go() {
    const mine = ++turn;
    try {
      while (mine === turn) {
        const until = performance.now() + SLICE;
        while (performance.now() < until) {
          const { value, done } = records.next();
          if (done) {
            turn++;
            return post({ kind: "end", says: value });
          }
          if (value) post({ kind: "record", record: value, run: session.run });
        }
        await breath();
      }
    } catch (error) {
      turn++;
      post({ kind: "wrong", says: explained(error) });
    }
  }

  return ({ command, settings, from, run, norm, decay }) => {
    if (command === "start") {
      try {
        session = Object.assign(new Session(settings, from), { run });
        records = session.records();
        go();
      } catch (error) {
        post({ kind: "wrong", says: explained(error) });
      }
    }
    if (command === "go" && session) go();
    if (command === "pause") turn++;
    if (command === "tune" && session) Object.assign(session, { norm, decay });
  };
}

/** Lets messages in; a timer would wait for four milliseconds each time. */
function breath() {
  return new Promise((done) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      done();
    };
    port2.postMessage(null);
  });
}
