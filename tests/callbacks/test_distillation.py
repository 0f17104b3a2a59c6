"""Distillation: the loss it mixes, when it teaches and who the teacher is."""

import copy

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ModelCheckpoint
from small import HALF, Classifier, Saver, fit, net
from torch import nn

from physprune_pl import PruneAndFinetune, physics_pruning
from physprune_pl.callbacks.distillation import Distillation, soft_cross_entropy
from physprune_pl.callbacks.session.session import PruningSession

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


def pruning(**kwargs):
    return physics_pruning("uniform", target=HALF, finetune_epochs=2, **kwargs)


def distillation_of(callbacks):
    return next(one for one in callbacks if isinstance(one, Distillation))


class Losses(Callback):
    """The loss of every training batch, and whether the module's own step was in use."""

    def __init__(self):
        self.seen, self.own = [], []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.seen.append(float(outputs["loss"]))
        self.own.append("training_step" not in vars(pl_module))


class Dense(Callback):
    """Copies of the weights after every epoch before the cut."""

    def __init__(self):
        self.weights = []

    def on_train_epoch_end(self, trainer, pl_module):
        self.weights.append(copy.deepcopy(pl_module.state_dict()))


def test_the_distance_is_the_divergence_of_softened_classes():
    student, teacher = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0)).unbind()
    expected = 0.0
    for ours, theirs in zip(student.tolist(), teacher.tolist(), strict=True):
        p = torch.tensor(theirs).div(3).softmax(0)
        q = torch.tensor(ours).div(3).softmax(0)
        expected += 9 * sum(float(a * (a / b).log()) for a, b in zip(p, q, strict=True)) / 3
    assert float(soft_cross_entropy(student, teacher, 3.0)) == pytest.approx(expected, rel=1e-5)


def test_what_has_no_classes_is_refused():
    scores = torch.zeros(2, 3)
    with pytest.raises(ValueError, match=r"alike in shape, got \(2, 3\) and \(3, 2\)"):
        soft_cross_entropy(scores, scores.T)
    with pytest.raises(ValueError, match="expected scores"):
        soft_cross_entropy(scores[0], scores[0])
    with pytest.raises(
        TypeError, match="student: expected a network that returns scores, got dict; give Distillation a"
    ):
        soft_cross_entropy({"logits": scores}, {"logits": scores})
    with pytest.raises(TypeError, match="teacher: expected a network that returns scores, got tuple"):
        soft_cross_entropy(scores, (scores,))
    with pytest.raises(ValueError, match="temperature: expected a number above 0, got 0"):
        soft_cross_entropy(scores, scores, 0)
    with pytest.raises(ValueError, match=r"weight: expected a share in \[0, 1\], got 2"):
        Distillation(PruningSession(), weight=2)


def test_before_the_cut_nothing_changes_and_after_it_the_loss_is_mixed():
    torch.manual_seed(0)
    plain, taught = Losses(), Losses()
    model = Classifier()
    start = copy.deepcopy(model.state_dict())
    fit(*pruning(), plain, model=model)
    model = Classifier()
    model.load_state_dict(start)
    fit(*pruning(teacher=True), taught, model=model)
    batches = len(plain.seen) // 2
    assert taught.seen[:batches] == plain.seen[:batches]
    assert taught.own[:batches] == [True] * batches
    assert taught.own[batches:] == [False] * batches
    # The teacher of the same weights says nearly what the cut network says, so that half of the loss is left.
    assert taught.seen[batches] == pytest.approx(plain.seen[batches] / 2, rel=0.2)
    assert "training_step" not in vars(model)


def test_the_teacher_is_the_last_dense_network_without_a_monitor():
    callbacks, dense = pruning(teacher=True), Dense()
    fit(*callbacks, dense)
    teacher = distillation_of(callbacks).teacher.state_dict()
    assert not any(one.requires_grad for one in distillation_of(callbacks).teacher.parameters())
    for name, tensor in teacher.items():
        assert torch.equal(tensor, dense.weights[1][name]), name


class FirstIsBest(Classifier):
    def on_validation_epoch_end(self):
        self.log("score", -float(self.current_epoch))


def test_the_teacher_is_the_best_dense_network_by_the_monitor(tmp_path):
    callbacks, dense = pruning(teacher=True), Dense()
    fit(*callbacks, dense, ModelCheckpoint(tmp_path, monitor="score", mode="max"), model=FirstIsBest())
    for name, tensor in distillation_of(callbacks).teacher.state_dict().items():
        assert torch.equal(tensor, dense.weights[0][name]), name


def test_a_teacher_of_ones_own_stays_as_it_is():
    torch.manual_seed(0)
    teacher = net()
    before = copy.deepcopy(teacher.state_dict())
    asked = []

    def loss(student, said):
        asked.append(torch.equal(said, said) and student.shape == said.shape)
        return nn.functional.mse_loss(student, said)

    cut = PruneAndFinetune(HALF, 1)
    fit(Distillation(cut.session, teacher, 1.0, loss), cut)
    # Once in the first step, to see whether it works, and in the three after the cut.
    assert asked == [True] * 4
    assert all(torch.equal(before[name], tensor) for name, tensor in teacher.state_dict().items())
    assert "teacher" not in Distillation(cut.session, teacher).state_dict()


def test_a_resumed_fit_has_the_same_teacher(tmp_path):
    torch.manual_seed(0)
    whole = pruning(teacher=True)
    model, _ = fit(*whole, Saver(tmp_path))
    again = pruning(teacher=True)
    resumed, _ = fit(*again, model=Classifier(), ckpt_path=tmp_path / "2.ckpt")
    for name, tensor in distillation_of(whole).teacher.state_dict().items():
        assert torch.equal(tensor, distillation_of(again).teacher.state_dict()[name]), name
    assert [one.shape for one in resumed.parameters()] == [one.shape for one in model.parameters()]


class Deaf(Classifier):
    """Never calls the network that is pruned once it is cut."""

    def training_step(self, batch, batch_idx):
        if self.trainer.current_epoch < 2:
            return super().training_step(batch, batch_idx)
        return sum(parameter.sum() for parameter in self.parameters())


class Counted(Classifier):
    def training_step(self, batch, batch_idx):
        self.steps = getattr(self, "steps", 0) + 1
        return super().training_step(batch, batch_idx)


class Aside(Counted):
    """Computes its loss without a call of the network that a hook would see."""

    def training_step(self, batch, batch_idx):
        super().training_step(batch, batch_idx)
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def __call__(self, *args):
        return self.net(*args)


@pytest.mark.parametrize(
    ("teacher", "model", "error", "message"),
    [
        (nn.Linear(5, 2), Counted, ValueError, "Linear does not run on what training_step calls Counted with"),
        (nn.Flatten(), Counted, ValueError, r"teacher: expected scores .* got \(16, 2\) and \(16, 36\)"),
        (True, Aside, RuntimeError, "teacher: training_step did not call Aside"),
    ],
)
def test_what_cannot_teach_is_found_in_the_first_step(teacher, model, error, message):
    module = model()
    with pytest.raises(error, match=message):
        fit(*pruning(teacher=teacher), model=module, epochs=5)
    # Once more on a copy, which tells what the network is called with.
    assert module.steps == 1
    assert "training_step" not in vars(module)


@pytest.mark.parametrize("teacher", ["resnet18", 1, nn.Linear])
def test_a_teacher_must_be_a_network(teacher):
    with pytest.raises(TypeError, match="teacher: expected "):
        pruning(teacher=teacher)


@pytest.mark.parametrize("teacher", [None, False])
def test_without_a_teacher_nobody_teaches(teacher):
    assert not any(isinstance(one, Distillation) for one in pruning(teacher=teacher))


@pytest.mark.filterwarnings("ignore:Found .* in eval mode")
def test_a_network_cannot_teach_itself():
    module = Classifier()
    with pytest.raises(ValueError, match=r"teacher: expected a network of its own, got one that is trained too \(net"):
        fit(*pruning(teacher=module.net), model=module)
    assert all(parameter.requires_grad for parameter in module.parameters())
    # One that the module carries along, frozen, is as good as any.
    module = Classifier()
    module.old = copy.deepcopy(module.net).requires_grad_(False)
    fit(*pruning(teacher=module.old), model=module)


class Manual(Classifier):
    def __init__(self):
        super().__init__()
        self.automatic_optimization = False


def test_where_it_cannot_teach_it_says_so():
    with pytest.raises(RuntimeError, match="training_step did not call Deaf"):
        fit(*pruning(teacher=True), model=Deaf())
    with pytest.raises(ValueError, match="manual optimization"):
        fit(*pruning(teacher=True), model=Manual())
