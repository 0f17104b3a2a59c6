"""The doorstep of a client, stage by stage, and the table that tells of it; the libraries themselves are not here."""

import lightning as L
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from experiments.clients.client import Client, Loaders
from experiments.clients.doorstep import lightning_of, visit
from experiments.clients.environments import REQUIREMENTS, install_line, python_of
from experiments.clients.run import wanted
from experiments.clients.table import STAGES, problems, tables


class Kind:
    """An object of a library's own, which torch refuses to load unless it is told to."""


class Regression(L.LightningModule):
    """Two layers on eight samples; its hyper-parameters may hold an object."""

    def __init__(self, kind=None):
        super().__init__()
        self.save_hyperparameters()
        self.network = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))

    def training_step(self, batch, batch_idx):
        rows, values = batch
        return nn.functional.mse_loss(self.network(rows), values)

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self.training_step(batch, batch_idx))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-2)


def loader():
    rows = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    return DataLoader(TensorDataset(rows, rows.sum(1, keepdim=True)), batch_size=4)


def client(module):
    return Client(module=module, data=Loaders(loader, loader), metric="val_loss", what="-", style="-", epochs=10)


@pytest.mark.parametrize(("kind", "plain", "word"), [(None, True, "yes"), (Kind(), False, "as dense")])
def test_every_stage_of_a_visit(tmp_path, kind, plain, word):
    row = {"client": "chemprop", **visit(client(lambda: Regression(kind)), 0, tmp_path)}
    assert set(STAGES) <= set(row)
    assert problems(row) == []
    assert row["pruned"]["kept"]["macs"] == pytest.approx(0.5, abs=0.02)
    assert row["pruned"]["phases"]["after_cut"] == pytest.approx(row["pruned"]["phases"]["after_sparsify"], rel=1e-2)
    assert [row[stage]["plain"] for stage in ("dense_tested", "tested")] == [plain, plain]
    assert all(row[stage]["same_shapes"] for stage in ("reloaded", "resumed_under_force", "resumed_after_cut"))
    figures = [f"{row[stage]['metric']:.3g}" for stage in ("dense", "pruned", "small")]
    assert f"| {' | '.join(figures)} | {word} | yes | yes / yes |" in tables([row])


def test_a_pruned_file_that_needs_a_word_where_the_dense_one_does_not_is_a_fault():
    row = {"client": "chemprop", "dense_tested": {"plain": True}, "tested": {"plain": False}}
    assert "| no | - | - / - |" in tables([row])


def test_a_library_that_cannot_be_built_is_a_row_with_its_words(tmp_path):
    def build():
        raise ImportError("no such library")

    row = {"client": "chemprop", **visit(client(build), 0, tmp_path)}
    assert problems(row) == ["dense: ImportError: no such library"]
    assert "- chemprop: dense: ImportError: no such library" in tables([row])


@pytest.mark.parametrize(("client", "library"), [("eva", "kaiko-eva"), ("ptls", "pytorch-lifestream")])
def test_the_table_names_the_library_of_a_client(client, library):
    assert f"| {client} | {library}==" in tables([{"client": client, "dense": {"failure": "none"}}])


def test_the_package_of_a_module_is_the_one_that_it_subclasses():
    assert lightning_of(Regression()).__name__ == "lightning.pytorch"


def test_only_clients_without_a_row_are_run_unless_asked_for():
    first, second = list(REQUIREMENTS)[:2]
    assert second in wanted([{"client": first}], [])
    assert first not in wanted([{"client": first}], [])
    assert wanted([{"client": first}], [first]) == [first]
    with pytest.raises(ValueError, match=r"NAME: expected clients of .*, got other"):
        wanted([], ["other"])


def test_an_environment_gets_the_packages_that_are_named_and_no_more(tmp_path):
    name = next(iter(REQUIREMENTS))
    line = install_line(name, tmp_path)
    assert str(python_of(name, tmp_path)) in line
    assert "--no-deps" in line
    assert line.endswith(" ".join(REQUIREMENTS[name]))
