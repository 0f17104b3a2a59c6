"""What attention modules remember of their heads follows their weights; users register their own."""

import pytest
import torch
from torch import nn

from physprune_pl.attention import HeadSizes, by_head, register_attention, remembered
from physprune_pl.planning import plan_pruning
from physprune_pl.surgery.apply import apply_plan
from physprune_pl.tracing.tracer import trace


class Usual(nn.Module):
    def __init__(self, width=12, heads=4, kv_heads=2, size=3):
        super().__init__()
        self.num_heads, self.num_kv_heads, self.head_dim, self.inner_dim = heads, kv_heads, size, heads * size
        self.table = nn.Parameter(torch.zeros(9, heads))
        self.q, self.out = nn.Linear(width, heads * size), nn.Linear(heads * size, width)
        self.kv = nn.Linear(width, 2 * kv_heads * size)


def test_the_usual_names_follow_the_first_projection():
    module = Usual()
    shapes = {id(module.q.weight): (6, 12), id(module.kv.weight): (6, 12), id(module.out.weight): (12, 6)}
    assert remembered(module, shapes) == {"num_heads": 2, "num_kv_heads": 1, "inner_dim": 6}


def test_another_width_is_another_matter():
    module = Usual()
    assert remembered(module, {id(module.q.weight): (12, 5), id(module.out.weight): (5, 12)}) == {}
    assert remembered(nn.Linear(3, 3), {}) == {}


def test_what_only_its_name_makes_a_number_of_heads_stays_where_it_cannot_be_one():
    module = Usual()
    assert "num_heads" not in remembered(module, {id(module.q.weight): (7, 12)})


class Narrowed(nn.Module):
    """Attention whose head size comes from the width of its input."""

    def __init__(self):
        super().__init__()
        self.many, self.all, self.last = 4, nn.Linear(12, 36), nn.Linear(12, 12)

    def size(self, x):
        return x.shape[-1] // self.many

    def forward(self, x):
        parts = self.all(x).chunk(3, -1)
        query, key, value = (p.view(*x.shape[:2], self.many, self.size(x)).transpose(1, 2) for p in parts)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        return self.last(mixed.transpose(1, 2).flatten(2))


class OwnSize(Narrowed):
    def size(self, x):
        return self.all.out_features // 3 // self.many


class Network(nn.Module):
    def __init__(self, attention):
        super().__init__()
        self.inward, self.attention, self.head = nn.Linear(5, 12), attention, nn.Linear(12, 3)

    def forward(self, x):
        x = self.inward(x)
        return self.head((x + self.attention(x)).mean(1))


@pytest.fixture
def registered():
    sizes = HeadSizes(rows=("all.weight",), counts=("many",), stand_in=lambda: OwnSize)
    register_attention(Narrowed, sizes)
    register_attention(OwnSize, sizes)


@pytest.mark.usefixtures("registered")
def test_a_class_of_ones_own():
    model, x = Network(Narrowed()), torch.randn(2, 7, 5)
    traced = trace(model, x)
    assert type(model.attention) is Narrowed
    assert [(group.name, group.size, group.exact) for group in traced.groups][1] == ("attention.all", 4, True)
    apply_plan(model, plan_pruning(model, x, {"macs": 0.4}))
    assert type(model.attention) is OwnSize
    assert model.attention.many == model.attention.all.out_features // 9 < 4
    model(x).sum().backward()


@pytest.mark.usefixtures("registered")
def test_classes_come_back_after_an_error():
    model = Network(Narrowed())
    with pytest.raises(RuntimeError), by_head(model):
        model(torch.zeros(2, 7, 6))
    assert type(model.attention) is Narrowed


@pytest.mark.usefixtures("registered")
def test_broken_heads_are_refused():
    module = Narrowed()
    with pytest.raises(ValueError, match="many: 7 of 36 rows"):
        remembered(module, {id(module.all.weight): (7, 12)})


def test_a_class_that_is_not_registered_is_cut_in_step_with_its_input():
    class Unknown(Narrowed):
        pass

    traced = trace(Network(Unknown()), torch.randn(2, 7, 5))
    (group,) = [group for group in traced.groups if any(part.name == "attention.all.weight" for part in group.slices)]
    assert group.size == 4
    assert {part.name for part in group.slices} >= {"attention.all.weight", "attention.last.weight"}


class Bias(nn.Module):
    """A table with a column for every head, and a tuple that remembers how many there are."""

    def __init__(self, tokens, heads):
        super().__init__()
        self.shape = (tokens, tokens, heads)
        self.table = nn.Parameter(torch.zeros(tokens**2, heads))


def test_an_entry_of_a_tuple_follows_a_parameter():
    bias = Bias(5, 4)
    register_attention(Bias, HeadSizes(rows=("table",), counts=(), entries={"shape": (2, "table", 1)}))
    assert remembered(bias, {id(bias.table): (25, 3)}) == {"shape": (5, 5, 3)}


@pytest.mark.parametrize("kind", ["RelPosBias", "RelPosBiasTf", "RelPosMlp"])
@pytest.mark.parametrize("attention", ["Attention2d", "AttentionCl"])
def test_relative_positions_of_timm(kind, attention):
    pytest.importorskip("timm", reason="timm is an extra: pip install 'physprune_pl[timm]'")
    from timm.layers import pos_embed_rel
    from timm.models import maxxvit

    def positions(num_heads, **options):
        return getattr(pos_embed_rel, kind)((2, 2), num_heads=num_heads, **options)

    inside = getattr(maxxvit, attention)(16, dim_head=4, rel_pos_cls=positions).requires_grad_(True)
    model, x = Pictures(inside, attention == "Attention2d"), torch.randn(2, 3, 2, 2)
    heads = next(group for group in trace(model, x).groups if group.name == "attention.qkv")
    assert (heads.size, heads.exact) == (4, True)
    apply_plan(model, plan_pruning(model, x, {"macs": 0.5}))
    assert inside.num_heads < 4
    assert inside.rel_pos.bias_shape[0 if kind == "RelPosBiasTf" else 2] == inside.num_heads
    model(x).sum().backward()


class Pictures(nn.Module):
    def __init__(self, attention, channels_first):
        super().__init__()
        self.inward, self.attention, self.head = nn.Conv2d(3, 16, 1), attention, nn.Linear(16, 3)
        self.order = (0, 1, 2, 3) if channels_first else (0, 2, 3, 1)

    def forward(self, x):
        x = self.inward(x).permute(self.order)
        mixed = x + self.attention(x)
        return self.head(mixed.mean((2, 3) if self.order[1] == 1 else (1, 2)))
