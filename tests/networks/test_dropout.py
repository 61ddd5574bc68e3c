"""Dropout sets the share that was asked for to 0, keeps the mean, and repeats itself with the seed."""

import pytest

torch = pytest.importorskip("torch")

from statlm.networks.architecture import Architecture  # noqa: E402
from statlm.networks.decoder import Decoder  # noqa: E402
from statlm.networks.dropout import Dropout  # noqa: E402


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_share_is_dropped_and_the_mean_stays(rate):
    torch.manual_seed(0)
    x = torch.ones(1000, 1001)
    y = Dropout(rate)(x)
    dropped = float((y == 0).double().mean())
    error = (rate * (1 - rate) / x.numel()) ** 0.5
    assert dropped == pytest.approx(rate, abs=4 * error)
    assert float(y.double().mean()) == pytest.approx(1, abs=4 * error / (1 - rate))
    assert len(y.unique()) == 2


def test_neighbours_are_dropped_independently():
    # Four coins are cut from each draw: were they dependent, pairs of dropped neighbours would be too many or too few.
    torch.manual_seed(1)
    dropped = Dropout(0.25)(torch.ones(400_000)) == 0
    for lag in (1, 2, 3, 4):
        both = float((dropped[:-lag] & dropped[lag:]).double().mean())
        assert both == pytest.approx(1 / 16, abs=4 * (1 / 16 * 15 / 16 / 400_000) ** 0.5 * 1.3)


def test_the_seed_repeats_it():
    x = torch.ones(3, 5, 7)
    draws = []
    for seed in (2, 2, 3):
        torch.manual_seed(seed)
        draws.append(Dropout(0.5)(x))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_evaluation_and_rate_zero_change_nothing():
    x = torch.randn(4, 4, dtype=torch.float64)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(Dropout(0.0)(x), x)


def test_gradients_flow_where_activations_were_kept():
    torch.manual_seed(4)
    x = torch.randn(50, 40, dtype=torch.float64, requires_grad=True)
    y = Dropout(0.3)(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(slope == 0, y == 0)
    assert torch.allclose(slope[y != 0], torch.tensor(1 / 0.7, dtype=torch.float64), atol=1e-4)


@pytest.mark.parametrize("setting", ["dropout", "attention_dropout"])
def test_each_rate_makes_training_random_and_evaluation_not(setting):
    torch.manual_seed(5)
    network = Decoder(Architecture(layers=1, heads=1, width=8, context=16, **{setting: 0.5, "initialisation": "gpt2"}), 5, 4)
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(std=0.5)
    ids = torch.arange(16)[None] % 5
    assert not torch.equal(network(ids), network(ids))
    network.eval()
    assert torch.equal(network(ids), network(ids))
