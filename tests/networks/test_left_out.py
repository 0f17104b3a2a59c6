"""Copies of a model that holds what cannot be copied: nothing is used up, and a tape gives them what they lack."""

import io
import queue
import threading
from functools import partial

import pytest
import torch
from torch import nn

from physprune_pl.networks.isolation import copied, twin
from physprune_pl.networks.left_out import LeftOut, LeftOutError, is_used_up, playing
from physprune_pl.networks.taping import Taping

COPIES = pytest.mark.parametrize("copies", [copied, twin])


def numbers():
    yield from map(torch.tensor, range(100))


class Own:
    def __init__(self, source):
        self.lock, self.source = threading.Lock(), source


class Closing(Own):
    """A copy that is dropped would close what is shared."""

    closed = False

    def __init__(self):
        self.lock = threading.Lock()

    def __del__(self):
        type(self).closed = True


class Line:
    """A connection."""

    def recv(self, size):
        return size


class Model(nn.Module):
    """Holds one iterator in many places."""

    def __init__(self, source):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.layer.source = source
        self.items, self.pair, self.table = [source, 1], (source, 2), {"source": {"inside": source}}
        self.own, self.draw = Own(source), lambda: next(source)
        self.part = partial(next, source)
        self.layer.register_forward_pre_hook(lambda *_: None)


def drawn(model):
    """Draw once at each of the places."""
    own, table = model.own.source, model.table["source"]["inside"]
    sources = [model.layer.source, model.items[0], model.pair[0], table, own]
    return [int(next(one)) for one in sources] + [int(model.draw()), int(model.part())]


@COPIES
def test_no_copy_draws_from_an_iterator_of_the_model(copies):
    model = Model(numbers())
    copy = copies(model)
    for draw in (lambda: next(copy.own.source), lambda: next(copy.items[0]), copy.draw):
        with pytest.raises(LeftOutError, match="needs its generator, which cannot be copied"):
            draw()
    assert copy.own is not model.own
    assert copy.own.lock is model.own.lock
    assert drawn(model) == [0, 1, 2, 3, 4, 5, 6]


def test_a_tape_gives_copies_what_the_model_was_given_and_leaves_no_trace():
    source = numbers()
    model = Model(source)
    taping = Taping(model)
    assert isinstance(model.layer.source, type(source))
    assert drawn(model) == [0, 1, 2, 3, 4, 5, 6]
    taping.end()
    assert drawn(model) == [7, 8, 9, 10, 11, 12, 13]
    held = [model.layer.source, model.items[0], model.pair[0], model.own.source]
    assert all(one is source for one in held)
    for _ in range(2):  # each run from the beginning
        with playing(taping.tapes):
            assert drawn(copied(model)) == [0, 1, 2, 3, 4, 5, 6]
    with playing(taping.tapes):
        copy = copied(copied(model))
        assert drawn(copy) + drawn(copy) == [*range(7), *range(7)]


def test_what_a_run_replaces_under_the_tape_stays():
    model = Model(numbers())
    taping, other = Taping(model), numbers()
    model.items[0] = other
    del model.table["source"]
    taping.end()
    assert model.items[0] is other
    assert "source" not in model.table


def test_errors_and_methods_are_taped_too(tmp_path):
    (tmp_path / "lines").write_text("one\ntwo\n")
    model = nn.Module()
    model.waiting, model.lines, model.short = queue.Queue(), (tmp_path / "lines").open(), iter(numbers().close, None)
    model.short = (one for one in ())
    model.waiting.put(7)

    def run(module):
        with pytest.raises(StopIteration):
            next(module.short)
        return module.waiting.get(), module.lines.readline(), next(module.lines)

    taping = Taping(model)
    with model.lines:
        assert run(model) == (7, "one\n", "two\n")
    taping.end()
    with playing(taping.tapes):
        assert run(copied(model)) == (7, "one\n", "two\n")


def test_tensors_on_a_tape_are_copies():
    model = nn.Module()
    model.source = (torch.zeros(2) for _ in range(3))
    taping = Taping(model)
    next(model.source).add_(1)
    taping.end()
    for _ in range(2):
        with playing(taping.tapes):
            given = next(copied(model).source)
            assert given.tolist() == [0, 0]
            given.add_(1)


def test_a_program_that_keeps_the_error_to_itself_is_found_out():
    with playing({}) as player:
        player.check()
        with pytest.raises(LeftOutError):
            next(LeftOut(numbers()))
        with pytest.raises(LeftOutError, match="generator"):
            player.check()


def test_what_is_only_written_goes_nowhere(tmp_path):
    model = nn.Module()
    with (tmp_path / "text").open("w") as model.text, (tmp_path / "bytes").open("wb") as model.bytes:
        copy = copied(model)
        copy.text.write("no")
        copy.bytes.write(b"no")
        model.text.write("yes")
    assert (tmp_path / "text").read_text() == "yes"
    assert (tmp_path / "bytes").read_bytes() == b""


def test_what_runs_on_its_own_or_would_be_closed_is_shared():
    model = nn.Module()
    model.held = [threading.Thread(target=print), Closing(), threading]
    copy = copied(model)
    assert [one is other for one, other in zip(copy.held, model.held, strict=True)] == [True, True, True]
    del copy
    assert not Closing.closed


def test_other_errors_of_a_copy_are_raised():
    class Broken(nn.Module):
        def __deepcopy__(self, memo):
            raise ValueError("no copies of me")

    with pytest.raises(ValueError, match="no copies of me"):
        copied(Broken())


@pytest.mark.parametrize(
    ("value", "used_up"),
    [
        *(
            (numbers(), True),
            (zip(), True),
            (io.StringIO(), True),
            (queue.SimpleQueue(), True),
            ([], False),
            (Line(), True),
        ),
        *((nn.ReLU(), False), (torch.ones(2), False), (threading.Lock(), False), (io, False), (dict, False)),
    ],
)
def test_what_is_used_up_is_told_from_what_is_not(value, used_up):
    assert is_used_up(value) is used_up
