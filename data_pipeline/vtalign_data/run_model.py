"""The model of a build: loaded when first needed, and held to be the same one when the run goes on after a kill."""

import json
from dataclasses import asdict, dataclass
from functools import cached_property

from vtalign.artifacts import write_json
from vtalign.errors import InputError
from vtalign.models.load import load_video_lm
from vtalign.models.video_lm import VideoLM
from vtalign.video.sample import FramePolicy
from vtalign_data.config import BuildConfig


@dataclass(frozen=True)
class ModelFacts:
    """What stages need to know of the model without loading it. `fingerprint`: weights, processor and frame policy."""

    fingerprint: str
    policy: FramePolicy
    special_tokens: tuple[str, ...]


class RunModel:
    """`facts` come from `model.json` of the run folder once the model was loaded there; `video_lm` loads it.

    `known`: what they are, for a worker that does not see the run folder.
    """

    def __init__(self, config: BuildConfig, known: ModelFacts | None = None) -> None:
        self._config, self._known = config, known
        self._record = config.out / "model.json"

    @cached_property
    def video_lm(self) -> VideoLM:
        """Raises InputError where the model cannot be loaded or is not the one that the run began with."""
        config = self._config
        model = load_video_lm(
            config.model,
            dtype=config.dtype,
            device=config.device,
            trust_remote_code=config.trust_remote_code,
            positions=config.positions,
        )
        policy = config.frames.apply(model.policy)
        if policy != model.policy:
            model = VideoLM(model.model, model.processor, policy, positions=model.positions, name=config.model)
        recorded = self._recorded()
        if recorded is None:
            tokens = sorted(model.tokenizer.convert_ids_to_tokens(sorted(model.parts.template.special_ids)))
            facts = ModelFacts(model.fingerprint, policy, tuple(tokens))
            write_json(self._record, {**asdict(facts), "policy": policy.model_dump(mode="json")})
        elif recorded.fingerprint != model.fingerprint:
            raise InputError(
                f"{config.out}: was begun with other weights or another processor in {config.model} "
                f"({recorded.fingerprint} then, {model.fingerprint} now); choose another output folder"
            )
        return model

    @cached_property
    def facts(self) -> ModelFacts:
        recorded = self._recorded()
        if recorded is None:
            _ = self.video_lm
            recorded = self._recorded()
            assert recorded is not None
        return recorded

    def _recorded(self) -> ModelFacts | None:
        if self._known is not None:
            return self._known
        if not self._record.is_file():
            return None
        data = json.loads(self._record.read_text(encoding="utf-8"))
        return ModelFacts(data["fingerprint"], FramePolicy(**data["policy"]), tuple(data["special_tokens"]))
