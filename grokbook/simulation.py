"""The loop behind `grokbook.isolated.simulate`: steps, records, and a state that is saved and taken up again."""

from dataclasses import dataclass

import torch

from grokbook import checkpoint
from grokbook.progress import bar

COLUMNS = ("test_accuracy", "cost", "train_error", "norms", "evaluations")


@dataclass(frozen=True)
class Simulation:
    """What `simulate` recorded, r records of runs with the leading shape (...) of E.

    time: (r,) in 1/(2λ); test_accuracy, cost (R/λ) and train_error (largest |HW − Y|): (r, ...); norms: (r, 2, ...)
    with ‖E‖² and ‖W‖²; E: the final embedding; snapshot_time: (s,) and snapshots: (s, ..., p, d_hidden);
    evaluations: (r,) how many velocities the path took up to each record.
    """

    time: torch.Tensor
    test_accuracy: torch.Tensor
    cost: torch.Tensor
    train_error: torch.Tensor
    norms: torch.Tensor
    E: torch.Tensor
    snapshot_time: torch.Tensor
    snapshots: torch.Tensor
    evaluations: torch.Tensor


class SimulationError(ValueError):
    """A simulation that could not go on; `.result` is the Simulation up to the last good record."""

    def __init__(self, message, result):
        super().__init__(message)
        self.result = result


class _Field:
    """The velocity as a function of E alone; the solution at the latest E is kept, for it is recorded there too."""

    def __init__(self, layer, evaluations):
        self.layer, self.evaluations = layer, evaluations
        self.latest = self.solved = None

    def solution(self, E):
        if E is not self.latest:
            self.latest, self.solved = None, self.layer.solve(E)
            self.latest = E
        return self.solved

    def __call__(self, E):
        velocity = self.layer.velocity(E, self.solution(E))
        self.evaluations += 1
        return velocity


def follow(layer, E, integrator, step, steps, due, stop_at, state_file, identity, progress):
    """Carry E through `steps` steps of time `step`, record, save. -> Simulation.

    layer: has solve(E), velocity(E, solution) and record(E, solution) -> dict. due: {"record": every how many steps,
    "snapshot": the same or None, "save": the same}. A method that adapts goes from record to record in its own steps.
    """
    state = checkpoint.load(state_file, identity) or {"now": (0, E, {}, 0), "records": {}, "snapshots": {}}
    state["now"] = _moved(state["now"], E.device)

    def save():
        checkpoint.save(state_file, identity, state)

    try:
        with bar(steps, state["now"][0], progress) as shown:
            _run(state, layer, integrator, step, steps, due, stop_at, shown, save)
    except ValueError as error:
        k = state["now"][0]
        if not state["records"]:
            raise
        if integrator.adapts:
            message = f"t = {k * step:.4g} could not be left with tolerance={integrator.tolerance}; lower it. {error}"
        else:
            message = f"step {k} (t = {k * step:.4g}) could not be taken with step={step}; lower step. {error}"
        raise SimulationError(message, _collect(state, step)) from error
    finally:
        # A start that failed leaves no file behind: it would refuse the corrected one as another run.
        if state["records"]:
            save()
    return _collect(state, step)


def _moved(now, device):
    k, E, memory, evaluations = now
    memory = {name: value.to(device) if torch.is_tensor(value) else value for name, value in memory.items()}
    return k, E.to(device), memory, evaluations


def _run(state, layer, integrator, step, steps, due, stop_at, shown, save):
    """Advance `state` to `steps`: {"now": (k, E, memory, evaluations), "records": {k: ...}, "snapshots": {k: E}}."""
    # A shorter run that was saved may have ended between two records.
    state["records"] = {k: record for k, record in state["records"].items() if k % due["record"] == 0}
    stride = due["record"] if integrator.adapts else 1
    field = _Field(layer, state["now"][3])
    while True:
        k, E, memory, evaluations = state["now"]
        solution = field.solution(E)
        if k % due["record"] == 0 or k >= steps:
            record = dict(layer.record(E, solution), evaluations=torch.tensor(evaluations))
            state["records"][k] = record
            if stop_at is not None and bool((record["test_accuracy"] >= stop_at).all()):
                return
        if due["snapshot"] and k % due["snapshot"] == 0:
            state["snapshots"][k] = E
        if k >= steps:
            return
        E, memory = integrator.advance(field, E, stride * step, memory, integrator.tolerance)
        state["now"] = (k + stride, E, memory, field.evaluations)
        shown.update(stride)
        if (k + stride) // due["save"] > k // due["save"]:
            save()


def _collect(state, step):
    records, snapshots = state["records"], state["snapshots"]
    columns = {name: torch.stack([record[name] for record in records.values()]).cpu() for name in COLUMNS}
    E = state["now"][1]
    return Simulation(
        time=step * torch.tensor(list(records), dtype=torch.float64),
        E=E,
        snapshot_time=step * torch.tensor(list(snapshots), dtype=torch.float64),
        snapshots=torch.stack(list(snapshots.values())) if snapshots else E.new_empty(0, *E.shape),
        **columns,
    )
