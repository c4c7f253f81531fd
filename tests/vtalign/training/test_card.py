import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from transformers import AutoModelForImageTextToText

from vtalign.config import load_config
from vtalign.models.load import load_video_lm
from vtalign.training.card import CARD, base_name, model_card, portable_recipe, put_card
from vtalign.training.checkpoints import MARKER, is_complete, mark_complete
from vtalign.training.config import TrainConfig
from vtalign.training.data import data_hash
from vtalign.training.gate import GateDecision
from vtalign.training.recipe import TrainSummary, run_recipe
from vtalign.training.stage import StageSummary

Recipe = Callable[..., TrainConfig]


@pytest.fixture
def run(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainConfig, TrainSummary]:
    """One step of dpo, whose adapter is merged at half its weight, and one of sft that leaves an adapter alone. Trained once: the
    same recipe in the same folder is found finished."""
    lora = {"r": 2, "alpha": 4}
    dpo = {"max_steps": 1, "lora": {**lora, "merge_weight": 0.5}}
    folder = tmp_path_factory.getbasetemp() / "carded"
    config = recipe(folder, dpo=dpo, sft={"max_steps": 1, "lora": lora, "save_model": False})
    return config, run_recipe(config)


def front_matter(card: str) -> dict[str, object]:
    return yaml.safe_load(card.split("---\n")[1])


def test_every_checkpoint_that_others_load_has_a_card(run: tuple[TrainConfig, TrainSummary], tiny_checkpoint: Path) -> None:
    config, _ = run
    dpo, sft = config.stage_folders
    for folder, library in ((dpo / "adapter", "peft"), (dpo / "model", "transformers"), (sft / "adapter", "peft")):
        card = (folder / CARD).read_text()
        found = front_matter(card)
        assert found["library_name"] == library and found["pipeline_tag"] == "video-text-to-text"
        assert found["tags"] == ["vtalign", "video", "dpo", "sft"]
        assert is_complete(folder) and CARD in json.loads((folder / MARKER).read_text())["files"]
        for stage in config.stages:
            assert data_hash(stage.data) in card or (stage.name == "sft" and folder.parent == dpo)
        assert "merged at 0.5" in card and "| rewards/margins |" in card and "torch 2" in card
        assert str(tiny_checkpoint.parent) not in card and str(config.output) not in card and str(config.videos) not in card


def test_an_adapter_alone_is_what_evaluation_takes(
    run: tuple[TrainConfig, TrainSummary], recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, summary = run
    assert summary.model == config.stage_folders[1] / "adapter"
    assert not (config.output / "model").exists() and not (config.stage_folders[1] / "model").exists()
    assert run_recipe(config).stages == summary.stages
    printed = "".join(capsys.readouterr().out.split())
    assert "load_video_lm('" in printed and f"adapter',dtype='float32').save('{config.stage_folders[1]}/model')" in printed
    load_video_lm(summary.model, device="cpu").save(tmp_path / "merged")
    AutoModelForImageTextToText.from_pretrained(tmp_path / "merged")


def test_a_checkpoint_says_which_recipe_it_is_of(run: tuple[TrainConfig, TrainSummary]) -> None:
    config, _ = run
    for stage, folder in zip(config.stages, config.stage_folders, strict=True):
        checkpoint = folder / "checkpoints/checkpoint-1"
        assert load_config(TrainConfig, checkpoint / "recipe.yaml") == config
        record = json.loads((checkpoint / "provenance.json").read_text())
        assert record["data_hashes"][stage.name] == data_hash(stage.data) and "transformers" in record["versions"]
        assert {"recipe.yaml", "provenance.json"} <= json.loads((checkpoint / MARKER).read_text())["files"].keys()


def test_the_recipe_of_a_card_names_files_and_no_folders(run: tuple[TrainConfig, TrainSummary]) -> None:
    config, _ = run
    shown = portable_recipe(config)
    assert "output" not in shown and "frame_cache" not in shown and shown["seed"] == 0
    assert shown["videos"] == "train" and shown["stages"][1]["data"] == "sft.jsonl"
    assert "/" not in yaml.safe_dump(shown).replace("arxiv.org/abs", "")


def summary(name: str, metrics: dict[str, float]) -> StageSummary:
    return StageSummary(name, "sft", "m", 3, 12, 18, 0, 0, 0, 10, "start", "model-0123", (), metrics, 1.0)


def test_a_card_by_hand(recipe: Recipe, tmp_path: Path) -> None:
    config = recipe(tmp_path / "run", model="Qwen/Qwen3-VL-2B-Instruct", order=("sft", "dpo"))
    gates = {"sft": GateDecision("temporal-shapes", "temporal", 0.5321, 0.55, 0.57, False, "skip")}
    stages = [summary("sft", {"loss": 1.23456, "sft_loss": 2.0}), summary("dpo", {"loss": 0.5, "a|b": 1.0})]
    card = model_card(config, stages, gates, {"sft": "data-1", "dpo": "data-2"}, "model")
    assert front_matter(card)["base_model"] == "Qwen/Qwen3-VL-2B-Instruct" and base_name(config) in card
    assert front_matter(card)["base_model_relation"] == "finetune"
    assert "| loss | 1.235 | 0.5 |" in card and "| sft_loss | 2 |  |" in card and r"| a\|b |  | 1 |" in card
    assert "53.21 % (at least 55.00 % asked, 57.00 % before the stage): not met, the stage is set aside." in card
    assert "| sft | sft.jsonl | data-1 | 12 |" in card and "3 steps, 18 rows" in card and "3 steps, 18 pairs" in card
    first = model_card(config, stages[:1], {}, {"sft": "data-1", "dpo": "data-2"}, "adapter")
    assert front_matter(first)["base_model_relation"] == "adapter" and "data-2" not in first and "Gate of" not in first


def test_a_base_that_is_a_folder_is_no_name_on_the_hub(recipe: Recipe, tmp_path: Path) -> None:
    config = recipe(tmp_path / "run", order=("sft",))
    card = model_card(config, [summary("sft", {})], {}, {"sft": "data-1"}, "model")
    assert "base_model" not in front_matter(card) and "Base: `tiny" in card and "model-0123" in card


def test_a_card_replaces_another_and_a_kill_between_card_and_marker_is_healed(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"w")
    (tmp_path / CARD).write_text("of another library")
    mark_complete(tmp_path)
    put_card(tmp_path, "ours")
    whole = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert whole[CARD] == b"ours" and json.loads(whole[MARKER])["files"] == {CARD: 4, "weights": 1}
    (tmp_path / MARKER).write_text(json.dumps({"files": {"weights": 1}}))
    put_card(tmp_path, "ours")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == whole
    written = (tmp_path / CARD).stat().st_mtime_ns
    put_card(tmp_path, "ours")
    assert (tmp_path / CARD).stat().st_mtime_ns == written
