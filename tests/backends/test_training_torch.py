"""A training is what torch makes of the same network, weights and batches, step by step."""

import numpy as np
import pytest

import tra
from tests.long import LONG
from tra.backends.batches import batch_rows

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(5)
X, LABELS = RNG.normal(size=(130, 12)), RNG.integers(0, 4, 130)
START = {
    "W1": RNG.uniform(-0.3, 0.3, (12, 9)),
    "b1": np.zeros(9),
    "W2": RNG.uniform(-0.3, 0.3, (9, 4)),
    "b2": np.zeros(4),
}
EPOCHS, BATCH, SEED = 20, 26, 3  # 100 steps of equal batches


def loss(p, x, labels):
    hidden = tra.tanh(x @ p["W1"] + p["b1"])
    return tra.losses.softmax_cross_entropy(hidden @ p["W2"] + p["b2"], labels)


def torch_losses(make):
    """The loss of each step in torch."""
    weights = {name: torch.tensor(value, requires_grad=True) for name, value in START.items()}
    optimizer, x, labels = make(list(weights.values())), torch.tensor(X), torch.tensor(LABELS)
    found = []
    for epoch in range(EPOCHS):
        for rows in batch_rows(len(X), BATCH, SEED, epoch):
            hidden = torch.tanh(x[rows] @ weights["W1"] + weights["b1"])
            value = torch.nn.functional.cross_entropy(hidden @ weights["W2"] + weights["b2"], labels[rows])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            found.append(float(value.detach()))
    return found


@pytest.mark.parametrize(
    ("using", "make"),
    [
        (tra.SGD(rate=0.1, momentum=0.9), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
        (tra.AdamW(rate=0.01), lambda p: torch.optim.AdamW(p, lr=0.01)),
    ][0 if LONG else 1 :],
)
def test_a_hundred_steps_of_minibatches(using, make):
    expected = torch_losses(make)
    with tra.connect("local", sites=2, threads=1, progress=False) as session:
        found = session.train(loss, START, using, data=[X, LABELS], batch=BATCH, epochs=EPOCHS, seed=SEED)
    assert len(expected) == 100 and found.n_plans == 1
    np.testing.assert_allclose(found.losses, expected, rtol=1e-9)
    assert expected[-1] < expected[0]
