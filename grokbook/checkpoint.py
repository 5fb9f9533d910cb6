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


def save(path, identity, state):
    """Write a state of tensors and plain values (nothing for path=None); an interruption leaves the old file whole."""
    if path is None:
        return
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    torch.save({"identity": identity, "state": state}, draft)
    os.replace(draft, path)


def load(path, identity):
    """The state saved at `path`, or None where there is none. Raises ValueError for another computation's state."""
    if path is None or not Path(path).exists():
        return None
    try:
        saved = torch.load(path, weights_only=True)
        found, state = dict(saved["identity"]), saved["state"]
    except UNREADABLE as error:
        # Only the kind of error: torch's own text advises to load the file unsafely.
        raise ValueError(
            f"{path} holds no saved state ({type(error).__name__}); delete it or choose another file"
        ) from error
    different = [key for key in identity if found.get(key) != identity[key]]
    if different:
        key = different[0]
        raise ValueError(
            f"{path} was saved by another run: {key} is {found.get(key)!r} there and {identity[key]!r} here; "
            "delete it or choose another file"
        )
    return state
