"""Surgery on tiny networks with hand-written groups: the cut network equals the masked dense one."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from physprune_pl.channels import ChannelGroup, Slice
from physprune_pl.plan import PruningPlan, TensorCut, make_plan
from physprune_pl.surgery import adopt_shapes, apply_plan, load_pruned, named_tensors
from physprune_pl.tracing_types import Trace


def rows(name: str, size: int, role: str = "filter", dim: int = 0, repeat: int = 1) -> Slice:
    channels = tuple(channel for channel in range(size) for _ in range(repeat))
    return Slice(name, dim, tuple(range(size * repeat)), channels, role)


def columns(name: str, size: int, repeat: int = 1, dim: int = 1) -> Slice:
    return rows(name, size, "consumer", dim, repeat)


def norm(name: str, size: int) -> tuple[Slice, ...]:
    affine = (rows(f"{name}.weight", size, "carrier"), rows(f"{name}.bias", size, "carrier"))
    return (*affine, rows(f"{name}.running_mean", size, "buffer"), rows(f"{name}.running_var", size, "buffer"))


def trace_of(model: nn.Module, *groups: ChannelGroup) -> Trace:
    shapes = {name: tuple(tensor.shape) for name, tensor in named_tensors(model).items()}
    return Trace(groups, (), (), 0.0, shapes, frozenset(), (), 0, frozenset())


def plan_for(model: nn.Module, *groups: ChannelGroup, gone: tuple[int, ...] = (1, 3)) -> PruningPlan:
    removed = [torch.isin(torch.arange(group.size), torch.tensor(gone)) for group in groups]
    return make_plan(trace_of(model, *groups), removed, (0, 0), (0, 0))


def masked(model: nn.Module, plan: PruningPlan) -> nn.Module:
    """A dense copy whose removed slices are zero."""
    twin = copy.deepcopy(model)
    tensors = named_tensors(twin)
    with torch.no_grad():
        for name, cut in plan.tensors.items():
            if name.endswith("running_var"):
                continue
            for dim, kept in cut.keep.items():
                gone = [index for index in range(cut.shape[dim]) if index not in kept]
                tensors[name].index_fill_(dim, torch.tensor(gone), 0.0)
    return twin


def conv_bn_conv() -> tuple[nn.Module, ChannelGroup, torch.Tensor]:
    model = nn.Sequential(
        nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    group = ChannelGroup(
        "0", 6, (rows("0.weight", 6), rows("0.bias", 6, "carrier"), *norm("1", 6), columns("3.weight", 6))
    )
    return model, group, torch.randn(3, 2, 8, 8)


def linear_chain() -> tuple[nn.Module, ChannelGroup, torch.Tensor]:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.PReLU(4), nn.Flatten(), nn.Linear(36, 5), nn.Tanh(), nn.Linear(5, 2))
    slices = (rows("0.weight", 4), rows("0.bias", 4, "carrier"), rows("1.weight", 4, "carrier"))
    return model, ChannelGroup("0", 4, (*slices, columns("3.weight", 4, repeat=9))), torch.randn(3, 1, 5, 5)


def depthwise() -> tuple[nn.Module, ChannelGroup, torch.Tensor]:
    model = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.Conv2d(4, 8, 3, groups=4), nn.Conv2d(8, 2, 1))
    wide = (rows("1.weight", 4, repeat=2), rows("1.bias", 4, "carrier", repeat=2), columns("2.weight", 4, repeat=2))
    return model, ChannelGroup("0", 4, (rows("0.weight", 4), *wide)), torch.randn(2, 3, 6, 6)


def grouped() -> tuple[nn.Module, ChannelGroup, torch.Tensor]:
    model = nn.Sequential(nn.Conv2d(3, 8, 1, bias=False), nn.Conv2d(8, 12, 3, groups=4), nn.Conv2d(12, 2, 1))
    unit = (rows("1.weight", 4, repeat=3), rows("1.bias", 4, "carrier", repeat=3), columns("2.weight", 4, repeat=3))
    return model, ChannelGroup("0", 4, (rows("0.weight", 4, repeat=2), *unit)), torch.randn(2, 3, 6, 6)


def transposed() -> tuple[nn.Module, ChannelGroup, torch.Tensor]:
    model = nn.Sequential(nn.ConvTranspose2d(3, 5, 2), nn.ReLU(), nn.ConvTranspose2d(5, 2, 2, bias=False))
    slices = (rows("0.weight", 5, dim=1), rows("0.bias", 5, "carrier"), columns("2.weight", 5, dim=0))
    return model, ChannelGroup("0", 5, slices), torch.randn(2, 3, 4, 4)


def transposed_grouped() -> tuple[nn.Module, ChannelGroup, torch.Tensor]:
    model = nn.Sequential(nn.Conv2d(3, 8, 1, bias=False), nn.ConvTranspose2d(8, 12, 2, groups=4), nn.Conv2d(12, 2, 1))
    unit = (rows("1.weight", 4, repeat=2), rows("1.bias", 4, "carrier", repeat=3), columns("2.weight", 4, repeat=3))
    return model, ChannelGroup("0", 4, (rows("0.weight", 4, repeat=2), *unit)), torch.randn(2, 3, 5, 5)


def group_norm() -> tuple[nn.Module, ChannelGroup, torch.Tensor]:
    model = nn.Sequential(nn.Conv1d(2, 8, 1), nn.GroupNorm(4, 8), nn.Conv1d(8, 3, 1))
    two = tuple(rows(name, 4, "carrier", repeat=2) for name in ("0.bias", "1.weight", "1.bias"))
    slices = (rows("0.weight", 4, repeat=2), *two, columns("2.weight", 4, repeat=2))
    return model, ChannelGroup("0", 4, slices), torch.randn(2, 2, 7)


def bilinear() -> tuple[nn.Module, ChannelGroup, torch.Tensor]:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(3, 5), nn.Linear(3, 4)
            self.mix = nn.Bilinear(5, 4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.mix(self.first(x), self.second(x))

    slices = (rows("first.weight", 5), rows("first.bias", 5, "carrier"), columns("mix.weight", 5))
    return Pair(), ChannelGroup("first", 5, slices), torch.randn(2, 3)


NETWORKS = (
    conv_bn_conv,
    linear_chain,
    depthwise,
    grouped,
    transposed,
    transposed_grouped,
    group_norm,
    bilinear,
)


@pytest.mark.parametrize("build", NETWORKS)
@pytest.mark.parametrize("training", [False, True])
def test_cut_network_equals_the_masked_one(build, training):
    model, group, example = build()
    plan = plan_for(model, group)
    expected = masked(model, plan).train(training)(example)
    cut = apply_plan(model.train(training), plan)
    assert cut is model
    torch.testing.assert_close(cut(example), expected)
    cut(example).sum().backward()
    assert all(parameter.grad.shape == parameter.shape for parameter in cut.parameters())


@pytest.mark.parametrize("build", NETWORKS)
def test_modules_know_their_new_sizes(build):
    model, group, _ = build()
    apply_plan(model, plan_for(model, group))
    for module in model.modules():
        if type(module) in (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.Bilinear):
            twin = eval(f"nn.{module!r}")
            assert {name: p.shape for name, p in twin.named_parameters()} == {
                name: p.shape for name, p in module.named_parameters()
            }


def test_attributes_by_name():
    model, group, _ = group_norm()
    apply_plan(model, plan_for(model, group))
    assert (model[1].num_channels, model[1].num_groups) == (4, 2)
    model, group, _ = depthwise()
    apply_plan(model, plan_for(model, group))
    assert (model[1].in_channels, model[1].out_channels, model[1].groups) == (2, 4, 2)
    model, group, _ = linear_chain()
    apply_plan(model, plan_for(model, group))
    assert (model[1].num_parameters, model[3].in_features) == (2, 18)
    model, group, _ = conv_bn_conv()
    apply_plan(model, plan_for(model, group))
    assert model[1].num_features == 4


def test_layer_norm_and_embedding():
    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.norm, self.rms = nn.Embedding(7, 4), nn.LayerNorm(4), nn.RMSNorm(4)
            self.head = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.rms(self.norm(self.table(x))))

    model = Words()
    carriers = tuple(rows(name, 4, "carrier") for name in ("norm.weight", "norm.bias", "rms.weight"))
    group = ChannelGroup("table", 4, (rows("table.weight", 4, dim=1), *carriers, columns("head.weight", 4)))
    apply_plan(model, plan_for(model, group))
    assert model.table.embedding_dim == 2
    assert model.norm.normalized_shape == model.rms.normalized_shape == (2,)
    assert model(torch.tensor([[1, 2]])).shape == (1, 2, 2)


def test_tied_weights_are_cut_once():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encode = nn.Linear(4, 3, bias=False)
            self.decode = nn.Linear(3, 4, bias=False)
            self.again = nn.Linear(4, 3, bias=False)
            self.again.weight = self.encode.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.decode(self.encode(x) + self.again(x))

    model = Tied()
    group = ChannelGroup("encode", 3, (rows("encode.weight", 3), columns("decode.weight", 3)))
    plan = plan_for(model, group, gone=(1,))
    both = {**plan.tensors, "again.weight": plan.tensors["encode.weight"]}
    apply_plan(model, replace(plan, tensors=both))
    assert model.encode.weight is model.again.weight
    assert model.encode.out_features == model.again.out_features == 2
    assert model(torch.ones(1, 4)).shape == (1, 4)


def test_tied_weights_that_disagree_are_refused():
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    model[1].weight = model[0].weight
    cuts = {"0.weight": TensorCut((3, 3), {0: (0, 1)}), "1.weight": TensorCut((3, 3), {1: (0, 1)})}
    with pytest.raises(ValueError, match="tied"):
        apply_plan(model, PruningPlan(cuts, (), (), (0, 0), (0, 0)))


def test_channels_last_stays():
    model, group, example = conv_bn_conv()
    model = model.to(memory_format=torch.channels_last)
    plan = plan_for(model, group)
    expected = masked(model, plan).eval()(example)
    apply_plan(model, plan)
    assert model[3].weight.is_contiguous(memory_format=torch.channels_last)
    assert not model[3].weight.is_contiguous()
    torch.testing.assert_close(model.eval()(example), expected)


OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, foreach=False),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, amsgrad=True, foreach=False),
    "adamw_foreach": lambda p: torch.optim.AdamW(p, lr=0.01, foreach=True),
    "adamw_fused": lambda p: torch.optim.AdamW(p, lr=0.01, fused=True),
    "adafactor": lambda p: torch.optim.Adafactor(p, lr=0.01),
}


def step(model: nn.Module, optimizer: torch.optim.Optimizer, example: torch.Tensor) -> float:
    optimizer.zero_grad()
    loss = model(example).square().mean()
    loss.backward()
    optimizer.step()
    return loss.item()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_moments_are_cut_and_training_goes_on(name):
    model, group, example = conv_bn_conv()
    optimizer = OPTIMIZERS[name](model.parameters())
    step(model, optimizer, example)
    held = list(model.parameters())
    plan = plan_for(model, group)
    before = copy.deepcopy(optimizer.state_dict()["state"])
    apply_plan(model, plan, [optimizer])
    assert all(
        parameter is old and parameter.grad is None for parameter, old in zip(model.parameters(), held, strict=True)
    )
    kept = torch.tensor(plan.tensors["3.weight"].keep[1])
    place = [name for name, _ in model.named_parameters()].index("3.weight")
    for key, value in optimizer.state[model[3].weight].items():
        old = before[place][key]
        same = old.dim() == 4 and old.shape[1] == 6
        torch.testing.assert_close(value, old.index_select(1, kept) if same else old)
    losses = [step(model, optimizer, example) for _ in range(5)]
    assert losses[-1] < losses[0]


def test_sliced_moments_train_like_a_masked_network():
    model, group, example = conv_bn_conv()
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    plan = plan_for(model, group)
    with torch.no_grad():
        for name, tensor in named_tensors(masked(model, plan)).items():
            named_tensors(model)[name].copy_(tensor)
    step(model.eval(), optimizer, example)
    twin = copy.deepcopy(model)
    twin_optimizer = OPTIMIZERS["sgd"](twin.parameters())
    twin_optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    apply_plan(model, plan, [optimizer])
    losses = [(step(model, optimizer, example), step(twin, twin_optimizer, example)) for _ in range(3)]
    torch.testing.assert_close(*torch.tensor(losses).unbind(1))


def test_a_state_of_another_shape_is_dropped():
    model, group, example = conv_bn_conv()
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    step(model, optimizer, example)
    optimizer.state[model[0].weight]["factors"] = torch.zeros(17)
    apply_plan(model, plan_for(model, group), [optimizer])
    assert model[0].weight not in optimizer.state
    step(model, optimizer, example)


def test_hooks_survive_and_frozen_stays_frozen():
    model, group, example = conv_bn_conv()
    model[0].weight.requires_grad_(False)
    seen = []
    model[1].register_forward_hook(lambda module, args, output: seen.append(output.shape[1]))
    model[3].weight.register_hook(lambda gradient: seen.append(gradient.shape[1]))
    model(example).sum().backward()
    apply_plan(model, plan_for(model, group))
    model(example).sum().backward()
    assert seen == [6, 6, 4, 4]
    assert not model[0].weight.requires_grad
    assert model[0].weight.grad is None
    assert model[3].weight.requires_grad


def test_half_precision_and_double_keep_their_type():
    for dtype in (torch.bfloat16, torch.float64):
        model, group, _ = conv_bn_conv()
        apply_plan(model.to(dtype), plan_for(model, group))
        assert {parameter.dtype for parameter in model.parameters()} == {dtype}


def test_compiled_wrapper_is_cut():
    model, group, example = conv_bn_conv()
    plan = plan_for(model, group)
    compiled = torch.compile(model, backend="eager")
    expected = masked(model, plan).eval()(example)
    compiled.eval()(example)
    assert apply_plan(compiled, plan) is compiled
    torch.testing.assert_close(compiled(example), expected)
    assert model[0].out_channels == 4


def test_parametrized_weight():
    model, _, example = conv_bn_conv()
    nn.utils.parametrizations.weight_norm(model[0])
    slices = (rows("0.parametrizations.weight.original0", 6), rows("0.parametrizations.weight.original1", 6))
    others = (rows("0.bias", 6, "carrier"), *norm("1", 6), columns("3.weight", 6))
    apply_plan(model, plan_for(model, ChannelGroup("0", 6, (*slices, *others))))
    assert model[0].out_channels == 4
    assert model(example).shape == (3, 4)


def bad_plans() -> dict[str, tuple[PruningPlan, str]]:
    model, group, _ = conv_bn_conv()
    plan = plan_for(model, group)
    cut = plan.tensors["0.weight"]
    other = {
        "unknown name": ({"5.weight": cut}, "no parameter"),
        "shape": ({"0.bias": TensorCut((9,), {0: (0, 1)})}, "was planned with shape"),
    }
    return {
        name: (replace(plan, tensors={**plan.tensors, **extra}), message) for name, (extra, message) in other.items()
    }


def snapshot(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    moments = [value for state in optimizer.state.values() for value in state.values()]
    return [tensor.clone() for tensor in (*named_tensors(model).values(), *moments)]


@pytest.mark.parametrize("name", ["unknown name", "shape"])
def test_a_bad_plan_changes_nothing(name):
    model, _, example = conv_bn_conv()
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    step(model, optimizer, example)
    before = snapshot(model, optimizer)
    plan, message = bad_plans()[name]
    with pytest.raises(ValueError, match=message):
        apply_plan(model, plan, [optimizer])
    assert all(torch.equal(old, new) for old, new in zip(before, snapshot(model, optimizer), strict=True))
    assert model[0].out_channels == 6
    assert model[0].weight.grad is not None


def test_a_broken_conv_group_changes_nothing():
    model, _, _ = grouped()
    plan = PruningPlan({"1.weight": TensorCut((12, 2, 3, 3), {0: tuple(range(11))})}, (), (), (0, 0), (0, 0))
    with pytest.raises(ValueError, match="no whole number of groups"):
        apply_plan(model, plan)
    assert model[1].weight.shape == (12, 2, 3, 3)


def test_adopt_shapes_both_ways():
    model, group, example = conv_bn_conv()
    dense = {name: tuple(tensor.shape) for name, tensor in named_tensors(model).items()}
    held = list(model.parameters())
    weights = copy.deepcopy(model.state_dict())
    expected = model.eval()(example)
    apply_plan(model, plan_for(model, group))
    small = {name: tuple(tensor.shape) for name, tensor in named_tensors(model).items()}
    adopt_shapes(model, dense)
    model.load_state_dict(weights)
    torch.testing.assert_close(model(example), expected)
    assert all(new is old for new, old in zip(model.parameters(), held, strict=True))
    adopt_shapes(model, small)
    assert model[0].out_channels == model[1].num_features == model[3].in_channels == 4


def test_adopt_shapes_grows_grouped_convolutions():
    model, group, example = grouped()
    dense = {name: tuple(tensor.shape) for name, tensor in named_tensors(model).items()}
    apply_plan(model, plan_for(model, group))
    adopt_shapes(model, dense)
    assert (model[1].groups, model[1].in_channels, model[1].out_channels) == (4, 8, 12)
    assert model(example).shape == (2, 2, 4, 4)


@pytest.mark.parametrize("shapes", [{"nowhere": (3,)}, {"0.bias": (3, 3)}])
def test_adopt_shapes_refuses(shapes):
    model, _, _ = conv_bn_conv()
    with pytest.raises(ValueError, match=r"no parameter|cannot be adopted"):
        adopt_shapes(model, shapes)


class Holder(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net


@pytest.mark.parametrize("marks", ["", "_orig_mod."])
@pytest.mark.parametrize("bare", [True, False])
def test_load_pruned_replays_the_plan(tmp_path, bare, marks):
    model, group, example = conv_bn_conv()
    plan = plan_for(model, group)
    apply_plan(model.eval(), plan)
    weights = {f"net.{marks}{name}": value for name, value in model.state_dict().items()}
    state = {"plan": plan.to_dict(), "prefix": "net."}
    torch.save({"state_dict": weights, "callbacks": {"PruneAndFinetune": state}}, tmp_path / "last.ckpt")
    fresh = conv_bn_conv()[0].eval()
    loaded = load_pruned(fresh if bare else Holder(fresh), tmp_path / "last.ckpt")
    torch.testing.assert_close((loaded if bare else loaded.net)(example), model(example))


def test_load_pruned_of_a_dense_checkpoint(tmp_path):
    model, _, example = conv_bn_conv()
    weights = {f"net.{name}": value for name, value in model.state_dict().items()}
    torch.save({"state_dict": weights, "callbacks": {"PruneAndFinetune": {"plan": None}}}, tmp_path / "dense.ckpt")
    fresh = load_pruned(conv_bn_conv()[0], tmp_path / "dense.ckpt")
    torch.testing.assert_close(fresh.eval()(example), model.eval()(example))


def test_load_pruned_refuses_what_does_not_fit(tmp_path):
    model, *_ = conv_bn_conv()
    path = tmp_path / "file.ckpt"
    for content, message in (
        ([1, 2], "expected a Lightning checkpoint"),
        ({"state_dict": {"other": torch.ones(1)}}, "under any prefix"),
        ({"state_dict": {**model.state_dict(), "extra": torch.ones(1)}}, "do not fit"),
        ({"state_dict": model.state_dict(), "callbacks": {"x": {"plan": {}, "prefix": ""}}}, "expected the keys"),
        ({"state_dict": model.state_dict(), "model": model}, "weights_only"),
    ):
        torch.save(content, path)
        with pytest.raises(ValueError, match=message):
            load_pruned(conv_bn_conv()[0], path)
    path.write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match="weights_only"):
        load_pruned(model, path)
    with pytest.raises(FileNotFoundError):
        load_pruned(model, tmp_path / "missing.ckpt")
