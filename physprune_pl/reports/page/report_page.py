"""The report of a run as a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from markupsafe import Markup

from physprune_pl.history import PLANNED, History
from physprune_pl.reports.drawing import cut_epoch, groups_of
from physprune_pl.reports.epoch_costs import shares_of_dense
from physprune_pl.reports.fit_cost import HEAD
from physprune_pl.reports.measured_moments import PHASES, before_and_after, measured
from physprune_pl.reports.most_pruned import most_pruned
from physprune_pl.reports.next_steps import next_steps
from physprune_pl.reports.page import channel_pictures, run_pictures
from physprune_pl.reports.page.finished_run import FinishedRun, read_run
from physprune_pl.reports.page.rendering import write_page
from physprune_pl.reports.report import MEMORY, PruningReport
from physprune_pl.reports.wording import milliseconds, score, short_names, speed, times
from physprune_pl.tools.plain_tables import short

# Panels of one section: a page of hundreds of pictures is neither read nor scrolled.
MOST_PANELS = 48
# The law is the same for all groups: the overview has them all, these are examples.
MOST_LAWS = 12
NO_HISTORY = "Not recorded: the folder of the run holds no channels.npz, which ChannelTracker writes."

NO_CURVE = "Not recorded: the folder holds no metrics.csv, which the CSV logger writes."


@dataclass(frozen=True)
class Figure:
    """A headline: a value, what it is, and how it came about."""

    value: str
    what: str
    detail: str


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Attributes:
        name: its headline.
        about: what is to be seen, in one or two sentences.
        pictures: shown side by side where there is room.
        small: small ones of single groups, below.
        groups: how many groups there are, drawn by themselves or not.
        absent: why there is nothing to show; empty where there is something.
    """

    name: str
    about: str
    pictures: list[Markup] = field(default_factory=list)
    small: list[Markup] = field(default_factory=list)
    groups: int = 0
    absent: str = ""


def write_report(folder: str | Path, path: str | Path | None = None) -> Path:
    """Write the page of a finished run from what lies in its folder, and return where it is.

    Args:
        folder: of the run, see :func:`~physprune_pl.reports.page.finished_run.read_run`.
        path: file to write; None: ``report.html`` beside ``report.json``.

    Raises:
        FileNotFoundError: when the folder holds no report.
        ModuleNotFoundError: when matplotlib is missing.
    """
    run = read_run(folder)
    target = run.folder / "report.html" if path is None else Path(path)
    return write_page(
        target,
        "report.html.j2",
        title=run.name,
        report=run.report,
        sentence=run.report.sentence(),
        steps=next_steps(run.report.facts, run.report.metric, str(run.folder)),
        most_pruned=most_pruned(run.report.groups),
        cost_head=HEAD,
        figures=headline(run.report),
        network=_network(run.report),
        curve=_curve(run),
        left=_left(run),
        latency=_latency(run.report),
        history=list(_of_history(run)),
        costs=run.report.costs(),
        scores=[*_scores(run.report), *run.report.training_costs()],
        phases=run.report.phases(),
        memory=MEMORY.get(run.report.memory_kind, ""),
        reasons=run.report.reasons(),
        settings=run.settings,
    )


def headline(report: PruningReport) -> list[Figure]:
    """Return what a reader wants to know first."""
    return [
        _cost("fewer MACs", report.macs),
        _cost("fewer parameters", report.params),
        *_faster(report),
        *_training(report),
        *_metric(report.metric),
    ]


def _cost(what: str, cost: Mapping[str, int]) -> Figure:
    return Figure(times(cost), what, f"{short(cost['dense'])} → {short(cost['pruned'])}")


def _faster(report: PruningReport) -> Iterator[Figure]:
    for batch, cost in report.latency_ms.items():
        detail = f"{milliseconds(cost['dense'])} → {milliseconds(cost['pruned'])}"
        factor, word = speed(cost)
        yield Figure(factor, f"{word}, {batch.replace('_', ' ')}", detail)


def _training(report: PruningReport) -> Iterator[Figure]:
    """Return what training has cost beside the dense network, by MACs; the time goes with it where that is known."""
    found = shares_of_dense(report.epochs, report.macs["dense"])
    if found:
        epochs = f"{len(report.epochs['macs'])} epochs"
        measured = f"{epochs}, {found['time']:.2f}x of the time" if "time" in found else epochs
        yield Figure(f"{found['MACs']:.2f}x", "training cost of as many dense epochs, by MACs", measured)


def _metric(metric: Mapping[str, object]) -> Iterator[Figure]:
    """Return the metric after the last phase; before are the dense baseline or, without one, the pressed network."""
    before, last = before_and_after(metric)
    if last is None:
        return
    name = str(metric.get("name"))
    of = f"{name} ({metric.get('split', 'val')}), {PHASES[last]}"
    values = measured(metric)
    came = f"{score(name, values[before])} {PHASES[before]}" if before else "nothing to compare with was measured"
    yield Figure(score(name, values[last]), of, f"before: {came}" if before else came)


def _scores(report: PruningReport) -> list[tuple[str, str]]:
    name, known = str(report.metric.get("name", "metric")), measured(report.metric)
    return [(text, score(name, known[phase]) if phase in known else "not measured") for phase, text in PHASES.items()]


def _network(report: PruningReport) -> Section:
    about = (
        "Groups of coupled channels from the input (top) to the output (bottom), as wide as they have channels; "
        "grey before the cut, blue after it."
    )
    if not report.groups:
        return Section("The network", about, absent="Nothing was cut: the report names no group.")
    return Section("The network", about, [channel_pictures.widths_picture(report.groups)])


def _of_history(run: FinishedRun) -> Iterator[Section]:
    parts: tuple[tuple[str, str, Callable[[FinishedRun, History], Section]], ...] = (
        ("Importance of the channels", STRENGTHS, _strengths),
        ("Importance over distance", LAW, _law),
        ("Steering", STEERING, _steering),
    )
    for name, about, section in parts:
        if run.history is None or not groups_of(run.history):
            yield Section(name, about, absent=NO_HISTORY)
        else:
            yield section(run, run.history)


STRENGTHS = (
    "Each panel is a group: channels upwards, epochs to the right, brighter where the importance of a channel (its "
    "norm) is larger. Marks at the right edge and hatching where nothing is left show the channels that were cut."
)
LAW = (
    "Grey: importance at the first epoch; blue: at the last epoch before the cut; orange: the coefficient c that the "
    "law gave a channel at that distance. Steering penalises only the channels that are to be cut."
)
STEERING = (
    "The coefficient of every group (thin) and their mean (thick), and what is left of the importance of the channels "
    "to be cut; zero means that cutting them changes nothing."
)


def _strengths(run: FinishedRun, history: History) -> Section:
    shown = _largest(history, _in_order(run, history), MOST_PANELS)
    left = channels_left(history)
    small = [channel_pictures.strengths_picture(history, name, label + left[name]) for name, label in shown.items()]
    return Section("Importance of the channels", STRENGTHS, [channel_pictures.scale_picture()], small, len(left))


def _in_order(run: FinishedRun, history: History) -> list[str]:
    """Return the groups as the report has them, from input to output; the history has them by name."""
    known = groups_of(history)
    reported = [group["name"] for group in run.report.groups if group["name"] in known]
    return reported + [name for name in known if name not in reported]


def channels_left(history: History) -> dict[str, str]:
    """Return how many channels each group has before and after the cut, as words; empty where that is not known."""
    found = {name: channel_pictures.cut_channels(history, name) for name in groups_of(history)}
    return {name: "" if cut is None else f": {len(cut)} → {len(cut) - int(cut.sum())}" for name, cut in found.items()}


def _law(run: FinishedRun, history: History) -> Section:
    found = [name for name in _in_order(run, history) if channel_pictures.pressed(history, name)]
    if not found:
        return Section("Importance over distance", LAW, absent="Not recorded: no force acted on the channels.")
    shown = _largest(history, found, MOST_LAWS)
    small = [channel_pictures.law_picture(history, name, label) for name, label in shown.items()]
    return Section("Importance over distance", LAW, [channel_pictures.law_overview(history, found)], small, len(found))


def _steering(run: FinishedRun, history: History) -> Section:
    found = run_pictures.steered(history)
    if found:
        pictures = [run_pictures.coefficients_picture(history, found), run_pictures.arrival_picture(history, found)]
        about = STEERING if PLANNED in history else f"{STEERING} The line that steering followed is not recorded."
        return Section("Steering", about, pictures)
    known = run_pictures.mean_picture(run.curves)
    if known is not None:
        return Section("Steering", "What the loggers recorded; the history tells nothing group by group.", [known])
    return Section("Steering", STEERING, absent="Not recorded: no coefficient was steered, or nothing logged it.")


def _curve(run: FinishedRun) -> Section:
    name, about = "Learning curve", "What the run logged, as the mean of each epoch."
    found = run_pictures.users_curves(run.curves)
    if not found:
        return Section(
            name, about, absent="Not recorded: the folder holds no metrics.csv, which the CSV logger writes."
        )
    cut = cut_epoch(run.history) if run.history else None
    phases = "" if cut is None else " The sparsify phase is white, fine-tuning after the cut is shaded."
    return Section(name, about + phases, [run_pictures.curves_picture(found, cut)])


def _left(run: FinishedRun) -> list[Section]:
    if run.history is None or not groups_of(run.history):
        return []
    about = "The share of its MACs, and of the channels that are not near zero."
    return [Section("What was left of the network", about, [run_pictures.left_picture(run.history, run.report)])]


def _latency(report: PruningReport) -> Section:
    about = "Median time of one call, dense and pruned network side by side on the machine of the run."
    if not report.latency_ms:
        return Section("Latency", about, absent="Not measured in this run: python -m physprune_pl latency measures it.")
    return Section("Latency", about, [run_pictures.latency_picture(report)])


def _largest(history: History, names: Sequence[str], most: int) -> dict[str, str]:
    """Return the groups with the most channels, no more than ``most``, in their order; name -> name to show."""
    by_size = sorted(names, key=lambda name: -history[f"strength/{name}"].shape[1])[:most]
    labels = dict(zip(names, short_names(names), strict=True))
    return {name: labels[name] for name in names if name in by_size}
