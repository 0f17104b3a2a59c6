"""Operations of other libraries never see NaN; where there are none, nobody looks for them twice."""

import torch
from torch import nn

from physprune_pl.networks.example import Example
from physprune_pl.networks.isolation import untouched
from physprune_pl.probing.runner import Runner
from physprune_pl.probing.watching.tainting import ModulePath


@torch.library.custom_op("physprune_tests::doubled", mutates_args=())
def doubled(x: torch.Tensor) -> torch.Tensor:
    assert not x.isnan().any()
    return x * 2


class Foreign(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.last(doubled(self.first(x)))


def test_a_foreign_operation_is_a_wall_in_every_run():
    model = Foreign().eval()
    with untouched(model) as saved, ModulePath(model) as path:
        runner = Runner(model, Example.of(torch.randn(2, 3)), path, saved)
        for _ in range(2):
            run = runner.run({("first.weight", 0): torch.ones(4, dtype=torch.bool)})
            assert runner.foreign
            assert [seen.pattern.tolist() for seen in run.seen if seen.kind == "opaque"] == [[True]]
            assert not any(seen.pattern.any() for seen in run.seen if seen.family == ("last.weight", 1))


def test_a_network_of_native_operations_is_known_as_such_after_its_first_run():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU()).eval()
    with untouched(model) as saved, ModulePath(model) as path:
        runner = Runner(model, Example.of(torch.randn(2, 3)), path, saved)
        runner.run()
        assert not runner.foreign
