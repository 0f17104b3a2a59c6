"""A history grows, is written and read back unchanged, stays small, and reads as a table."""

import math
import time

import numpy as np
import pytest
from torch import nn
from torchvision.models import resnet50

from physprune_pl.history import (
    MANTISSA_BITS,
    ChannelHistory,
    channel_table,
    filter_table,
    load_filters,
    load_history,
    rounded,
    spread,
)


@pytest.fixture
def history():
    """Two epochs before a cut that takes channel 1 of "a" and filter 0 of "conv", one after it."""
    grown = ChannelHistory()
    for epoch in (0, 1):
        grown.append(
            epoch,
            "sparsify",
            {
                "strength/b": spread(np.array([4.0 + epoch]), (0,)),
                "strength/a": spread(np.array([1.0, 2.0, 3.0]) + epoch, (0, 1, 2)),
                "distance/a": spread(np.array([0.0, 1.0, 2.0]), (0, 1, 2)),
                "l1/conv": spread(np.array([8.0, 9.0]), (0, 1)),
                "l2/conv": spread(np.array([6.0, 7.0]), (0, 1)),
            },
        )
    after = {"strength/a": spread(np.array([5.0, 6.0]), (0, 2)), "strength/b": spread(np.array([4.0]), (0,))}
    grown.append(2, "finetune", after | {"l1/conv": spread(np.array([9.5]), (1,))})
    return grown


def same(one, other):
    assert list(one) == list(other)
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name])
        assert array.dtype == other[name].dtype


def test_arrays_are_by_original_index(history):
    arrays = history.arrays()
    nan = np.nan
    assert arrays["epochs"].tolist() == [0, 1, 2]
    assert arrays["phases"].tolist() == ["sparsify", "sparsify", "finetune"]
    np.testing.assert_array_equal(arrays["strength/a"], [[1, 2, 3], [2, 3, 4], [5, nan, 6]])
    np.testing.assert_array_equal(arrays["distance/a"], [[0, 1, 2], [0, 1, 2], [nan] * 3])
    np.testing.assert_array_equal(arrays["l1/conv"], [[8, 9], [8, 9], [nan, 9.5]])


def test_a_series_is_as_wide_as_its_widest_epoch():
    grown = ChannelHistory()
    for places in ((0,), (0, 2)):
        grown.append(0, "finetune", {"strength/a": spread(np.ones(len(places)), places)})
    np.testing.assert_array_equal(grown.arrays()["strength/a"], [[1, np.nan, np.nan], [1, np.nan, 1]])


def test_bytes_and_file_hold_everything(history, tmp_path):
    same(ChannelHistory.decode(history.encode()).arrays(), history.arrays())
    history.save(tmp_path / "new" / "channels.npz")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["channels.npz"]
    with np.load(tmp_path / "new" / "channels.npz") as stored:
        same(dict(stored), history.arrays())


def test_a_history_that_was_read_back_goes_on_growing(history):
    again = ChannelHistory.decode(history.encode())
    for one in (history, again):
        one.append(3, "finetune", {"strength/a": spread(np.array([1.0]), (2,))})
    same(again.arrays(), history.arrays())
    assert again.encode() == history.encode()


def test_an_empty_history():
    empty = ChannelHistory()
    same(ChannelHistory.decode(empty.encode()).arrays(), empty.arrays())
    assert len(channel_table(empty.arrays())) == len(filter_table(empty.arrays())) == 0


def test_equal_histories_give_equal_bytes_at_any_time(history, monkeypatch):
    first = ChannelHistory.decode(history.encode()).encode()
    year = time.localtime()[0]
    monkeypatch.setattr(time, "localtime", lambda *given: (year + 1, 1, 1, 0, 0, 0, 0, 1, 0))
    assert ChannelHistory.decode(history.encode()).encode() == first


def test_a_crash_while_writing_leaves_the_last_file(history, tmp_path, monkeypatch):
    path = tmp_path / "channels.npz"
    history.save(path)
    whole = path.read_bytes()

    def half(self, content):
        with self.open("wb") as file:
            file.write(content[:50])
        raise OSError("no space left")

    monkeypatch.setattr(type(path), "write_bytes", half)
    history.append(3, "finetune", {})
    with pytest.raises(OSError, match="no space"):
        history.save(path)
    assert path.read_bytes() == whole


def naive_rounded(value):
    mantissa, exponent = math.frexp(value)
    # Python rounds a tie to even.
    return math.ldexp(round(mantissa * 2 ** (MANTISSA_BITS + 1)), exponent - MANTISSA_BITS - 1)


def test_rounding_against_a_loop():
    generator = np.random.default_rng(0)
    values = np.exp(generator.normal(0, 20, 2000)) * generator.choice([-1, 1], 2000)
    ties = 1 + np.arange(1, 64) / 2 ** (MANTISSA_BITS + 1)
    values = np.concatenate([values, ties, [0.0, 1.0, 2048.0, 65504.0]]).astype(np.float32)
    found = rounded(values)
    assert found.tolist() == [naive_rounded(value) for value in values]
    assert (abs(found - values) <= 2.0 ** -(MANTISSA_BITS + 1) * abs(values)).all()


def test_rounding_keeps_what_is_not_finite():
    special = np.array([0x7FFFFFFF, 0xFFFFFFFF, 0x7F800000, 0xFF800000], dtype=np.uint32).view(np.float32)
    np.testing.assert_array_equal(rounded(special), [np.nan, np.nan, np.inf, -np.inf])


def test_channels_as_a_table(history):
    table = channel_table(history.arrays())
    assert table.dtype.names == ("epoch", "phase", "group", "channel", "strength", "distance", "coefficient")
    assert table[["epoch", "phase", "group", "channel", "strength"]].tolist() == [
        *((0, "sparsify", "a", channel, 1.0 + channel) for channel in range(3)),
        *((1, "sparsify", "a", channel, 2.0 + channel) for channel in range(3)),
        (2, "finetune", "a", 0, 5.0),
        (2, "finetune", "a", 2, 6.0),
        (0, "sparsify", "b", 0, 4.0),
        (1, "sparsify", "b", 0, 5.0),
        (2, "finetune", "b", 0, 4.0),
    ]
    np.testing.assert_array_equal(table["distance"][:8], [0, 1, 2, 0, 1, 2, np.nan, np.nan])
    assert np.isnan(table["distance"][8:]).all()
    assert np.isnan(table["coefficient"]).all()


def test_filters_as_a_table(history):
    table = filter_table(history.arrays())
    assert table.dtype.names == ("epoch", "phase", "layer", "filter", "l1", "l2")
    assert table[["epoch", "layer", "filter", "l1"]].tolist() == [
        *((epoch, "conv", place, 8.0 + place) for epoch in (0, 1) for place in (0, 1)),
        (2, "conv", 1, 9.5),
    ]
    assert table["l2"][:4].tolist() == [6, 7, 6, 7]


def test_tables_from_a_file(history, tmp_path):
    history.save(tmp_path / "channels.npz")
    for load, table in ((load_history, channel_table), (load_filters, filter_table)):
        expected = table(history.arrays())
        for path in (tmp_path / "channels.npz", str(tmp_path / "channels.npz")):
            found = load(path)
            assert found.dtype == expected.dtype
            for column in expected.dtype.names:
                np.testing.assert_array_equal(found[column], expected[column])


def test_pandas_takes_a_table(history, tmp_path):
    pandas = pytest.importorskip("pandas", reason="pandas is no dependency")
    history.save(tmp_path / "channels.npz")
    frame = pandas.DataFrame(load_history(tmp_path / "channels.npz"))
    assert frame.groupby(["group", "epoch"])["strength"].mean()["a"].tolist() == [2, 3, 5.5]
    assert frame.query("phase == 'finetune' and group == 'a'")["channel"].tolist() == [0, 2]


def test_another_file_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", weights=np.ones(2))
    np.save(tmp_path / "other.npy", np.ones(2))
    (tmp_path / "text.npz").write_text("words")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "other.npz").read_bytes()[:40])
    (tmp_path / "empty.npz").touch()
    for name in ("other.npz", "other.npy", "text.npz", "cut.npz", "empty.npz"):
        with pytest.raises(ValueError, match=f"path: expected a file of a ChannelTracker.*{name}"):
            load_history(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        load_history(tmp_path / "none.npz")


def walk(start, epochs, generator):
    """Values that drift by 2 % an epoch, each on its own."""
    steps = generator.normal(0, 0.02, (epochs, len(start))).cumsum(axis=0)
    return (start * np.exp(steps)).astype(np.float32)


def simulated(channels, filters, epochs):
    """Grow a history of noise, given group or layer -> size; yield it after every epoch."""
    generator = np.random.default_rng(0)
    series = {}
    for name, size in channels.items():
        series[f"strength/{name}"] = walk(generator.lognormal(0, 0.3, size), epochs, generator)
        gap = abs(series[f"strength/{name}"] - series[f"strength/{name}"][:, :1])
        series[f"distance/{name}"] = (size - 1) * gap / gap.max(axis=1, keepdims=True)
        series[f"coefficient/{name}"] = np.exp(5 * series[f"distance/{name}"] / size)
    for name, size in filters.items():
        for norm in ("l1", "l2"):
            series[f"{norm}/{name}"] = walk(generator.lognormal(0, 0.3, size), epochs, generator)
    grown = ChannelHistory()
    for epoch in range(epochs):
        grown.append(epoch, "sparsify", {name: table[epoch] for name, table in series.items()})
    return grown


def test_resnet50_over_100_epochs_stays_under_20_mb(tmp_path):
    layers = [(name, one) for name, one in resnet50().named_modules() if isinstance(one, nn.Conv2d | nn.Linear)]
    filters = {name: len(one.weight) for name, one in layers}
    # One group per inner convolution, one per residual stream.
    inner = ("conv1", "conv2", "downsample.0")
    grown = simulated({name: size for name, size in filters.items() if name.endswith(inner)}, filters, 100)
    grown.save(tmp_path / "channels.npz")
    assert (tmp_path / "channels.npz").stat().st_size < 20e6
    assert len(load_filters(tmp_path / "channels.npz")) == 100 * sum(filters.values())
