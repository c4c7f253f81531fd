from pathlib import Path

from vtalign_data import clips, shot_pass
from vtalign_data.config import BuildConfig
from vtalign_data.groups import GROUP_RULES
from vtalign_data.shots import COUNT_RULES, SHOT_RULES
from vtalign_data.stage import BatchResult, Rejected, Stage, StageCounts
from vtalign_data.video_selection_report import rule_counts, rule_limits, shots_in_kept_videos


def config(**settings: object) -> BuildConfig:
    return BuildConfig.model_validate({"videos": "v", "model": "m", "out": "o", **settings})


def test_each_rule_is_told_with_what_was_there_before_and_after() -> None:
    shots = StageCounts("03c-shots", "shot", 50, {"low_contrast": 3, "shot_too_short": 7}, {"corrupt": 1})
    clipped = StageCounts("04-clips", "video", 4, {"group_share": 2, "too_few_shots": 5}, {})
    told = {row["rule"]: row for row in rule_counts([shots, clipped], config())}
    assert list(told) == [*SHOT_RULES, *COUNT_RULES, *GROUP_RULES, *clips.CLIP_RULES]
    assert (told["shot_too_short"]["before"], told["shot_too_short"]["after"]) == (60, 53)  # what could not be read is no shot
    assert (told["low_contrast"]["before"], told["low_contrast"]["after"]) == (53, 50)
    assert (told["too_few_shots"]["before"], told["too_few_shots"]["after"]) == (11, 6)
    assert (told["group_share"]["before"], told["group_share"]["after"]) == (6, 4)
    assert told["too_many_clips"] == {
        **{"stage": "04-clips", "rule": "too_many_clips", "unit": "videos", "before": 4, "after": 4},
        "limit": "at most 32 clips on the view",
    }


def test_rules_that_were_not_applied_are_not_told() -> None:
    clipped = StageCounts("04-clips", "video", 4, {"too_few_clips": 5}, {})
    for settings in ({"clips": {"method": "uniform"}}, {"select": {"signal": "reversal"}}):
        assert [row["rule"] for row in rule_counts([clipped], config(**settings))] == list(clips.CLIP_RULES)


def test_limits_are_those_of_the_config() -> None:
    assert rule_limits(config())["shot_too_short"] == "at least 0.2 s"
    assert rule_limits(config(clips={"shots": {"min_seconds": 1}}))["shot_too_short"] == "at least 1 s"


def test_shots_dropped_inside_kept_videos(tmp_path: Path) -> None:
    def written(name: str, schema, rows, rejected) -> Stage:
        stage = Stage(tmp_path / name, schema, "thing")
        stage.run(["all"], str, lambda _: BatchResult(rows, rejected), batch_size=None)
        return stage

    kept = [{"video": video} for video in ("a#1.mp4", "a#1.mp4", "b.mp4")]
    lost = [Rejected(name, "filtered", "low_contrast") for name in ("a#1.mp4#2", "b.mp4#0")]
    shots = written("shots", shot_pass.SCHEMA, kept, lost)
    clipped = written("clips", clips.SCHEMA, [{"video": "a#1.mp4", "segments": [{"start": 0, "stop": 2}] * 2}], [])
    assert shots_in_kept_videos(shots, clipped) == {"videos": 1, "found": 3, "dropped": {"low_contrast": 1}, "clips": 2}
