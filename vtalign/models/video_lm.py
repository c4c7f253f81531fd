"""`VideoLM`: a loaded video LLM that writes and scores responses to prompts about video views."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from vtalign.artifacts import write_json
from vtalign.errors import InputError
from vtalign.models.encode import LMParts
from vtalign.models.families import family_of, has_full_attention_only
from vtalign.models.fingerprint import fingerprint
from vtalign.models.generate import generate_batch
from vtalign.models.prompt import Prompt
from vtalign.models.requests import FrameSource, Generation, Request, ResponseScore, Row
from vtalign.models.rows import branch_logps, build_batch, logger
from vtalign.models.template import ChatTemplate
from vtalign.video.sample import FramePolicy

POLICY_FILE = "frame_policy.json"


class VideoLM:
    """A transformers video LLM with its processor and frame policy. `parts` is all of it but the weights (for collators).

    `load_video_lm` makes one from a folder; the constructor takes a model and processor that are already in memory.
    """

    def __init__(self, model: Any, processor: Any, policy: FramePolicy, *, name: str = "model") -> None:
        self.model = model
        self.processor = processor
        self.policy = policy
        self.parts = model_parts(model.config, processor, policy, name)

    @property
    def tokenizer(self) -> Any:
        return self.processor.tokenizer

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @cached_property
    def fingerprint(self) -> str:
        """Id of weights, processor and policy, taken at the first use: make a new VideoLM after changing weights."""
        return fingerprint(self.model, self.processor, self.policy)

    def generate(
        self,
        requests: Sequence[Request],
        source: FrameSource,
        *,
        batch_size: int = 32,
        on_done: Callable[[int], object] | None = None,
    ) -> list[str]:
        """Response texts in the order of `requests`. `on_done` is told how many more are finished after each batch."""
        return [made.text for made in self.generations(requests, source, batch_size=batch_size, on_done=on_done)]

    def generations(
        self,
        requests: Sequence[Request],
        source: FrameSource,
        *,
        batch_size: int = 32,
        on_done: Callable[[int], object] | None = None,
    ) -> list[Generation]:
        """As `generate`, with how each response ended and which special tokens were stripped from it.

        Raises VideoError where a view cannot be read (prefetch first to learn which) and InputError for prompts that do not fit.
        """
        results: dict[int, Generation] = {}
        with _evaluating(self.model):
            for batch in _batches([request.prompt for request in requests], batch_size):
                made = generate_batch(self.model, self.parts, [requests[index] for index in batch], source)
                results.update(zip(batch, made, strict=True))
                if on_done:
                    on_done(len(batch))
        return [results[index] for index in range(len(requests))]

    @torch.no_grad()
    def score(
        self,
        rows: Sequence[Row],
        source: FrameSource,
        *,
        batch_size: int = 16,
        on_done: Callable[[int], object] | None = None,
    ) -> list[list[ResponseScore]]:
        """Log-probs of every response of every row, in order; `batch_size` counts rows. Errors as in `generations`."""
        results: dict[int, list[ResponseScore]] = {}
        with _evaluating(self.model):
            for chosen in _batches([row.prompt for row in rows], batch_size):
                batch = build_batch(self.parts, [rows[index] for index in chosen], source).to(self.device)
                logps, mask = branch_logps(self.model, batch)
                values = iter(zip(logps.cpu().numpy(), mask.cpu().numpy(), strict=True))
                for index in chosen:
                    scored = [next(values) for _ in rows[index].responses]
                    results[index] = [ResponseScore(token_logps[real]) for token_logps, real in scored]
                if on_done:
                    on_done(len(chosen))
        return [results[index] for index in range(len(rows))]

    def save(self, folder: str | Path) -> None:
        """Model (safetensors), processor and frame policy, so that `load_video_lm(folder)` gives this model again."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(folder)
        self.processor.save_pretrained(folder)
        write_json(folder / POLICY_FILE, self.policy.model_dump(mode="json"))


def model_parts(config: Any, processor: Any, policy: FramePolicy, name: str) -> LMParts:
    """All of a video LLM but its weights. Raises InputError where config, processor and policy do not fit each other."""
    family = family_of(config, name)
    video = getattr(processor, "video_processor", None)
    if video is None:
        raise InputError(f"{name}: its processor has no video processor; it is no video LLM")
    text_config = config.get_text_config()
    multiple = video.patch_size * video.merge_size
    if policy.multiple % multiple:
        raise InputError(
            f"{name}: frames must be multiples of {multiple} pixels, the frame policy says multiple={policy.multiple}"
        )
    shares = has_full_attention_only(text_config)
    if not shares:
        logger.warning("%s: not all of its layers are full attention; responses are scored in separate rows", name)
    return LMParts(
        processor=processor,
        family=family,
        policy=policy,
        template=ChatTemplate(processor, processor.video_token, name),
        video_token_id=config.video_token_id,
        merge=video.merge_size,
        temporal_patch=video.temporal_patch_size,
        frame_multiple=multiple,
        max_positions=text_config.max_position_embeddings,
        shares_rows=shares,
    )


def _batches(prompts: Sequence[Prompt], size: int) -> list[list[int]]:
    """Indices in batches of similar length (little padding), prompts that show the same views side by side (encoded once)."""
    if size < 1:
        raise InputError(f"batch_size must be at least 1, got {size}")
    first_seen: dict[tuple[Any, ...], int] = {}
    keys = []
    for index, prompt in enumerate(prompts):
        views = prompt.views
        keys.append((sum(map(len, views)), first_seen.setdefault(views, index), len(prompt.text), index))
    order = sorted(range(len(prompts)), key=keys.__getitem__)
    return [order[start : start + size] for start in range(0, len(order), size)]


class _evaluating:
    """Dropout off while the block runs, the training flag as it was afterwards."""

    def __init__(self, model: Any) -> None:
        self._model, self._training = model, model.training

    def __enter__(self) -> None:
        self._model.eval()

    def __exit__(self, *_: object) -> None:
        self._model.train(self._training)
