"""`VideoLM`: a loaded video LLM that writes and scores responses to prompts about video views."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vtalign.artifacts import write_json
from vtalign.errors import InputError
from vtalign.models.attention import has_tree_attention, use_tree_attention
from vtalign.models.batches import prompt_batches, row_batches
from vtalign.models.encode import LMParts, encode_prompts
from vtalign.models.families import Family, Geometry, family_of, has_full_attention_only
from vtalign.models.feature_store import PatchStore
from vtalign.models.fingerprint import fingerprint
from vtalign.models.forward import unembedding
from vtalign.models.generate import generate_batch
from vtalign.models.positions import Positions
from vtalign.models.prompt import Prompt
from vtalign.models.requests import FrameSource, Generation, Request, ResponseScore, Row
from vtalign.models.rows import build_batch, logger
from vtalign.models.score import RowComparison, check_comparable, score_batch
from vtalign.models.template import ChatTemplate
from vtalign.video.sample import FramePolicy
from vtalign.video.view import Slot, VideoView

POLICY_FILE = "frame_policy.json"


class VideoLM:
    """A transformers video LLM with its processor and frame policy. `parts` is all of it but the weights (for collators).

    `load_video_lm` makes one from a folder; the constructor takes a model and processor that are already in memory.
    `positions`: the rule for text behind a video, see `vtalign.models.positions`.
    """

    def __init__(
        self, model: Any, processor: Any, policy: FramePolicy, *, positions: Positions = "trained", name: str = "model"
    ) -> None:
        self.model = model
        self.processor = processor
        self.policy = policy
        self.positions = positions
        if has_full_attention_only(model.config.get_text_config()):
            use_tree_attention(model)
        self.parts = model_parts(model.config, processor, policy, name, positions)

    def with_policy(self, policy: FramePolicy, name: str = "model") -> "VideoLM":
        """The same model, asked with other frames; itself where the policy is its own. Raises InputError where they do not fit it."""
        if policy == self.policy:
            return self
        return VideoLM(self.model, self.processor, policy, positions=self.positions, name=name)

    @property
    def tokenizer(self) -> Any:
        return self.processor.tokenizer

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @cached_property
    def fingerprint(self) -> str:
        """Id of weights, processor, policy and positions, taken at the first use: make a new VideoLM after changing weights."""
        return fingerprint(self.model, self.processor, self.policy, self.positions)

    def generate(
        self,
        requests: Sequence[Request],
        source: FrameSource,
        *,
        batch_size: int = 32,
        on_done: Callable[[int], object] | None = None,
    ) -> list[str]:
        """Response texts in the order of `requests`. `on_done` is told how many more are finished after each batch."""

        def on_made(places: Sequence[int], _: Sequence[Generation]) -> None:
            if on_done:
                on_done(len(places))

        return [made.text for made in self.generations(requests, source, batch_size=batch_size, on_made=on_made)]

    def generations(
        self,
        requests: Sequence[Request],
        source: FrameSource,
        *,
        batch_size: int = 32,
        on_made: Callable[[Sequence[int], Sequence[Generation]], object] | None = None,
    ) -> list[Generation]:
        """As `generate`, with how each response ended and which special tokens were stripped from it. `on_made` is given each
        finished batch: places in `requests`, rising, and what was written there.

        Raises VideoError where a view cannot be read (prefetch first to learn which) and InputError for prompts that do not fit.
        """
        results: dict[int, Generation] = {}
        features = PatchStore()
        with _evaluating(self.model):
            for batch in prompt_batches([request.prompt for request in requests], batch_size):
                made = generate_batch(self.model, self.parts, [requests[index] for index in batch], source, features)
                results.update(zip(batch, made, strict=True))
                if on_made:
                    places = sorted(batch)
                    on_made(places, [results[place] for place in places])
        return [results[index] for index in range(len(requests))]

    @torch.no_grad()
    def score(
        self,
        rows: Sequence[Row],
        source: FrameSource,
        *,
        against: Mapping[int, int] | None = None,
        batch_size: int = 16,
        on_done: Callable[[int], object] | None = None,
    ) -> list[list[ResponseScore]]:
        """Scores of every response of every row, in order; `batch_size` counts rows. Errors as in `generations`.

        `against`: rows whose first response is compared, distribution by distribution, with the same response of another row.
        """
        check_comparable(rows, against or {})
        comparison = RowComparison(against or {}, unembedding(self.model))
        results: dict[int, list[ResponseScore]] = {}
        features = PatchStore()
        with _evaluating(self.model):
            for chosen in row_batches(rows, batch_size, against):
                batch = build_batch(self.parts, [rows[index] for index in chosen], source)
                batch = replace(batch, visual=features.fill(self.model, batch.visual))
                scores, firsts = score_batch(self.model, batch.to(self.device))
                results.update(zip(chosen, scores, strict=True))
                comparison.add(chosen, firsts)
                if on_done:
                    on_done(len(chosen))
        return [comparison.score(index, results[index]) for index in range(len(rows))]

    def save(self, folder: str | Path) -> None:
        """Model (safetensors), processor and frame policy, so that `load_video_lm(folder)` gives this model again."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(folder)
        self.processor.save_pretrained(folder)
        write_json(folder / POLICY_FILE, self.policy.model_dump(mode="json"))


def model_parts(config: Any, processor: Any, policy: FramePolicy, name: str, positions: Positions = "trained") -> LMParts:
    """All of a video LLM but its weights. Raises InputError where config, processor and policy do not fit each other."""
    family = family_of(config, name)
    if positions not in family.positions:
        raise InputError(f"positions '{positions}': choose one of {', '.join(family.positions)}")
    geometry = geometry_of(family, config, processor, name)
    _require_possible(policy, geometry, family, name)
    text_config = config.get_text_config()
    shares = has_full_attention_only(text_config)
    if not shares:
        logger.warning("%s: not all of its layers are full attention; responses are scored in separate rows", name)
    parts = LMParts(
        processor=processor,
        family=family,
        geometry=geometry,
        position_rule=family.positions[positions],
        policy=policy,
        template=ChatTemplate(processor, processor.video_token, name),
        video_token_id=getattr(config, f"{family.modality}_token_id"),
        min_frames=family.min_frames,
        max_positions=text_config.max_position_embeddings,
        shares_rows=shares,
        tree_attention=has_tree_attention(config),
    )
    _require_inputs(parts, name)
    return parts


def geometry_of(family: Family, config: Any, processor: Any, name: str) -> Geometry:
    """How this checkpoint reads frames. Raises InputError where its processor makes no videos of this family."""
    video = getattr(processor, "video_processor", None)
    if video is None or not hasattr(processor, "video_token"):
        raise InputError(f"{name}: its processor has no video processor; it is no video LLM")
    try:
        return family.geometry(config, video)
    except (AttributeError, TypeError) as error:
        raise InputError(f"{name}: config or video processor lack what a {family.model_type} has: {error}") from None
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def _require_possible(policy: FramePolicy, geometry: Geometry, family: Family, name: str) -> None:
    """Raises InputError for a policy whose frames the model cannot read."""
    if geometry.size is not None:
        if policy.size != geometry.size:
            said = f"size={list(policy.size)}" if policy.size else f"multiple={policy.multiple}"
            raise InputError(
                f"{name}: frames must be exactly {geometry.size[1]}x{geometry.size[0]} pixels, the frame policy says {said}; "
                f"set its `size` to {list(geometry.size)}"
            )
    else:
        sides = policy.size or (policy.multiple,)
        if any(side % geometry.multiple for side in sides):
            said = f"size={list(sides)}" if policy.size else f"multiple={policy.multiple}"
            raise InputError(f"{name}: frames must be multiples of {geometry.multiple} pixels, the frame policy says {said}")
    fewest = policy.count or policy.min_frames
    if fewest < family.min_frames:
        raise InputError(f"{name}: a video must have at least {family.min_frames} frames, the frame policy allows {fewest}")


class _Grey:
    """A frame source of grey frames."""

    def __init__(self, height: int, width: int) -> None:
        self._size = height, width

    def frames(self, view: VideoView) -> NDArray[np.uint8]:
        return np.full((len(view), *self._size, 3), 99, dtype=np.uint8)


def _require_inputs(parts: LMParts, name: str) -> None:
    """Make the inputs of a small prompt, so that a checkpoint that is not like its family is refused before work begins."""
    frames = max(parts.min_frames, parts.geometry.temporal_patch)
    view = VideoView(tuple(Slot("probe", index, float(index)) for index in range(frames)), 1.0)
    height, width = parts.geometry.size or (parts.geometry.multiple,) * 2
    try:
        encode_prompts(parts, [Prompt((view, "What happens?"))], _Grey(height, width))
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        detail = " ".join(str(error).split())
        raise InputError(f"{name}: its processor does not read a video as a {parts.family.model_type} does: {detail}") from None


class _evaluating:
    """Dropout off while the block runs, the training flag as it was afterwards."""

    def __init__(self, model: Any) -> None:
        self._model, self._training = model, model.training

    def __enter__(self) -> None:
        self._model.eval()

    def __exit__(self, *_: object) -> None:
        self._model.train(self._training)
