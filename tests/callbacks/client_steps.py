"""Tiny modules whose steps look as those of real Lightning libraries do.

The style named in a docstring was seen in the library that it names, see experiments/clients.
"""

from __future__ import annotations

import os
from threading import Lock
from types import SimpleNamespace
from typing import Any

import torch
from client_style import COLUMNS, Style, mlp, rows
from torch import nn
from torch.nn.functional import mse_loss


class LossInAnObject(Style):
    """scvi-tools: forward hands batch and loss arguments to a module that returns three things, the loss in one."""

    class Vae(nn.Module):
        """A variational autoencoder that knows its loss."""

        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = mlp(COLUMNS, 16, 4), mlp(2, 16, COLUMNS)

        def forward(self, tensors, *, loss_kwargs):
            mean, spread = self.encoder(tensors["X"]).chunk(2, 1)
            drawn = mean + spread.exp() * torch.randn_like(mean)
            errors = (self.decoder(drawn) - tensors["X"]).square().sum(1)
            kl = loss_kwargs["kl_weight"] * (mean.square() + spread.exp() - spread).sum(1)
            return {"qz": mean}, {"px": drawn}, SimpleNamespace(loss=(errors + kl).mean())

    def __init__(self):
        super().__init__()
        self.net = self.Vae()

    @classmethod
    def collated(cls, samples):
        return {"X": Style.collated(samples)[0], "batch": torch.zeros(len(samples), 1)}

    def forward(self, *args, **kwargs):
        return self.net(*args, **kwargs)

    def loss(self, batch):
        _, _, outcome = self(batch, loss_kwargs={"kl_weight": 0.1})
        return outcome.loss


class LossOfTheModel(Style):
    """gluonts: the step calls the network's loss by keyword; what forward returns is nowhere used by itself."""

    class Forecaster(nn.Module):
        """A network with a likelihood."""

        def __init__(self):
            super().__init__()
            self.body, self.location, self.spread = mlp(COLUMNS, 16, 16), nn.Linear(16, 1), nn.Linear(16, 1)

        def forward(self, past):
            hidden = self.body(past).relu()
            return self.location(hidden), self.spread(hidden)

        def loss(self, *, past, future):
            location, spread = self(past)
            return -torch.distributions.Normal(location, spread.exp()).log_prob(future)

    def __init__(self):
        super().__init__()
        self.net = self.Forecaster()

    @classmethod
    def collated(cls, samples):
        inputs, targets = Style.collated(samples)
        return {"future": targets, "past": inputs}

    def loss(self, batch):
        return self.net.loss(**batch).mean()


class Episodes(Style):
    """rl4co: a policy is called with an environment, decides step by step at random, and is paid for it."""

    class Environment:
        """A row of places to go to; the pay is what is found there."""

        def start(self, batch):
            return {"places": batch, "open": torch.ones(batch.shape, dtype=torch.bool)}

        def go(self, state, place):
            state["open"] = state["open"].scatter(1, place[:, None], False)

    class Policy(nn.Module):
        """Scores places by their features and what it has seen."""

        def __init__(self):
            super().__init__()
            self.embed, self.score = mlp(1, 16, 16), mlp(16, 16, 1)

        def forward(self, state, environment, decode):
            hidden, total = self.embed(state["places"][..., None]), 0.0
            rows, found = torch.arange(len(hidden)), 0.0
            for step in range(2):
                scores = self.score(hidden)[..., 0].masked_fill(~state["open"], -1e9).log_softmax(1)
                place = scores.detach().exp().multinomial(1)[:, 0] if decode == "sample" else scores.argmax(1)
                total, found = total + scores[rows, place], found + state["places"][rows, place] / (step + 1)
                environment.go(state, place)
            return {"log_likelihood": total, "reward": found}

    def __init__(self):
        super().__init__()
        self.net, self.environment = self.Policy(), self.Environment()

    @classmethod
    def collated(cls, samples):
        return Style.collated(samples)[0]

    def loss(self, batch):
        decode = "sample" if self.training else "greedy"
        out = self.net(self.environment.start(batch), self.environment, decode)
        return -((out["reward"] - out["reward"].mean()) * out["log_likelihood"]).mean()


class TwoPlayers(Style):
    """anomalib's GANomaly: manual optimization of two players, the step returns losses under names of its own."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.net, self.judge = mlp(COLUMNS, 16, COLUMNS), mlp(COLUMNS, 16, 1)

    def loss(self, batch):
        return mse_loss(self.net(batch[0]), batch[0])

    def training_step(self, batch, batch_idx):
        of_judge, of_net = self.optimizers()
        made = self.net(batch[0])
        loss = mse_loss(made, batch[0]) - 0.01 * self.judge(made).mean()
        of_net.zero_grad()
        self.manual_backward(loss, retain_graph=True)
        of_net.step()
        judged = self.judge(made.detach()).sigmoid().mean() - self.judge(batch[0]).sigmoid().mean()
        of_judge.zero_grad()
        self.manual_backward(judged)
        of_judge.step()
        self.log_dict({"net": loss.item(), "judge": judged.item()})
        return {"net_loss": loss, "judge_loss": judged}

    def configure_optimizers(self):
        return [torch.optim.Adam(one.parameters(), lr=1e-3) for one in (self.judge, self.net)]


class SecondSource(Style):
    """Domain adaptation by hand: the step draws from an iterator of its own beside the batch."""

    def __init__(self):
        super().__init__()
        self.net, self.domain = mlp(COLUMNS, 16, 16), mlp(16, 16, 1)
        self.head = nn.Linear(16, 1)
        self.sources = {"target": self.endless()}

    def endless(self):
        while True:
            yield torch.stack([one for one, _ in rows()][:16]) + 1

    def loss(self, batch):
        hidden = self.net(batch[0]).relu()
        other = self.net(next(self.sources["target"])).relu()
        domains = self.domain(torch.cat([hidden, other])).mean().square()
        return mse_loss(self.head(hidden), batch[1]) + 0.01 * domains


class Timekeeper:
    """Counts under a lock, as clients of experiment trackers do."""

    def __init__(self):
        self.lock, self.count = Lock(), 0

    def tick(self):
        with self.lock:
            self.count += 1


class HoldsLocks(Style):
    """Trackers, profilers and caches: an object with a lock in it, in a list, a file and a module of Python."""

    def __init__(self):
        super().__init__()
        self.keepers, self.lines, self.library = [Timekeeper()], open(os.devnull, "w"), torch.nn.functional  # noqa: SIM115

    def teardown(self, stage):
        self.lines.close()

    def loss(self, batch):
        self.keepers[0].tick()
        if not self.lines.closed:
            print("a step", file=self.lines)
        return self.library.mse_loss(self.net(batch[0]), batch[1])


class SavesWhatItTrains(Style):
    """A pretrained, frozen backbone is left out of the checkpoints, as adapters and fine-tuning projects do."""

    strict_loading = False

    def __init__(self):
        super().__init__()
        self.backbone = nn.Linear(COLUMNS, COLUMNS).requires_grad_(False)
        nn.init.eye_(self.backbone.weight)
        nn.init.zeros_(self.backbone.bias)

    def loss(self, batch):
        return mse_loss(self.net(self.backbone(batch[0])), batch[1])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        for name in ("backbone.weight", "backbone.bias"):
            del checkpoint["state_dict"][name]


class BuiltAgainAtLoad(Style):
    """deepforest, kraken: on_load_checkpoint builds a new dense network before the weights are read."""

    def loss(self, batch):
        return mse_loss(self.net(batch[0]), batch[1])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["widths"] = (COLUMNS, 16, 16, 1)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.net = mlp(*checkpoint["widths"])


class OnePartTwice(Style):
    """torchmd-net: a part belongs to two others, so its weights have two names, in files too."""

    class Convolution(nn.Module):
        """Uses a filter that somebody else has as well."""

        def __init__(self, filters):
            super().__init__()
            self.own, self.filters = nn.Linear(COLUMNS, 16), filters

        def forward(self, inputs):
            return self.own(inputs) * self.filters(inputs)

    def __init__(self):
        super().__init__()
        self.filters = mlp(COLUMNS, 16, 16)
        self.net = nn.Sequential(self.Convolution(self.filters), nn.ReLU(), nn.Linear(16, 1))

    def loss(self, batch):
        return mse_loss(self.net(batch[0]), batch[1])


class OtherOutputsInTraining(Style):
    """anomalib: in training the network puts out parts, which the step calls another part with; else one score."""

    class Autoencoder(nn.Module):
        """Compares what it sees with what it makes of it."""

        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = mlp(COLUMNS, 16, 8), mlp(8, 16, COLUMNS)
            self.normed, self.drops = nn.BatchNorm1d(COLUMNS), nn.Dropout(0.1)

        def forward(self, inputs):
            made = self.normed(self.decoder(self.drops(self.encoder(inputs))))
            return (inputs, made) if self.training else (made - inputs).square().mean(1)

    def __init__(self):
        super().__init__()
        self.net, self.judge = self.Autoencoder(), mlp(COLUMNS, 16, 1)

    def training_step(self, batch, batch_idx):
        inputs, made = self.net(batch[0])
        return mse_loss(self.judge(made), batch[1]) + mse_loss(made, inputs)

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self.net(batch[0]).mean(), batch_size=16)


STEPS = [
    *(LossInAnObject, LossOfTheModel, Episodes, TwoPlayers),
    *(SecondSource, HoldsLocks, SavesWhatItTrains, BuiltAgainAtLoad, OnePartTwice),
    OtherOutputsInTraining,
]
