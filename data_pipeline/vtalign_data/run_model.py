"""The models of a build: the one that scores and, as a rule, writes too, and the one on a server that writes in its place.

Weights are loaded when first needed, and held to be the same ones when the run goes on after a kill.
"""

import json
from dataclasses import asdict, dataclass
from functools import cached_property

from vtalign.artifacts import write_json
from vtalign.errors import InputError
from vtalign.models.load import load_video_lm
from vtalign.models.video_lm import VideoLM
from vtalign.remote.remote_lm import RemoteLM
from vtalign.video.sample import FramePolicy
from vtalign_data.config import BuildConfig
from vtalign_data.writer import ServerWriter, Writer


@dataclass(frozen=True)
class ModelFacts:
    """What stages need to know of the model without loading it. `fingerprint`: weights, processor and frame policy; of a model that
    is on a server only, its name and the frame policy."""

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
        self._server: ServerWriter | None = None

    @cached_property
    def writer(self) -> Writer:
        """What writes captions and responses. Raises InputError as `video_lm` does, and for a key that cannot be one."""
        return self._remote(self.facts.policy) if self._config.server else self.video_lm

    @property
    def writer_fingerprint(self) -> str:
        return self._remote(self.facts.policy).fingerprint if self._config.server else self.facts.fingerprint

    def check_server(self) -> None:
        """Raises InputError where the server that should write does not answer. Loads no weights."""
        server = self._config.server
        if server:
            RemoteLM(server.model, server.connection, FramePolicy()).server.check()  # shows it no frames

    def count_tokens(self, texts: list[str]) -> list[int]:
        """Tokens of each text; words where no tokenizer is at hand."""
        if self._config.model is None:
            return [len(text.split()) for text in texts]
        tokenizer = self.video_lm.tokenizer
        return [len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]] if texts else []

    @cached_property
    def video_lm(self) -> VideoLM:
        """Raises InputError where the model cannot be loaded or is not the one that the run began with."""
        config = self._config
        assert config.model is not None
        model = load_video_lm(
            config.model,
            dtype=config.dtype,
            device=config.device,
            trust_remote_code=config.trust_remote_code,
            positions=config.positions,
        )
        policy = config.frames.apply(model.policy)
        model = model.with_policy(policy, config.model)
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
        if self._config.model is None:
            policy = self._config.frames.apply(FramePolicy())  # no checkpoint is at hand that would have one of its own
            return ModelFacts(self._remote(policy).fingerprint, policy, ())
        recorded = self._recorded()
        if recorded is None:
            _ = self.video_lm
            recorded = self._recorded()
            assert recorded is not None
        return recorded

    def _remote(self, policy: FramePolicy) -> ServerWriter:
        server = self._config.server
        assert server is not None
        if self._server is None:
            self._server = ServerWriter(RemoteLM(server.model, server.connection, policy))
        return self._server

    def _recorded(self) -> ModelFacts | None:
        if self._known is not None:
            return self._known
        if not self._record.is_file():
            return None
        data = json.loads(self._record.read_text(encoding="utf-8"))
        return ModelFacts(data["fingerprint"], FramePolicy(**data["policy"]), tuple(data["special_tokens"]))
