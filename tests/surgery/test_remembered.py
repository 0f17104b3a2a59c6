"""Numbers that modules hold in containers follow a cut."""

import copy

from experiments.structures.nets import CASES
from physprune_pl.planning import plan_pruning
from physprune_pl.surgery.apply import apply_plan
from physprune_pl.surgery.remembered import mirror_sizes


def test_a_dict_follows_the_tuple_of_its_items_and_copies_follow_both():
    case = CASES["NamedLengths"]
    model, example = case.build(), case.example()
    other = copy.deepcopy(model)
    apply_plan(model, plan_pruning(model, example, {"macs": 0.5}))
    heads = model.triple.out_features // 18
    assert model.pairs == (("three", 3), ("heads", heads))
    assert heads < other.lengths["heads"]
    mirror_sizes(other, model)
    assert other.pairs == tuple(model.lengths.items()) == tuple(other.lengths.items())


def test_settings_that_layers_share_stay_one_object_and_the_users_own_is_not_touched():
    case = CASES["SharedSettings"]
    model, example = case.build(), case.example()
    settings = model.blocks[0].settings
    apply_plan(model, plan_pruning(model, example, {"macs": 0.5}))
    smaller = model.blocks[0].settings
    assert smaller is model.blocks[1].settings
    assert (smaller.heads, smaller.width) == (model.blocks[0].out.in_features // 4, model.table.embedding_dim)
    assert smaller.width < settings.width == 16
