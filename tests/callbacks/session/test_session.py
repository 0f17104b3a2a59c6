"""One trace per fit, of the right module, with the right input, and nothing held on to afterwards."""

import copy
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.strategies import DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy
from tiny import Module, Net, hand_made_trace, loader, trainer
from torch import nn

from physprune_pl.callbacks.force_regularization import ForceRegularization
from physprune_pl.callbacks.session import session as session_module
from physprune_pl.callbacks.session.phase import PhaseLength
from physprune_pl.callbacks.session.session import PruningSession
from physprune_pl.callbacks.tracker.epoch_rows import original_channels
from physprune_pl.callbacks.trainer.pruned_module import resolve_module
from physprune_pl.pressing.penalty import Penalty
from physprune_pl.strengths import L2
from physprune_pl.surgery.apply import apply_plan
from physprune_pl.surgery.plan import make_plan
from physprune_pl.surgery.regroup import shrink_groups
from physprune_pl.targets.target import Target


class WithForward(Module):
    def forward(self, x):
        return self.net(x)


class TwoNets(LightningModule):
    def __init__(self):
        super().__init__()
        self.left, self.right, self.empty = Net(), Net(), nn.ReLU()


# --- which module ----------------------------------------------------------------------------------------------------


def test_the_module_is_the_one_with_the_forward():
    own = WithForward()
    assert resolve_module(own) is own
    module = Module()
    assert resolve_module(module) is module.net
    assert resolve_module(module, "net.two") is module.net.two


def test_a_compiled_child_is_seen_uncompiled():
    module = Module()
    net = module.net
    module.net = torch.compile(net, backend="eager")
    assert resolve_module(module) is net
    assert resolve_module(module, "net") is net


def test_without_one_child_that_has_all_parameters_it_is_the_whole_module():
    both = TwoNets()
    assert resolve_module(both) is both
    module = Module()
    module.scale = nn.Parameter(torch.ones(4))
    assert resolve_module(module) is module


def test_an_unknown_module_is_an_error_that_names_others():
    with pytest.raises(ValueError, match=r"expected a submodule of TwoNets.*left"):
        resolve_module(TwoNets(), "middle")


# --- which input -----------------------------------------------------------------------------------------------------


class Watch(Callback):
    """Keeps a copy of what the session knew when training began and after the first batch."""

    def __init__(self, session):
        self.session, self.early, self.example = session, None, None

    def on_train_epoch_start(self, trainer, pl_module):
        if self.early is None:
            self.early = self.session.ready

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.example = self.session.example_input


def fit(module, session, **kwargs):
    force, watch = ForceRegularization("uniform", 0.01, session=session), Watch(session)
    trainer(force, watch, epochs=1, **kwargs).fit(module, loader(2))
    return watch


def test_the_input_is_the_given_one_else_what_the_first_step_calls_the_network_with():
    given = torch.full((3, 4), 2.0)
    watch = fit(Module(), PruningSession(example_input=given))
    assert watch.early
    assert torch.equal(watch.example, given)
    module = Module()
    module.example_input_array = torch.ones(1, 4)
    watch = fit(module, PruningSession())
    assert not watch.early
    (call,) = watch.example.args
    assert (call.part, call.method) == ("", "__call__")
    assert torch.equal(call.args[0], next(iter(loader(2)))[0])


def test_the_input_takes_the_type_of_the_network():
    watch = fit(Module(), PruningSession(example_input=torch.ones(2, 4)), precision="64-true")
    assert watch.example.dtype == torch.float64


def test_the_network_is_traced_in_its_own_type_without_autocast(monkeypatch):
    seen = []

    def spy(model, example_input, ignore):
        seen.append((model(example_input).dtype, torch.get_default_dtype(), ignore.names(model)))
        return hand_made_trace(model)

    monkeypatch.setattr(session_module, "trace", spy)
    fit(Module(), PruningSession(example_input=torch.ones(2, 4), ignore=["one"]), precision="bf16-mixed")
    fit(Module(), PruningSession(example_input=torch.ones(2, 4)), precision="64-true")
    assert seen == [(torch.float32, torch.float32, {"one"}), (torch.float64, torch.float64, set())]


def test_tracing_leaves_training_as_it_was():
    def run(*callbacks):
        torch.manual_seed(2)
        module = WithForward()
        trainer(*callbacks).fit(module, loader())
        return module.state_dict()

    plain, traced = run(), run(ForceRegularization("uniform", 0.0))
    assert all(torch.equal(plain[key], traced[key]) for key in plain)


# --- a fit's life ----------------------------------------------------------------------------------------------------


def test_one_trace_serves_all_callbacks_of_a_fit(monkeypatch):
    calls = []
    monkeypatch.setattr(session_module, "trace", lambda *args: calls.append(1) or hand_made_trace(*args))
    session = PruningSession()
    forces = [ForceRegularization("uniform", 0.01, session=session)]
    trainer(*forces, Watch(session)).fit(Module(), loader())
    assert len(calls) == 1
    assert not session.ready
    trainer(*forces).fit(Module(), loader())
    assert len(calls) == 2


def test_asking_too_early_says_when_to_ask():
    session = PruningSession()
    for name in ("model", "trace", "penalty"):
        with pytest.raises(RuntimeError, match="not traced yet"):
            getattr(session, name)


def test_a_network_without_groups_names_what_is_left_whole():
    class Single(Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(4, 2)

    with pytest.raises(ValueError, match="no channel of Linear can be removed; not pruned: "):
        fit(Single(), PruningSession())


def test_steering_is_there_only_when_asked_for():
    session = PruningSession(example_input=torch.zeros(2, 4), target=Target("params", 0.6))
    module = Module()
    run = trainer()
    run.strategy.connect(module)
    module.trainer = run
    assert session.prepare(run, module)
    assert session.chooser is not None
    assert session.steering is None
    session.release()
    session.steered = True
    session.prepare(run, module)
    assert session.steering is not None


# --- after a cut -----------------------------------------------------------------------------------------------------


def cut_net():
    net = Net()
    dense = hand_made_trace(net)
    removed = [torch.tensor([0, 1, 0, 0, 1, 0]).bool(), torch.tensor([1, 0, 0, 0, 1]).bool()]
    plan = make_plan(dense, removed, (100, 50), (10, 5))
    pruned = apply_plan(copy.deepcopy(net), plan)
    return dense, plan, pruned


def test_shrunk_groups_fit_the_network_that_was_cut():
    dense, plan, pruned = cut_net()
    groups = shrink_groups(dense.groups, plan)
    assert [group.size for group in groups] == [4, 3]
    named = dict(pruned.named_parameters())
    retraced = Penalty(hand_made_trace(pruned).groups, named, L2()).strengths()
    torch.testing.assert_close(Penalty(groups, named, L2()).strengths(), retraced)


def test_channels_keep_their_original_index():
    dense, plan, _ = cut_net()
    session = PruningSession()
    assert original_channels(session, dense.groups[0]) == tuple(range(6))
    session.record.plan = plan
    session.enter_finetuning(PhaseLength())
    assert session.phase == "finetune"
    one, two = shrink_groups(dense.groups, plan)
    assert original_channels(session, one) == (0, 2, 3, 5)
    assert original_channels(session, two) == (1, 2, 3)


# --- strategies ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", [DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy])
def test_strategies_that_shard_are_refused_with_the_way_round(strategy):
    run = SimpleNamespace(strategy=object.__new__(strategy))
    with pytest.raises(NotImplementedError, match=rf"{strategy.__name__}.*with 'ddp'.*load_pruned"):
        PruningSession().begin(run)
