"""Several callbacks that pass for one: a Trainer calls, saves and restores them as if it had been given a list."""

import copy
import pickle

import pytest
import pytorch_lightning
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, LearningRateFinder, ModelCheckpoint, RichProgressBar
from lightning.pytorch.cli import LightningCLI
from small import Classifier, Saver, data
from small import trainer as quiet

from physprune_pl.callbacks.trainer.composite import CompositeCallback, unfolded

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers", "ignore:.*isinstance.treespec, LeafSpec", "ignore:.*smaller than the logging"
)


class Named(Callback):
    """Writes down which hooks were called, and keeps a number as its state."""

    def __init__(self, name, calls=None):
        self.name, self.calls, self.number = name, [] if calls is None else calls, 0

    @property
    def state_key(self):
        return f"Named{self.name}"

    def setup(self, trainer, pl_module, stage):
        self.calls.append((self.name, "setup", stage))

    def on_train_epoch_end(self, trainer, pl_module):
        self.number += 1
        self.calls.append((self.name, "epoch"))

    def teardown(self, trainer, pl_module, stage):
        self.calls.append((self.name, "teardown", stage))

    def state_dict(self):
        return {"number": self.number}

    def load_state_dict(self, state_dict):
        self.number = state_dict["number"]


def named(names, calls=None):
    return [Named(name, calls) for name in names]


def names_of(callbacks):
    return "".join(one.name for one in callbacks if isinstance(one, Named))


# A list


def test_it_is_a_list_for_whoever_wants_one():
    a, b, c, d = named("abcd")
    both = CompositeCallback([a, b])
    assert (both[0], both[-1], both[:1], len(both), list(both)) == (a, b, [a], 2, [a, b])
    assert (both + [c], [c] + both) == ([a, b, c], [c, a, b])  # noqa: RUF005
    assert a in both
    assert both.index(b) == 1
    assert repr(both) == "CompositeCallback(Named, Named)"
    grown = [c]
    grown += both
    assert grown == [c, a, b]
    both[0] = d
    del both[1]
    assert list(both) == [d]


def test_what_is_added_goes_in_front_of_the_last():
    both = CompositeCallback(named("az"))
    both.append(Named("b"))
    both.extend(named("cd"))
    both += named("e")
    both.insert(0, Named("0"))
    assert names_of(both) == "0abcdez"


def test_copies_are_whole():
    for other in (copy.deepcopy(CompositeCallback(named("ab"))), pickle.loads(pickle.dumps(CompositeCallback([])))):
        assert isinstance(other, CompositeCallback)
        assert names_of(other) == "ab"[: len(other)]


# One callback


@pytest.mark.parametrize(
    "given",
    [
        lambda composite, x, y: composite,
        lambda composite, x, y: [composite],
        lambda composite, x, y: [x, composite, y],
        lambda composite, x, y: [x, *composite, y],
        lambda composite, x, y: [*composite, composite],
        lambda composite, x, y: [CompositeCallback([x, composite]), y],
    ],
)
def test_a_trainer_calls_every_member_once_in_its_place(given):
    calls = []
    composite = CompositeCallback(named("ab", calls))
    x, y = named("xy", calls)
    callbacks = given(composite, x, y)
    runner = Trainer(
        callbacks=callbacks,
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )
    order = names_of(unfolded(callbacks if isinstance(callbacks, list) else [callbacks]))
    runner.fit(Classifier(), data(), data())
    assert names_of(runner.callbacks) == order
    begun, ended = ([(one, hook, "fit") for one in order] for hook in ("setup", "teardown"))
    assert calls == [*begun, *[(one, "epoch") for one in order] * 2, *ended]
    # In a second run they are there already.
    calls.clear()
    runner.validate(Classifier(), data(), verbose=False)
    assert [call[0] for call in calls if call[1] == "setup"] == list(order)


def test_checkpoints_go_to_the_end(tmp_path):
    early, late = ModelCheckpoint(tmp_path / "early", monitor="val_acc"), ModelCheckpoint(tmp_path / "late")
    composite = CompositeCallback([*named("a"), late, *named("b")])
    runner = quiet(composite, EarlyStopping("train_loss"), early, *named("c"))
    runner.fit(Classifier(), data(), data())
    assert names_of(runner.callbacks) == "abc"
    assert runner.callbacks[-2:] == [late, early]
    assert list((tmp_path / "late").iterdir())


def test_the_checkpoint_that_a_trainer_makes_for_itself_gives_way(tmp_path):
    callbacks = CompositeCallback(named("ab"))
    callbacks.append(ModelCheckpoint(tmp_path / "mine"))
    runner = quiet(callbacks, enable_checkpointing=True, default_root_dir=tmp_path)
    runner.fit(Classifier(), data(), data())
    assert runner.checkpoint_callbacks == [callbacks[1]]
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    runner = quiet(CompositeCallback(named("ab")), enable_checkpointing=True, default_root_dir=tmp_path)
    runner.fit(Classifier(), data(), data())
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "checkpoints"}


class Logs(Callback):
    def on_train_epoch_end(self, trainer, pl_module):
        self.log("own", 1.0)


def test_members_can_log_as_other_callbacks_do():
    runner = quiet(CompositeCallback([Logs()]))
    runner.fit(Classifier(), data(), data())
    assert runner.callback_metrics["own"] == 1.0


def test_from_configure_callbacks_too():
    class Configured(Classifier):
        def configure_callbacks(self):
            return self.own

    for own in (CompositeCallback(named("ab")), [CompositeCallback(named("ab"))]):
        module, runner = Configured(), quiet(*named("x"))
        module.own = own
        runner.fit(module, data(), data())
        # Lightning replaces callbacks of the same class.
        assert names_of(runner.callbacks) in ("ab", "xab")


@pytest.mark.parametrize("saved_as", ["composite", "list"])
@pytest.mark.parametrize("resumed_as", ["composite", "list"])
def test_checkpoints_are_those_of_a_list(tmp_path, saved_as, resumed_as):
    def given(kind):
        members = named("ab")
        return members, [CompositeCallback(members)] if kind == "composite" else members

    _, callbacks = given(saved_as)
    quiet(*callbacks, Saver(tmp_path), epochs=2).fit(Classifier(), data(), data())
    saved = torch.load(tmp_path / "1.ckpt", weights_only=False)["callbacks"]
    assert saved == {"Nameda": {"number": 2}, "Namedb": {"number": 2}}
    members, callbacks = given(resumed_as)
    quiet(*callbacks, Saver(tmp_path), epochs=3).fit(
        Classifier(), data(), data(), ckpt_path=tmp_path / "1.ckpt", weights_only=False
    )
    assert [one.number for one in members] == [3, 3]


def test_a_trainer_of_the_other_package_takes_it_for_a_list():
    calls = []
    composite = CompositeCallback(named("ab", calls))
    options = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}

    class Module(pytorch_lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(2, 1)

        def training_step(self, batch, batch_idx):
            return self.layer(batch).sum()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    for callbacks in (composite, [composite]):
        calls.clear()
        runner = pytorch_lightning.Trainer(max_epochs=1, callbacks=callbacks, enable_checkpointing=False, **options)
        runner.fit(Module(), torch.utils.data.DataLoader(torch.zeros(4, 2)))
        assert [call[0] for call in calls if call[1] == "epoch"] == ["a", "b"]


@pytest.mark.parametrize("inside", [RichProgressBar, LearningRateFinder])
def test_what_a_trainer_looks_for_when_it_is_made_is_refused(inside):
    pytest.importorskip("rich")
    runner = quiet(CompositeCallback([inside()]))
    with pytest.raises(ValueError, match=rf"a Trainer looks for a {inside.__name__} when it is made, .*\[\*callbacks"):
        runner.fit(Classifier(), data(), data())


def test_two_that_keep_their_state_in_one_place_are_refused():
    runner = quiet(CompositeCallback(named("ab")), *named("b"))
    with pytest.raises(ValueError, match="callbacks: expected one Named with the state 'Namedb'"):
        runner.fit(Classifier(), data(), data())


class Plain(LightningModule):
    pass


@pytest.mark.filterwarnings("default")
def test_a_command_line_takes_one_callback_or_several(tmp_path):
    (tmp_path / "config.yaml").write_text(
        "trainer:\n  logger: false\n  callbacks:\n"
        "    - class_path: physprune_pl.physics_pruning\n"
        "      init_args: {target: {macs: 0.5}, ignore: head, finetune_epochs: 3}\n"
        "    - class_path: lightning.pytorch.callbacks.EarlyStopping\n      init_args: {monitor: loss}\n"
    )
    options = {"run": False, "save_config_callback": None, "seed_everything_default": 0}
    built = LightningCLI(Plain, args=["--config", str(tmp_path / "config.yaml")], **options)
    composite = built.trainer.callbacks[0]
    assert isinstance(composite, CompositeCallback)
    assert composite[-1].finetune_epochs == 3
    assert composite[-1].session.ignore.entries == ("head",)
