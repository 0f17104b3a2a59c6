"""A fit on several processes: one plan, equal replicas, and the same result as on one process."""

import random

import numpy as np
import pytest
import torch
from forked import together
from lightning.pytorch.strategies import DDPStrategy
from small import SAFE_LOAD, Classifier, Saver, data, trainer
from torch import nn
from torch.utils.data import DataLoader, DistributedSampler

from physprune_pl import physics_pruning

BY_LOSS = {"monitor": "val_loss", "mode": "min"}
TWO = {"devices": 2, "strategy": "ddp"}
# Settings of a fit on two processes that one process has too.
SHARED = ("accumulate_grad_batches", "select")
# Settings of a fit on two processes, and those of the same fit on one.
VARIANTS = {
    "unused parameters": {"strategy": "ddp_find_unused_parameters_true"},
    "static graph": {"static_graph": True},
    "gradients in buckets": {"gradient_as_bucket_view": True},
    "accumulation": {"accumulate_grad_batches": 2},
    "chosen by gradients": {"select": "taylor"},
}


def plain(dropout=0.0):
    """No batch statistics, which several processes would have of their own."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3),
        nn.GroupNorm(4, 8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(8, 2),
    )


class Noisy(Classifier):
    """Dropout, and augmentation with the generators that everybody shares."""

    def __init__(self):
        super().__init__(network=lambda: plain(0.3), example=False)

    def training_step(self, batch, batch_idx):
        noise = torch.from_numpy(np.random.standard_normal(batch[0].shape)).float()
        return super().training_step((batch[0] * random.gauss(1.0, 0.1) + 0.1 * noise, batch[1]), batch_idx)


def batches(size):
    """Batches that are, over all processes, those of one process: Lightning's own sampler would shuffle them."""
    dataset, world = data().dataset, torch.distributed
    sampler = DistributedSampler(dataset, shuffle=False) if world.is_initialized() else None
    return DataLoader(dataset, batch_size=size, sampler=sampler)


def fitted(model, folder, batch_size, ckpt_path=None, seed=0, judged=False, share=0.5, select="strength", **settings):
    """Run a whole fit from the same initial weights; return what it has come to."""
    folder.mkdir(exist_ok=True)
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    judge = BY_LOSS if judged else {}
    pruning = physics_pruning("uniform", target={"macs": share}, select=select, finetune_epochs=2, **judge)
    runner = trainer(*pruning, Saver(folder), default_root_dir=folder, **settings)
    runner.fit(model, batches(batch_size), batches(batch_size), ckpt_path=ckpt_path, **(SAFE_LOAD if ckpt_path else {}))
    state = pruning[-1].state_dict()
    return {
        "weights": dict(model.state_dict()),
        "moments": [one["momentum_buffer"] for one in runner.optimizers[0].state_dict()["state"].values()],
        "plan": state["plan"],
        "metrics": state["metrics"],
        "processes": runner.world_size,
        "step": runner.global_step,
    }


class Idle(Classifier):
    """Has a parameter that no step uses."""

    def __init__(self):
        super().__init__(network=plain)
        self.idle = nn.Parameter(torch.ones(3))


class OneSided(Classifier):
    """The second process alone reads the channels of the first layer elsewhere too; there is no example input."""

    def __init__(self):
        super().__init__(network=plain, example=False)
        self.extra = nn.Conv2d(8, 2, 6)

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        return loss + self.extra(self.net[0](batch[0])).square().mean() if self.global_rank else loss


def initial(kind):
    torch.manual_seed(0)
    return kind()


def plainly():
    return Classifier(network=plain)


def whole_and_resumed(folder):
    """On this process and its peers: a fit without chance, one with it, and that one resumed."""
    plain = fitted(initial(plainly), folder / "plain", 8, **TWO)
    noisy = fitted(initial(Noisy), folder / "noisy", 8, judged=True, **TWO)
    # Before the cut, but after the end of the phase; and in fine-tuning.
    starts = [folder / "noisy" / f"{epoch}.ckpt" for epoch in (1, 2)]
    again = [fitted(initial(Noisy), folder / one.stem, 8, one, seed=99, judged=True, **TWO) for one in starts]
    return {"plain": plain, "noisy": noisy, "resumed": again}


def assert_close(one, other, tolerance):
    assert one["plan"] == other["plan"]
    assert one["step"] == other["step"]
    assert one["weights"].keys() == other["weights"].keys()
    for name, value in one["weights"].items():
        torch.testing.assert_close(value, other["weights"][name], rtol=tolerance, atol=tolerance, msg=name)
    torch.testing.assert_close(one["moments"], other["moments"], rtol=tolerance, atol=tolerance)


def assert_replicas(ranks):
    first, *others = ranks
    assert first["processes"] == 1 + len(others)
    assert first["weights"]["net.0.weight"].shape[0] < 8
    for other in others:
        assert_close(first, other, 0)
        assert first["metrics"] == other["metrics"]


def test_two_processes_are_one(tmp_path):
    ranks = together(whole_and_resumed, tmp_path)
    for name in ("plain", "noisy"):
        assert_replicas([rank[name] for rank in ranks])
    alone = fitted(initial(plainly), tmp_path / "alone", 16)
    assert alone["processes"] == 1
    assert_close(ranks[0]["plain"], alone, 1e-5)
    for rank in ranks:
        for resumed in rank["resumed"]:
            assert_close(ranks[0]["noisy"], resumed, 1e-6)
            assert resumed["metrics"] == ranks[0]["noisy"]["metrics"]


def variant(folder, name):
    options = dict(VARIANTS[name])
    if name in ("static graph", "gradients in buckets"):
        options = {"strategy": DDPStrategy(**options)}
    return fitted(initial(Idle if name == "unused parameters" else plainly), folder, 8, **TWO | options)


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_variants_of_two_processes_are_one(name, tmp_path):
    ranks = together(variant, tmp_path, name)
    assert_replicas(ranks)
    same = {option: value for option, value in VARIANTS[name].items() if option in SHARED}
    alone = fitted(initial(Idle if name == "unused parameters" else plainly), tmp_path / "alone", 16, **same)
    assert_close(ranks[0], alone, 1e-5)


def one_sided(folder):
    return fitted(initial(OneSided), folder, 8, share=0.4144, **TWO | VARIANTS["unused parameters"])


@pytest.mark.slow
def test_what_a_step_of_one_process_reads_stays_whole_on_all(tmp_path):
    first, second = together(one_sided, tmp_path)
    assert_close(first, second, 0)
    assert first["weights"]["net.0.weight"].shape[0] == 8
    assert first["weights"]["net.2.weight"].shape[0] < 8
    reasons = {one["name"]: one["reason"] for one in first["plan"]["left_whole"]}
    assert "extra.weight reads its channels" in reasons["net.0"]
