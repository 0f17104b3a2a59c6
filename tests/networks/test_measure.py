"""Counting and timing real modules: MACs are worked out by hand in the parameters."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from physprune_pl.networks.measure import count_macs, count_parameters, file_bytes


class Attention(nn.Module):
    def __init__(self, need_weights: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.need_weights = need_weights

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x, need_weights=self.need_weights)[0]


class Compared(nn.Module):
    """Two halves of the input, by a product for each pair of their values."""

    def __init__(self) -> None:
        super().__init__()
        self.pairs = nn.Bilinear(4, 5, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.pairs(x[:, :4], x[:, 4:])


class Weighted(nn.Module):
    """A 5 x 4 matrix and the first sample, by one function of torch."""

    def __init__(self, product: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.matrix, self.product = nn.Parameter(torch.rand(5, 4)), product

    def forward(self, x: Tensor) -> Tensor:
        return self.product(self.matrix, x[0])


# 5 tokens of width 8: four projections 8 x 8, and scores and mixtures, each 5 x 5 x 8
ATTENTION = 4 * 5 * 64 + 2 * 25 * 8
ENCODER = ATTENTION + 2 * 5 * 8 * 16


@pytest.mark.parametrize(
    ("model", "shape", "macs"),
    [
        (nn.Linear(4, 3), (8, 4), 12),
        (nn.Linear(4, 3), (8, 7, 4), 7 * 12),
        (nn.Conv1d(3, 4, 5), (2, 3, 9), 5 * 4 * 3 * 5),
        (nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False), (2, 3, 8, 8), 16 * 4 * 3 * 9),
        (nn.Conv2d(4, 6, 3, groups=2), (2, 4, 5, 5), 9 * 6 * 2 * 9),
        (nn.Conv2d(4, 4, 3, groups=4), (2, 4, 5, 5), 9 * 4 * 9),
        (nn.ConvTranspose2d(4, 6, 3, stride=2), (2, 4, 5, 5), 25 * 4 * 6 * 9),
        (nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), (2, 4, 5, 5), 25 * 4 * 3 * 9),
        (Attention(need_weights=True), (3, 5, 8), ATTENTION),
        (Attention(need_weights=False), (3, 5, 8), ATTENTION),
        (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (3, 5, 8), ENCODER),
        (nn.Sequential(nn.BatchNorm1d(4), nn.ReLU()), (3, 4), 0),
        (nn.RNN(4, 6, batch_first=True), (3, 5, 4), 5 * (4 + 6) * 6),
        (nn.GRU(4, 6, batch_first=True), (3, 5, 4), 5 * (4 + 6) * 3 * 6),
        (nn.LSTM(4, 6, batch_first=True), (3, 5, 4), 5 * (4 + 6) * 4 * 6),
        (nn.LSTM(4, 6, 2, batch_first=True), (3, 5, 4), 5 * (4 + 6 + 6 + 6) * 4 * 6),
        (nn.LSTM(4, 6, batch_first=True, bidirectional=True), (3, 5, 4), 2 * 5 * (4 + 6) * 4 * 6),
        (nn.LSTMCell(4, 6), (3, 4), (4 + 6) * 4 * 6),
        (Compared(), (3, 9), 4 * 5 * 6),
        (Weighted(torch.mv), (3, 4), 0),
        (Weighted(lambda matrix, vector: torch.addbmm(matrix @ matrix.T, matrix[None], matrix.T[None])), (3, 4), 200),
    ],
)
def test_counts_multiply_adds_of_one_sample(model, shape, macs):
    assert count_macs(model, torch.rand(shape)) == macs


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(2, 3), nn.Linear(4, 5)

    def forward(self, a: Tensor, b: list[Tensor], scale: Tensor) -> Tensor:
        assert torch.is_grad_enabled() is False
        assert (len(a), len(b[0]), scale.ndim) == (1, 1, 0)
        return self.left(a).sum() + scale * self.right(b[0]).sum()


def test_takes_positional_and_keyword_inputs():
    inputs = {"a": torch.rand(6, 2), "b": [torch.rand(6, 4)], "scale": torch.tensor(2.0)}
    assert count_macs(Two(), inputs) == 6 + 20
    assert count_macs(Two(), tuple(inputs.values())) == 6 + 20


def test_counting_leaves_no_mark():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))
    model.train()
    model[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state, fast = torch.get_rng_state(), torch.backends.mha.get_fastpath_enabled()
    count_macs(model, torch.zeros(3, 4))
    assert [module.training for module in model] == [True, False, True, True]
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.backends.mha.get_fastpath_enabled() is fast


def test_modes_are_restored_after_an_error():
    model = nn.Sequential(nn.Linear(4, 2))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        count_macs(model, torch.zeros(3, 5))
    assert model.training
    assert torch.backends.mha.get_fastpath_enabled()


def test_compiled_parts_are_counted():
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    assert count_macs(torch.compile(model, backend="eager"), torch.zeros(2, 4)) == 18


def test_tied_parameters_count_once():
    model = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 7, bias=False), nn.Linear(4, 3))
    assert count_parameters(model) == 28 + 28 + 15
    model[1].weight = model[0].weight
    assert count_parameters(model) == 28 + 15


def test_file_bytes_is_the_size_of_the_saved_weights():
    small, large = nn.Linear(10, 10), nn.Linear(100, 100)
    buffer = io.BytesIO()
    torch.save(large.state_dict(), buffer)
    assert file_bytes(large) == len(buffer.getvalue())
    assert 4 * 110 < file_bytes(small) < file_bytes(large)


class LearnedQuery(nn.Module):
    """Hands a parameter to a submodule: counting by module would ask for its gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.layer = nn.Parameter(torch.randn(3, 4)), nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(self.query) @ x[0]


def test_a_parameter_may_be_handed_to_a_submodule() -> None:
    assert count_macs(LearnedQuery(), torch.zeros(2, 5, 2)) == 3 * 4 * 5 + 3 * 5 * 2


class Passing(nn.Module):
    """Every node adds up what its neighbours send."""

    def __init__(self) -> None:
        super().__init__()
        self.send = nn.Linear(3, 4)

    def forward(self, nodes: Tensor, edges: Tensor) -> Tensor:
        sent = self.send(nodes)
        return torch.zeros_like(sent).index_add(0, edges[1], sent[edges[0]])


def test_a_graph_has_no_samples_and_is_counted_whole() -> None:
    edges = torch.tensor([[0, 1, 4], [1, 2, 3]])
    assert count_macs(Passing(), (torch.zeros(5, 3), edges)) == 5 * 3 * 4


def test_what_does_not_run_is_not_counted() -> None:
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        count_macs(nn.Linear(3, 4), torch.zeros(2, 5))
