"""Can chosen be told from rejected by length alone? Gaps, and cross-validated classifiers that see lengths only."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from vtalign.ids import seed_from

FOLDS = 5
_RIDGE = 1.0


@dataclass(frozen=True)
class PairLength:
    """Lengths of both sides of one pair, in characters and in tokens (without the end of turn)."""

    pair_id: str
    video_id: str
    kind: str
    chars_chosen: int
    chars_rejected: int
    tokens_chosen: int
    tokens_rejected: int

    @property
    def chars_gap(self) -> int:
        return self.chars_chosen - self.chars_rejected

    @property
    def tokens_gap(self) -> int:
        return self.tokens_chosen - self.tokens_rejected

    @property
    def sign(self) -> int:
        """1 where chosen is longer, -1 where it is shorter, 0 where lengths say nothing: by characters, then by tokens."""
        gap = self.chars_gap or self.tokens_gap
        return (gap > 0) - (gap < 0)


@dataclass(frozen=True)
class LengthReport:
    """Mean of chosen minus rejected, how often chosen is the longer one, and what lengths predict.

    `accuracy` is that of the better classifier: `linear` (logistic regression on gaps) or `buckets` (a vote per bucket of gap and
    overall length, for each kind of pair, which a model knows from the prompt). None where there is no second video to hold out.
    """

    pairs: int
    mean_gap_chars: float
    mean_gap_tokens: float
    chosen_longer: int
    chosen_shorter: int
    accuracy: float | None
    linear: float | None
    buckets: float | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def length_report(lengths: Sequence[PairLength]) -> LengthReport:
    """Deterministic: folds are drawn from video ids, so that no video is on both sides of a split."""
    signs = [pair.sign for pair in lengths]
    linear = buckets = None
    if len({pair.video_id for pair in lengths}) > 1:
        folds = _folds(lengths)
        linear, buckets = _linear_accuracy(lengths, folds), _bucket_accuracy(lengths, folds)
    return LengthReport(
        pairs=len(lengths),
        mean_gap_chars=float(np.mean([pair.chars_gap for pair in lengths])) if lengths else 0.0,
        mean_gap_tokens=float(np.mean([pair.tokens_gap for pair in lengths])) if lengths else 0.0,
        chosen_longer=signs.count(1),
        chosen_shorter=signs.count(-1),
        accuracy=None if linear is None or buckets is None else max(linear, buckets),
        linear=linear,
        buckets=buckets,
    )


def _folds(lengths: Sequence[PairLength]) -> NDArray[np.int64]:
    """Fold of every pair: videos in hashed order, dealt in turn, so that even few videos fill the folds evenly."""
    videos = sorted({pair.video_id for pair in lengths}, key=lambda video: seed_from("fold", video))
    fold = {video: index % FOLDS for index, video in enumerate(videos)}
    return np.array([fold[pair.video_id] for pair in lengths])


def _linear_accuracy(lengths: Sequence[PairLength], folds: NDArray[np.int64]) -> float:
    """Logistic regression on features that change sign when the sides are swapped: without intercept, swaps need no coin."""
    features_NF = np.array([_features(pair) for pair in lengths])
    correct = 0.0
    for fold in range(FOLDS):
        held = folds == fold
        if held.any() and not held.all():
            margins = features_NF[held] @ _fit(features_NF[~held])
            correct += float((margins > 1e-9).sum() + 0.5 * (np.abs(margins) <= 1e-9).sum())
        elif held.any():
            correct += 0.5 * held.sum()
    return correct / len(lengths)


def _features(pair: PairLength) -> list[float]:
    chars, tokens = pair.chars_gap, pair.tokens_gap
    total_chars = pair.chars_chosen + pair.chars_rejected
    total_tokens = max(1, pair.tokens_chosen + pair.tokens_rejected)
    bounded = [chars / max(1, total_chars), tokens / total_tokens]
    return [*bounded, float(np.sign(chars)), float(np.sign(tokens)), float(np.sign(chars) * np.log1p(abs(chars)))]


def _fit(features_NF: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights that minimise the logistic loss -sum log sigmoid(w . f) + ridge / 2 |w|^2."""

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margins = features_NF @ weights
        gradient = _RIDGE * weights - features_NF.T @ expit(-margins)
        return float(np.logaddexp(0, -margins).sum() + _RIDGE / 2 * weights @ weights), gradient

    fitted: NDArray[np.float64] = minimize(loss, np.zeros(features_NF.shape[1]), jac=True, tol=1e-7).x
    return fitted


def _bucket_accuracy(lengths: Sequence[PairLength], folds: NDArray[np.int64]) -> float:
    """Per bucket of (kind, overall length, gap): is the longer side chosen? Learned by vote; unseen buckets are a coin."""
    correct = 0.0
    for fold in range(FOLDS):
        votes: dict[tuple[object, ...], int] = defaultdict(int)
        for pair, own in zip(lengths, folds, strict=True):
            if own != fold:
                votes[_bucket(pair)] += pair.sign
        for pair, own in zip(lengths, folds, strict=True):
            if own == fold:
                agreement = votes[_bucket(pair)] * pair.sign
                correct += 0.5 if agreement == 0 else float(agreement > 0)
    return correct / len(lengths)


def _bucket(pair: PairLength) -> tuple[object, ...]:
    total = pair.chars_chosen + pair.chars_rejected
    tokens = pair.sign * _signum(pair.tokens_gap) * gap_bucket(pair.tokens_gap)
    return pair.kind, total.bit_length(), gap_bucket(pair.chars_gap), tokens


def gap_bucket(gap: int) -> int:
    """0, 1, 2-3, 4-7, 8-15, ..: the number of binary digits of |gap|."""
    return abs(gap).bit_length()


def _signum(value: int) -> int:
    return (value > 0) - (value < 0)
