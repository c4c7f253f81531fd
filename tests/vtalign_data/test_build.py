import io
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest
import yaml

from vtalign.artifacts import hold_run_folder
from vtalign.errors import InputError, RunFailed
from vtalign.models.load import load_video_lm
from vtalign.preference.schema import read_pairs
from vtalign.video.perturb import PerturbationSpec, perturb
from vtalign_data.build import run_build
from vtalign_data.progress import ConsoleProgress
from vtalign_data.stage import Stage
from vtalign_data.summary import BuildSummary


def rows_of(run: Path) -> dict[str, list[str]]:
    """Sorted rows of every stage and of the pairs, as text."""
    import pyarrow.parquet as pq

    folders = [*sorted((run / "stages").iterdir()), run / "pairs"]
    rows = {}
    for folder in folders:
        found = [row for part in sorted(folder.glob("*.parquet")) for row in pq.read_table(part).to_pylist()]
        rows[folder.name] = sorted(json.dumps(row, sort_keys=True) for row in found)
        if (folder / "rejected.jsonl").exists():
            rows[f"{folder.name} rejected"] = sorted((folder / "rejected.jsonl").read_text().splitlines())
    return rows


def test_one_bad_video_costs_one_line(built: BuildSummary, stage_of: Callable[[str], Stage]) -> None:
    losses = {loss.id: (loss.outcome, loss.reason) for loss in stage_of("ingest").rejected()}
    assert losses == {
        "a_text.mp4": ("failed", "not_a_video"),
        "b_cut.mp4": ("failed", losses["b_cut.mp4"][1]),
        "c_empty.mp4": ("failed", losses["c_empty.mp4"][1]),
        "zz_copy.mp4": ("filtered", "duplicate"),
    }
    assert stage_of("ingest").counts().kept == 10


def test_every_stage_accounts_for_its_input(built: BuildSummary, stage_of: Callable[[str], Stage]) -> None:
    counts = {stage.name.split("-")[1]: stage for stage in built.stages}
    assert counts["scan"].kept == 14 == counts["ingest"].kept + counts["ingest"].lost
    assert counts["views"].kept == counts["clips"].kept + counts["clips"].lost
    assert counts["perturbations"].kept + counts["perturbations"].lost == 3 * counts["clips"].kept
    assert counts["responses"].kept == counts["filter"].kept + counts["filter"].lost
    assert counts["filter"].kept == counts["balance"].kept + counts["balance"].lost
    assert counts["balance"].kept == counts["score"].kept + counts["score"].lost
    assert counts["score"].kept == counts["select"].kept + counts["select"].lost == built.pairs > 0
    assert counts["score"].lost == counts["select"].lost == 0, "by default all that was scored stays"


def test_every_record_carries_its_parents(built: BuildSummary, stage_of: Callable[[str], Stage]) -> None:
    videos = {row["video_id"] for row in stage_of("ingest").rows()}
    views = {row["view_id"]: row["video_id"] for row in stage_of("views").rows()}
    requests = {row["request_id"]: row for row in stage_of("captions").rows()}
    assert set(views.values()) == videos
    assert all(views[row["view_id"]] == row["video_id"] for row in requests.values())
    for pair in read_pairs(built.pairs_folder):
        assert views[pair.view_id] == pair.video_id and pair.view.view_id == pair.view_id
        for request in (*pair.chosen_requests, *pair.rejected_requests):
            assert requests[request]["view_id"] == pair.view_id


def test_each_clip_is_described_once(stage_of: Callable[[str], Stage]) -> None:
    rows = list(stage_of("captions").rows())
    assert len({(row["view_id"], row["clip_view_id"]) for row in rows}) == len(rows)


def test_pairs_can_be_traced_and_trained_on(built: BuildSummary, stage_of: Callable[[str], Stage], tiny_checkpoint: Path) -> None:
    model = load_video_lm(tiny_checkpoint)
    segments = {
        row["view_id"]: tuple((bound["start"], bound["stop"]) for bound in row["segments"]) for row in stage_of("clips").rows()
    }
    pairs = read_pairs(built.pairs_folder)
    assert len(pairs) == built.pairs and {pair.kind for pair in pairs} == set(built.by_kind)
    for pair in pairs:
        assert pair.fingerprint == model.fingerprint == built.fingerprint
        assert pair.sampling is not None and pair.sampling["policy"] == model.policy.model_dump(mode="json")
        applied = pair.perturbation
        assert applied is not None and pair.difficulty == 1 / applied.strength
        spec = PerturbationSpec.model_validate(applied.parameters["spec"])
        again = perturb(pair.view, spec, segments=segments[pair.view_id], seed=applied.seed)
        assert again.view == pair.perturbed_view
        scores, tokens = pair.scores, pair.token_logps
        assert scores is not None and scores.logp_chosen < 0 and scores.logp_chosen_perturbed is not None
        assert scores.divergence is not None and 0 < scores.divergence < math.log(2)
        assert scores.first_token_kl is not None and scores.first_token_kl >= 0 and scores.ches is not None
        assert tokens is not None and sum(tokens.chosen) == pytest.approx(scores.logp_chosen, abs=1e-4)
        assert sum(tokens.rejected) == pytest.approx(scores.logp_rejected, abs=1e-4)
        assert pair.source == ("self" if pair.kind == "response" else "text")


def test_pairs_load_with_datasets(built: BuildSummary, tmp_path: Path) -> None:
    loaded = datasets.load_dataset("parquet", data_dir=str(built.pairs_folder), split="train", cache_dir=str(tmp_path))
    assert len(loaded) == built.pairs


def test_lengths_do_not_tell(built: BuildSummary) -> None:
    after = built.lengths["after"]
    assert after["accuracy"] <= 0.55 and after["pairs"] == built.pairs


def test_the_summary_is_kept_and_the_table_names_the_reasons(built: BuildSummary) -> None:
    from rich.console import Console

    kept = json.loads((built.out / "summary.json").read_text())
    assert kept["pairs"] == built.pairs and kept["stages"][1]["filtered"] == {"duplicate": 1}
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(built.table())
    text = console.export_text()
    assert "duplicate" in text and "not_a_video" in text and "11-select" in text
    record = yaml.safe_load((built.out / "run.yaml").read_text())
    assert record["config"]["seed"] == 0 and set(record["versions"]) >= {"torch", "transformers", "av", "vtalign"}


def test_running_again_changes_nothing(built: BuildSummary, make_config) -> None:
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in built.out.rglob("*.parquet")}
    torn = [built.out / ".run.yaml.0123.partial", built.out / "text" / ".sft.jsonl.4567.partial"]  # by a kill
    torn[1].parent.mkdir(exist_ok=True)
    for path in torn:
        path.touch()
    again = run_build(make_config(built.out))
    assert not any(path.exists() for path in torn)
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in built.out.rglob("*.parquet")} == before
    assert {**again.to_dict(), "seconds": 0} == {**built.to_dict(), "seconds": 0}


@pytest.mark.slow
def test_any_number_of_workers_gives_the_same_rows(built: BuildSummary, make_config, tmp_path: Path) -> None:
    run_build(make_config(tmp_path / "run", workers=3, frame_cache=tmp_path / "cache"))
    assert rows_of(tmp_path / "run") == rows_of(built.out)


@pytest.mark.slow
def test_another_seed_asks_otherwise(built: BuildSummary, make_config, tmp_path: Path) -> None:
    run_build(make_config(tmp_path / "run", seed=5))
    assert rows_of(tmp_path / "run")["02-ingest"] == rows_of(built.out)["02-ingest"]
    assert rows_of(tmp_path / "run")["pairs"] != rows_of(built.out)["pairs"]


@pytest.mark.slow
def test_the_model_can_merge_the_descriptions(make_config, tmp_path: Path) -> None:
    summary = run_build(make_config(tmp_path / "run", composer={"method": "model", "max_new_tokens": 8}))
    assert summary.by_kind["response"] > 0


@pytest.mark.slow
def test_decord_is_compared_with_pyav(make_config, tmp_path: Path, capsys) -> None:
    pytest.importorskip("decord")
    with ConsoleProgress() as progress:
        summary = run_build(make_config(tmp_path / "run", reader="decord"), progress)
    assert summary.pairs > 0
    assert "a_text.mp4: not_a_video" in capsys.readouterr().err


def folder_with(tmp_path: Path, *names: str) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in names:
        (folder / name).write_text(f"{name} is no video")
    return folder


def expect(error: type[Exception], config, said: str) -> None:
    with pytest.raises(error) as raised:
        run_build(config)
    assert said in str(raised.value) and "\n" not in str(raised.value)


def test_bad_input_is_one_line_and_leaves_nothing_behind(make_config, tmp_path: Path) -> None:
    out = tmp_path / "out"
    expect(InputError, make_config(out, videos=tmp_path / "nowhere"), "no such folder of videos")
    expect(InputError, make_config(out, videos=folder_with(tmp_path)), "no videos in this folder")
    expect(InputError, make_config(out, model=str(tmp_path / "no-model")), "no-model: no such model folder")
    assert not out.exists()
    (tmp_path / "empty_model").mkdir()
    expect(InputError, make_config(out, model=str(tmp_path / "empty_model")), "no model in this folder")
    assert not out.exists()


def test_out_folders_that_cannot_be_used(make_config, built: BuildSummary, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    expect(InputError, make_config(tmp_path / "file" / "out"), "cannot write there")
    expect(InputError, make_config(Path("/proc/out")), "cannot write there")
    expect(InputError, make_config(built.out, seed=9), "holds another run (config.seed: 0 there, 9 asked)")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("")
    expect(InputError, make_config(tmp_path / "mine"), "not empty and holds no run")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def test_one_build_at_a_time_in_a_folder(make_config, built: BuildSummary) -> None:
    unfinished = built.out / ".summary.json.01234567.partial"  # that the other one writes
    unfinished.write_text("{")
    with hold_run_folder(built.out):
        expect(InputError, make_config(built.out), "another process works in this folder")
        assert unfinished.exists()
    unfinished.unlink()
    assert run_build(make_config(built.out)).pairs == built.pairs


def test_no_pairs_left_names_the_rule(make_config, troubled_videos: Path, tmp_path: Path) -> None:
    broken = folder_with(tmp_path, "a.mp4", "b.mp4")
    expect(RunFailed, make_config(tmp_path / "1", videos=broken), "02-ingest lost 2 of 2 videos to 'not_a_video'")
    never = {"method": "uniform", "seconds": 60.0}
    expect(RunFailed, make_config(tmp_path / "2", clips=never), "04-clips lost 10 of 14 videos to 'too_few_clips'")
    strict = make_config(tmp_path / "3", filters={"placeholders": [" "]})
    expect(RunFailed, strict, "to 'placeholder'")
    # and it says so again, without working again
    expect(RunFailed, strict, "to 'placeholder'")


def test_changed_videos_are_noticed_when_a_run_goes_on(make_config, troubled_videos: Path, tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    shutil.copytree(troubled_videos, videos)
    config = make_config(tmp_path / "run", videos=videos, clips={"method": "uniform", "seconds": 60.0})
    with pytest.raises(RunFailed):
        run_build(config)
    shutil.copy(videos / "a_text.mp4", videos / "new.mp4")
    expect(InputError, config, "01-scan: was begun with another input (14 files then, 15 now)")


def test_changed_weights_are_noticed_when_a_run_goes_on(make_config, tiny_checkpoint: Path, tmp_path: Path) -> None:
    import torch

    model = tmp_path / "model"
    shutil.copytree(tiny_checkpoint, model)
    config = make_config(tmp_path / "run", model=str(model))
    run_build(config)
    for folder in ("pairs", "stages/11-select", "stages/10-score"):
        shutil.rmtree(tmp_path / "run" / folder)
    changed = load_video_lm(model)
    with torch.no_grad():
        next(changed.model.parameters()).add_(1.0)
    changed.save(model)
    expect(InputError, config, "was begun with other weights")
