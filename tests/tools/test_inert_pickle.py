"""A pickle is read without running anything of it, whatever it asks for."""

import copyreg
import enum
import functools
import pickle
from collections import OrderedDict, defaultdict, deque, namedtuple

import pytest

from physprune_pl.tools.inert_pickle import InertUnpickler, StandIn, stand_ins

CALLS = []


def sentinel(*args, **kwargs):
    """What no pickle may call."""
    CALLS.append((args, kwargs))
    return sentinel


class Reduced:
    """Asks for a call, and for whatever else a pickle can ask for."""

    def __init__(self, *parts):
        self.parts = parts

    def __reduce__(self):
        return self.parts


class Plain:
    pass


class Watched:
    """Runs code wherever the protocols of pickle allow it."""

    def __new__(cls, *args):
        sentinel("new")
        return super().__new__(cls)

    def __getnewargs__(self):
        return (1,)

    def __setstate__(self, state):
        sentinel("state")


class WatchedList(list):
    def append(self, item):
        sentinel("append")

    extend = append


class WatchedDict(dict):
    def __setitem__(self, key, value):
        sentinel("item")


class Colour(enum.Enum):
    RED = 1


Pair = namedtuple("Pair", "one two")


class Outer:
    class Inner:
        pass


def read(data, **kwargs):
    return InertUnpickler(data, **kwargs).load()


@pytest.fixture(autouse=True)
def _nothing_is_called():
    CALLS.clear()
    yield
    assert not CALLS


def watched(kind, *args):
    made = kind(*args)
    CALLS.clear()
    return made


STRANGE = {
    "call": lambda: Reduced(sentinel, (1,)),
    "call of a call": lambda: Reduced(getattr, (Reduced(sentinel, ()), "x")),
    "state": lambda: Reduced(sentinel, (), {"a": 1}, None, None),
    "state of slots": lambda: Reduced(sentinel, (), (None, {"__code__": 1})),
    "list items": lambda: Reduced(sentinel, (), None, iter([1, 2])),
    "dict items": lambda: Reduced(sentinel, (), None, None, iter([("a", 1)])),
    "hooks": lambda: watched(Watched),
    "list": lambda: WatchedList([1, 2]),
    "dict": lambda: watched(lambda: WatchedDict(a=1)),
    "enum": lambda: Colour.RED,
    "named tuple": lambda: Pair(1, 2),
    "nested class": Outer.Inner,
    "partial": lambda: functools.partial(sentinel, 1),
    "deque": lambda: deque([1]),
    "default": lambda: defaultdict(list, {1: [2]}),
    "object": Plain,
    "function": lambda: sentinel,
}


@pytest.mark.parametrize("name", STRANGE)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_what_is_no_plain_data_becomes_a_stand_in(name, protocol):
    data = pickle.dumps({"before": [1, "a"], "strange": STRANGE[name](), "after": {2.5: (None, b"b")}}, protocol)
    CALLS.clear()
    found = read(data, makers={"_codecs.encode": lambda text, encoding: text.encode(encoding)})
    assert isinstance(found.pop("strange"), StandIn)
    assert found == {"before": [1, "a"], "after": {2.5: (None, b"b")}}


def test_a_stand_in_is_called_what_the_pickle_calls_it():
    found = read(pickle.dumps([Plain(), sentinel, 3]))
    assert [one.origin for one in stand_ins(found)] == [f"{__name__}.sentinel", f"{__name__}.Plain"]


def test_a_list_that_holds_itself():
    own = [Plain()]
    own.append(own)
    assert len(list(stand_ins(read(pickle.dumps(own))))) == 1


def test_only_makers_make_anything_and_nothing_can_be_done_to_them():
    makers = {"collections.OrderedDict": dict}
    assert read(pickle.dumps(OrderedDict(a=1)), makers=makers) == {"a": 1}
    name, call = b"ccollections\nOrderedDict\n", b"(tR."
    attribute, slot, item = b"(dS'make'\nI1\nsb", b"(N(dS'make'\nI1\nstb", b"S'make'\nI1\ns"
    for change in (attribute, slot, item):
        assert read(name + change + call, makers=makers) == {}


def test_what_lies_outside_is_asked_for():
    assert read(b"S'key'\nQ.", stored=lambda pid: [pid]) == ["key"]
    assert isinstance(read(b"S'key'\nQ."), StandIn)


def test_extension_codes_are_refused():
    copyreg.add_extension(__name__, "sentinel", 240)
    try:
        data = pickle.dumps(Reduced(sentinel, ()), 2)
        CALLS.clear()
        pickle.loads(data)  # from now on Python finds it without asking where it is
        assert CALLS.pop()
        with pytest.raises(ValueError, match="extension codes"):
            read(data)
    finally:
        copyreg.remove_extension(__name__, "sentinel", 240)
