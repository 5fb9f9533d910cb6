"""Saved states: written whole or not at all, and read back only by the computation that wrote them."""

import hashlib
import os
import pickle
from pathlib import Path

import torch

UNREADABLE = (OSError, RuntimeError, EOFError, LookupError, TypeError, ValueError, pickle.UnpicklingError)


def identity(settings, *tensors):
    """What a computation is: its settings and a digest of the tensors it starts from. -> dict of plain values."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return {**settings, "start": digest.hexdigest()[:16]}


class Store:
    """A state that grows: where a computation is now, in `path`, and its records in `path.1`, `path.2`, …

    A save writes the records that are new and never those that were saved before. With path=None nothing is kept.
    Raises ValueError at once for a folder that cannot be written to.
    """

    def __init__(self, path, identity):
        self.path, self.identity, self.parts, self.saved = path and Path(path), identity, 0, set()
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._draft().touch()
            self._draft().unlink()
        except OSError as error:
            raise ValueError(f"no state can be kept in {self.path}: {error.strerror}; choose another file") from error

    def load(self, device):
        """(now, records) as they were saved, records a dict by key, or None. Raises ValueError for another's state."""
        if self.path is None or not self.path.exists():
            return None
        state = self._read(self.path, device)
        records = {}
        for part in range(1, state["parts"] + 1):
            records |= self._read(self._part(part), device)["records"]
        self.parts, self.saved = state["parts"], set(records)
        return state["now"], records

    def save(self, now, records):
        """Keep `now` and the records that are new; an interruption leaves the old state whole."""
        if self.path is None:
            return
        new = {key: value for key, value in records.items() if key not in self.saved}
        if new:
            self._write(self._part(self.parts + 1), {"records": new})
        self._write(self.path, {"now": now, "parts": self.parts + bool(new)})
        self.parts, self.saved = self.parts + bool(new), self.saved | set(new)

    def _part(self, number):
        return self.path.with_name(f"{self.path.name}.{number}")

    def _draft(self):
        return self.path.with_name(
            f"{self.path.name}.part"
        )  # one name: what a killed run leaves, the next one replaces

    def _write(self, path, state):
        torch.save({"identity": self.identity, "state": state}, self._draft())
        os.replace(self._draft(), path)

    def _read(self, path, device):
        try:
            saved = torch.load(path, weights_only=True, map_location=device)
            found, state = dict(saved["identity"]), dict(saved["state"])
        except UNREADABLE as error:
            # Only the kind of error: torch's own text advises to load the file unsafely.
            raise ValueError(f"{path} holds no saved state ({type(error).__name__}); choose another file") from error
        different = [key for key in self.identity if found.get(key) != self.identity[key]]
        if different:
            there, here = found.get(different[0]), self.identity[different[0]]
            raise ValueError(
                f"{path} was saved by another run: {different[0]} is {there!r} there and {here!r} here; "
                "choose another file"
            )
        return state
