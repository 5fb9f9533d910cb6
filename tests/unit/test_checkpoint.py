import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from grokbook import checkpoint
from grokbook.checkpoint import Store

NOW = (3, torch.arange(6.0).reshape(2, 3), {"velocity": torch.ones(2), "step": 0.5}, 7)
RECORDS = {0: {"cost": torch.tensor(1.5)}, 10: {"cost": torch.tensor(1.0)}}
TENSOR = torch.arange(6, dtype=torch.float64)


@pytest.fixture
def mine():
    return checkpoint.identity({"step": 1e-3, "activation": "relu"}, TENSOR)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_is_saved_is_loaded(tmp_path, mine):
    file = tmp_path / "new" / "folder" / "state.pt"
    Store(file, mine).save(NOW, RECORDS)
    (k, point, memory, evaluations), records = Store(str(file), mine).load("cpu")
    assert (k, evaluations, memory["step"]) == (3, 7, 0.5)
    assert torch.equal(point, NOW[1])
    assert list(records) == [0, 10]
    assert names(file.parent) == ["state.pt", "state.pt.1"], "no draft is left behind"


def test_a_state_is_read_to_the_device_of_the_run_whatever_it_was_saved_on(tmp_path, mine):
    Store(tmp_path / "state.pt", mine).save(NOW, RECORDS)
    now, records = Store(tmp_path / "state.pt", mine).load("meta")
    kinds = {now[1].device.type, now[2]["velocity"].device.type, records[0]["cost"].device.type}
    assert kinds == {"meta"}


def test_records_that_were_saved_are_not_written_again(tmp_path, mine):
    file = tmp_path / "state.pt"
    store = Store(file, mine)
    for k in range(1, 5):
        store.save((k, *NOW[1:]), {i: RECORDS[0] for i in range(k)})
    store.save((9, *NOW[1:]), {i: RECORDS[0] for i in range(4)})
    assert names(tmp_path) == ["state.pt", *(f"state.pt.{k}" for k in range(1, 5))]
    sizes = [(tmp_path / f"state.pt.{k}").stat().st_size for k in range(1, 5)]
    assert max(sizes) - min(sizes) < 100
    again = Store(file, mine)
    now, records = again.load("cpu")
    assert now[0] == 9 and list(records) == [0, 1, 2, 3]
    again.save((10, *NOW[1:]), records | {4: RECORDS[0]})
    assert list(Store(file, mine).load("cpu")[1]) == [0, 1, 2, 3, 4]


def test_without_a_path_nothing_is_written_and_nothing_found(tmp_path, monkeypatch, mine):
    monkeypatch.chdir(tmp_path)
    Store(None, mine).save(NOW, RECORDS)
    assert Store(None, mine).load("cpu") is None
    assert names(tmp_path) == []


def test_a_file_that_is_not_there_is_no_state(tmp_path, mine):
    assert Store(tmp_path / "state.pt", mine).load("cpu") is None
    assert names(tmp_path) == []


def test_an_impossible_folder_is_refused_before_anything_is_computed(tmp_path, mine):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"no state can be kept in .*state.pt: .*; choose another file"):
        Store(tmp_path / "file" / "state.pt", mine)


def test_a_draft_that_a_killed_run_left_is_no_obstacle(tmp_path, mine):
    (tmp_path / "state.pt.part").write_text("half")
    Store(tmp_path / "state.pt", mine).save(NOW, RECORDS)
    assert names(tmp_path) == ["state.pt", "state.pt.1"]


@pytest.mark.parametrize("fatal", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("writes", [0, 1])
def test_a_save_that_breaks_off_leaves_the_old_state_whole(tmp_path, monkeypatch, mine, fatal, writes):
    file, done, save = tmp_path / "state.pt", [], torch.save
    store = Store(file, mine)
    store.save(NOW, RECORDS)

    def broken(content, path):
        if len(done) == writes:
            path.write_bytes(b"half of it")
            raise fatal
        done.append(save(content, path))

    monkeypatch.setattr(torch, "save", broken)
    with pytest.raises(fatal):
        store.save((4, *NOW[1:]), RECORDS | {20: RECORDS[0]})
    now, records = Store(file, mine).load("cpu")
    assert now[0] == 3 and list(records) == [0, 10]


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
    Store(file, mine).save(NOW, RECORDS)
    with pytest.raises(ValueError, match=rf"saved by another run: {named}.*; choose another file"):
        Store(file, other).load("cpu")


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
    with pytest.raises(ValueError, match=r"state.pt holds no saved state.*; choose another file"):
        Store(file, mine).load("cpu")


@pytest.mark.parametrize("name", ["state.pt", "state.pt.1"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_truncated_file_is_named(tmp_path, mine, share, name):
    Store(tmp_path / "state.pt", mine).save(NOW, RECORDS)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=f"{name} holds no saved state"):
        Store(tmp_path / "state.pt", mine).load("cpu")


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
