"""Networks that take the shapes of others: adopted shapes, and checkpoints of pruned networks."""

import copy

import pytest
import torch
from hand_networks import conv_bn_conv, grouped, plan_for
from torch import nn

from physprune_pl import plan_pruning
from physprune_pl.networks.names import tensors_by_every_name
from physprune_pl.surgery.apply import adopt_shapes, apply_plan
from physprune_pl.surgery.loading import load_pruned


def test_adopt_shapes_both_ways():
    model, group, example = conv_bn_conv()
    dense = {name: tuple(tensor.shape) for name, tensor in tensors_by_every_name(model).items()}
    held = list(model.parameters())
    weights = copy.deepcopy(model.state_dict())
    expected = model.eval()(example)
    apply_plan(model, plan_for(model, group))
    small = {name: tuple(tensor.shape) for name, tensor in tensors_by_every_name(model).items()}
    adopt_shapes(model, dense)
    model.load_state_dict(weights)
    torch.testing.assert_close(model(example), expected)
    assert all(new is old for new, old in zip(model.parameters(), held, strict=True))
    adopt_shapes(model, small)
    assert model[0].out_channels == model[1].num_features == model[3].in_channels == 4


def test_adopt_shapes_grows_grouped_convolutions():
    model, group, example = grouped()
    dense = {name: tuple(tensor.shape) for name, tensor in tensors_by_every_name(model).items()}
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


class Drops(nn.Module):
    """A frozen backbone in front of what is pruned; ``state_dict`` leaves it out where ``hooked``."""

    def __init__(self, hooked=False):
        super().__init__()
        self.backbone, self.net = nn.Conv2d(2, 2, 1).requires_grad_(False), conv_bn_conv()[0]
        if hooked:
            self.register_state_dict_post_hook(_without_backbone)

    def forward(self, x):
        return self.net(self.backbone(x))


def _without_backbone(module, state, prefix, metadata):
    for name in ("backbone.weight", "backbone.bias"):
        state.pop(prefix + name, None)


@pytest.mark.parametrize("hooked", [False, True])
@pytest.mark.parametrize("pruned", [False, True])
def test_what_somebody_left_out_of_a_file_stays_the_models_own(tmp_path, hooked, pruned):
    (model, group, example), whole = conv_bn_conv(), Drops()
    plan = plan_for(model, group)
    if pruned:
        apply_plan(whole.net, plan)
    weights = {name: value for name, value in whole.state_dict().items() if not name.startswith("backbone")}
    state = {"plan": plan.to_dict() if pruned else None, "prefix": "net."}
    torch.save({"state_dict": weights, "callbacks": {"cut": state}}, tmp_path / "last.ckpt")
    fresh = Drops(hooked)
    fresh.backbone.load_state_dict(whole.backbone.state_dict())
    with pytest.warns(UserWarning, match="2 weights of the model are not in the file, such as .'backbone.weight'"):
        load_pruned(fresh, tmp_path / "last.ckpt")
    torch.testing.assert_close(fresh.eval()(example), whole.eval()(example))


def test_what_a_plan_has_cut_must_be_in_the_file(tmp_path):
    model, group, _ = conv_bn_conv()
    plan = plan_for(model, group)
    apply_plan(model, plan)
    weights = {name: value for name, value in model.state_dict().items() if name != "0.weight"}
    torch.save({"state_dict": weights, "callbacks": {"cut": {"plan": plan.to_dict(), "prefix": ""}}}, tmp_path / "a")
    with pytest.raises(ValueError, match=r"'0\.weight' should have shape .*, got nothing"):
        load_pruned(conv_bn_conv()[0], tmp_path / "a")
    torch.save({"state_dict": {"0.bias": torch.ones(3)}}, tmp_path / "b")
    with pytest.raises(ValueError, match=r"'0\.bias' should have shape"):
        load_pruned(conv_bn_conv()[0], tmp_path / "b")


def test_load_pruned_refuses_what_does_not_fit(tmp_path):
    model, *_ = conv_bn_conv()
    path = tmp_path / "file.ckpt"
    for content, message in (
        ([1, 2], "expected a Lightning checkpoint"),
        ({"state_dict": {"other": torch.ones(1)}}, "under any prefix"),
        ({"state_dict": {**model.state_dict(), "extra": torch.ones(1)}}, "do not fit"),
        ({"state_dict": model.state_dict(), "callbacks": {"x": {"plan": {}, "prefix": ""}}}, "expected the keys"),
        (
            {"state_dict": {**model.state_dict(), "0.bias": model}},
            "0.bias.*no plain data: it needs torch.*Sequential",
        ),
    ):
        torch.save(content, path)
        with pytest.raises(ValueError, match=message):
            load_pruned(conv_bn_conv()[0], path)
    path.write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match="weights_only"):
        load_pruned(model, path)
    with pytest.raises(FileNotFoundError):
        load_pruned(model, tmp_path / "missing.ckpt")


def test_a_network_that_was_pruned_twice_is_loaded_in_turn(tmp_path):
    torch.manual_seed(0)
    images, model = torch.zeros(1, 4), nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    for name in ("earlier", "later"):
        plan = plan_pruning(model, images, {"macs": 0.5})
        apply_plan(model, plan)
        state = {"plan": plan.to_dict(), "prefix": ""}
        torch.save({"state_dict": model.state_dict(), "callbacks": {"PruneAndFinetune": state}}, tmp_path / name)
    dense = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    with pytest.raises(ValueError, match=r"planned with shape .* load_pruned\(load_pruned\(model, earlier_file\)"):
        load_pruned(dense, tmp_path / "later")
    loaded = load_pruned(load_pruned(dense, tmp_path / "earlier"), tmp_path / "later")
    torch.testing.assert_close(loaded(images), model(images))
