from pathlib import Path
from typing import Any

import pytest
import torch

from vtalign.errors import InputError
from vtalign.models.load import load_video_lm
from vtalign.models.requests import Row
from vtalign.models.rows import branch_logps, build_batch
from vtalign.models.video_lm import VideoLM
from vtalign.training.config import LoraSettings, SFTStage
from vtalign.training.data import PairExample
from vtalign.training.trainable import merged, part_of, prepare_trainable, save_adapter, target_pattern, trainable_count
from vtalign.video.frames import FrameStore


def stage(**settings: Any) -> SFTStage:
    return SFTStage.model_validate({"kind": "sft", "name": "s", "data": "x", "learning_rate": 1e-5, **settings})


def disturb(model: torch.nn.Module) -> None:
    """Change every trainable weight, as training would."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.02 * torch.randn_like(parameter)


@pytest.mark.parametrize("parts", [["language_model"], ["projector"], ["vision"], ["projector", "vision"]])
def test_exactly_the_named_parts_train(lm: VideoLM, parts: list[str]) -> None:
    model = prepare_trainable(lm, stage(trainable=parts), checkpointing=False)
    trained = {part_of(name, lm.parts.family) for name, p in model.named_parameters() if p.requires_grad}
    frozen = {part_of(name, lm.parts.family) for name, p in model.named_parameters() if not p.requires_grad}
    assert trained == set(parts) and not trained & frozen
    assert 0 < trainable_count(model)[0] < trainable_count(model)[1]


@pytest.mark.parametrize("parts", [["language_model"], ["language_model", "projector"], ["language_model", "vision"]])
def test_a_merged_adapter_is_the_adapted_model(
    lm: VideoLM, store: FrameStore, examples: list[PairExample], parts: list[str], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    rows = [Row(e.prompt, (e.chosen, e.rejected)) for e in examples[:2]]
    before = [score.total for row in lm.score(rows, store) for score in row]
    model = prepare_trainable(lm, stage(trainable=parts, lora={"r": 4, "alpha": 8}), checkpointing=False)
    disturb(model)
    adapted = VideoLM(model, lm.processor, lm.policy)
    during = [score.total for row in adapted.score(rows, store) for score in row]
    plain = VideoLM(merged(model, "float32"), lm.processor, lm.policy)
    after = [score.total for row in plain.score(rows, store) for score in row]
    plain.save(tmp_path / "model")
    loaded = load_video_lm(tmp_path / "model", device="cpu")
    again = [score.total for row in loaded.score(rows, store) for score in row]
    assert during != pytest.approx(before, abs=0.05)
    assert after == pytest.approx(during, abs=2e-3) and again == pytest.approx(after, abs=1e-5)


def test_a_merge_weight_goes_that_far_from_the_base_to_the_adapted_weights(lm: VideoLM) -> None:
    before = {name: weight.clone() for name, weight in lm.model.state_dict().items()}
    models = []
    for weight in (1.0, 0.25):
        lm.model.load_state_dict(before)
        torch.manual_seed(0)
        model = prepare_trainable(lm, stage(lora={"r": 4, "alpha": 8}), checkpointing=False)
        disturb(model)
        models.append({name: value.clone() for name, value in merged(model, "float32", weight).state_dict().items()})
    full, quarter = models
    assert any(not torch.equal(full[name], weight) for name, weight in before.items())
    for name, weight in before.items():
        torch.testing.assert_close(quarter[name], weight + 0.25 * (full[name] - weight), atol=1e-6, rtol=1e-5)


def test_a_saved_adapter_finds_its_base(lm: VideoLM, tiny_checkpoint: Path, tmp_path: Path) -> None:
    model = prepare_trainable(lm, stage(lora={"r": 2, "alpha": 2}), checkpointing=False)
    disturb(model)
    save_adapter(model, tmp_path / "adapter", str(tiny_checkpoint))
    loaded = load_video_lm(tmp_path / "adapter", device="cpu").model.state_dict()
    for name, weight in merged(model, "float32").state_dict().items():
        torch.testing.assert_close(loaded[name], weight, atol=1e-6, rtol=1e-5)


def test_lora_targets(lm: VideoLM) -> None:
    family = lm.parts.family
    assert target_pattern(lm.model, family, LoraSettings(target="q_proj, v_proj")).endswith("(?:q_proj|v_proj)")
    everything = prepare_trainable(lm, stage(lora={"r": 2}), checkpointing=False)
    adapted = {name.split(".lora_")[0] for name, _ in everything.named_parameters() if ".lora_" in name}
    assert len(adapted) == 4 * 7 and all("language_model" in name for name in adapted)


@pytest.mark.parametrize("parts", [("vision",), ("vision", "language_model"), ("projector", "vision"), ("projector",)])
def test_lora_on_other_parts(lm: VideoLM, parts: tuple[str, ...]) -> None:
    """The projector lies inside the encoder of this family, and is a part of its own."""
    settings = stage(trainable=["language_model", "vision", "projector"], lora={"r": 2, "parts": parts})
    trained = [name for name, p in prepare_trainable(lm, settings, checkpointing=False).named_parameters() if p.requires_grad]
    for name in trained:
        assert (part_of(name.removeprefix("base_model.model."), lm.parts.family) in parts) == ("lora_" in name), name
    assert {part_of(name.removeprefix("base_model.model."), lm.parts.family) for name in trained} == {
        "language_model",
        "vision",
        "projector",
    }


@pytest.mark.parametrize(
    ("wrong", "said"), [("q_prj", "no linear layer named q_prj"), ("none.*", "matches no linear layer"), ("(", "not a regular")]
)
def test_lora_targets_that_are_not_there(lm: VideoLM, wrong: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        target_pattern(lm.model, lm.parts.family, LoraSettings(target=wrong))


def test_checkpointing_gives_the_same_gradients(
    lm: VideoLM, tiny_checkpoint: Path, store: FrameStore, examples: list[PairExample]
) -> None:
    gradients = []
    for checkpointing, one in ((False, lm), (True, load_video_lm(tiny_checkpoint, device="cpu"))):
        torch.manual_seed(0)
        model = prepare_trainable(one, stage(lora={"r": 4, "alpha": 8}), checkpointing=checkpointing)
        disturb(model)
        model.train()
        batch = build_batch(one.parts, [Row(examples[0].prompt, (examples[0].chosen, examples[0].rejected))], store)
        branch_logps(model, batch)[0].sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-5)
