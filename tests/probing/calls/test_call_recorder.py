"""What a program does with a network is recorded: its calls, whether they need one another, what reaches the loss."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from physprune_pl.probing.calls.call_recorder import CallRecorder
from physprune_pl.probing.calls.call_replay import CallReplay
from physprune_pl.probing.calls.call_watch import Mark

X, Y = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 3


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Sequential(nn.Linear(4, 5), nn.ReLU()), nn.Linear(5, 3)
        self.gain = nn.Parameter(torch.ones(3, 5))

    def forward(self, x, scale=1.0):
        return self.head(self.body(x)) * scale


def recorded(program, watched=None, net=None):
    net = net or Net()
    recorder = CallRecorder(net, frozenset(dict(net.named_parameters())) if watched is None else watched)
    with recorder:
        returned = program(net)
    return recorder.recording(returned)


def made(recording):
    return [(call.part, call.method) for call in recording.calls]


def test_a_call_of_the_whole_network_is_one_call_with_a_copy_of_its_arguments():
    x = X.clone()
    recording = recorded(lambda net: F.cross_entropy(net(x, scale=2.0), Y) + 0 * x.zero_().sum())
    assert made(recording) == [("", "__call__")]
    assert torch.equal(recording.calls[0].args[0], X)
    assert recording.calls[0].kwargs == {"scale": 2.0}
    assert recording.independent
    assert recording.outputs == {Mark("", 0, 0)}


def test_forward_past_the_hooks_counts_as_a_call():
    assert made(recorded(lambda net: net.forward(X).sum())) == [("", "forward")]
    assert made(recorded(lambda net: net.body.forward(X).sum())) == [("body", "forward")]


@pytest.mark.parametrize(
    "between",
    [
        lambda h: h,
        torch.relu,
        lambda h: h.detach(),
        lambda h: h.flatten(1)[:, :5] * 2,
        lambda h: checkpoint(torch.tanh, h, use_reentrant=True),
    ],
)
def test_calls_that_need_one_another_are_not_independent(between):
    recording = recorded(lambda net: F.cross_entropy(net.head(between(net.body(X))), Y))
    assert made(recording) == [("body", "__call__"), ("head", "__call__")]
    assert not recording.independent
    assert recording.outputs == {Mark("head", 0, 0)}


def test_several_calls_of_one_network_are_independent():
    recording = recorded(lambda net: (net(X) - net(X + 1)).pow(2).mean())
    assert recording.independent
    assert recording.count == 2
    assert recording.outputs == {Mark("", 0, 0), Mark("", 1, 0)}


def test_what_reaches_the_loss_on_its_way_to_another_call_is_an_output():
    def program(net):
        h = net.body(X)
        return net.head(h).mean() + h.pow(2).mean()

    assert recorded(program).outputs == {Mark("body", 0, 0), Mark("head", 0, 0)}


def test_a_hidden_layer_that_reaches_the_loss_past_its_network_is_an_output():
    def program(net):
        kept = []
        net.body.register_forward_hook(lambda *args: kept.append(args[-1]))
        return net(X).mean() + kept[0].pow(2).mean()

    recording = recorded(program)
    assert not recording.independent
    assert recording.outputs == {Mark("", 0, 0), Mark("body", 0, 0)}


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        with torch._C.DisableTorchFunction():
            return x * 2

    @staticmethod
    def backward(ctx, grad):
        return grad * 2


def test_an_operation_that_python_does_not_see_is_traced_back_by_its_gradient():
    recording = recorded(lambda net: Doubled.apply(net(X)).sum())
    assert recording.outputs == {Mark("", 0, 0)}


def test_a_weight_used_outside_of_all_parts_is_a_call_of_its_own():
    net = Net()
    recording = recorded(lambda net: (net.body(X) @ net.gain.T).sum(), frozenset({"body.0.weight", "gain"}), net)
    assert (recording.count, recording.independent) == (2, False)
    assert recording.outputs == {Mark(None, 0, 0)}
    assert {"gain", "body.0.weight", "body.0.bias"} <= recording.called
    assert "head.weight" not in recording.called


def test_a_penalty_on_weights_is_none():
    def program(net):
        flat = torch.cat([one.flatten() for one in net.parameters()])
        return net(X).sum() + 1e-3 * flat.abs().mean() + sum(one.norm() for one in net.parameters())

    recording = recorded(program)
    assert (recording.count, recording.independent) == (1, True)


def test_a_part_without_watched_parameters_is_no_part():
    net = Net()
    recording = recorded(lambda net: net.head(net.body(X)).sum(), frozenset({"head.weight"}), net)
    assert made(recording) == [("head", "__call__")]
    assert recording.independent


def test_without_a_loss_there_is_no_recording():
    assert recorded(lambda net: None) is None
    assert recorded(lambda net: X.sum()) is None
    assert recorded(lambda net: net(X).argmax(1)) is None


def test_a_loss_may_go_backward_in_the_program():
    def program(net):
        net(X).sum().backward()
        assert all(one.grad is not None for one in net.parameters())

    assert recorded(program).outputs == {Mark("", 0, 0)}


UPDATES = {
    "data": lambda o, t: setattr(t, "data", 0.9 * t.data + 0.1 * o.data),
    "in place": lambda o, t: t.data.mul_(0.9).add_(o.data, alpha=0.1),
    "lerp": lambda o, t: t.lerp_(o, 0.1),
    "copy": lambda o, t: t.copy_(0.9 * t + 0.1 * o),
    "for each": lambda o, t: torch._foreach_lerp_([t], [o], 0.1),
    "by index": lambda o, t: t.__setitem__(slice(None), o),
}


@pytest.mark.parametrize("name", UPDATES)
def test_weights_that_follow_others_are_found(name):
    net = nn.ModuleDict({"online": nn.Linear(4, 3), "target": nn.Linear(4, 3), "other": nn.Linear(4, 3)})
    net["target"].requires_grad_(False)

    @torch.no_grad()
    def follow(net):
        for one, other in zip(net["online"].parameters(), net["target"].parameters(), strict=True):
            UPDATES[name](one, other)

    def program(net):
        follow(net)
        return net["online"](X).sum()

    watched = frozenset({"online.weight", "online.bias"})
    found = recorded(program, watched, net)
    assert found.followers == {"target.weight": "online.weight", "target.bias": "online.bias"}
    assert {"target.weight", "target.bias"} <= found.written


def test_batch_statistics_follow_nothing():
    net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    assert recorded(lambda net: net(X).sum(), frozenset({"0.weight"}), net).followers == {}


def test_a_network_has_no_hooks_left():
    net = Net()
    recorded(lambda net: net(X).sum(), net=net)
    assert not any(one._forward_hooks or one._forward_pre_hooks or "forward" in vars(one) for one in net.modules())


# --- running it again ------------------------------------------------------------------------------------------------


def linked(after):
    def program(net):
        loss = F.cross_entropy(net.head(net.body(X).relu()), Y)
        after.append(1)
        return loss

    return program


def test_a_replay_stops_after_the_last_call_and_keeps_what_reaches_the_loss():
    net, after = Net(), []
    watched, program = frozenset(dict(net.named_parameters())), linked(after)
    recording = recorded(program, watched, net)
    replay = CallReplay(net, watched, recording)
    replay.run(lambda: program(net))
    assert after == [1]
    (output,) = replay.outputs
    assert torch.equal(output, net.head(net.body(X).relu()))
    assert [call.part for call in replay.calls] == ["body", "head"]


def test_a_replay_runs_with_other_widths_down_to_one():
    net = Net()
    watched, program = frozenset(dict(net.named_parameters())) - {"gain"}, linked([])
    recording = recorded(program, watched, copy.deepcopy(net))
    net.body[0], net.head = nn.Linear(4, 1), nn.Linear(1, 3)
    replay = CallReplay(net, watched, recording)
    replay.run(lambda: program(net))
    assert replay.outputs[0].shape == (6, 3)


def test_an_error_in_the_last_call_is_told():
    net = Net()
    watched, program = frozenset(dict(net.named_parameters())), linked([])
    recording = recorded(program, watched, copy.deepcopy(net))
    net.head = nn.Linear(7, 3)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        CallReplay(net, watched, recording).run(lambda: program(net))


def test_fewer_calls_than_recorded_are_an_error():
    net = Net()
    watched = frozenset(dict(net.named_parameters()))
    recording = recorded(linked([]), watched, net)
    with pytest.raises(RuntimeError, match="expected 2 calls of the network as before, got 1"):
        CallReplay(net, watched, recording).run(lambda: net.body(X))


def test_without_gradients_a_slope_is_zero_and_carries_nan():
    net = Net()
    watched, slopes = frozenset(dict(net.named_parameters())), []

    def program(x):
        slopes.append(torch.autograd.grad(net(x).sum(), x)[0])
        return net(x).sum() + slopes[-1].sum()

    x = X.clone().requires_grad_()
    recording = recorded(lambda _: program(x), watched, net)
    assert slopes[0].abs().sum() > 0
    for data in (X, X * float("nan")):
        with torch.no_grad():
            CallReplay(net, watched, recording).run(lambda data=data: program(data))
    assert torch.equal(slopes[1], torch.zeros_like(X))
    assert slopes[2].isnan().all()
