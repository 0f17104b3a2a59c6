#!/usr/bin/env bash
# Torch-Pruning 1.6.1 and Lightning 2.6.6 (torch 2.15.0): building a pruner puts the network into eval mode and leaves it
# there, and trainer.fit trains it in that mode, with a warning only.
# Expected: the network has the mode of before once the pruner is built, or fit puts it into train mode, as it did before
# Lightning 2.2. Seen: after building, the step of the pruner and a whole fit every module is in eval mode, so that
# statistics of batch norm stay those of the dense network and dropout never drops. Fine-tuned like this, pruned networks
# look worse than they are; model.train() before fit is the way round.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch==2.15.0 numpy==2.4.6 torch-pruning==1.6.1 lightning==2.6.6
cd "$folder"
"$folder/env/bin/python" -W ignore - <<'PYTHON'
import logging

import lightning as L
import torch
import torch_pruning
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Module(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 2))

    def training_step(self, batch, index):
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


def fitted(module):
    data = TensorDataset(torch.randn(16, 1, 8, 8), torch.randint(2, (16,)))
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    before = module.net[1].running_mean.clone()
    L.Trainer(max_epochs=1, accelerator="cpu", **quiet).fit(module, DataLoader(data, 8))
    return not torch.equal(before, module.net[1].running_mean)


def pruned(module):
    importance = torch_pruning.importance.GroupMagnitudeImportance(p=2)
    settings = {"importance": importance, "pruning_ratio": 0.5, "ignored_layers": [module.net[-1]]}
    torch_pruning.pruner.BasePruner(module.net, torch.randn(1, 1, 8, 8), **settings).step()
    return module


torch.manual_seed(0)
module = pruned(Module())
seen = {"channels": module.net[0].out_channels, "in train mode once pruned": module.net.training}
seen["statistics move in a fit"] = fitted(module)
seen["in train mode after it"] = module.net.training
module = pruned(Module()).train()
seen["statistics move after train()"] = fitted(module)
print(seen)
assert seen == {
    "channels": 4,
    "in train mode once pruned": False,
    "statistics move in a fit": False,
    "in train mode after it": False,
    "statistics move after train()": True,
}
PYTHON
