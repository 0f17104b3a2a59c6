"""Optimizers of other packages, where these are installed: steered to zero, cut, and stepped on."""

import importlib

import pytest
import torch
from lightning.pytorch import Callback, LightningModule
from tiny import trainer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from physprune_pl import apply_plan, physics_pruning, plan_pruning
from physprune_pl.pressing.steering import ARRIVED

pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
]

# Package, class, arguments. Those of pytorch_optimizer are built in their own ways.
FITS = [
    ("schedulefree", "AdamWScheduleFree", {"lr": 1e-2}),
    ("schedulefree", "SGDScheduleFree", {"lr": 0.5}),
    ("schedulefree", "RAdamScheduleFree", {"lr": 1e-2}),
    ("lion_pytorch", "Lion", {"lr": 3e-3}),
    ("pytorch_optimizer", "SOAP", {"lr": 3e-3}),
    ("pytorch_optimizer", "Kron", {"lr": 3e-3}),
    ("pytorch_optimizer", "ScalableShampoo", {"lr": 3e-3}),
    ("pytorch_optimizer", "AggMo", {"lr": 3e-3}),
    ("pytorch_optimizer", "AdaShift", {"lr": 3e-3}),
    ("pytorch_optimizer", "DASH", {"lr": 3e-3}),
    ("pytorch_optimizer", "Conda", {"lr": 3e-3}),
    ("pytorch_optimizer", "Prodigy", {"lr": 1.0}),
    ("pytorch_optimizer", "AdaFactor", {"lr": 1e-2}),
    ("pytorch_optimizer", "Muon", {"lr": 1e-2}),
    ("pytorch_optimizer", "SAM", {"base_optimizer": torch.optim.AdamW, "lr": 1e-2}),
    ("pytorch_optimizer", "Lookahead", {"lr": 1e-2}),
]


def build(package, name, options, parameters):
    made = getattr(pytest.importorskip(package, reason=f"{package} is not installed"), name)
    if name == "Lookahead":
        return made(torch.optim.Adam(parameters, **options))
    if name == "Muon":
        parts = [[one for one in parameters if (one.dim() > 1) == matrices] for matrices in (True, False)]
        return made([{"params": part, "use_muon": part is parts[0], **options} for part in parts])
    return made(parameters, **options)


class Classifier(LightningModule):
    def __init__(self, make):
        super().__init__()
        self.make = make
        self.net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4))

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, batch_idx):
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self):
        return self.make(list(self.parameters()))


class Modes(Callback):
    """Trains with the optimizer in its mode for that; keeps what is left of the strengths as they are evaluated."""

    def __init__(self, force):
        self.force, self.remaining = force, []

    def on_train_epoch_start(self, trainer, pl_module):
        getattr(trainer.optimizers[0], "train", lambda: None)()

    def on_train_epoch_end(self, trainer, pl_module):
        session = self.force.session
        getattr(trainer.optimizers[0], "eval", lambda: None)()
        if session.phase == "sparsify":
            self.remaining = [one.remaining for one in session.steering.arrivals(session.penalty.strengths())]


@pytest.mark.parametrize(("package", "name", "options"), FITS, ids=[f"{one[0]}-{one[1]}" for one in FITS])
def test_what_is_cut_has_arrived_and_training_goes_on(package, name, options, tmp_path):
    callbacks = physics_pruning(target={"macs": 0.5}, finetune_epochs=2)
    modes = Modes(callbacks[0])
    x = torch.randn(256, 8)
    data = DataLoader(TensorDataset(x, (x[:, 0] > 0).long() + 2 * (x[:, 1] > 0).long()), 32)
    module = Classifier(lambda parameters: build(package, name, options, parameters))
    trainer(modes, *callbacks, epochs=10, default_root_dir=tmp_path).fit(module, data)
    assert modes.remaining
    assert max(modes.remaining) <= ARRIVED
    assert not callbacks[-1].report.not_arrived
    assert module.net[0].out_features < 32
    assert all(bool(one.isfinite().all()) for one in module.parameters())


@pytest.mark.parametrize("name", ["AdamW8bit", "AdamW4bit", "AdamWFp8"])
def test_moments_of_few_bits_are_begun_anew(name):
    pytest.importorskip("torchao", reason="torchao is not installed")
    made = getattr(importlib.import_module("torchao.optim"), name)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64))
    optimizer = made(model.parameters(), lr=1e-3)
    # The state as a first step makes it, without compiling that step.
    for one in model.parameters():
        first, second = optimizer._new_buffer(one, True), optimizer._new_buffer(one, False)
        optimizer.state[one].update(step=torch.tensor(1.0), exp_avg=first, exp_avg_sq=second)
    packed = [one for one in model.parameters() if type(optimizer.state[one]["exp_avg"]) is not torch.Tensor]
    assert packed
    plan = plan_pruning(model, torch.randn(4, 64), {"macs": 0.5})
    with pytest.warns(UserWarning, match=f"{name} keeps with 3 of the parameters.*begins to gather"):
        apply_plan(model, plan, optimizers=[optimizer])
    assert list(optimizer.state) == [model[2].bias]
    assert optimizer.state[model[2].bias]["exp_avg"].shape == (64,)
