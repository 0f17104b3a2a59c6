"""A fit that would cut nothing, or press nothing, says so: at its start where that can be known, else at its end."""

import pytest
import torch
from lightning.pytorch import Callback
from small import Classifier, Saver, cutter, data, fit, net, trainer
from torch.utils.data import DataLoader, IterableDataset

from physprune_pl import ForceRegularization, PruneAndFinetune, physics_pruning

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory:UserWarning"),
]
TARGET = {"macs": 0.5}


class Stream(IterableDataset):
    """The batches without a length; endless without a number."""

    def __init__(self, batches=None):
        self.batches = batches

    def __iter__(self):
        given = 0
        while self.batches is None or given < self.batches:
            yield next(iter(data()))
            given += 1


def stream(batches=None, callbacks=None, **kwargs):
    """Fit with a stream; return module and trainer."""
    model = Classifier()
    runner = trainer(*(callbacks or physics_pruning(target=TARGET, finetune_epochs=1)), **kwargs)
    runner.fit(model, DataLoader(Stream(batches), batch_size=None), data())
    return model, runner


class Progress(Callback):
    """Notes how far the phase is at every step."""

    def __init__(self, session):
        self.session, self.seen = session, []

    def on_train_batch_end(self, trainer, *_):
        if self.session.phase == "sparsify":
            self.seen.append(round(self.session.progress(trainer), 3))


# --- a length that is not known --------------------------------------------------------------------------------------


def test_after_its_first_epoch_a_stream_is_as_long_as_it_was():
    callbacks = physics_pruning(target=TARGET, finetune_epochs=1)
    progress = Progress(callbacks[0].session)
    with pytest.warns(UserWarning, match="has no length.*max_steps, or limit_train_batches.*once it is over"):
        model, _ = stream(4, [*callbacks, progress], epochs=3)
    assert progress.seen == [0, 0, 0, 0, 0.333, 0.417, 0.5, 0.583, 0.667, 0.75, 0.833, 0.917]
    assert model.net[0].out_channels < 8


def test_a_single_epoch_without_a_length_is_refused():
    with pytest.raises(ValueError, match=r"max_epochs: the training data has no length.*max_steps, or limit_train_ba"):
        stream(4, epochs=1)
    plain = ForceRegularization("uniform", 0.01)
    stream(4, [plain], epochs=1)  # a constant force need not know
    assert plain.steps == 4


@pytest.mark.parametrize("limits", [{"max_steps": 8}, {"limit_train_batches": 4}])
def test_either_limit_tells_the_length(limits):
    callbacks = physics_pruning(target=TARGET, finetune_epochs=0)
    progress = Progress(callbacks[0].session)
    model, _ = stream(None, [*callbacks, progress], epochs=2 if "limit_train_batches" in limits else -1, **limits)
    assert progress.seen[-1] >= 0.875
    assert model.net[0].out_channels < 8


def test_epochs_of_fine_tuning_that_never_end_are_refused():
    with pytest.raises(ValueError, match=r"fine-tuning.*no length; expected limit_train_batches"):
        stream(None, epochs=-1, max_steps=8)


# --- nothing left to train, or nothing cut ---------------------------------------------------------------------------


def test_a_trainer_that_has_trained_all_its_epochs_is_refused():
    pruning = physics_pruning(target=TARGET, finetune_epochs=1)
    model, runner = fit(*pruning)
    dense = pruning.report.macs["dense"]
    for module in (model, Classifier()):
        with pytest.raises(
            ValueError, match=r"max_epochs: expected epochs to train.*got 2, of which.* trained 3 in an"
        ):
            runner.fit(module, data(), data())
    again, _ = fit(*pruning, model=model)  # with a trainer of its own the same callbacks cut once more
    assert pruning.report.macs["dense"] < dense
    assert again.net[0].out_channels < 8


@pytest.mark.parametrize("callbacks", [lambda: physics_pruning(target=TARGET, finetune_epochs=1), lambda: [cutter()]])
def test_a_checkpoint_whose_epochs_are_used_up_is_refused(tmp_path, callbacks):
    fit(Saver(tmp_path))
    with pytest.raises(ValueError, match=r"nothing was pruned.*more epochs \(max_epochs, got 2\) than the checkpoint"):
        fit(*callbacks(), ckpt_path=tmp_path / "1.ckpt")
    model, _ = fit(*callbacks(), ckpt_path=tmp_path / "1.ckpt", epochs=3)
    assert model.net[0].out_channels < 8


def test_a_pruned_one_that_is_done_reports(tmp_path):
    pruning = physics_pruning(target=TARGET, finetune_epochs=1)
    model, _ = fit(*pruning, Saver(tmp_path))
    again = physics_pruning(target=TARGET, finetune_epochs=1)
    resumed, _ = fit(*again, ckpt_path=tmp_path / "2.ckpt")
    assert again.report.macs == pruning.report.macs
    assert all(map(torch.equal, model.state_dict().values(), resumed.state_dict().values()))


def test_a_fit_without_a_step_is_an_error():
    with pytest.raises(ValueError, match=r"without a step of training; expected batches \(limit_train_batches\)"):
        fit(*physics_pruning(target=TARGET, finetune_epochs=1), limit_train_batches=0)


class EndsIt(Callback):
    """Ends a fit where nobody expects it."""

    def on_train_epoch_end(self, trainer, pl_module):
        trainer.fit_loop.max_epochs = trainer.current_epoch + 1
        trainer.fit_loop.min_epochs = None


def test_a_fit_that_ends_before_its_cut_warns_and_keeps_what_it_has():
    cut = cutter()
    with pytest.warns(UserWarning, match="nothing was pruned: the fit ended in epoch 1, before its cut"):
        model, _ = fit(cut, EndsIt(), epochs=5)
    assert cut.report is None
    assert model.net[0].out_channels == 8


@pytest.mark.parametrize("target", [{"threshold": 1e-9}, {"macs": 1.0}])
def test_a_cut_that_removes_nothing_warns(target):
    with pytest.warns(UserWarning, match="the cut has removed no channel: none is under the target"):
        model, _ = fit(cutter(target=target))
    assert model.net[0].out_channels == 8


# --- half of the callbacks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("place", "missing"), [(0, "the force without the cut"), (-1, "the cut without the force")])
@pytest.mark.parametrize("coefficient", ["auto", 0.1])
def test_one_of_the_callbacks_alone_is_refused(place, missing, coefficient):
    alone = physics_pruning(target=TARGET, coefficient=coefficient)[place]
    with pytest.raises(ValueError, match=f"expected all that physics_pruning.* returns, got {missing}"):
        fit(alone)


def test_callbacks_that_were_built_by_themselves_may_be_alone():
    fit(ForceRegularization("uniform", 0.1))
    model, _ = fit(PruneAndFinetune(TARGET, 1))
    assert model.net[0].out_channels < 8


# --- eval mode -------------------------------------------------------------------------------------------------------


def test_a_network_that_starts_in_eval_mode_is_trained_like_that_and_one_line_says_so():
    model = Classifier().eval()
    before = model.net[1].running_mean.clone()
    with pytest.warns(UserWarning, match=r"Found \d+ module\(s\) in eval mode at the start of training"):
        fit(cutter(), model=model)
    assert not model.net[1].training
    assert torch.equal(model.net[1].running_mean, before[: len(model.net[1].running_mean)])
    assert model.net[0].out_channels < len(net()[0].weight)
