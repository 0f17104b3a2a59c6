"""A model that was run by somebody else looks as if nobody had."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from physprune_pl.networks.example import Example
from physprune_pl.networks.isolation import (
    run_eagerly,
    saved_random_state,
    seed_everything_inside,
    set_training,
    untouched,
)
from physprune_pl.networks.saved_state import SavedState
from physprune_pl.tracing.tracer import trace

# --- examples --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("example_input", [torch.ones(2, 3), (torch.ones(2, 3),), [torch.ones(2, 3)]])
def test_tensors_tuples_and_lists_are_positional_arguments(example_input):
    example = Example.of(example_input)
    assert isinstance(example.args, tuple)
    assert torch.equal(example.args[0], torch.ones(2, 3))
    assert not example.kwargs


def test_a_dict_is_keyword_arguments_and_an_example_is_itself():
    given = {"x": torch.ones(2, 3), "scale": 2.0}
    example = Example.of(given)
    assert example.args == ()
    assert example.kwargs == given
    assert example.kwargs is not given
    assert Example.of(example) is example


@pytest.mark.parametrize("bad", [None, 3, "image", torch.float32])
def test_anything_else_is_a_type_error(bad):
    expected = (
        "example_input: expected a tensor, a tuple of positional arguments or a dict of keyword arguments, "
        f"got {type(bad).__name__}"
    )
    with pytest.raises(TypeError) as raised:
        Example.of(bad)
    assert str(raised.value) == expected


@pytest.mark.parametrize(
    ("batch", "samples"), [(1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (5, [0, 1, 2, 0, 1]), (6, [0, 1, 2, 0, 1, 2])]
)
def test_sized_takes_the_first_samples_and_repeats_them(batch, samples):
    images = torch.arange(3.0).view(3, 1, 1).expand(3, 2, 4)
    sized = Example.of(images).sized(batch)
    assert sized.batch == batch
    assert sized.args[0].shape == (batch, 2, 4)
    assert sized.args[0][:, 1, 3].tolist() == samples


def test_sized_reaches_nested_tensors_and_leaves_what_has_no_samples():
    nested = Example.of(({"a": torch.ones(2, 3), "b": [torch.ones(2), "text"]}, torch.tensor(5.0), torch.ones(0, 4), 7))
    first, scalar, empty, number = nested.sized(3).args
    assert first["a"].shape == (3, 3)
    assert first["b"][0].shape == (3,)
    assert first["b"][1] == "text"
    assert (scalar.item(), empty.shape, number) == (5.0, (0, 4), 7)


def test_the_batch_is_that_of_the_first_tensor_with_samples():
    assert Example.of((torch.tensor(1.0), torch.ones(4, 2), torch.ones(9))).batch == 4
    assert Example.of({"flag": True}).batch == 1


def test_a_whole_example_keeps_its_batch_through_every_change():
    whole = Example((torch.ones(3, 2),), whole=True)
    assert whole.sized(1) is whole
    for changed in (whole.map(torch.neg), whole.copy(), whole.to(nn.Linear(2, 2))):
        assert changed.whole
        assert changed.sized(7).batch == 3


def test_a_copy_protects_the_input_from_a_model_that_changes_it():
    class InPlace(nn.Module):
        def forward(self, x, *, shift):
            return x.add_(shift)

    example = Example((torch.zeros(2, 3),), {"shift": torch.ones(2, 1)})
    assert torch.equal(example.copy().run(InPlace()), torch.ones(2, 3))
    assert not example.args[0].any()
    assert Example.of(torch.zeros(2, dtype=torch.int64)).to(InPlace()).args[0].dtype == torch.int64


# --- what is put back ------------------------------------------------------------------------------------------------


class Restless(nn.Module):
    """Everything a forward may change: running statistics, plain attributes, modes, all three random generators."""

    def __init__(self):
        super().__init__()
        self.one, self.norm, self.drop, self.two = nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 3)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.register_buffer("mean", torch.zeros(6))
        self.plain = torch.arange(6.0)
        self.norm.offset = torch.ones(6)

    def forward(self, x):
        hidden = self.drop(torch.relu(self.norm(self.one(x))))
        self.calls += 1
        self.mean = 0.9 * self.mean + 0.1 * hidden.mean(0)
        self.plain = self.plain + hidden.detach().sum(0)
        self.norm.offset.add_(hidden.detach().mean(0))
        self.norm.eval()
        chance = random.random() + np.random.rand() + torch.rand(())
        return self.two(hidden) + float(chance) * 0


def marks(model):
    state = {name: (id(t), t.detach().clone()) for name, t in (*model.named_parameters(), *model.named_buffers())}
    plain = {"plain": model.plain, "norm.offset": model.norm.offset}
    state |= {name: (id(tensor), tensor.clone()) for name, tensor in plain.items()}
    modes = [module.training for module in model.modules()]
    return state, modes, (torch.get_rng_state(), random.getstate(), np.random.get_state())


def assert_same_marks(before, after):
    assert before[0].keys() == after[0].keys()
    for name, (place, values) in before[0].items():
        assert after[0][name][0] == place, name
        assert torch.equal(after[0][name][1], values), name
    assert before[1] == after[1]
    assert torch.equal(before[2][0], after[2][0])
    assert before[2][1] == after[2][1]
    assert all(np.array_equal(one, other) for one, other in zip(before[2][2], after[2][2], strict=True))


def restless():
    model = Restless()
    model.norm.training = False
    return model


def interrupted(context, action):
    """Do something inside a context and leave it by an exception."""
    with pytest.raises(KeyError), context:
        _do(action)


def _do(action):
    action()
    raise KeyError


def test_untouched_puts_everything_back():
    model = restless()
    before = marks(model)
    with untouched(model) as saved:
        model.train()
        for _ in range(2):
            assert not model(torch.full((2, 4), float("nan"))).requires_grad
        assert model.mean.isnan().all()
        saved.restore()
        assert torch.equal(model.plain, torch.arange(6.0))
        model(torch.randn(2, 4))
    assert_same_marks(before, marks(model))


def test_untouched_puts_everything_back_after_an_exception():
    model = restless()
    before = marks(model)
    interrupted(untouched(model), lambda: model.eval()(torch.randn(2, 4)))
    assert_same_marks(before, marks(model))
    assert torch.is_grad_enabled()


def test_no_nan_stays_in_a_model_that_remembers_what_it_saw():
    model, example = restless(), torch.randn(2, 4)
    before = marks(model)
    assert trace(model, example).parameters == {name for name, _ in model.named_parameters()}
    assert_same_marks(before, marks(model))
    held = (*model.state_dict().values(), model.plain, model.norm.offset)
    assert not any(bool(tensor.isnan().any()) for tensor in held)


def test_saved_tensors_come_back_as_the_same_objects_as_often_as_needed():
    model = nn.BatchNorm1d(3)
    model.plain = torch.ones(2)
    held = (model.running_mean, model.plain)
    saved = SavedState(model)
    for _ in range(2):
        model.running_mean = torch.full((3,), float("nan"))
        model.plain.fill_(7.0)
        held[0].fill_(5.0)
        model.num_batches_tracked += 1
        saved.restore()
        assert model.running_mean is held[0]
        assert model.plain is held[1]
        assert torch.equal(model.running_mean, torch.zeros(3))
        assert torch.equal(model.plain, torch.ones(2))
        assert model.num_batches_tracked == 0


KEPT = {
    "nothing yet": (lambda model: setattr(model, "kept", None), lambda model, h: setattr(model, "kept", h)),
    "a new attribute": (lambda model: None, lambda model, h: setattr(model, "fresh", h)),
    "an empty buffer": (
        lambda model: model.register_buffer("kept", None),
        lambda model, h: setattr(model, "kept", h.mean() if model.kept is None else model.kept + h.mean()),
    ),
    "a list": (lambda model: setattr(model, "kept", []), lambda model, h: model.kept.append(h)),
    "a dict of lists": (lambda model: setattr(model, "kept", {"x": []}), lambda model, h: model.kept["x"].append(h)),
    "a number": (lambda model: setattr(model, "kept", 0), lambda model, h: setattr(model, "kept", model.kept + 1)),
    "shared memory": (
        lambda model: model.register_buffer("kept", torch.ones(1).expand(6)),
        lambda model, h: h * model.kept,
    ),
}


class Keeper(nn.Module):
    def __init__(self, start, keep):
        super().__init__()
        self.one, self.two, self.keep = nn.Linear(4, 6), nn.Linear(6, 3), keep
        start(self)

    def forward(self, x):
        hidden = torch.relu(self.one(x))
        self.keep(self, hidden.detach())
        return self.two(hidden)


@pytest.mark.parametrize("name", KEPT)
def test_what_a_model_keeps_is_as_before_a_trace(name):
    model = Keeper(*KEPT[name])
    before = {key: str(value) for key, value in {**vars(model), **model._buffers}.items()}
    assert [group.name for group in trace(model, torch.randn(2, 4)).groups] == ["one"]
    assert {key: str(value) for key, value in {**vars(model), **model._buffers}.items()} == before


def test_kept_features_of_a_training_step_do_not_hinder_a_trace():
    model = Keeper(lambda model: None, lambda model, h: setattr(model, "kept", model.one.weight * 2))
    loss = model(torch.randn(2, 4)).sum()
    kept = model.kept
    assert [group.name for group in trace(model, torch.randn(2, 4)).groups] == ["one"]
    assert model.kept is kept
    (loss + kept.sum()).backward()


# --- switches --------------------------------------------------------------------------------------------------------


def chances():
    return [random.random(), float(np.random.rand()), float(torch.rand(()))]


def test_random_numbers_go_on_as_if_nothing_had_been_drawn():
    seed_everything_inside(3)
    expected = chances()
    seed_everything_inside(3)
    drawn = []
    for _ in range(2):
        interrupted(saved_random_state(), lambda: seed_everything_inside(20) or drawn.append(chances()))
    assert drawn[0] == drawn[1] != expected
    assert chances() == expected


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_of_every_module_is_put_back(training):
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.Sequential(nn.BatchNorm1d(2)))
    model[1].training = model[2].training = False
    modes = [module.training for module in model.modules()]
    inside = []
    interrupted(set_training(model, training), lambda: inside.extend(module.training for module in model.modules()))
    assert set(inside) == {training}
    assert [module.training for module in model.modules()] == modes


def test_attention_takes_its_ordinary_path_inside_only():
    fast = torch.backends.mha.get_fastpath_enabled()
    with untouched(nn.Linear(2, 2)):
        assert not torch.backends.mha.get_fastpath_enabled()
    assert torch.backends.mha.get_fastpath_enabled() is fast


def test_compiled_parts_run_as_plain_python():
    entered = []

    def refuse(graph, inputs):
        entered.append(graph)
        return graph.forward

    model = nn.Sequential(torch.compile(nn.Linear(2, 2), backend=refuse))
    function = torch.compile(lambda rows: rows + 1, backend=refuse)
    with run_eagerly():
        function(model(torch.ones(1, 2)))
    assert not entered
