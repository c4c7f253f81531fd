"""Losses of an installed package, which a folder with entry points on the path stands for."""

from pathlib import Path

import pytest
import torch

from vtalign.errors import InputError
from vtalign.losses import find_loss, installed_losses

from .pairs import make_logps

MODULE = """
def weighted(logps, weight, power=1):
    chosen, rejected = logps.policy_sums()
    return -weight * (chosen - rejected) ** power
def mean(logps):
    return weighted(logps, 1.0).mean()
def number(logps):
    return 1.0
def counts(logps):
    return logps.groups
def detached(logps):
    return weighted(logps, 1.0).detach()
constant = 3
"""
NAMES = "\n".join(
    f"{name} = losspack:{name}" for name in ("weighted", "mean", "number", "counts", "detached", "constant", "absent")
)
LOGPS = make_logps([[-1.0, -2.0], [-3.0]], [[-4.0], [-5.0, -6.0]], [[-1.0, -1.0], [-1.0]], [[-2.0], [-2.0, -2.0]])


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "losspack.py").write_text(MODULE)
    (tmp_path / "brokenpack.py").write_text("import no_such_module_anywhere\n")
    info = tmp_path / "losspack-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: losspack\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[vtalign.losses]\n{NAMES}\nbroken = brokenpack:loss\n")
    monkeypatch.syspath_prepend(str(tmp_path))


def test_an_installed_loss_is_used_with_its_settings() -> None:
    assert "weighted" in installed_losses()
    # -2 * (-3 + 4), -2 * (-3 + 11)
    assert find_loss("weighted", {"weight": 2.0})(LOGPS).tolist() == [-2.0, -16.0]
    assert find_loss("weighted", {"weight": 2.0, "power": 2})(LOGPS).tolist() == [-2.0, -128.0]


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("unheard", {}, "loss 'unheard': unknown .*weighted"),
        ("broken", {}, "brokenpack:loss cannot be loaded: ModuleNotFoundError: .*no_such_module_anywhere"),
        ("absent", {}, "losspack:absent cannot be loaded: AttributeError"),
        ("constant", {}, "losspack:constant is a int, not a function"),
        ("weighted", {}, "missing a required argument: 'weight'"),
        ("weighted", {"weight": 1.0, "height": 2.0}, "unexpected keyword argument 'height'"),
    ],
)
def test_what_cannot_be_used_is_one_line_before_anything_runs(name: str, settings: dict[str, float], says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        find_loss(name, settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mean", r"float64 \(\), expected a float tensor \(2,\)"),
        ("number", r"a float, expected a tensor \(2,\)"),
        ("counts", "int64"),
        ("detached", "no gradient"),
    ],
)
def test_what_is_no_loss_of_every_pair_is_refused(name: str, says: str) -> None:
    LOGPS.policy_chosen.requires_grad_()
    with pytest.raises(InputError, match=says):
        find_loss(name, {})(LOGPS)


def test_without_gradients_none_are_missed() -> None:
    with torch.no_grad():
        assert find_loss("detached", {})(LOGPS).tolist() == [-1.0, -8.0]
