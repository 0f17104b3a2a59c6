"""Channels leave the network in waves while it trains: on time, without a change, and with everything that follows."""

import copy

import numpy as np
import pytest
import torch
from gradual import ENDS, EPOCHS, FINETUNED, TARGET, fit, initial, pruning
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping
from small import Classifier, adamw_cosine, one_cycle, sgd

from physprune_pl.networks.measure import count_macs
from physprune_pl.reports.report import PruningReport
from physprune_pl.targets.target import TOLERANCE

IMAGES = torch.randn(64, 1, 6, 6, generator=torch.Generator().manual_seed(5))


def plateau(parameters, trainer):
    """A schedule that counts its steps, and must not begin anew."""
    optimizer = torch.optim.SGD(parameters, lr=0.1, momentum=0.9)
    return {"optimizer": optimizer, "lr_scheduler": torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)}


class Watch(Callback):
    """What an epoch begins with, before and after a removal, and the rates of all steps."""

    def __init__(self):
        self.before, self.after, self.widths, self.rates, self.optimizers = [], [], [], [], []

    def said(self, pl_module):
        was, _ = pl_module.net.training, pl_module.net.eval()
        with torch.no_grad():
            output = pl_module.net(IMAGES)
        pl_module.net.train(was)
        return output

    def on_train_epoch_start(self, trainer, pl_module):
        self.before.append(self.said(pl_module))

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if batch_idx == 0:
            self.after.append(self.said(pl_module))
            self.widths.append((pl_module.net[0].out_channels, pl_module.net[3].out_channels))
            self.optimizers.append(trainer.optimizers[0])
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])


@pytest.mark.parametrize("make", [sgd, one_cycle, adamw_cosine, plateau])
def test_waves_end_on_time_without_a_change_and_without_a_break(make):
    watch, made = Watch(), pruning()
    model, _ = fit(made, watch, model=initial(make=make))
    widths = watch.widths
    changed = [epoch for epoch in range(1, len(widths)) if widths[epoch] != widths[epoch - 1]]
    assert changed == ENDS
    for before, after in zip(watch.before, watch.after, strict=True):
        torch.testing.assert_close(before, after, rtol=0.02, atol=0.02 * float(before.abs().max()))
    assert len({id(one) for one in watch.optimizers[:EPOCHS]}) == 1
    assert len({id(one) for one in watch.optimizers}) == 2
    dense = Watch()
    fit([], dense, model=initial(make=make))
    if make is not one_cycle and make is not adamw_cosine:  # these ask how many epochs there are
        assert watch.rates[: len(dense.rates)] == dense.rates
    share = count_macs(model.net, IMAGES[:1]) / count_macs(initial().net, IMAGES[:1])
    assert share == made.plan.macs[1] / made.plan.macs[0]
    assert abs(share - TARGET) <= TOLERANCE * TARGET or share == pytest.approx(TARGET, abs=0.03)


def test_moments_are_carried_through_a_removal():
    class Moments(Callback):
        def __init__(self):
            self.before, self.after = [], []

        def note(self, trainer, seen):
            optimizer = trainer.optimizers[0]
            seen.append(
                [optimizer.state[one]["momentum_buffer"].clone() for one in optimizer.param_groups[0]["params"]]
            )

        def on_train_epoch_start(self, trainer, pl_module):
            if trainer.current_epoch in ENDS:
                self.note(trainer, self.before)

        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if trainer.current_epoch in ENDS and batch_idx == 0:
                self.note(trainer, self.after)

    moments, made = Moments(), pruning()
    fit(made, moments)
    assert [one.shape for one in moments.before[0]] != [one.shape for one in moments.after[0]]
    for before, after in zip(moments.before, moments.after, strict=True):
        rows = [row for row in before[0].flatten(1) for other in after[0].flatten(1) if torch.equal(row, other)]
        assert len(rows) == len(after[0])


def test_the_plan_is_of_the_dense_network():
    model = initial()
    dense = copy.deepcopy(model)
    made = pruning()
    fit(made, model=model)
    for cut in made.plan.groups:
        assert cut.before == 8
        assert cut.after == len(model.net[int(cut.name.removeprefix("net."))].weight)
    assert made.plan.macs[0] == count_macs(dense.net, IMAGES[:1])
    assert made.plan.macs[1] == count_macs(model.net, IMAGES[:1])
    assert made.report.file_bytes["dense"] > made.report.file_bytes["pruned"]


def test_the_history_has_the_channels_of_the_dense_network():
    made = pruning()
    fit(made)
    history = next(one for one in made if hasattr(one, "history")).history()
    assert history["phases"].tolist() == ["sparsify"] * EPOCHS + ["finetune"] * FINETUNED
    for cut in made.plan.groups:
        table = history[f"strength/{cut.name}"]
        assert table.shape == (EPOCHS + FINETUNED, 8)
        gone = np.isnan(table)
        assert gone[-1].nonzero()[0].tolist() == list(cut.removed)
        assert (gone[1:] >= gone[:-1]).all()
        assert not gone[: ENDS[0]].any()
        assert (np.isnan(history[f"chosen/{cut.name}"][: ENDS[-1]]) == gone[: ENDS[-1]]).all()
        assert np.isnan(history[f"chosen/{cut.name}"][ENDS[-1] :]).all()


def test_the_report_tells_what_the_epochs_cost():
    made = pruning()
    fit(made)
    epochs = made.report.epochs
    dense, pruned = made.report.macs["dense"], made.report.macs["pruned"]
    assert epochs["macs"][: ENDS[0]] == [dense]
    assert epochs["macs"][ENDS[-1] :] == [pruned] * (EPOCHS + FINETUNED - ENDS[-1])
    assert pruned < epochs["macs"][ENDS[0]] < dense
    assert len(epochs["seconds"]) == len(epochs["macs"])
    share = sum(epochs["macs"]) / (len(epochs["macs"]) * dense)
    assert f"Training cost over that of as many dense epochs, by MACs: {share:.2f}." in made.report.to_markdown()
    assert PruningReport.from_json(made.report.to_json()).epochs == epochs


def test_nothing_presses_once_all_is_removed():
    class Presses(Callback):
        def __init__(self, session):
            self.session, self.seen = session, []

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if batch_idx == 5:
                self.seen.append((self.session.presses, self.session.steering is not None))

    made = pruning()
    presses = Presses(made.cutter.session)
    fit(made, presses)
    assert presses.seen[:EPOCHS] == [(epoch < ENDS[-1],) * 2 for epoch in range(EPOCHS)]


def test_a_phase_that_is_stopped_early_ends_with_the_target():
    class Stop(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            trainer.should_stop = trainer.current_epoch == 1

    made = pruning()
    _, runner = fit(made, Stop())
    assert runner.current_epoch == 2 + FINETUNED
    assert made.plan.macs[1] / made.plan.macs[0] == pytest.approx(TARGET, abs=0.03)


def test_without_fine_tuning_the_waves_are_all():
    made = pruning(finetune_epochs=0)
    model, runner = fit(made)
    assert runner.current_epoch == EPOCHS
    assert model.net[0].out_channels < 8
    assert made.report.epochs["macs"][-1] == made.report.macs["pruned"]


@pytest.mark.parametrize(
    ("arguments", "settings", "reason"),
    [
        ({"coefficient": 0.01}, {}, "nothing steers"),
        ({}, {"epochs": 2}, "waves need a phase of 3 epochs .*, got 2"),
        ({}, {"epochs": -1, "max_steps": 30}, "waves end with epochs"),
        ({}, {"max_steps": 60}, "waves end with epochs"),
        ({"teacher": True}, {}, "the teacher is the network as it was"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*not at zero")
def test_where_waves_cannot_be_all_is_removed_at_once(arguments, settings, reason):
    watch, made = Watch(), pruning(**arguments)
    with pytest.warns(UserWarning, match=f"everything is removed at once.*{reason}"):
        fit(made, watch, **settings)
    assert len(set(watch.widths)) == 2
    assert watch.widths[0] == (8, 8)


def test_a_teacher_of_its_own_is_no_obstacle():
    watch, made = Watch(), pruning(teacher=Classifier().net)
    fit(made, watch)
    assert len(set(watch.widths)) == 3


def test_widths_are_those_of_the_dense_network():
    made = pruning(target={"macs": 0.4574}, min_share={"net.0": 0.75}, round_to=2)
    model, _ = fit(made)
    assert model.net[0].out_channels == 6
    assert model.net[3].out_channels % 2 == 0


def test_what_does_not_rest_stays_until_it_does():
    """A force that starts late has brought nothing to zero when its waves end."""
    watch, made = Watch(), pruning(schedule=lambda progress: 0.0)
    fit(made, watch)
    assert set(watch.widths[:EPOCHS]) == {(8, 8)}
    assert made.plan.macs[1] / made.plan.macs[0] == pytest.approx(TARGET, abs=0.03)
    assert made.report.not_arrived


def test_early_stopping_and_waves_work_together():
    made = pruning(monitor="val_loss", mode="min")
    fit(made, EarlyStopping("val_loss", patience=99))
    assert made.report.metric["after_finetune"] is not None
