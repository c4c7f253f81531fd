from pathlib import Path
from typing import Any

import pytest
import yaml

from vtalign.config import dump_config, load_config, validate_config
from vtalign.errors import ConfigError
from vtalign.training.curriculum import CurriculumSettings, describe


def settings(**given: Any) -> CurriculumSettings:
    return validate_config(CurriculumSettings, given, "test")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"by": "scor"}, "by: unknown difficulty 'scor' (known: strength, score, divergence, reward_gap, reward_gap:NAME, text_"),
        ({"by": {"score": 0.5, "lenght": 0.5}}, "unknown difficulty 'lenght'"),
        ({"by": "column:"}, "unknown difficulty 'column:'"),
        ({"by": {"score": 0}}, "the weight of 'score' should be a number above 0"),
        ({"by": {"score": "much"}}, "the weight of 'score' should be a number above 0"),
        ({"by": {"score": True}}, "the weight of 'score' should be a number above 0"),
        ({"by": {"score": float("inf")}}, "the weight of 'score' should be a number above 0"),
        ({"by": {}}, "expected a difficulty or weights of several"),
        ({"by": ["score"]}, "expected a difficulty or weights of several"),
        ({"by": {3: 0.5}}, "unknown difficulty '3'"),
        ({"pacing": "cubic"}, "pacing"),
        ({"start": 0.5}, "start belongs to pacing linear, root or geometric"),
        ({"duration": 0.5}, "duration belongs to pacing linear, root or geometric"),
        ({"pacing": "root", "stages": 4}, "stages belong to pacing staged; root pacing has `start` and `duration`"),
        ({"pacing": "root", "order": "mixed"}, "order mixed needs pacing staged"),
        ({"pacing": "root", "start": 1.0}, "start"),
        ({"pacing": "root", "duration": 0}, "duration"),
        ({"order": "random", "replay": 0.1}, "replay needs stages that follow each other; order random has none"),
        ({"order": "mixed", "replay": 0.1}, "order mixed has none"),
        ({"order": "easy_to_hard", "replay": 1.0}, "replay"),
        ({"rescore": True}, "rescore needs a difficulty that comes from scores (score, divergence, reward_gap), not strength"),
        ({"by": {"strength": 1, "column:x": 2}, "rescore": True}, "not strength 1 + column:x 2"),
        ({"by": "reward_gap:rating", "rescore": True}, "not reward_gap:rating"),
    ],
)
def test_what_cannot_work_is_one_line(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(**given)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_difficulties_in_yaml_and_on_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "curriculum.yaml"
    file.write_text("by: {score: 0.7, column:my_column: 0.3}\norder: easy_to_hard\n")
    read = load_config(CurriculumSettings, file)
    assert read.weights == {"score": 0.7, "column:my_column": 0.3} and read.columns == ("my_column",)
    assert load_config(CurriculumSettings, file, ["by=column:other"]).weights == {"column:other": 1.0}
    assert load_config(CurriculumSettings, None, ["by={score: 1, divergence: 3}"]).weights == {"score": 1.0, "divergence": 3.0}
    assert validate_config(CurriculumSettings, yaml.safe_load(dump_config(read)), "saved") == read


def test_which_columns_and_scores_difficulties_need() -> None:
    rated = settings(by={"reward_gap:rating": 1, "column:difficulty": 1})
    assert rated.columns == ("chosen_rating", "rejected_rating", "difficulty") and not rated.from_scores
    assert settings(by={"strength": 1, "reward_gap": 1}, rescore=True).from_scores and settings(by="score").columns == ()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "random order"),
        ({"order": "easy_to_hard", "stages": 4}, "easy to hard by strength, 4 stages"),
        ({"order": "easy_to_hard"}, "easy to hard by strength, one stage for each value"),
        ({"order": "hard_to_easy", "by": "reward_gap:rating"}, "hard to easy by reward_gap:rating, one stage for each value"),
        ({"order": "mixed", "by": "score"}, "mixed by score, 4 stages"),
        (
            {"order": "easy_to_hard", "pacing": "root", "by": {"score": 0.7, "divergence": 0.3}, "replay": 0.1},
            "root pacing from 25 % by score 0.7 + divergence 0.3, replay 10 %",
        ),
        (
            {"order": "hard_to_easy", "pacing": "linear", "by": "score", "start": 0.125, "duration": 0.8, "rescore": True},
            "linear pacing from 12.5 % hard to easy by score, all open after 80 %, scored again by the model it starts from",
        ),
        ({"pacing": "geometric"}, "geometric pacing from 25 % in random order"),
    ],
)
def test_a_curriculum_in_words(given: dict[str, Any], words: str) -> None:
    assert describe(settings(**given)) == words
