"""`transformers.Trainer` for one stage: our loss, order and metrics; devices, optimiser, checkpoints and logs are its own."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from vtalign.errors import RunFailed
from vtalign.models.feature_store import FeatureStore
from vtalign.training.collator import Batch
from vtalign.training.objective import Objective, Share, StepTotals
from vtalign.training.schedule import PlannedBatches, StepPlan
from vtalign.training.sharding import use_fsdp_on_cpu

_LISTED = 16  # ids in an error message


class StageTrainer(Trainer):
    """Trains on the micro-batches of `plan`: `objective` gives a micro-batch's share of the step's loss, and sums to log.

    A loss that is not finite, or a reward margin beyond `stop_at_margin` either way, ends the run. To Trainer the whole stage is
    one epoch; `epoch` in the logs counts passes over the data.
    """

    # Shares are already divided by the totals of the whole step.
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        *,
        plan: StepPlan,
        objective: Objective,
        examples: Sequence[Any],
        stop_at_margin: float = math.inf,
        **kwargs: Any,
    ) -> None:
        super().__init__(train_dataset=examples, **kwargs)
        self._plan, self._objective, self._stop_at_margin = plan, objective, stop_at_margin
        self._step_ids: list[str] = []
        self.add_callback(_RequireSoundGradients(self._step_ids))
        self._features = FeatureStore()
        self._examples: Any = examples
        self._passes = plan.examples / len(examples)
        self._window: dict[str, float | torch.Tensor] = defaultdict(float)

    def create_accelerator_and_postprocess(self) -> None:
        super().create_accelerator_and_postprocess()
        use_fsdp_on_cpu(self.accelerator)
        self.is_fsdp_enabled = getattr(self.accelerator.state, "fsdp_plugin", None) is not None

    def get_train_dataloader(self) -> DataLoader:
        """The micro-batches of this device in planned order; not sharded again by accelerate."""
        return DataLoader(
            self._examples,
            batch_sampler=PlannedBatches(self._plan.for_device(self.args.process_index)),
            collate_fn=self.data_collator,
        )

    def get_batch_samples(self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device) -> tuple[list[Any], Any]:
        """The micro-batches of the next step on this device, and the step's totals over all devices."""
        samples, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        counts = torch.tensor([[b["batch"].count, b["batch"].tokens] for b in samples], dtype=torch.long, device=device).sum(0)
        examples, tokens = self.accelerator.reduce(counts, reduction="sum").tolist()
        return samples, StepTotals(examples, tokens)

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """`num_items_in_batch` is the `StepTotals` of `get_batch_samples`."""
        batch: Batch = inputs["batch"].to(self.args.device)
        if batch.rows is None:
            return self._nothing_read(model)
        share = self._objective(model, batch, self._features.fill(model, batch.rows), num_items_in_batch)
        self._require_sound(share, batch)
        self._step_ids += batch.ids
        for name, value in share.sums.items():
            self._window[name] += value
        # gradients are averaged over devices, shares must be summed
        loss = share.loss * self.args.world_size
        return (loss, share.margins) if return_outputs else loss

    def _require_sound(self, share: Share, batch: Batch) -> None:
        """Raises RunFailed, naming the pairs (rows) that it comes from, as far as they can be told."""
        at = f"at step {self.state.global_step + 1}"
        if not torch.isfinite(share.loss):
            wrong = ~torch.isfinite(share.margins) if share.margins is not None else None
            raise RunFailed(f"the loss is {share.loss.item()} {at}, in {_named(batch, wrong)}")
        if share.margins is not None and len(share.margins) and float(share.margins.abs().max()) > self._stop_at_margin:
            wrong = share.margins.abs() > self._stop_at_margin
            raise RunFailed(
                f"a reward margin of {float(share.margins[wrong][0]):g} {at}, beyond stop_at_margin={self._stop_at_margin:g}, in "
                f"{_named(batch, wrong)}: training diverges; lower learning_rate or raise beta"
            )

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds the metrics of the steps since the last log."""
        if "loss" in logs:
            logs.update(self._metrics_since_last_log())
        fraction = self.state.epoch
        self.state.epoch = None if fraction is None else fraction * self._passes
        super().log(logs, start_time)
        self.state.epoch = fraction

    def floating_point_ops(self, inputs: Any) -> int:
        """Not estimated: Trainer's formula knows tokens only, and most of the work here is video."""
        return 0

    def _metrics_since_last_log(self) -> dict[str, float]:
        names = sorted(self._window)
        values = torch.tensor([float(self._window[name]) for name in names], dtype=torch.float64, device="cpu")
        values = self.accelerator.reduce(values.to(self.args.device), reduction="sum").cpu()
        self._window = defaultdict(float)
        sums = dict(zip(names, values.tolist(), strict=True))
        metrics = self._objective.metrics(sums) if sums else {}
        return {name: value for name, value in metrics.items() if math.isfinite(value)}

    def _nothing_read(self, model: nn.Module) -> torch.Tensor:
        """A micro-batch whose videos all became unreadable during the stage counts for nothing."""
        if self.args.world_size > 1:
            raise RunFailed("no video of a micro-batch can be read any more; other devices would wait for it forever")
        return torch.stack([parameter.sum() * 0.0 for parameter in model.parameters() if parameter.requires_grad]).sum()


class _RequireSoundGradients(TrainerCallback):
    """Ends the run before a gradient that is not finite changes a weight, naming the pairs (rows) of the step in `ids`."""

    def __init__(self, ids: list[str]) -> None:
        self._ids = ids

    def on_pre_optimizer_step(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        norm: Any = nn.utils.get_total_norm([weight.grad for weight in kwargs["model"].parameters() if weight.grad is not None])
        norm = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
        if not torch.isfinite(norm):
            raise RunFailed(
                f"the gradient is not finite at step {state.global_step + 1}, in {_listed(self._ids)}: lower learning_rate, or look "
                "at these pairs"
            )
        self._ids.clear()


def _named(batch: Batch, wrong: torch.Tensor | None) -> str:
    """Ids of the pairs where `wrong` (n,) is set; of all where that is not known, or nowhere."""
    chosen = [name for name, is_wrong in zip(batch.ids, wrong.tolist(), strict=True) if is_wrong] if wrong is not None else []
    return _listed(chosen or list(batch.ids))


def _listed(ids: Sequence[str]) -> str:
    return ", ".join(ids[:_LISTED]) + (f" and {len(ids) - _LISTED} more" if len(ids) > _LISTED else "")
