"""A trainer that prunes nothing meets a checkpoint of a pruned network: one line, and it loads."""

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from safe_load import SAFE_LOAD
from small import Classifier, Saver, cutter, data, fit, net, trainer
from torch import nn

from physprune_pl import load_pruned
from physprune_pl.callbacks import PrunedCheckpoints

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory:UserWarning"),
]


class Brings(Classifier):
    """Says so itself, for every trainer."""

    def configure_callbacks(self):
        return [PrunedCheckpoints()]


class Compiled(Classifier):
    """Compiles its network in ``setup``."""

    def setup(self, stage):
        if not hasattr(self.net, "_orig_mod"):
            self.net = torch.compile(self.net, backend="eager")


def metrics(model, *callbacks, ckpt_path=None):
    runner = trainer(*callbacks)
    return runner.test(model, data(), ckpt_path=ckpt_path, verbose=False, **(SAFE_LOAD if ckpt_path else {}))[0]


@pytest.fixture
def pruned(tmp_path):
    """Return a checkpoint of a pruned network, and what it scores."""
    model, _ = fit(cutter(), Saver(tmp_path))
    return tmp_path / "3.ckpt", metrics(model)


def test_without_the_line_and_the_entry_point_the_error_is_that_of_torch(pruned):
    with pytest.raises(RuntimeError, match=r"size mismatch for net\.0\.weight"):
        metrics(Classifier(), ckpt_path=pruned[0])


def test_one_line_in_a_trainer_or_one_method_of_the_module_loads_it(pruned):
    path, scores = pruned
    for model, callbacks in ((Classifier(), [PrunedCheckpoints()]), (Brings(), [])):
        assert metrics(model, *callbacks, ckpt_path=path) == pytest.approx(scores)
        assert model.net[0].out_channels < 8
        assert not model._load_state_dict_pre_hooks
    assert metrics(load_pruned(Classifier(), path)) == pytest.approx(scores)


@pytest.mark.parametrize(("trained", "tested"), [(Compiled, Classifier), (Classifier, Compiled), (Compiled, Compiled)])
def test_names_of_compiled_networks_are_those_of_the_module(tmp_path, trained, tested):
    model, _ = fit(cutter(), Saver(tmp_path), model=trained())
    scores = metrics(model)
    assert metrics(tested(), PrunedCheckpoints(), ckpt_path=tmp_path / "3.ckpt") == pytest.approx(scores)


def test_what_reloads_the_best_file_by_itself_gets_it(tmp_path):
    best = ModelCheckpoint(tmp_path, monitor="val_loss")
    fit(cutter(), best)
    other = Brings()
    metrics(other, ckpt_path=best.best_model_path)
    loaded = Brings.load_from_checkpoint(best.best_model_path)
    assert all(map(torch.equal, other.state_dict().values(), loaded.state_dict().values()))


def test_dense_checkpoints_and_those_of_weights_only_load_too(tmp_path):
    model, runner = fit(cutter(), Saver(tmp_path))
    runner.save_checkpoint(tmp_path / "weights.ckpt", weights_only=True)
    assert metrics(Classifier(), PrunedCheckpoints(), ckpt_path=tmp_path / "weights.ckpt") == metrics(model)
    dense = Classifier()
    metrics(dense, PrunedCheckpoints(), ckpt_path=tmp_path / "1.ckpt")
    assert dense.net[0].out_channels == 8


def test_a_pruned_network_is_trained_further_and_its_files_carry_the_plan_on(tmp_path, pruned):
    further, runner = fit(PrunedCheckpoints(), Saver(tmp_path / "b"), epochs=6, ckpt_path=pruned[0])
    assert runner.current_epoch == 6
    assert {id(one) for group in runner.optimizers[0].param_groups for one in group["params"]} == {
        id(one) for one in further.parameters()
    }
    loaded = load_pruned(Classifier(), tmp_path / "b" / "5.ckpt")
    assert all(map(torch.equal, loaded.state_dict().values(), further.state_dict().values()))
    again = Classifier()
    assert metrics(again, PrunedCheckpoints(), ckpt_path=tmp_path / "b" / "5.ckpt") == metrics(further)


def test_a_plan_of_another_network_is_refused(pruned):
    other = Classifier(network=lambda: nn.Sequential(*list(net())[:-1], nn.Linear(8, 3)))
    with pytest.raises(ValueError, match="no pruning plan in it explains that"):
        metrics(other, PrunedCheckpoints(), ckpt_path=pruned[0])
    assert not other._load_state_dict_pre_hooks
