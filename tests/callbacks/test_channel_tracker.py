"""What the tracker writes is what the channels were, epoch by epoch, before and after a cut and a resume."""

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.loggers import CSVLogger
from safe_load import SAFE_LOAD
from tiny import Module, hand_made_trace, loader, trainer

from physprune_pl.callbacks.channel_tracker import ChannelTracker
from physprune_pl.callbacks.force_regularization import ForceRegularization
from physprune_pl.callbacks.session import session as session_module
from physprune_pl.callbacks.session.phase import PhaseLength
from physprune_pl.callbacks.session.session import PruningSession
from physprune_pl.callbacks.tracker.scalars import summary
from physprune_pl.history import load_filters, load_history
from physprune_pl.surgery.apply import apply_plan
from physprune_pl.surgery.plan import make_plan

# Half a unit of the last binary digit that is kept, and some room for float32 arithmetic.
STORED = 2.0**-11 + 1e-5


@pytest.fixture(autouse=True)
def _traced_by_hand(monkeypatch):
    monkeypatch.setattr(session_module, "trace", hand_made_trace)


class Weights(Callback):
    def __init__(self):
        self.epochs = []

    def on_train_epoch_end(self, trainer, pl_module):
        self.epochs.append({name: one.detach().clone() for name, one in pl_module.net.state_dict().items()})


class CutAfterFirstEpoch(Callback):
    """The least that a cutting callback does."""

    removed = (torch.tensor([0, 1, 0, 0, 1, 0]).bool(), torch.tensor([1, 0, 0, 0, 1]).bool())

    def __init__(self, session):
        self.session = session

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == 1:
            plan = make_plan(self.session.trace, self.removed, (2, 1), (2, 1))
            apply_plan(pl_module.net, plan, trainer.optimizers)
            self.session.record.plan = plan
            self.session.enter_finetuning(PhaseLength())


def fit(*callbacks, folder, epochs=3, ckpt_path=None, **kwargs):
    weights = Weights()
    run = trainer(*callbacks, weights, epochs=epochs, default_root_dir=folder, **kwargs)
    run.fit(Module(), loader(2), ckpt_path=ckpt_path, **(SAFE_LOAD if ckpt_path else {}))
    return weights.epochs, run


def strength(state, k):
    parts = (state["one.weight"][k], state["one.bias"][k : k + 1], state["two.weight"][:, k])
    return torch.cat(parts).norm().item()


def test_strengths_distances_coefficients_and_filter_norms(tmp_path):
    tracker = ChannelTracker()
    states, _ = fit(ForceRegularization("torque", 0.01), tracker, folder=tmp_path)
    history = tracker.history()
    assert history["epochs"].tolist() == [0, 1, 2]
    assert history["phases"].tolist() == ["sparsify"] * 3
    for row, state in enumerate(states):
        expected = [strength(state, k) for k in range(6)]
        np.testing.assert_allclose(history["strength/one"][row], expected, rtol=STORED)
        np.testing.assert_allclose(history["l1/two"][row], state["two.weight"].abs().sum(1), rtol=STORED)
        np.testing.assert_allclose(history["l2/three"][row], state["three.weight"].norm(dim=1), rtol=STORED)
        np.testing.assert_allclose(history["distance/two"][row], range(5))
        np.testing.assert_allclose(history["coefficient/two"][row], [0.0, 0.5, 1.0, 1.5, 2.0], rtol=STORED)


def test_without_a_force_there_are_no_coefficients(tmp_path):
    tracker = ChannelTracker()
    fit(tracker, folder=tmp_path, epochs=1)
    assert set(tracker.history()) == {"epochs", "phases"} | {
        *(f"{kind}/{group}" for kind in ("strength", "distance") for group in ("one", "two")),
        *(f"{norm}/{layer}" for norm in ("l1", "l2") for layer in ("one", "two", "three")),
    }


def test_the_session_of_a_force_is_shared_unless_it_presses_another_module(tmp_path):
    force, tracker, other = ForceRegularization("torque", 0.01), ChannelTracker(), ChannelTracker(module="net")
    fit(tracker, force, other, folder=tmp_path, epochs=1)
    assert tracker.session is force.session
    assert other.session is not force.session


def test_a_channel_keeps_its_index_after_the_cut(tmp_path):
    session = PruningSession()
    force, tracker = ForceRegularization("torque", 0.01, pivot=4, session=session), ChannelTracker(session=session)
    states, _ = fit(force, tracker, CutAfterFirstEpoch(session), folder=tmp_path)
    history = tracker.history()
    assert history["phases"].tolist() == ["sparsify", "finetune", "finetune"]
    assert history["strength/one"].shape == (3, 6)
    assert np.isnan(history["strength/one"][1:, [1, 4]]).all()
    expected = [strength(states[2], k) for k in range(4)]
    np.testing.assert_allclose(history["strength/one"][2, [0, 2, 3, 5]], expected, rtol=STORED)
    np.testing.assert_allclose(history["l2/two"][2, [1, 2, 3]], states[2]["two.weight"].norm(dim=1), rtol=STORED)
    assert np.isnan(history["l2/two"][2, [0, 4]]).all()
    for kind in ("coefficient", "distance"):
        assert np.isnan(history[f"{kind}/one"]).all(axis=1).tolist() == [False, True, True]


def test_a_resume_keeps_the_history(tmp_path):
    tracker = ChannelTracker()
    _, run = fit(tracker, folder=tmp_path, epochs=2)
    run.save_checkpoint(tmp_path / "last.ckpt")
    again = ChannelTracker()
    run = trainer(again, epochs=3, default_root_dir=tmp_path)
    run.fit(Module(), loader(2), ckpt_path=tmp_path / "last.ckpt", **SAFE_LOAD)
    assert again.history()["epochs"].tolist() == [0, 1, 2]
    for name, series in tracker.history().items():
        np.testing.assert_array_equal(again.history()[name][:2], series)


def test_the_file_holds_the_history(tmp_path):
    tracker = ChannelTracker(path=tmp_path / "deep" / "mine.npz")
    fit(tracker, folder=tmp_path)
    with np.load(tmp_path / "deep" / "mine.npz") as stored:
        for name, series in tracker.history().items():
            np.testing.assert_array_equal(stored[name], series)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["mine.npz"]


def test_the_file_lies_beside_the_run(tmp_path):
    fit(ChannelTracker(), folder=tmp_path / "run", epochs=1)
    assert (tmp_path / "run" / "pruning" / "channels.npz").is_file()
    tracker = ChannelTracker()
    for version in ("version_0", "version_1"):
        fit(tracker, folder=tmp_path / "run", epochs=1, logger=CSVLogger(tmp_path / "logs"))
        assert tracker.path == tmp_path / "logs" / "lightning_logs" / version / "pruning" / "channels.npz"
        assert tracker.path.is_file()


def test_a_later_fit_has_a_folder_of_its_own_unless_it_resumes(tmp_path):
    _, run = fit(ChannelTracker(), folder=tmp_path / "run", epochs=1)
    earlier = (tmp_path / "run" / "pruning" / "channels.npz").read_bytes()
    run.save_checkpoint(tmp_path / "last.ckpt")
    fit(ChannelTracker(), folder=tmp_path / "run", epochs=2, ckpt_path=tmp_path / "last.ckpt")
    assert [path.name for path in (tmp_path / "run").glob("pruning*")] == ["pruning"]
    resumed = (tmp_path / "run" / "pruning" / "channels.npz").read_bytes()
    assert resumed != earlier
    fit(ChannelTracker(), folder=tmp_path / "run", epochs=1)
    assert (tmp_path / "run" / "pruning" / "channels.npz").read_bytes() == resumed
    assert (tmp_path / "run" / "pruning-1" / "channels.npz").is_file()


def test_a_fit_without_logger_and_folder_writes_nothing_and_says_so(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    tracker = ChannelTracker()
    with caplog.at_level("INFO"):
        fit(tracker, folder=None, epochs=1)
    assert tracker.history()["epochs"].tolist() == [0]
    assert list(tmp_path.iterdir()) == []
    assert "neither a logger nor a default_root_dir" in caplog.text
    with pytest.raises(RuntimeError, match=r"^path: expected a file, got None"):
        tracker.save()


def test_fast_dev_run_writes_nothing(tmp_path):
    fit(ChannelTracker(), folder=tmp_path, fast_dev_run=True)
    assert not list(tmp_path.iterdir())


def test_epochs_may_be_left_out(tmp_path):
    tracker = ChannelTracker(every_n_epochs=2)
    fit(tracker, folder=tmp_path, epochs=5)
    assert tracker.history()["epochs"].tolist() == [1, 3]


def test_a_second_fit_starts_a_new_history(tmp_path):
    tracker = ChannelTracker()
    for _ in range(2):
        fit(tracker, folder=tmp_path, epochs=1)
    assert tracker.history()["epochs"].tolist() == [0]


def test_the_loggers_get_a_summary(tmp_path):
    class Shrink(Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            with torch.no_grad():
                for one in (pl_module.net.one.weight[:3], pl_module.net.one.bias[:3], pl_module.net.two.weight[:, :3]):
                    one.mul_(1e-6)

    tracker = ChannelTracker()
    run = trainer(Shrink(), tracker, epochs=1, default_root_dir=tmp_path)
    run.fit(Module(lr=1e-12), loader(2))
    metrics, history = run.callback_metrics, tracker.history()
    groups = {name: torch.from_numpy(history[f"strength/{name}"][0]) for name in ("one", "two")}
    assert metrics["physprune/near_zero"].item() == pytest.approx(3 / 11)
    assert metrics["physprune/near_zero/one"].item() == pytest.approx(0.5)
    expected = summary(groups)
    assert {name for name in metrics if name.startswith("physprune/")} == set(expected)
    for name, value in expected.items():
        assert metrics[name].item() == pytest.approx(value.item(), rel=STORED, abs=STORED)


def test_the_state_is_no_larger_than_the_file(tmp_path):
    tracker = ChannelTracker(path=tmp_path / "channels.npz")
    fit(tracker, folder=tmp_path)
    (stored,) = tracker.state_dict().values()
    assert stored.numel() * stored.element_size() == (tmp_path / "channels.npz").stat().st_size


def test_tables_from_memory_and_from_the_file_are_equal(tmp_path):
    session = PruningSession()
    force, tracker = ForceRegularization("torque", 0.01, session=session), ChannelTracker(session=session)
    fit(force, tracker, CutAfterFirstEpoch(session), folder=".")
    for found, loaded in (
        (tracker.table(), load_history(tracker.path)),
        (tracker.filter_table(), load_filters(tracker.path)),
    ):
        for column in found.dtype.names:
            np.testing.assert_array_equal(found[column], loaded[column])
    table = tracker.table()
    last = table[(table["group"] == "one") & (table["epoch"] == 2)]
    assert last["channel"].tolist() == [0, 2, 3, 5]
    np.testing.assert_array_equal(last["strength"], tracker.history()["strength/one"][2, [0, 2, 3, 5]])


def test_without_a_fit_there_is_no_file_to_save_to():
    with pytest.raises(RuntimeError, match="path: expected a file, got None"):
        ChannelTracker().save()


def test_every_n_epochs_must_be_positive():
    with pytest.raises(ValueError, match="every_n_epochs: expected at least 1, got 0"):
        ChannelTracker(every_n_epochs=0)
