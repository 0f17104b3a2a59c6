"""A step that takes from an iterator takes once: the copy that is recorded gets what the first real step got."""

import pytest
import torch
from lightning.pytorch import Callback
from recorded_steps import Parts, X, batches
from tiny import trainer

from physprune_pl import physics_pruning
from physprune_pl.callbacks.session.example_source import ExampleSource
from physprune_pl.callbacks.trainer.next_step import step_of


class Draws(Parts):
    """The step takes targets from a generator that it shares with an object."""

    def __init__(self):
        super().__init__()
        self.taken, self.sources = [], {"targets": [self.targets()]}

    def targets(self):
        for number in range(100):
            self.taken.append(number)
            yield torch.full((4, 2), float(number))

    def training_step(self, batch, batch_idx):
        return super().training_step((batch[0], next(self.sources["targets"][0])), batch_idx)


class EachStart(Callback):
    """Lets a fit find its example as the callbacks do, at every start of a step."""

    def __init__(self):
        self.source, self.found = ExampleSource(None, None), []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.found += [self.source.find(trainer, pl_module, step_of(trainer, batch, batch_idx)) for _ in range(2)]

    def on_train_batch_end(self, *_):
        self.source.end_step()


def test_what_a_step_takes_from_an_iterator_is_taken_once():
    module, looks = Draws(), EachStart()
    trainer(looks, epochs=2).fit(module, batches())
    assert module.taken == list(range(6))
    assert [one is not None for one in looks.found[:4]] == [False, False, True, True]
    network, example = looks.found[2]
    # It is the first step, whose batch and target were kept, and it can be run as often as one likes.
    assert torch.equal(example.args[0][0], X[:4])
    for _ in range(2):
        assert torch.equal(example.run(network)[0], network(X[:4]))
    assert module.taken == list(range(6))


def test_a_fit_whose_step_draws_prunes_and_draws_everything():
    module, callbacks = Draws(), physics_pruning(target={"macs": 0.58}, finetune_epochs=1)
    trainer(*callbacks, epochs=2).fit(module, batches())
    assert module.taken == list(range(9))
    assert callbacks.report.macs["pruned"] < callbacks.report.macs["dense"]


def test_a_first_step_that_fails_leaves_nothing_behind():
    class Fails(Draws):
        def training_step(self, batch, batch_idx):
            super().training_step(batch, batch_idx)
            raise ArithmeticError("in the first step")

    module, callbacks = Fails(), physics_pruning(target={"macs": 0.6}, finetune_epochs=1)
    source = module.sources["targets"][0]
    with pytest.raises(ArithmeticError, match="in the first step"):
        trainer(*callbacks, epochs=2).fit(module, batches())
    assert module.sources["targets"][0] is source
