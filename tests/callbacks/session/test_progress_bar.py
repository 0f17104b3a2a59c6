"""What the progress bar tells, in real fits, against values worked out from the network itself."""

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar, TQDMProgressBar
from lightning.pytorch.loggers import Logger
from small import Classifier, Saver, fit
from torch import nn

from physprune_pl import ForceRegularization, PruneAndFinetune, physics_pruning
from physprune_pl.callbacks.session import progress_bar
from physprune_pl.networks.measure import count_macs
from physprune_pl.pressing.steering import ARRIVED

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """The tracker of a fit without a logger leaves its file where the fit was started."""
    monkeypatch.chdir(tmp_path)


class Bar(TQDMProgressBar):
    """Silent; keeps what it would show after every batch."""

    def __init__(self):
        super().__init__(refresh_rate=0)
        self.shown = []

    def on_train_batch_end(self, trainer, pl_module, *_):
        self.shown.append({name: float(value) for name, value in trainer.progress_bar_metrics.items()})


class Rows(Logger):
    """Keeps what it is told."""

    name = version = "rows"

    def __init__(self):
        super().__init__()
        self.rows = []

    def log_metrics(self, metrics, step=None):
        self.rows.append(metrics)

    def log_hyperparams(self, *_, **__):
        pass


def shown(*callbacks, **kwargs):
    bar = Bar()
    options = {"enable_progress_bar": True} | kwargs
    return bar.shown, fit(*callbacks[:-1], bar, callbacks[-1], **options)


def pruning(force="uniform", **kwargs):
    return physics_pruning(force, target={"macs": 0.5}, finetune_epochs=2, **kwargs)


class Twin(Callback):
    """Works the signals out with loops, at the moment when the force tells them."""

    def __init__(self, force):
        self.force, self.found, self.starts = force, [], None

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        session = self.force.session
        if session.phase == "sparsify":
            strengths = [self.strength(pl_module.net, number) for number in (0, 3)]
            self.found.append({"macs": self.macs(pl_module, strengths), "arrived": self.arrived(session, strengths)})

    def strength(self, net, number):
        """L2 norm of each channel over filter, norm scale and shift, and the columns of the consumer."""
        reader = net[3].weight if number == 0 else net[8].weight
        parts = [net[number].weight, net[number + 1].weight, net[number + 1].bias, reader.transpose(0, 1)]
        return [sum(float(part[k].detach().square().sum()) for part in parts) ** 0.5 for k in range(8)]

    def macs(self, model, strengths):
        kept = [sum(value >= 0.01 * max(group) for value in group) for group in strengths]
        small = nn.Sequential(
            nn.Conv2d(1, kept[0], 3, padding=1, bias=False),
            nn.Conv2d(kept[0], kept[1], 3, bias=False),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(kept[1], 2),
        )
        return count_macs(small, model.example_input_array) / count_macs(model, model.example_input_array)

    def arrived(self, session, strengths):
        steering = session.steering
        if steering.start is None:
            return 0.0
        chosen = [mask.tolist() for mask in steering.removed()]
        limits = [ARRIVED * float(start) for start in steering.start]
        pairs = zip(strengths, chosen, limits, strict=True)
        counted = [s <= limit for group, mask, limit in pairs for s, yes in zip(group, mask, strict=True) if yes]
        return sum(counted) / len(counted)


def test_the_bar_tells_phase_coefficient_arrival_and_macs():
    callbacks = pruning()
    twin = Twin(callbacks[0])
    # So long and so calm that channels arrive while they are watched.
    plain = Classifier(lambda parameters, trainer: torch.optim.SGD(parameters, lr=0.05))
    seen, _ = shown(*callbacks[:-1], twin, callbacks[-1], model=plain, epochs=30)
    sparsify, finetune = seen[:90], seen[90:]
    assert [one["sparsify"] for one in sparsify] == pytest.approx([step / 90 for step in range(90)])
    for one, expected in zip(sparsify, twin.found, strict=True):
        assert set(one) == {"sparsify", "coefficient", "arrived", "macs"}
        assert {name: one[name] for name in expected} == pytest.approx(expected, rel=1e-5)
    assert sparsify[0]["arrived"] == 0
    assert sparsify[-1]["arrived"] > 0.5
    assert sparsify[-1]["macs"] < sparsify[0]["macs"] == 1
    assert [one["finetune"] for one in finetune] == pytest.approx([step / 6 for step in range(6)])
    ratio = callbacks[-1].report.macs["pruned"] / callbacks[-1].report.macs["dense"]
    for one in finetune:
        assert set(one) == {"finetune", "macs"}
        assert one["macs"] == pytest.approx(ratio)


def test_the_coefficient_is_the_mean_of_steering_or_the_number_times_its_schedule():
    found = []

    class Coefficients(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if callbacks[0].session.phase == "sparsify":
                found.append(float(callbacks[0].session.steering.coefficients().mean()))

    callbacks = pruning()
    seen, _ = shown(*callbacks[:-1], Coefficients(), callbacks[-1])
    assert [one["coefficient"] for one in seen[:6]] == pytest.approx(found)
    seen, _ = shown(*pruning(coefficient=0.02, schedule="linear"))
    assert [one["coefficient"] for one in seen[:6]] == pytest.approx([0.02 * step / 6 for step in range(6)], abs=1e-8)
    assert all("arrived" not in one and one["macs"] == 1 for one in seen[:6])


def test_a_force_alone_and_a_cut_alone_tell_what_they_know():
    seen, _ = shown(ForceRegularization("uniform", 0.01))
    assert [set(one) for one in seen] == [{"sparsify", "coefficient"}] * 6
    seen, _ = shown(PruneAndFinetune({"macs": 0.5}, finetune_epochs=1))
    assert [set(one) for one in seen] == [{"sparsify", "macs"}] * 6 + [{"finetune", "macs"}] * 3
    seen, _ = shown(ForceRegularization("uniform", 0.01), epochs=-1, max_time="00:00:00:01", limit_train_batches=2)
    assert {frozenset(one) for one in seen} == {frozenset({"coefficient"})}, "a fit without an end has no share of it"


def test_loggers_get_the_shares_under_their_own_names_and_nothing_else_is_logged():
    logger = Rows()
    seen, _ = shown(*pruning(), logger=logger)
    rows = [row for row in logger.rows if "physprune/macs_kept" in row]
    assert len(rows) == len(seen)
    for row, one in zip(rows, seen, strict=True):
        assert row["physprune/macs_kept"] == pytest.approx(one["macs"])
    assert sum("physprune/arrived" in row for row in rows) >= 6
    assert not {"sparsify", "finetune", "coefficient", "arrived", "macs"} & {
        name for row in logger.rows for name in row
    }


@pytest.mark.parametrize("log_groups", [True, False])
def test_what_the_user_logged_is_all_there_is_besides_our_own_names(log_groups):
    _, alone = fit(model=Classifier())
    logger = Rows()
    _, runner = fit(*pruning(log_groups=log_groups), logger=logger)
    ours = {name for name in runner.callback_metrics if name.startswith("physprune/")}
    assert set(runner.callback_metrics) - ours == set(alone.callback_metrics)
    # What was logged by name alone is the user's; Lightning adds the epoch.
    logged = {name for row in logger.rows for name in row}
    assert {name for name in logged if not name.startswith("physprune/")} == {*alone.logged_metrics, "epoch"}
    of_groups = {name for name in ours if name.endswith(("/net.0", "/net.3"))}
    assert bool(of_groups) == log_groups
    assert {"physprune/strength", "physprune/macs_kept", "physprune/penalty"} <= ours


def test_it_is_worked_out_as_seldom_as_the_trainer_logs(monkeypatch):
    steps, real = [], progress_bar.signals

    def counted(trainer, session):
        steps.append((trainer.current_epoch, trainer.fit_loop.batch_idx))
        return real(trainer, session)

    monkeypatch.setattr(progress_bar, "signals", counted)
    shown(*pruning(), epochs=2, log_every_n_steps=5)
    # The first batch of every epoch, and every fifth step of all.
    assert steps == [(0, 0), (1, 0), (1, 1), (2, 0), (3, 0)]
    steps.clear()
    fit(*pruning(), epochs=2, log_every_n_steps=0)
    assert steps == []
    fit(*pruning(), epochs=2, accumulate_grad_batches=2)
    assert steps == [(epoch, batch) for epoch in range(4) for batch in (0, 2)]


def test_a_resumed_fit_goes_on_counting(tmp_path):
    fit(*pruning(), Saver(tmp_path))
    whole = [step / 6 for step in range(6)]
    for epoch, phase, expected in ((0, "sparsify", whole[3:]), (2, "finetune", whole[3:])):
        seen, _ = shown(*pruning(), ckpt_path=tmp_path / f"{epoch}.ckpt")
        assert [one[phase] for one in seen if phase in one][:3] == pytest.approx(expected)


class Manual(Classifier):
    automatic_optimization = False

    def training_step(self, batch, batch_idx):
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(nn.functional.cross_entropy(self(batch[0]), batch[1]))
        optimizer.step()


@pytest.mark.parametrize(
    "options",
    [
        {"enable_progress_bar": False},
        {"logger": False, "enable_progress_bar": True},
        {"fast_dev_run": True},
        {"callback": RichProgressBar},
        {"model": Manual},
    ],
    ids=str,
)
def test_nothing_breaks(options):
    options = dict(options)
    callback, model = options.pop("callback", None), options.pop("model", Classifier)()
    extra = [callback()] if callback else []
    fit(*extra, *pruning(), model=model, **{"enable_progress_bar": True} | options)


def test_the_report_and_the_checkpoints_look_at_validation_only(tmp_path):
    class Late(Classifier):
        """Logs a metric that comes after every signal in the alphabet."""

        def validation_step(self, batch, batch_idx):
            self.log("zz_score", (self(batch[0]).argmax(1) == batch[1]).float().mean())

    callbacks = pruning()
    fit(*callbacks, model=Late())
    assert callbacks[-1].report.metric["name"] == "zz_score"
    callbacks = pruning()
    kept = ModelCheckpoint(tmp_path / "checkpoints", monitor="zz_score", mode="max")
    fit(kept, *callbacks, model=Late())
    assert callbacks[-1].report.metric["name"] == "zz_score"
    assert float(kept.best_model_score) == pytest.approx(callbacks[-1].report.metric["after_finetune"], abs=0.5)
