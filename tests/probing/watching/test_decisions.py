import pytest
import torch
from torch import nn
from torchvision.ops import nms

from physprune_pl.tracing.tracer import trace


class Detector(nn.Module):
    """Keeps the boxes with the largest scores, and of those that overlap one."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())
        self.score, self.box = nn.Conv2d(8, 1, 1), nn.Conv2d(8, 4, 1)

    def forward(self, x):
        features = self.body(x)
        scores, boxes = self.score(features).flatten(1).sigmoid(), self.box(features).flatten(2).transpose(1, 2)
        return [self.kept(*pair) for pair in zip(scores, boxes, strict=True)]

    def kept(self, scores, boxes):
        scores, place = scores.topk(20)
        boxes = boxes[place]
        keep = torch.where(scores > 0.1)[0]
        if len(keep):
            keep = keep[nms(boxes[keep], scores[keep], 0.5)]
        return {"boxes": boxes[keep], "scores": scores[keep]}


class Early(nn.Module):
    """Runs its last layer for what it is not sure of."""

    def __init__(self, threshold) -> None:
        super().__init__()
        self.threshold, self.first, self.last = threshold, nn.Linear(3, 8), nn.Linear(8, 2)
        self.more, self.sure = nn.Linear(8, 8), nn.Linear(8, 1)

    def forward(self, x):
        x = self.first(x).relu()
        sure = self.sure(x).sigmoid() > self.threshold
        return self.last(x if bool(sure.all()) else self.more(x))


class Hard(Early):
    """The same without asking in Python."""

    def forward(self, x):
        x = self.first(x).relu()
        hard = self.sure(x).flatten().sigmoid() <= self.threshold
        return self.last(x.index_put((hard,), self.more(x[hard])))


def test_a_detector_is_cut_up_to_its_heads():
    torch.manual_seed(0)
    traced = trace(Detector(), torch.randn(3, 3, 8, 8))
    assert [group.name for group in traced.groups] == ["body.0", "body.2"]
    assert {left.name for left in traced.left_whole} >= {"score", "box"}


@pytest.mark.parametrize("threshold", [-1.0, 2.0])
def test_a_branch_on_values_is_still_one(threshold):
    traced = trace(Early(threshold), torch.randn(4, 3))
    assert "sure" in {left.name for left in traced.left_whole}


def test_what_no_run_has_come_past_is_not_forgotten():
    """Nothing is hard for the network as it is traced, so that a layer of it never runs."""
    traced = trace(Hard(-1.0), torch.randn(4, 3))
    assert not any("more" in part.name for group in traced.groups for part in group.slices)
