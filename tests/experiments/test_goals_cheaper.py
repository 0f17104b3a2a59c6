"""Goals of cheaper training: shares are within a seed, the default law at the full rate counts."""

from experiments.goals.cheaper import fits, traces


def fit(removal, seed, seconds, score, data="cifar10", force="exponential", rate="full_rate"):
    law = {"force": "none", "rate": "default"} if removal is None else {"force": force, "rate": rate}
    figures = {"accuracy": {"test": score}, "seconds": {"processor": seconds}}
    return {"data": data, "removal": removal, "seed": seed, **law, **figures}


def test_a_gradual_fit_is_set_against_dense_and_once_of_its_seed():
    rows = [fit(None, 0, 10.0, 0.9), fit("once", 0, 9.0, 0.85), fit("gradual", 0, 6.0, 0.86)]
    rows += [fit(None, 1, 20.0, 0.9), fit("once", 1, 18.0, 0.85), fit("gradual", 1, 14.0, 0.85)]
    rows += [fit("gradual", 0, 1.0, 0.1, force="uniform"), fit("gradual", 2, 1.0, 0.1)]
    found = list(fits(rows))
    assert found[0] == (
        "gradual removal: fit <= 0.65 of as many dense epochs (ResNet-20, CIFAR-10, 2.5x, bfloat16)",
        "0.650",
        "yes",
    )
    assert {line[1:] for line in found[1:-1]} == {("not measured", "-")}
    assert found[-1][1:] == ("+0.50 ± 0.71 (2)", "yes")


def test_a_gradual_fit_that_is_worse_misses_its_goal():
    rows = [fit(None, 0, 10.0, 0.9), fit("once", 0, 9.0, 0.85), fit("gradual", 0, 7.0, 0.84)]
    found = list(fits(rows))
    assert found[0][1:] == ("0.700", "**no**")
    assert found[-1][1:] == ("-1.00 (1)", "**no**")


def test_without_rows_nothing_is_met_or_missed():
    assert {line[1:] for line in [*fits([]), *traces([])]} == {("not measured", "-")}


def test_the_trace_has_its_goals():
    rows = [
        {"network": name, "processor_seconds": seconds, "ratio": ratio, "peak_over_model": 2.6}
        for name, seconds, ratio in (
            ("resnet56", 1.0, None),
            ("resnet110", 2.0, 0.3),
            ("resnet218", 4.0, None),
            ("vit_b_16", 5.0, 0.4),
        )
    ]
    assert [line[1:] for line in traces(rows)] == [
        ("0.30", "yes"),
        ("0.40", "**no**"),
        ("2.03x", "yes"),
        ("2.60x", "**no**"),
    ]
