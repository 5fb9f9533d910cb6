import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from grokbook import checkpoint

STATE = {"now": (3, torch.arange(6.0).reshape(2, 3)), "records": {0: {"cost": torch.tensor(1.5)}, 10: {}}, "note": None}
TENSOR = torch.arange(6, dtype=torch.float64)


@pytest.fixture
def mine():
    return checkpoint.identity({"step": 1e-3, "activation": "relu"}, TENSOR)


def test_what_is_saved_is_loaded(tmp_path, mine):
    file = tmp_path / "new" / "folder" / "state.pt"
    checkpoint.save(file, mine, STATE)
    found = checkpoint.load(str(file), mine)
    assert found["now"][0] == 3
    assert torch.equal(found["now"][1], STATE["now"][1])
    assert list(found["records"]) == [0, 10]
    assert found["note"] is None
    assert [path.name for path in file.parent.iterdir()] == ["state.pt"], "no draft is left behind"


def test_without_a_path_nothing_is_written_and_nothing_found(tmp_path, monkeypatch, mine):
    monkeypatch.chdir(tmp_path)
    checkpoint.save(None, mine, STATE)
    assert checkpoint.load(None, mine) is None
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there_is_no_state(tmp_path, mine):
    assert checkpoint.load(tmp_path / "state.pt", mine) is None


@pytest.mark.parametrize("fatal", [OSError, KeyboardInterrupt])
def test_a_save_that_breaks_off_leaves_the_old_file_whole(tmp_path, monkeypatch, mine, fatal):
    file = tmp_path / "state.pt"
    checkpoint.save(file, mine, STATE)

    def broken(content, path):
        path.write_bytes(b"half of it")
        raise fatal

    monkeypatch.setattr(torch, "save", broken)
    with pytest.raises(fatal):
        checkpoint.save(file, mine, {"now": (4, None)})
    assert checkpoint.load(file, mine)["now"][0] == 3


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (checkpoint.identity({"step": 2e-3, "activation": "relu"}, TENSOR), r"step is 0.001 there and 0.002 here"),
        (checkpoint.identity({"step": 1e-3, "activation": "gelu"}, TENSOR), r"activation is 'relu' there and 'gelu'"),
        (
            checkpoint.identity({"step": 1e-3, "activation": "relu"}, TENSOR + 1),
            r"start is '\w{16}' there and '\w{16}'",
        ),
        (checkpoint.identity({"step": 1e-3, "activation": "relu", "width": 5}, TENSOR), r"width is None there and 5"),
    ],
)
def test_another_computations_state_is_refused(tmp_path, mine, other, named):
    file = tmp_path / "state.pt"
    checkpoint.save(file, mine, STATE)
    with pytest.raises(ValueError, match=rf"saved by another run: {named}.*delete it or choose another file"):
        checkpoint.load(file, other)


class Anything:
    pass


@pytest.mark.parametrize(
    "write",
    [
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(b"no state at all"),
        lambda file: file.write_bytes(pickle.dumps(Anything(), protocol=2)),
        lambda file: torch.save(torch.zeros(3), file),
        lambda file: torch.save([1, 2], file),
        lambda file: torch.save({"E": torch.zeros(3)}, file),
        lambda file: torch.save({"identity": 5, "state": {}}, file),
        lambda file: torch.save({"identity": {}, "state": Anything()}, file),
        lambda file: file.mkdir(),
    ],
    ids=["empty", "text", "pickle", "tensor", "list", "other keys", "no identity", "object", "folder"],
)
def test_a_file_that_holds_no_state_is_named(tmp_path, mine, write):
    file = tmp_path / "state.pt"
    write(file)
    with pytest.raises(ValueError, match=r"state.pt holds no saved state.*; delete it or choose another file"):
        checkpoint.load(file, mine)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_truncated_file_is_named(tmp_path, mine, share):
    file = tmp_path / "state.pt"
    checkpoint.save(file, mine, STATE)
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match="holds no saved state"):
        checkpoint.load(file, mine)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=6), st.integers(0, 5))
def test_identity_sees_every_entry(values, index):
    start = torch.tensor(values, dtype=torch.float64)
    other = start.clone()
    other[index % len(values)] += 1
    assert checkpoint.identity({}, start) == checkpoint.identity({}, start.clone())
    assert checkpoint.identity({}, start) != checkpoint.identity({}, other)


def test_identity_sees_dtype_shape_and_order():
    zeros = torch.zeros(4)
    versions = [(zeros,), (zeros.double(),), (zeros.view(2, 2),), (zeros, zeros), (zeros[:2], zeros[2:])]
    assert len({checkpoint.identity({}, *tensors)["start"] for tensors in versions}) == len(versions)


def test_identity_does_not_depend_on_the_memory_layout():
    matrix = torch.arange(6.0).reshape(2, 3)
    assert checkpoint.identity({}, matrix.T) == checkpoint.identity({}, matrix.T.contiguous())
    assert checkpoint.identity({}, matrix.requires_grad_()) == checkpoint.identity({}, matrix.detach())
