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
        ("{name: mask, strength: 16}", "leaves nothing to see; the most is 15"),
        ("{name: pixel_mask, strength: 14}", "the most is 13"),
        ("{name: mask, strength: 1}", "the least is 2"),
        ("{name: segment_exclude, strength: 2, start: 3}", "start before stop, both or neither .*3.0, None"),
        ("{name: segment_exclude, strength: 2, start: 3, stop: 2}", "start before stop"),
        ("{name: mask, strength: 2, stop: 2}", "'mask' has no option 'stop' .*none"),
        ("{name: blur, strength: 2, place: after}", "'blur' has no option 'place'"),
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
    frames, segments = (PerturbationSpec(name="local_shuffle", strength=4, units=units) for units in ("frames", "segments"))
    assert (frames.uniform_count, segments.uniform_count) == (1, 8)
    assert PerturbationSpec(name="segment_exclude", strength=2).uniform_count == 16


def test_what_a_composition_is_made_of() -> None:
    shuffle, blur = PerturbationSpec(name="shuffle", strength=8), PerturbationSpec(name="blur", strength=4)
    inserted = PerturbationSpec(name="insert_distractor", strength=2)
    assert blur.registered.image_space and not compose(shuffle, blur).registered.image_space
    assert compose(shuffle, inserted).needs_distractors and not compose(shuffle, blur).needs_distractors
