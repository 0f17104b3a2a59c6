"""The Pareto front is what nothing beats, and a picture names who is on it."""

from physprune_pl.reports.page.pareto import NetworkPoint, front, front_picture


def beaten(place: tuple[float, float], others: list[tuple[float, float]]) -> bool:
    return any(cost <= place[0] and score >= place[1] and (cost, score) != place for cost, score in others)


def test_the_front_is_what_nothing_beats() -> None:
    places = [(cost / 10, (7 * cost % 11) / 10) for cost in range(1, 11)]
    assert front(places) == sorted(place for place in places if not beaten(place, places))
    assert front([(0.3, 0.9), (1.0, 0.9)]) == [(0.3, 0.9)]


def test_a_lower_score_may_be_the_better_one() -> None:
    places = [(0.5, 0.1), (0.3, 0.2), (0.4, 0.3), (0.6, 0.1)]
    assert front(places, "min") == [(0.3, 0.2), (0.5, 0.1)]
    assert front([(cost, -score) for cost, score in places]) == [(0.3, -0.2), (0.5, -0.1)]


def test_the_picture_says_who_is_on_the_front() -> None:
    points = [NetworkPoint("A", (0.5, 0.9)), NetworkPoint("B", (0.6, 0.8)), NetworkPoint("", (1.0, 0.95), dense=True)]
    text = front_picture(points, "max", "latency, ms", "accuracy (test)")
    assert (
        'aria-label="accuracy (test) over latency, ms of 3 networks. On the Pareto front: A, a dense network."' in text
    )


def test_points_at_one_place_share_a_label() -> None:
    points = [NetworkPoint(label, (0.5, 0.9)) for label in "AB"]
    assert ">A, B</text>" in front_picture(points, "max", "MACs", "accuracy")
