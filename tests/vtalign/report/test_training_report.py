"""The page of a recipe: every logged number has its curve, and nothing that a user wrote becomes markup."""

import re
from pathlib import Path

from vtalign.report.training_report import TrainingReport, thinned, write_training_report


def page(tmp_path: Path, data: TrainingReport) -> str:
    write_training_report(tmp_path / "report.html", data)
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def test_every_logged_number_is_drawn_once(tmp_path: Path, training_data: TrainingReport) -> None:
    text = page(tmp_path, training_data)
    titles = re.findall(r'<figure class="chart">\n<figcaption>(.*)</figcaption>', text)
    dpo = ["Loss", "Reward margin, chosen less rejected", "Rewards", "Learning rate", "Stage of the curriculum"]
    assert titles[:5] == dpo and titles[5].startswith("&lt;script") and titles[6:] == ["Loss", "NLL per response token"]
    assert text.count('class="stage stage-0"') == text.count('class="stage stage-1"') == 6, "two bands behind each chart of dpo"
    assert "chosen</span>" in text and "rejected</span>" in text


def test_stages_gates_data_and_recipe_are_told(tmp_path: Path, training_data: TrainingReport) -> None:
    text = page(tmp_path, training_data)
    for said in ("1 h 2 min", "DPO(beta=0.1), easy to hard by strength", "5e-06", "960", "set aside", "data-0123456789abcdef"):
        assert said in text
    assert "<h2>Gates</h2>" in text and '<pre class="text">stages:\n- name: dpo' in text
    for stage in training_data["stages"]:
        stage["gate"] = ""
    assert "<h2>Gates</h2>" not in page(tmp_path, training_data)


def test_why_a_recipe_ended_early_is_said(tmp_path: Path, training_data: TrainingReport) -> None:
    training_data["ended_by"] = "stage 'dpo': its gate is <not> met"
    assert "its gate is &lt;not&gt; met" in page(tmp_path, training_data)


def test_nothing_a_user_wrote_is_markup(tmp_path: Path, training_data: TrainingReport) -> None:
    text = page(tmp_path, training_data)
    assert "<script" not in text and "<img" not in text and "http" not in text.replace("http-equiv", "")


def test_a_stage_without_points_has_no_curves(tmp_path: Path, training_data: TrainingReport) -> None:
    for stage in training_data["stages"]:
        stage["points"] = []
    assert "<svg" not in page(tmp_path, training_data)


def test_many_points_become_means_of_neighbours() -> None:
    assert thinned([(1, 2.0), (2, 4.0), (3, 5.0)], most=2) == [(2, 3.0), (3, 5.0)]
    assert thinned([(1, 2.0), (2, 4.0)], most=2) == [(1, 2.0), (2, 4.0)]
    many = thinned([(step, 1.0) for step in range(1, 100_001)])
    assert len(many) == 1000 and many[-1] == (100_000, 1.0)
    assert thinned([]) == []
