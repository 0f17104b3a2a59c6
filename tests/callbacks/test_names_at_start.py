"""Names of modules that there are not are refused before the first training step."""

import pytest
import torch
from small import Classifier, fit

from physprune_pl import ChannelTracker, ForceRegularization, physics_pruning

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


class Untrained(Classifier):
    def training_step(self, batch, batch_idx):
        raise AssertionError("a step was run")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"module": "nett"},
            r"module: expected a submodule of Untrained, such as one of \['net', .*; did you mean 'net'",
        ),
        ({"module": "net.99"}, "did you mean 'net"),
        ({"ignore": "net.99"}, r"ignore: expected names .* such as .*, got 'net\.99'; did you mean 'net"),
        ({"ignore": ["net.0", torch.nn.ReLU()]}, "ignore: expected modules of the network, got ReLU"),
    ],
)
@pytest.mark.parametrize("sanity", [0, 1])
def test_the_fit_ends_before_its_first_step(options, message, sanity):
    with pytest.raises(ValueError, match=message):
        fit(
            *physics_pruning(target={"macs": 0.5}, **options),
            model=Untrained(example=False),
            num_sanity_val_steps=sanity,
        )


@pytest.mark.parametrize(
    "alone", [lambda: ForceRegularization("uniform", 0.1, module="nett"), lambda: ChannelTracker("nett")]
)
def test_each_callback_looks_for_itself(alone):
    with pytest.raises(ValueError, match="did you mean 'net'"):
        fit(alone(), model=Untrained(example=False))


def test_the_names_of_compiled_parts_are_plain(tmp_path):
    class Compiled(Classifier):
        def setup(self, stage):
            self.net = torch.compile(self.net, backend="eager")

    callbacks = physics_pruning(target={"macs": 0.7}, finetune_epochs=1, ignore="net.0", min_share={"net.3": 0.6})
    fit(*callbacks, model=Compiled())
    reasons = {part["name"].rpartition(".")[2]: part["reason"] for part in callbacks[-1].report.left_whole}
    assert "ignored by the user" in reasons["0"]
    with pytest.raises(ValueError, match=r"\['net\.0', .*'net'\], got 'nett\.0'; did you mean 'net\.0'"):
        fit(*physics_pruning(target={"macs": 0.6}, ignore="nett.0"), model=Compiled())


def by_method(module):
    module.forward = torch.compile(module.forward, backend="eager")
    return module


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@pytest.mark.parametrize("compiled", [by_method, lambda module: torch.compile(module, backend="eager")])
def test_compiled_functions_are_traced_as_plain_python(compiled):
    module = Classifier(example=False)
    fit(*physics_pruning(target={"macs": 0.5}, finetune_epochs=1), model=compiled(module))
    assert module.net[0].out_channels < 8
