"""Callbacks that were built one by one share the session of the force, and go through one fit together."""

import pytest
import torch
from small import Classifier, Saver, cutter, data, fit, trainer

from physprune_pl import ChannelTracker, ForceRegularization, PruneAndFinetune, physics_pruning
from physprune_pl.callbacks import Distillation
from physprune_pl.targets.target import Target

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


def separate(order=(0, 1, 2), **kwargs):
    callbacks = ForceRegularization("torque", 0.01, strength="l1"), ChannelTracker(), cutter(round_to=2, **kwargs)
    return [callbacks[place] for place in order]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_separate_callbacks_share_one_session(order, tmp_path):
    callbacks = separate(order)
    model, _ = fit(*callbacks, default_root_dir=tmp_path)
    force = next(one for one in callbacks if isinstance(one, ForceRegularization))
    cut = next(one for one in callbacks if isinstance(one, PruneAndFinetune))
    assert len({id(one.session) for one in callbacks}) == 1
    assert force.session.target == Target("macs", 0.5)
    assert force.session.widths.round_to == 2
    assert force.steps == 6
    assert model.net[0].out_channels < 8
    assert cut.report is not None


def test_a_resumed_fit_of_separate_callbacks_ends_alike(tmp_path):
    (tmp_path / "whole").mkdir()
    torch.manual_seed(0)
    whole, _ = fit(*separate(), Saver(tmp_path / "whole"), default_root_dir=tmp_path / "whole")
    for epoch in (0, 2):
        resumed, _ = fit(*separate(), ckpt_path=tmp_path / "whole" / f"{epoch}.ckpt", default_root_dir=tmp_path)
        for name, value in resumed.state_dict().items():
            assert torch.equal(value, whole.state_dict()[name]), (epoch, name)


# Steering and arguments reach the other callback


def steered(order=(0, 1), force=(), cut=()):
    callbacks = [ForceRegularization("exponential", "auto", **dict(force)), cutter(finetune_epochs=1, **dict(cut))]
    return [callbacks[place] for place in order]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_force_is_steered_to_the_target_of_the_cut(order, tmp_path):
    callbacks = steered(order)
    fit(*callbacks, epochs=8, default_root_dir=tmp_path)
    force, cut = sorted(callbacks, key=lambda one: isinstance(one, PruneAndFinetune))
    assert force.session is cut.session
    torch.manual_seed(0)
    alone = physics_pruning("exponential", target={"macs": 0.5}, finetune_epochs=1)
    fit(*alone, epochs=8, default_root_dir=tmp_path)
    assert force.state_dict()["steering"].keys() == alone[0].state_dict()["steering"].keys()
    assert force.state_dict()["steering"] is not None
    assert cut.report.macs == alone.report.macs


@pytest.mark.parametrize(
    ("force", "cut"),
    [
        ({"ignore": "net.0", "min_share": {"net.3": 0.6}}, {}),
        ({}, {"ignore": "net.0", "min_share": {"net.3": 0.6}}),
        ({"ignore": "net.0"}, {"min_share": {"net.3": 0.6}}),
        ({"min_share": {"net.3": 0.6}}, {"ignore": ["net.0"], "min_share": {"net.3": 0.6}}),
    ],
)
@pytest.mark.parametrize("coefficient", ["auto", 0.01])
def test_what_is_said_to_either_holds_for_both(force, cut, coefficient, tmp_path):
    pressing = ForceRegularization("uniform", coefficient, **force)
    cutting = PruneAndFinetune({"macs": 0.7}, 1, **cut)
    fit(cutting, pressing, default_root_dir=tmp_path)
    groups = {group["name"]: group for group in cutting.report.groups}
    assert groups.keys() == {"net.3"}
    assert groups["net.3"]["after"] >= 5


def test_module_and_input_may_be_said_to_either(tmp_path):
    example = torch.zeros(1, 1, 6, 6)
    for force, cut in (
        ({"module": "net"}, {"example_input": example}),
        ({"example_input": example}, {"module": "net"}),
    ):
        callbacks = steered(force=force, cut=cut)
        tracker = ChannelTracker("net")
        fit(tracker, *callbacks, model=Classifier(example=False), default_root_dir=tmp_path)
        assert len({id(one.session) for one in (tracker, *callbacks)}) == 1
        assert callbacks[0].session.given_input is example
        assert {one.state_key.partition("{")[2] for one in callbacks} == {"'module': 'net'}"}


@pytest.mark.parametrize(
    ("force", "cut", "message"),
    [
        (
            {"min_share": {"net.0": 0.5}},
            {"min_share": {"net.0": 0.9}},
            r"min_share of 'net.0': expected one .* 0.5 and 0.9",
        ),
        (
            {"example_input": torch.zeros(1)},
            {"example_input": torch.zeros(1)},
            "example_input: expected one for the force",
        ),
    ],
)
def test_contradictions_are_refused(force, cut, message):
    with pytest.raises(ValueError, match=message):
        fit(*steered(force=force, cut=cut))


def test_a_force_on_another_network_is_not_that_of_the_cut(tmp_path):
    other = ForceRegularization("uniform", 0.01, module="net.3", example_input=torch.zeros(1, 8, 6, 6))
    cut = cutter(module="net", example_input=torch.zeros(1, 1, 6, 6), finetune_epochs=1)
    with pytest.raises(ValueError, match="no channel of Conv2d can be removed"):
        fit(other, cut, default_root_dir=tmp_path)
    assert other.session is not cut.session
    with pytest.raises(ValueError, match='coefficient="auto" needs a target'):
        fit(ForceRegularization("uniform", "auto", module="net.3"), cutter(module="net"))


def test_of_two_forces_the_cut_must_choose():
    forces = [ForceRegularization("uniform", 0.01, module=name) for name in ("net.0", "net.3")]
    with pytest.raises(ValueError, match=r"module: .* as forces press \['net.0', 'net.3'\]"):
        fit(*forces, cutter())


def test_another_trainer_starts_without_what_the_last_one_had(tmp_path):
    force, cut = steered(cut={"ignore": "net.0", "target": {"macs": 0.7}})
    fit(force, cut, default_root_dir=tmp_path)
    plan = cut.plan
    with pytest.raises(ValueError, match="needs a target"):
        fit(force, default_root_dir=tmp_path)
    assert force.session.ignore.entries == ()
    trainer(cut).test(Classifier(), data(), verbose=False)
    assert cut.plan is plan
    fit(cut, default_root_dir=tmp_path)
    assert cut.session is cut.own_session
    assert cut.report is not None


def test_the_teacher_needs_no_session_either(tmp_path):
    teaching = Distillation()
    fit(teaching, *steered(), default_root_dir=tmp_path)
    assert teaching.session.plan is not None
    assert not any(one.requires_grad for one in teaching.teacher.parameters())
