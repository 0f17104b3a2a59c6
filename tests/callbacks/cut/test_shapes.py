"""Checkpoints given to a fit whose plan somebody tampered with: refused, and the network is as it was."""

import copy

import pytest
import torch
from safe_load import SAFE_LOAD
from small import Classifier, Saver, cutter, data, fit, trainer

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers", "ignore:You defined a `validation_step` but have no `val_dataloader`"
)

OURS = "PruneAndFinetune{'module': None}"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A checkpoint from after the cut."""
    folder = tmp_path_factory.mktemp("whole")
    fit(cutter(finetune_epochs=1), Saver(folder), epochs=1)
    return torch.load(folder / "1.ckpt", weights_only=True)


def kept(state):
    return state["plan"]["tensors"]["net.0.weight"]["keep"]["0"]


def out_of_range(state, weights):
    kept(state)[-1] = 8


def repeated(state, weights):
    kept(state)[-1] = kept(state)[0]


def wrong_type(state, weights):
    state["plan"]["tensors"]["net.0.weight"]["keep"]["0"] = "all"


def path_outside(state, weights):
    state["plan"]["tensors"]["net.0.__class__"] = state["plan"]["tensors"].pop("net.0.weight")


def absurd_size(state, weights):
    state["plan"]["tensors"]["net.0.weight"]["shape"][1] = 10**12


def other_weights(state, weights):
    weights["net.0.weight"] = torch.ones(1).expand(10**9, 1, 3, 3)


def no_weights(state, weights):
    del weights["net.0.weight"]


def another_network(state, weights):
    state["plan"]["fingerprint"] = "0" * 16


def another_place(state, weights):
    state["prefix"] = "nowhere."


def prefix_of_another_kind(state, weights):
    state["prefix"] = 3


def another_phase(state, weights):
    state["phase"] = "cut"


def missing_part(state, weights):
    del state["metrics"]


def no_plan(state, weights):
    state["plan"], state["phase"] = None, "sparsify"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (out_of_range, "expected indices"),
        (repeated, "without repeats"),
        (wrong_type, "expected"),
        (path_outside, "its weights have None"),
        (absurd_size, "its weights have"),
        (other_weights, "its weights have"),
        (no_weights, "its weights have None"),
        (another_network, "another network"),
        (another_place, "its weights have None"),
        (prefix_of_another_kind, "a prefix"),
        (another_phase, "a phase among"),
        (missing_part, "expected the parts"),
        (no_plan, "no pruning plan in it explains"),
    ],
)
@pytest.mark.parametrize("stage", ["fit", "test"])
def test_a_tampered_plan_is_refused_before_anything_changes(tmp_path, whole, change, told, stage):
    content = copy.deepcopy(whole)
    change(content["callbacks"][OURS], content["state_dict"])
    torch.save(content, tmp_path / "forged.ckpt")
    model = Classifier()
    before, sizes = copy.deepcopy(model.state_dict()), [module.extra_repr() for module in model.modules()]
    run = getattr(trainer(cutter(finetune_epochs=1), epochs=1), stage)
    with pytest.raises(ValueError, match=told):
        run(model, data(), ckpt_path=tmp_path / "forged.ckpt", **SAFE_LOAD)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert sizes == [module.extra_repr() for module in model.modules()]


def test_weights_of_another_width_are_refused_in_a_fit_without_a_checkpoint(whole):
    class Loads(Classifier):
        def on_fit_start(self):
            self.load_state_dict(whole["state_dict"])

    model = Loads()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match="no pruning plan in it explains"):
        fit(cutter(finetune_epochs=1), model=model, epochs=1)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
