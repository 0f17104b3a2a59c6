"""physics_pruning: three callbacks, one session, one fit from dense to fine-tuned."""

import inspect
import warnings

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from safe_load import SAFE_LOAD
from tiny import Module, loader, trainer

from physprune_pl.callbacks.channel_tracker import ChannelTracker
from physprune_pl.callbacks.factory import physics_pruning
from physprune_pl.callbacks.force_regularization import ForceRegularization
from physprune_pl.callbacks.prune_and_finetune import PruneAndFinetune
from physprune_pl.callbacks.random_states import RandomStates
from physprune_pl.callbacks.report_writer import ReportWriter
from physprune_pl.distances import RankDistance
from physprune_pl.forces import Gravity
from physprune_pl.networks.ignored import Ignored
from physprune_pl.schedules import Linear
from physprune_pl.selections import ByLaw
from physprune_pl.strengths import L1
from physprune_pl.targets.widths import Widths


def test_force_tracker_and_cut_share_one_session():
    callbacks = physics_pruning("gravity", 0.1, target={"params": 0.5})
    assert [type(one) for one in callbacks] == [
        ForceRegularization,
        ChannelTracker,
        RandomStates,
        ReportWriter,
        PruneAndFinetune,
    ]
    assert len({id(one.session) for one in callbacks if hasattr(one, "session")}) == 1


def test_without_a_force_nothing_is_pressed():
    callbacks = physics_pruning(None, target={"params": 0.5})
    assert [type(one) for one in callbacks] == [ChannelTracker, RandomStates, ReportWriter, PruneAndFinetune]


def test_every_argument_arrives():
    example = torch.zeros(1, 4)
    force, *_, cut = physics_pruning(
        Gravity(),
        "auto",
        target={"macs": 0.4},
        select="law",
        finetune_epochs=3,
        finetune_lr=0.01,
        monitor="loss",
        mode="max",
        example_input=example,
        ignore=["head"],
        round_to=8,
        min_share={"net.*": 0.5},
        max_share={"net.0": 0.75},
        schedule="linear",
        strength="l1",
        distance="rank",
        pivot="middle",
        module="net",
    )
    assert (force.law.force, force.law.distance, force.law.pivot) == (Gravity(), RankDistance(), "middle")
    assert (force.coefficient, force.schedule) == ("auto", Linear())
    session = force.session
    assert (session.module, session.ignore, session.strength) == ("net", Ignored(("head",)), L1())
    assert session.widths == cut.session.widths == Widths(8, {"net.*": 0.5}, {"net.0": 0.75})
    assert (session.given_input is example, session.select, session.target.kind) == (True, ByLaw(), "macs")
    assert (cut.finetune_epochs, cut.finetune_lr, cut.monitor, cut.mode) == (3, 0.01, "loss", "max")


def test_the_documented_defaults():
    defaults = {name: one.default for name, one in inspect.signature(physics_pruning).parameters.items()}
    expected = {"force": "exponential", "coefficient": "auto", "select": "strength", "finetune_epochs": 20}
    assert {name: defaults[name] for name in expected} == expected
    unset = ("finetune_lr", "monitor", "mode", "example_input", "round_to", "min_share", "max_share")
    assert [defaults[name] for name in unset] == [None] * len(unset)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"force": "magnetism"}, "force: expected one of"),
        ({"coefficient": -1.0}, "coefficient: expected a finite number"),
        ({"target": {"macs": 1.5}}, "target macs"),
        ({"target": {"macs": 0.5, "params": 0.5}}, "exactly one"),
        ({"select": "random"}, r"select: expected one of \['law', 'strength', 'taylor'\], got 'random'"),
        ({"force": None, "select": "law"}, 'select: "law" needs a force'),
        ({"coefficient": 0.1, "select": "law"}, 'select: "law" needs a force and coefficient="auto"'),
        ({"min_share": {"net": 0}}, r"min_share of 'net': expected a share in \(0, 1\], got 0"),
        ({"schedule": "square"}, "schedule: expected one of"),
        ({"strength": "l3"}, "strength: expected one of"),
        ({"distance": "far"}, "distance: expected one of"),
        ({"force": "Gravety"}, "did you mean 'gravity'"),
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
        ({"strength": "L2"}, "did you mean 'l2'"),
        ({"distance": "strength"}, "did you mean 'strength_gap'"),
        ({"pivot": "strong"}, "pivot: expected an index or one of .* did you mean 'strongest'"),
        ({"select": "laws"}, "did you mean 'law'"),
        ({"select": "tailor"}, "did you mean 'taylor'"),
        ({"coefficient": 0.1, "select": "taylor", "target": {"threshold": 0.1}}, "select: a threshold compares"),
    ],
)
def test_bad_input_is_named_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        physics_pruning(**{"target": {"macs": 0.5}} | options)


@pytest.mark.parametrize(
    ("force", "coefficient", "select"),
    [
        ("exponential", "auto", "strength"),
        ("gravity", "auto", "law"),
        ("uniform", 0.05, "strength"),
        (None, 0, "strength"),
        ("exponential", "auto", "taylor"),
        ("uniform", 0.05, "taylor"),
        (None, 0, "taylor"),
    ],
)
def test_one_fit_presses_cuts_and_finetunes(tmp_path, force, coefficient, select):
    callbacks = physics_pruning(force, coefficient, target={"params": 0.6}, select=select, finetune_epochs=2)
    module = Module()
    trainer(*callbacks, epochs=4, default_root_dir=tmp_path).fit(module, loader(10))
    report = callbacks[-1].report
    assert report.params["pruned"] / report.params["dense"] == pytest.approx(0.6, abs=0.02)
    assert report.params["pruned"] == sum(parameter.numel() for parameter in module.parameters())
    history = next(one for one in callbacks if isinstance(one, ChannelTracker)).history()
    assert history["phases"].tolist() == ["sparsify"] * 4 + ["finetune"] * 2
    widths = {group["name"]: group["after"] for group in report.groups}
    alive = {name: int((~torch.tensor(history[f"strength/{name}"][-1]).isnan()).sum()) for name in widths}
    assert alive == widths


@pytest.mark.parametrize("epoch", [1, 3, 4])
def test_a_resumed_fit_ends_as_the_uninterrupted_one(tmp_path, epoch):
    def run(ckpt_path=None):
        torch.manual_seed(5)
        callbacks = physics_pruning("exponential", target={"params": 0.6}, finetune_epochs=2)
        keep = ModelCheckpoint(tmp_path, "{epoch}", save_top_k=-1, save_on_train_epoch_end=True)
        module = Module(optimizer=torch.optim.AdamW, lr=0.02)
        options = {"default_root_dir": tmp_path, "enable_checkpointing": True}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*exists and is not empty")
            trainer(*callbacks, keep, epochs=4, **options).fit(
                module, loader(5), ckpt_path=ckpt_path, **(SAFE_LOAD if ckpt_path else {})
            )
        return module.state_dict(), callbacks[1].history(), callbacks[0].state_dict()

    weights, history, state = run()
    again_weights, again_history, again_state = run(tmp_path / f"epoch={epoch}.ckpt")
    torch.testing.assert_close(again_weights, weights, rtol=0, atol=0)
    assert again_state["steps"] == state["steps"] == 20
    assert again_history.keys() == history.keys()
    for name, series in history.items():
        np.testing.assert_array_equal(again_history[name], series, err_msg=name)


def test_a_threshold_cannot_be_steered_to() -> None:
    with pytest.raises(ValueError, match="cannot steer to a threshold"):
        physics_pruning(target={"threshold": 1e-3})
    assert len(physics_pruning(coefficient=1e-3, target={"threshold": 1e-3})) == 5


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*isinstance.treespec, LeafSpec")
def test_the_callback_with_the_report_stays_last_in_a_trainer_with_its_own(tmp_path) -> None:
    callbacks = physics_pruning(target={"params": 0.7})
    cut = callbacks[-1]
    trainer = Trainer(callbacks=callbacks, default_root_dir=tmp_path, accelerator="cpu", logger=False)
    assert callbacks[-1] is cut
    assert callbacks in trainer.callbacks
    assert isinstance(trainer.callbacks[-1], ModelCheckpoint)
    callbacks.extend([ModelCheckpoint(), ModelCheckpoint(monitor="loss")])
    assert callbacks[-1] is cut
