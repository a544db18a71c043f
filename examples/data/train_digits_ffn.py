"""Makes `digits_ffn.npz` and `digits_metric.npz` from the training rows of `digits.npz`, in plain NumPy.

    python examples/data/train_digits_ffn.py

The seed is fixed; another BLAS may still change the last bits. The constants were chosen by four-fold
cross-validation on the training rows; the test rows only give the two accuracies that are printed.
"""

from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
N_PIXELS, N_HIDDEN, N_CLASSES = 64, 48, 10
EPOCHS, BATCH, RATE, DECAY = 600, 64, 1e-2, 0.03
SHIFT_PIXELS, NOISE = 0.5, 0.2
SHRINKAGE = 0.9


def shifted(X, rng):
    """Move every 8×8 image by its own fraction of a pixel, with bilinear interpolation."""
    offset = rng.uniform(-SHIFT_PIXELS, SHIFT_PIXELS, (2, len(X), 1, 1))
    whole = np.floor(offset).astype(int)
    down, right = offset - whole
    padded = np.pad(X.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
    image, row, column = np.ogrid[: len(X), 1:9, 1:9]
    row, column = row + whole[0], column + whole[1]

    def mix(row):
        return (1 - right) * padded[image, row, column] + right * padded[image, row, column + 1]

    return ((1 - down) * mix(row) + down * mix(row + 1)).reshape(-1, N_PIXELS)


def logits(X, W1, b1, W2, b2):
    """The network: pixels, 48 rectified units, one score per class."""
    return np.maximum(X @ W1 + b1, 0) @ W2 + b2


def gradients(X, y, W1, b1, W2, b2):
    """The gradient of the mean cross-entropy, one array per parameter."""
    H = np.maximum(X @ W1 + b1, 0)
    Z = H @ W2 + b2
    P = np.exp(Z - Z.max(axis=1, keepdims=True))
    P /= P.sum(axis=1, keepdims=True)
    P[np.arange(len(y)), y] -= 1
    dZ = P / len(y)
    dH = (dZ @ W2.T) * (H > 0)
    return X.T @ dH, dH.sum(axis=0), H.T @ dZ, dZ.sum(axis=0)


def train_network(X, y, seed=0):
    """W1, b1, W2, b2 after Adam with decoupled weight decay and a rate that falls as a cosine to zero."""
    rng = np.random.default_rng(seed)
    parameters = [
        rng.normal(0, np.sqrt(2 / N_PIXELS), (N_PIXELS, N_HIDDEN)),
        np.zeros(N_HIDDEN),
        rng.normal(0, np.sqrt(2 / N_HIDDEN), (N_HIDDEN, N_CLASSES)),
        np.zeros(N_CLASSES),
    ]
    means = [np.zeros_like(p) for p in parameters]
    squares = [np.zeros_like(p) for p in parameters]
    batches_per_epoch = -(-len(X) // BATCH)
    n_steps = EPOCHS * batches_per_epoch
    for step in range(n_steps):
        if step % batches_per_epoch == 0:
            batches = iter(np.array_split(rng.permutation(len(X)), batches_per_epoch))
        rows = next(batches)
        noisy = shifted(X[rows], rng) + rng.normal(0, NOISE, (len(rows), N_PIXELS))
        rate = RATE * 0.5 * (1 + np.cos(np.pi * step / n_steps))
        slopes = gradients(noisy, y[rows], *parameters)
        for p, mean, square, slope in zip(parameters, means, squares, slopes, strict=True):
            mean += 0.1 * (slope - mean)
            square += 0.001 * (slope**2 - square)
            unbiased = mean / (1 - 0.9 ** (step + 1)), square / (1 - 0.999 ** (step + 1))
            decay = DECAY * p if p.ndim == 2 else 0
            p -= rate * (unbiased[0] / (np.sqrt(unbiased[1]) + 1e-8) + decay)
    return parameters


def train_metric(X, y):
    """The inverse of the within-class scatter, shrunk towards a multiple of the identity."""
    centres = np.stack([X[y == c].mean(axis=0) for c in range(N_CLASSES)])
    scatter = np.cov((X - centres[y]).T)
    identity = np.eye(N_PIXELS) * np.trace(scatter) / N_PIXELS
    M = np.linalg.inv((1 - SHRINKAGE) * scatter + SHRINKAGE * identity)
    return (M + M.T) / 2


def nearest(X, Q, M):
    """For each row q of Q, the row x of X with the smallest (q - x) M (q - x)."""
    difference = Q[:, None] - X
    return ((difference @ M) * difference).sum(axis=2).argmin(axis=1)


def main():
    """Train both on the training rows, print their accuracy on the test rows, write the files."""
    digits = np.load(HERE / "digits.npz")
    X, y, X_test, y_test = (digits[name] for name in ("X_train", "y_train", "X_test", "y_test"))

    network = [p.astype(np.float32) for p in train_network(X.astype(np.float64), y)]
    print("network  ", np.mean(logits(X_test, *network).argmax(axis=1) == y_test))
    np.savez_compressed(HERE / "digits_ffn.npz", **dict(zip(("W1", "b1", "W2", "b2"), network, strict=True)))

    M = train_metric(X.astype(np.float64), y).astype(np.float32)
    print("neighbour", np.mean(y[nearest(X, X_test, M)] == y_test))
    np.savez_compressed(HERE / "digits_metric.npz", M=M)


if __name__ == "__main__":
    main()
