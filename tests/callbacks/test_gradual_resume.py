"""A fit that removes channels in waves goes on after any interruption as if nothing had happened."""

import pytest
import torch
from gradual import ENDS, EPOCHS, TARGET, WAVES, batches, fit, initial, pruning
from lightning.pytorch import Callback
from safe_load import SAFE_LOAD
from small import Classifier, Saver, adamw_cosine, net, one_cycle, sgd, trainer
from test_resume import assert_same, state_of
from torch.utils.data import DataLoader, TensorDataset

from physprune_pl import ChannelTracker
from physprune_pl.removals import Gradual
from physprune_pl.surgery.loading import load_pruned
from physprune_pl.targets.target import TOLERANCE

# Of the forty steps of an epoch.
MIDDLE = 17


class AtValidation(Saver):
    """Saves where a ModelCheckpoint with a monitor does: before the epoch ends for other callbacks."""

    def on_train_epoch_end(self, trainer, pl_module):
        pass

    def on_validation_end(self, trainer, pl_module):
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            trainer.save_checkpoint(self.folder / f"{trainer.current_epoch}.ckpt")


def run(folder, saver, ckpt_path=None, removal=WAVES, **kwargs):
    folder.mkdir()
    made = pruning(removal, monitor="val_loss", mode="min")
    model, runner = fit(made, saver(folder), model=initial(**kwargs), ckpt_path=ckpt_path)
    # A tracker that is asked for a row before the first step has no coefficients.
    kept = [one for one in made if one.state_dict() and (saver is Saver or not isinstance(one, ChannelTracker))]
    states = state_of(model, runner, *kept)
    return states, made.report, model


@pytest.mark.parametrize(
    ("removal", "make", "example", "saver", "epochs"),
    [
        (WAVES, one_cycle, True, Saver, (0, 1, 2, 3, EPOCHS - 1)),
        (WAVES, adamw_cosine, False, Saver, (0, 2)),
        (WAVES, sgd, False, AtValidation, (0, 1, 3)),
        ("once", sgd, False, AtValidation, (0, EPOCHS - 1)),
    ],
)
def test_a_fit_may_be_resumed_anywhere(tmp_path, removal, make, example, saver, epochs):
    whole, report, model = run(tmp_path / "whole", saver, removal=removal, make=make, example=example)
    assert model.net[0].out_channels < 8
    for epoch in epochs:
        path = tmp_path / "whole" / f"{epoch}.ckpt"
        resumed, again, _ = run(tmp_path / f"from{epoch}", saver, path, removal=removal, make=make, example=example)
        assert_same(whole, resumed, f"from {epoch}")
        assert again.groups == report.groups
        assert again.metric == report.metric
        assert again.epochs["macs"] == report.epochs["macs"]


def test_an_interrupted_fit_goes_on_with_the_same_objects(tmp_path):
    class Stop(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if trainer.current_epoch == ENDS[-1] + 1:
                raise RuntimeError("power cut")

    made, stop, model = pruning(), Stop(), initial()
    runner = trainer(*made, stop, Saver(tmp_path), epochs=EPOCHS)
    with pytest.raises(RuntimeError, match="power cut"):
        runner.fit(model, batches(), batches())
    runner.callbacks.remove(stop)
    # The network is smaller than that of the file, which is not dense either.
    runner.fit(model, batches(), batches(), ckpt_path=tmp_path / f"{ENDS[0]}.ckpt", **SAFE_LOAD)
    whole = pruning()
    other, _ = fit(whole)
    assert whole.plan == made.plan
    assert_same(dict(other.state_dict()), dict(model.state_dict()))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Files of a fit in two waves, one for each of its epochs."""
    folder = tmp_path_factory.mktemp("saved")
    fit(pruning(), Saver(folder))
    return folder


@pytest.mark.filterwarnings("ignore:.*everything is removed at once")
@pytest.mark.parametrize(
    ("epoch", "arguments"),
    [
        (ENDS[0], {"removal": "once"}),
        (ENDS[0], {"removal": Gradual(waves=1, until=0.5)}),
        (ENDS[0], {"coefficient": 0.01}),
        (ENDS[-1], {"target": {"macs": 0.3}}),
        (ENDS[-1], {"target": {"macs": 0.3}, "removal": "once"}),
    ],
)
def test_a_fit_that_is_resumed_with_other_waves_still_meets_its_target(saved, epoch, arguments):
    made = pruning(**arguments)
    fit(made, ckpt_path=saved / f"{epoch}.ckpt")
    share = arguments.get("target", {"macs": TARGET})["macs"]
    assert made.plan.macs[1] / made.plan.macs[0] == pytest.approx(share, rel=TOLERANCE)


def test_what_is_gone_does_not_come_back_for_a_larger_target(saved):
    made = pruning(target={"macs": 0.7})
    with pytest.warns(UserWarning, match=r"target: macs=0.7 was asked for, and 0.403 is left"):
        fit(made, ckpt_path=saved / f"{ENDS[-1]}.ckpt")


def test_files_of_every_width_are_tested_and_loaded(tmp_path):
    made = pruning()
    model, runner = fit(made, Saver(tmp_path))
    widths = {}
    for epoch in (0, ENDS[0], ENDS[-1], EPOCHS):
        path = tmp_path / f"{epoch}.ckpt"
        saved = torch.load(path, weights_only=True)["state_dict"]
        widths[epoch] = len(saved["net.0.weight"])
        runner.test(model, batches(), ckpt_path=path, **SAFE_LOAD, verbose=False)
        assert (model.net[0].out_channels, model.net[1].num_features) == (widths[epoch],) * 2
        for loaded in (load_pruned(net(), path), load_pruned(Classifier(), path).net):
            assert loaded[0].out_channels == widths[epoch]
            assert torch.equal(loaded[0].weight, saved["net.0.weight"])
    assert widths[0] == 8 > widths[ENDS[0]] > widths[ENDS[-1]] == widths[EPOCHS]
    assert made.cutter.record.phase == "finetune"


class Within(Callback):
    """Saves in the middle of every epoch."""

    def __init__(self, folder):
        self.folder = folder

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if batch_idx == MIDDLE:
            trainer.save_checkpoint(self.folder / f"{trainer.current_epoch}.ckpt")


@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch")
def test_a_fit_may_be_resumed_within_an_epoch(tmp_path):
    """A plain loader begins its epoch anew on resuming, so that every batch is the same here."""
    one = batches(steps=1).dataset.tensors
    data = DataLoader(TensorDataset(*(part.repeat(40, *[1] * (part.dim() - 1)) for part in one)), batch_size=4)
    made = pruning()
    model, _ = fit(made, Within(tmp_path), data=data)
    for epoch in (0, ENDS[0] + 1, ENDS[1], EPOCHS - 1, EPOCHS):
        again = pruning()
        (tmp_path / f"from{epoch}").mkdir()
        saver = Within(tmp_path / f"from{epoch}")
        other, _ = fit(again, saver, data=data, ckpt_path=tmp_path / f"{epoch}.ckpt")
        assert_same(dict(model.state_dict()), dict(other.state_dict()), f"from {epoch}")
        assert again.plan == made.plan
