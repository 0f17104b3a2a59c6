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
