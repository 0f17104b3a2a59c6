"""Groups of one kind keep the same share of their channels."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hand_traces import chain
from torch import nn

from physprune_pl import plan_pruning
from physprune_pl.preview import preview
from physprune_pl.surgery.apply import apply_plan
from physprune_pl.targets.chooser import Chooser
from physprune_pl.targets.same_width import in_common, ladders_of, tied
from physprune_pl.targets.target import Target
from physprune_pl.targets.widths import Widths
from physprune_pl.tracing.tracer import trace


def with_ties(sizes, *ties):
    found = chain(sizes)
    names = [group.name for group in found.groups]
    return replace(found, ties=tuple(tuple(names[place] for place in tie) for tie in ties))


def kept(masks):
    return [int((~mask).sum()) for mask in masks]


@pytest.mark.parametrize("target", [0.7, 0.5, 0.3])
def test_tied_groups_keep_the_same_number_each_its_strongest(target):
    chooser = Chooser(with_ties([3, 40, 64, 40, 5], (0, 2)), Target("macs", target))
    strengths = [torch.rand(40), torch.rand(64), torch.rand(40)]
    masks = chooser.choose(strengths)
    assert kept(masks)[0] == kept(masks)[2] < 40
    for strength, mask in zip(strengths, masks, strict=True):
        assert strength[mask].max() <= strength[~mask].sort().values[:-1].min()


def test_tied_groups_of_other_sizes_keep_the_same_share():
    chooser = Chooser(with_ties([3, 12, 4, 5], (0, 1)), Target("macs", 40 / 104))
    one, other = kept(chooser.choose([torch.rand(12), torch.rand(4)]))
    assert one == 3 * other < 12


def test_a_threshold_takes_what_is_weak_in_all_of_them():
    chooser = Chooser(with_ties([3, 4, 4, 4, 5], (0, 2)), Target("threshold", 0.5))
    weak, weaker = torch.tensor([0.1, 1.0, 1.0, 1.0]), torch.tensor([0.1, 0.1, 0.1, 1.0])
    assert kept(chooser.choose([weak, weaker, weaker])) == [3, 1, 3]


def test_multiples_are_kept_where_all_tied_groups_have_them():
    chooser = Chooser(with_ties([3, 32, 16, 5], (0, 1)), Target("macs", 216 / 688), Widths(round_to=8))
    assert kept(chooser.choose([torch.rand(32), torch.rand(16)])) == [16, 8]


def test_groups_without_a_common_share_stay():
    assert [numbers.tolist() for numbers in in_common([np.arange(5), np.arange(3)], [5, 3], np.array([0, 0]))] == [
        [0],
        [0],
    ]


def test_ladders_are_numbered_in_the_order_of_the_groups():
    assert ladders_of(with_ties([1, 2, 2, 2, 2, 1], (0, 2), (1, 3))).tolist() == [0, 1, 0, 1]


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.wide, self.narrow = nn.Linear(6, 20), nn.Linear(20, 6)

    def forward(self, x):
        return x + self.narrow(torch.relu(self.wide(x)))


def blocks():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 6), Block(), Block(), Block(), nn.Linear(6, 2)), torch.randn(2, 3)


@pytest.mark.parametrize(("asked", "sizes"), [("auto", 1), ([r"\d\.wide"], 1), (["1", "2"], None), ((), None)])
def test_layers_whose_names_differ_in_numbers_keep_one_width(asked, sizes):
    model, example = blocks()
    with torch.no_grad():
        for part in (model[1].wide.weight[:14], model[1].wide.bias[:14], model[1].narrow.weight[:, :14]):
            part.mul_(1e-3)
    plan = plan_pruning(model, example, {"macs": 0.6}, same_width=asked)
    widths = [cut.after for cut in plan.groups if cut.name.endswith("wide")]
    assert len(widths) == 3
    if sizes:
        assert len(set(widths)) == sizes
    elif asked:
        assert widths[0] == widths[1]
    else:
        assert widths[0] != widths[1]
    apply_plan(model, plan)
    assert model(example).shape == (2, 2)


def test_a_preview_ties_them_too():
    model, example = blocks()
    found = preview(model, example, Target("macs", 0.6), Widths(same_width="auto"))
    assert len({cut.after for cut in found.plan.groups if cut.name.endswith("wide")}) == 1


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ("blocks", ValueError, r'same_width: expected "auto" or a list of names of modules, got \'blocks\''),
        (True, TypeError, r'same_width: expected "auto" or a list of names of modules, got True'),
        ([1], TypeError, "same_width"),
        (["blocks"], ValueError, "same_width.*'blocks'"),
    ],
)
def test_refuses_what_stands_for_nothing(asked, error, message):
    model, example = blocks()
    with pytest.raises(error, match=message):
        plan_pruning(model, example, {"macs": 0.6}, same_width=asked)


@pytest.mark.filterwarnings("error")
def test_a_transformers_model_is_saved_with_a_config_that_builds_it(tmp_path):
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "intermediate_size": 20, "num_attention_heads": 4}
    config = transformers.BertConfig(vocab_size=30, max_position_embeddings=8, **sizes)
    model, example = transformers.BertForSequenceClassification(config).eval(), {"input_ids": torch.ones(1, 5).long()}
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    apply_plan(model, plan_pruning(model, example, {"macs": 0.6}, same_width="auto"))
    # BERT has no number for the size of a head: its heads and its width go in step.
    assert model.config.hidden_size == 4 * model.config.num_attention_heads
    model.save_pretrained(tmp_path)
    loaded = transformers.BertForSequenceClassification.from_pretrained(tmp_path)
    with torch.no_grad():
        assert torch.equal(loaded(**example).logits, model.eval()(**example).logits)


def test_what_no_number_in_a_config_says_stays(tmp_path):
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "intermediate_size": 20, "num_attention_heads": 4}
    config = transformers.GemmaConfig(vocab_size=30, num_key_value_heads=2, head_dim=4, **sizes)
    model, example = transformers.GemmaForCausalLM(config).eval(), {"input_ids": torch.ones(1, 5).long()}
    found = tied(model, trace(copy.deepcopy(model), example), Widths(same_width="auto"))
    # Its embeddings are scaled by the square root of the width.
    assert {left.name for left in found.left_whole if "no number in the config" in left.reason} == {
        "model.embed_tokens"
    }
    assert sorted(map(len, found.ties)) == [1, 2, 2]
