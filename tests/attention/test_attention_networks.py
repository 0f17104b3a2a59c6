"""Networks with attention from end to end: planned, cut, saved, loaded, trained on, compared with the masked one."""

import copy

import pytest
import torch
import torchvision
from hand_networks import masked
from torch import nn

from experiments.structures.verdict import judge_trace
from physprune_pl.networks.measure import count_macs, count_parameters
from physprune_pl.planning import plan_pruning
from physprune_pl.structure import MixingCall
from physprune_pl.surgery.apply import apply_plan
from physprune_pl.surgery.loading import load_pruned
from physprune_pl.surgery.plan import PruningPlan
from physprune_pl.tracing.tracer import trace


class Encoder(nn.Module):
    """Linear layer, PyTorch's own encoder, linear head."""

    def __init__(self, nested=True, **options):
        super().__init__()
        layer = nn.TransformerEncoderLayer(24, 4, 32, batch_first=True, **options)
        encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=nested)
        self.inward, self.encoder = nn.Linear(6, 24), encoder
        self.head = nn.Linear(24, 5)

    def forward(self, x):
        return self.head(self.encoder(self.inward(x)).mean(1))


def encoder():
    return Encoder(), torch.randn(3, 7, 6)


def encoder_norm_first():
    return Encoder(norm_first=True, dropout=0.0, nested=False), torch.randn(3, 7, 6)


def vision_transformer():
    sizes = {"image_size": 16, "patch_size": 4, "num_layers": 2, "num_heads": 4, "hidden_dim": 16, "mlp_dim": 32}
    return torchvision.models.VisionTransformer(**sizes, num_classes=5), torch.randn(2, 3, 16, 16)


def timm_vision_transformer():
    timm = pytest.importorskip("timm", reason="needs timm")
    sizes = {"img_size": 16, "patch_size": 4, "embed_dim": 16, "depth": 2, "num_heads": 4, "num_classes": 5}
    return timm.models.VisionTransformer(**sizes), torch.randn(2, 3, 16, 16)


NETWORKS = (encoder, encoder_norm_first, vision_transformer, timm_vision_transformer)


@pytest.fixture(params=NETWORKS, ids=lambda make: make.__name__)
def make(request):
    def build():
        torch.manual_seed(0)
        model, example = request.param()
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.3)
        return model.eval(), example

    return build


def heads(model: nn.Module) -> list[int]:
    return [
        module.num_heads
        for module in model.modules()
        if isinstance(getattr(module, "head_dim", None), int) and hasattr(module, "num_heads")
    ]


def only_heads(plan: PruningPlan) -> bool:
    return any(cut.before == 4 and cut.after < 4 for cut in plan.groups)


def test_cut_to_half_of_its_macs(make, tmp_path):
    model, example = make()
    dense = copy.deepcopy(model)
    plan = plan_pruning(model, example, {"macs": 0.5})
    again = PruningPlan.from_json(plan.to_json())
    assert again == plan
    optimizer = torch.optim.AdamW(model.parameters())
    model(example).square().sum().backward()
    optimizer.step()
    apply_plan(model, again, [optimizer])
    assert plan.macs == (count_macs(dense, example), count_macs(model, example))
    assert plan.params == (count_parameters(dense), count_parameters(model))
    assert only_heads(plan)
    assert sum(heads(model)) == sum(cut.after for cut in plan.groups if cut.before == 4)
    for parameter in model.parameters():
        assert optimizer.state[parameter]["exp_avg"].shape == parameter.shape
    model.train()(example).square().sum().backward()
    optimizer.step()
    state = {"plan": plan.to_dict(), "prefix": ""}
    torch.save({"state_dict": model.state_dict(), "callbacks": {"PruneAndFinetune": state}}, tmp_path / "last.ckpt")
    loaded = load_pruned(make()[0], tmp_path / "last.ckpt")
    torch.testing.assert_close(loaded.eval()(example), model.eval()(example))
    assert heads(loaded) == heads(model)


def test_a_cut_network_computes_what_the_masked_one_computes(make):
    model, example = make()
    plan = plan_pruning(model, example, {"macs": 0.7})
    assert all(cut.exact for cut in plan.groups if cut.removed)
    expected = masked(model, plan)(example)
    apply_plan(model, plan)
    torch.testing.assert_close(model(example), expected, rtol=1e-4, atol=1e-5)
    with torch.no_grad():  # where the fast path would be taken
        torch.testing.assert_close(model(example), expected, rtol=1e-4, atol=1e-5)


def test_the_oracle_agrees(make):
    model, example = make()
    traced = trace(model, example)
    assert sum(group.size == 4 and group.exact for group in traced.groups) == 2
    assert judge_trace("", model, example, traced, shares=(0.5,), pieces=False).problems == []


def test_products_shrink_with_heads():
    model, example = encoder()
    traced = trace(model, example)
    products = [call for call in traced.calls if call.dims is not None]
    assert len(products) == 2
    for call in products:
        assert call.macs(traced.shapes[call.weight]) == 2 * 7 * 7 * 24
    rest = sum(call.macs(traced.shapes[call.weight]) for call in traced.calls)
    assert traced.fixed_macs + rest == count_macs(model, example)
    assert traced.fixed_macs == 0


def test_a_call_over_some_dimensions():
    assert MixingCall("out.weight", 49, dims=(1,)).macs((3, 24)) == 49 * 24


def test_a_network_is_cut_twice():
    model, example = encoder()
    apply_plan(model, plan_pruning(model, example, {"macs": 0.7}))
    again = plan_pruning(model, example, {"macs": 0.6})
    apply_plan(model, again)
    assert again.macs[1] == count_macs(model, example)


def test_ignored_attention_stays_whole():
    model, example = encoder()
    plan = plan_pruning(model, example, {"macs": 0.8}, ignore=(r"encoder\.layers\.\d+\.self_attn",))
    apply_plan(model, plan)
    assert heads(model) == [4, 4]


def test_padding_after_a_cut_in_eval_mode_without_gradients():
    model, example = encoder()
    padding = torch.zeros(3, 7, dtype=torch.bool)
    padding[1, 5:] = True
    plan = plan_pruning(model, example, {"macs": 0.7})
    apply_plan(model.eval(), plan)
    inward = model.inward(example)
    expected = model.encoder(inward, src_key_padding_mask=padding)
    with torch.no_grad():
        got = model.encoder(inward, src_key_padding_mask=padding)
    torch.testing.assert_close(got, expected)
