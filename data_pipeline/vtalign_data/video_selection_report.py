"""What each rule of the selection removed, for the summary and the reports."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from vtalign_data import clips, reversal, shot_pass
from vtalign_data.config import BuildConfig
from vtalign_data.groups import GROUP_RULES
from vtalign_data.shots import COUNT_RULES, SHOT_RULES
from vtalign_data.stage import Stage, StageCounts

_RULES = {
    "03b-selection": reversal.REVERSAL_RULES,
    "03c-shots": SHOT_RULES,
    "04-clips": (*COUNT_RULES, *GROUP_RULES, *clips.CLIP_RULES),
}


def selection_record(config: BuildConfig, stages: Sequence[StageCounts]) -> dict[str, Any]:
    """`rules`: what each rule removed, see `rule_counts`; `shots` and `reversal` where these stages ran."""
    folder = config.out / "stages"
    ran = {stage.name for stage in stages}
    record: dict[str, Any] = {"rules": rule_counts([stage for stage in stages if stage.name in _RULES], config)}
    if "03c-shots" in ran:
        shots = Stage(folder / "03c-shots", shot_pass.SCHEMA, "shot")
        record["shots"] = shots_in_kept_videos(shots, Stage(folder / "04-clips", clips.SCHEMA, "video"))
    if "03a-reversal" in ran:
        scored = Stage(folder / "03a-reversal", reversal.SCHEMA, "video")
        record["reversal"] = reversal.distribution(list(scored.rows()), config.select.by)
    return record


def rule_counts(stages: Sequence[StageCounts], config: BuildConfig) -> list[dict[str, Any]]:
    """For each rule in the order in which they are looked at: how many of what were there before it and were left behind it."""
    limits = rule_limits(config)
    by_shots = config.clips.method != "uniform" and config.select.signal == "shots"
    rules = []
    for stage in stages:
        before = stage.kept + sum(stage.filtered.values())
        for rule in _RULES[stage.name]:
            if rule in (*COUNT_RULES, *GROUP_RULES) and not by_shots:
                continue
            after = before - stage.filtered.get(rule, 0)
            row = {"stage": stage.name, "rule": rule, "limit": limits[rule], "unit": f"{stage.unit}s"}
            rules.append({**row, "before": before, "after": after})
            before = after
    return rules


def rule_limits(config: BuildConfig) -> dict[str, str]:
    """What each rule asks for, with this config's thresholds."""
    select, shots, groups = config.select, config.clips.shots, config.clips.groups
    return {
        "same_backwards": "shows something else backwards",
        "below_min": f"{select.by} above {select.min:g} nats",
        "beyond_keep": f"among the highest {select.keep:.0%}",
        "shot_too_short": f"at least {shots.min_seconds:g} s",
        "low_contrast": f"grey range of at least {shots.min_grey_range}",
        "too_few_shots": f"at least {shots.min_count} shots",
        "too_many_shots": f"at most {shots.max_count} shots",
        "shot_too_long": f"no shot above {shots.max_seconds:g} s",
        "too_few_groups": f"at least {groups.min_clips} clips after merging (similarity > {groups.threshold:g})",
        "group_share": f"no scene in more than n // {groups.recurrence_divisor} of n clips",
        "group_recurs": f"no scene in more than {groups.max_recurrence} clips",
        "too_few_clips": f"at least {config.clips.min_clips} clips on the view",
        "too_many_clips": f"at most {config.clips.max_clips} clips on the view",
    }


def shots_in_kept_videos(shots: Stage, clipped: Stage) -> dict[str, Any]:
    """Of the videos that have clips: shots found, dropped by reason, and clips after merging."""
    kept: dict[str, int] = {row["video"]: len(row["segments"]) for row in clipped.rows(["video", "segments"])}
    used = [row["video"] for row in shots.rows(["video"]) if row["video"] in kept]
    losses = [loss.reason for loss in shots.rejected() if loss.id.rpartition("#")[0] in kept]
    dropped = dict(sorted(Counter(losses).items()))
    return {"videos": len(kept), "found": len(used) + len(losses), "dropped": dropped, "clips": sum(kept.values())}
