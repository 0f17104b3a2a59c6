"""Checkpoints with anything in them: tensors and plain data are read, the rest is a stand-in and never run."""

import functools
import io
import pickle
import zipfile

import pytest
import torch
from hand_networks import conv_bn_conv, plan_for
from torch import nn

from physprune_pl.surgery.apply import apply_plan
from physprune_pl.surgery.checkpoint_file import read_checkpoint
from physprune_pl.surgery.loading import load_pruned
from physprune_pl.tools.inert_pickle import StandIn

CALLS = []


def sentinel(*args, **kwargs):
    """What no file may call."""
    CALLS.append((args, kwargs))
    return {}


class Payload:
    def __reduce__(self):
        return sentinel, (1,)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def __setstate__(self, state):
        sentinel(state)


@pytest.fixture(autouse=True)
def _nothing_is_called():
    CALLS.clear()
    yield
    assert not CALLS


TENSORS = {
    "view": torch.arange(12.0).reshape(3, 4).t()[1:],
    "number": torch.tensor(5),
    "empty": torch.empty(0, 3),
    "parameter": nn.Parameter(torch.ones(2)),
    **{str(kind): torch.ones(3).to(kind) for kind in (torch.float64, torch.float16, torch.bfloat16, torch.complex64)},
    **{str(kind): torch.ones(3).to(kind) for kind in (torch.int8, torch.uint8, torch.int16, torch.int32, torch.bool)},
    # Kinds that torch stores in another way.
    **{str(kind): torch.ones(3).to(kind) for kind in (torch.uint16, torch.float8_e4m3fn)},
}
STRANGE = {"net": Net(), "optimizer": functools.partial(torch.optim.Adam, lr=0.1), "payload": Payload()}


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("strange", [{}, STRANGE])
def test_tensors_come_back_whatever_lies_beside_them(tmp_path, strange, protocol):
    torch.save({"tensors": TENSORS, "hyper_parameters": strange}, tmp_path / "a.ckpt", pickle_protocol=protocol)
    found = read_checkpoint(tmp_path / "a.ckpt")
    for name, tensor in TENSORS.items():
        assert found["tensors"][name].dtype == tensor.dtype
        assert torch.equal(found["tensors"][name].to(torch.complex64), tensor.detach().to(torch.complex64)), name
    assert all(isinstance(value, StandIn) for value in found["hyper_parameters"].values())


def test_tensors_share_memory_as_they_did(tmp_path):
    whole = torch.zeros(4)
    torch.save({"whole": whole, "part": whole[2:], "strange": Payload()}, tmp_path / "a.ckpt")
    found = read_checkpoint(tmp_path / "a.ckpt")
    found["part"].fill_(1)
    assert found["whole"].tolist() == [0, 0, 1, 1]


def pruned_file(path, **more):
    model, group, example = conv_bn_conv()
    plan = plan_for(model, group)
    apply_plan(model.eval(), plan)
    ours = {"plan": plan.to_dict(), "prefix": ""}
    callbacks = {"Theirs": Payload(), Net: Payload(), "PruneAndFinetune": ours}
    torch.save({"state_dict": model.state_dict(), "callbacks": callbacks, **more}, path)
    return model(example), example


def test_load_pruned_reads_weights_and_plan_and_nothing_else(tmp_path):
    expected, example = pruned_file(tmp_path / "a.ckpt", hyper_parameters=STRANGE, payload=Payload())
    loaded = load_pruned(conv_bn_conv()[0], tmp_path / "a.ckpt")
    torch.testing.assert_close(loaded.eval()(example), expected)


def test_a_payload_in_the_place_of_what_is_read(tmp_path):
    for content in (
        Payload(),
        {"state_dict": Payload()},
        {"state_dict": {"0.weight": Payload()}},
        {"state_dict": conv_bn_conv()[0].state_dict(), "callbacks": {"a": {"plan": Payload(), "prefix": ""}}},
    ):
        torch.save(content, tmp_path / "a.ckpt")
        with pytest.raises(ValueError, match=r"path|model|plan"):
            load_pruned(conv_bn_conv()[0], tmp_path / "a.ckpt")


def rewritten(path, change, **kwargs):
    """Write the records of a file again, changed."""
    with zipfile.ZipFile(path) as old:
        records = {name: old.read(name) for name in old.namelist()}
    change(records)
    with zipfile.ZipFile(path, "w", **kwargs) as new:
        for name, content in records.items():
            new.writestr(name, content)


def swapped(records):
    (name,) = [name for name in records if name.endswith("byteorder")]
    records[name] = b"big"


def shortened(records):
    (name,) = [name for name in records if name.endswith("data/0")]
    records[name] = records[name][:4]


def scripted(records):
    records["a/constants.pkl"] = pickle.dumps(())


@pytest.mark.parametrize(
    ("change", "kwargs", "message"),
    [
        (swapped, {}, "byte order"),
        (shortened, {}, "storage of size"),
        (lambda records: None, {"compression": zipfile.ZIP_DEFLATED}, "compressed"),
        (lambda records: records.clear(), {}, "does not load"),
        (lambda records: records.update({"b/data.pkl": b""}), {}, "does not load"),
    ],
)
def test_files_that_were_changed(tmp_path, change, kwargs, message):
    torch.save({"state_dict": {"a": torch.ones(8)}, "payload": Payload()}, tmp_path / "a.ckpt")
    rewritten(tmp_path / "a.ckpt", change, **kwargs)
    with pytest.raises(ValueError, match=message):
        read_checkpoint(tmp_path / "a.ckpt")


def test_a_file_that_pretends_to_be_a_program_of_torchscript_is_read_as_data(tmp_path):
    torch.save({"payload": Payload()}, tmp_path / "a.ckpt")
    rewritten(tmp_path / "a.ckpt", scripted)
    with pytest.warns(UserWarning, match="TorchScript"):
        assert isinstance(read_checkpoint(tmp_path / "a.ckpt")["payload"], StandIn)


def test_formats_of_other_times_are_refused_with_the_way_round(tmp_path):
    torch.save({"payload": Payload()}, tmp_path / "a.ckpt", _use_new_zipfile_serialization=False)
    with pytest.raises(ValueError, match=r"since torch 1\.6.*write it anew"):
        read_checkpoint(tmp_path / "a.ckpt")
    buffer = io.BytesIO()
    pickle.dump(Payload(), buffer)
    (tmp_path / "b.ckpt").write_bytes(buffer.getvalue())
    with pytest.raises(ValueError, match=r"since torch 1\.6"):
        read_checkpoint(tmp_path / "b.ckpt")
    with pytest.raises(FileNotFoundError):
        read_checkpoint(tmp_path / "c.ckpt")
