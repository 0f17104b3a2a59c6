"""A metric that nothing logs is missed as early as that can be known."""

import pytest
from lightning.pytorch import Callback
from small import Classifier, cutter, fit

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


class Epochs(Callback):
    def __init__(self):
        self.begun = 0

    def on_train_epoch_start(self, trainer, pl_module):
        self.begun += 1


def begun_until_refused(message, monitor, model=None, **options):
    epochs = Epochs()
    with pytest.raises(ValueError, match=message):
        fit(cutter(monitor=monitor, mode="max"), epochs, model=model, epochs=4, **options)
    return epochs.begun


def test_a_misspelt_metric_is_refused_after_one_step():
    message = r"monitor: expected one of the logged metrics \['val_acc', .*\], got 'val/acc'; did you mean 'val_acc'\?"
    assert begun_until_refused(message, "val/acc") == 1


@pytest.mark.filterwarnings("ignore:monitor")
def test_one_that_nothing_resembles_is_refused_after_the_first_epoch():
    assert begun_until_refused("'train_loss', 'val_acc', 'val_loss', .*got 'f1'", "f1") == 1


def test_it_is_told_after_the_first_step():
    with pytest.warns(UserWarning, match=r"monitor: .*got 'f1'; the fit ends after its first epoch unless"):
        begun_until_refused("monitor", "f1")


@pytest.mark.filterwarnings("error:monitor")
def test_before_any_validation_nothing_is_said():
    assert begun_until_refused("got 'val/acc'", "val/acc", num_sanity_val_steps=0) == 1


@pytest.mark.filterwarnings("ignore:monitor")
def test_without_validation_the_first_epoch_decides():
    assert begun_until_refused("'train_loss'", "val_acc", limit_val_batches=0) == 1


class Late(Classifier):
    """Logs another metric where the sanity validation does not see it."""

    def on_validation_epoch_end(self):
        if not self.trainer.sanity_checking:
            self.log("f1", 0.5)

    def on_train_epoch_end(self):
        self.log("score", 0.5)


@pytest.mark.parametrize("monitor", ["f1", "score"])
@pytest.mark.filterwarnings("ignore:monitor")
def test_what_is_logged_late_is_waited_for(monitor):
    cut = cutter(monitor=monitor, mode="max")
    fit(cut, model=Late())
    assert cut.report.metric["name"] == monitor


@pytest.mark.parametrize("monitor", ["train_loss", "val_acc"])
@pytest.mark.filterwarnings("error:monitor")
def test_of_a_known_metric_nothing_is_said(monitor):
    fit(cutter(monitor=monitor, mode="min"))


class Forked(Classifier):
    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        self.log("train", loss, on_step=True, on_epoch=True)
        return loss


@pytest.mark.parametrize("monitor", ["train_epoch", "train_step", "train"])
@pytest.mark.filterwarnings("error:monitor")
def test_both_names_of_what_is_logged_twice_are_known(monitor):
    fit(cutter(monitor=monitor, mode="min"), model=Forked(), limit_val_batches=0)
