"""What every border of the package asks of its arguments: each function returns the argument or says what is wrong."""

import math
import numbers

import torch


def whole(name, value, least=0):
    """A whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise ValueError(f"{name}={value!r} must be a whole number of at least {least}")
    return int(value)


def positive(name, value, most=math.inf):
    """A positive finite number, at most `most`, as a float."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 < value <= most or value == math.inf:
        limit = "finite" if most == math.inf else f"at most {most}"
        raise ValueError(f"{name}={value!r} must be a positive number and {limit}")
    return float(value)


def not_negative(name, value, most=math.inf):
    """A finite number of at least 0, at most `most`, as a float."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= value <= most or value == math.inf:
        limit = "finite" if most == math.inf else f"at most {most}"
        raise ValueError(f"{name}={value!r} must be a number from 0 on and {limit}")
    return float(value)


def random(generator):
    """A torch.Generator."""
    if not isinstance(generator, torch.Generator):
        raise ValueError(f"generator={generator!r} must be a torch.Generator; pass torch.Generator().manual_seed(seed)")
    return generator


def floating(name, tensor):
    """A tensor of float32 or float64."""
    if not torch.is_tensor(tensor):
        raise ValueError(f"{name} is a {type(tensor).__name__}; pass a torch tensor: torch.as_tensor({name})")
    if tensor.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"{name} is {tensor.dtype}; pass float32 or float64: {name}.double()")
    return tensor


def real(name, tensor, shape=None):
    """A tensor of float32 or float64 with finite entries; shape: a tuple with None for any length, or None."""
    floating(name, tensor)
    if shape is not None and not _fits(tensor.shape, shape):
        wanted = ", ".join("any" if length is None else str(length) for length in shape)
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}; it must be ({wanted})")
    if not bool(tensor.isfinite().all()):
        raise ValueError(f"{int((~tensor.isfinite()).sum())} of the {tensor.numel()} entries of {name} are not finite")
    return tensor


def _fits(found, wanted):
    """Whether a shape is the wanted one; a leading ... leaves the front open."""
    if wanted and wanted[0] is ...:
        wanted = wanted[1:]
        found = found[len(found) - len(wanted) :] if len(found) >= len(wanted) else ()
    return len(found) == len(wanted) and all(w is None or f == w for f, w in zip(found, wanted, strict=True))


def alike(**tensors):
    """Raise unless all tensors share dtype and device."""
    kinds = {name: (tensor.dtype, tensor.device) for name, tensor in tensors.items()}
    if len(set(kinds.values())) > 1:
        listed = ", ".join(f"{name} is {dtype} on {device}" for name, (dtype, device) in kinds.items())
        raise ValueError(f"{listed}; bring them together with .to(...)")
