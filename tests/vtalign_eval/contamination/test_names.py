import pytest

from vtalign_eval.contamination.names import source_names


@pytest.mark.parametrize(
    ("benchmark", "training"),
    [
        ("videos/1077146132_reverse.mp4", "raw/1077146132.webm"),
        ("1077146132_concat_2.mp4", "1077146132.mp4"),
        ("315784_reverse.mp4", "315784.mp4"),
        ("8307961_concat_0.mp4", "8307961_reverse.mp4"),
        ("1077146132_1093573255_1.mp4", "x/1093573255.mp4"),
        ("a/clip.mp4", "b/clip.mkv"),
    ],
)
def test_the_same_source(benchmark: str, training: str) -> None:
    assert source_names(benchmark) & source_names(training)


@pytest.mark.parametrize(
    ("benchmark", "training"),
    [
        ("train_0001.mp4", "test_0001.mp4"),
        ("0001_reverse.mp4", "0001.mp4"),
        ("train_315784.mp4", "test_315784.mp4"),
        ("a_reverse.mp4", "b_reverse.mp4"),
    ],
)
def test_counters_and_suffixes_are_no_source(benchmark: str, training: str) -> None:
    assert not source_names(benchmark) & source_names(training)
