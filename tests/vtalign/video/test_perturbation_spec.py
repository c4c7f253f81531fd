from pathlib import Path

import pytest
from hypothesis import given

from vtalign.config import Config, load_config
from vtalign.errors import ConfigError
from vtalign.video.perturbation_spec import PerturbationSpec, compose

from .view_strategies import specs


class Holder(Config):
    perturbations: tuple[PerturbationSpec, ...]


@given(specs())
def test_json_round_trip(spec: PerturbationSpec) -> None:
    assert PerturbationSpec.model_validate_json(spec.model_dump_json()) == spec
    assert PerturbationSpec.model_validate_json(spec.model_dump_json(exclude_defaults=True)) == spec


def test_reads_from_yaml(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        "perturbations:\n- {name: shuffle, strength: 4, groups: temple}\n"
        "- {name: compose, strength: 4, steps: [{name: drop, strength: 2}, {name: reverse, strength: 1, frames: reversed}]}\n"
    )
    shuffle, both = load_config(Holder, path).perturbations
    assert shuffle == PerturbationSpec(name="shuffle", strength=4, groups="temple")
    assert [step.name for step in both.steps] == ["drop", "reverse"]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("{name: shufle, strength: 4}", "unknown perturbation 'shufle' .*shuffle, reverse, drop, speed, compose"),
        ("{name: shuffle, strength: 1}", "the least is 2"),
        ("{name: reverse, strength: 1}", "the least is 2"),
        ("{name: drop, strength: 0}", "strength"),
        ("{name: drop, strength: 2, frames: reversed}", "'drop' has no option 'frames'"),
        ("{name: shuffle, strength: 2, direction: slow}", "'shuffle' has no option 'direction' .*groups"),
        ("{name: shuffle, strength: 2, options: {a: 1}}", "'shuffle' has no option 'options'"),
        ("{name: compose, strength: 2, steps: [{name: drop, strength: 2}]}", "two or more steps"),
        ("{name: drop, strength: 2, strenght: 2}", "strenght: unknown key .*strength, groups"),
    ],
)
def test_wrong_specs_are_one_clear_line(tmp_path: Path, row: str, says: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(f"perturbations:\n- {row}\n")
    with pytest.raises(ConfigError, match=says) as caught:
        load_config(Holder, path)
    assert "\n" not in str(caught.value)


def test_labels_tell_specs_apart() -> None:
    plain = PerturbationSpec(name="reverse", strength=4)
    turned = PerturbationSpec(name="reverse", strength=1, frames="reversed")
    assert plain.label == "reverse-4" and turned.label == "reverse-1[frames=reversed]"
    both = compose(plain, turned)
    assert both.label == "compose-4[reverse-4 > reverse-1[frames=reversed]]" and both.strength == 4


def test_how_many_uniform_segments() -> None:
    shuffle, speed = PerturbationSpec(name="shuffle", strength=8), PerturbationSpec(name="speed", strength=4)
    assert shuffle.uniform_count == 8 and speed.uniform_count == 1 and compose(speed, shuffle).uniform_count == 8
