import pytest

from vtalign.config import load_config
from vtalign.errors import ConfigError
from vtalign_data.config import BuildConfig

REQUIRED = ["videos=v", "model=m", "out=o"]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("columns.question=q", "question and answer go together"),
        ("columns.options=o", "options need question and answer"),
        ("columns.id=i", "id is kept with captions and questions"),
        ("extensions=[a/b]", "is no file extension"),
        ("limit=0", "limit"),
        ("ingest.check=some", "ingest.check"),
        ("ingest.near_duplicates.max_distance=9", "max_distance"),
    ],
)
def test_wrong_settings_are_one_line(override: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_config(BuildConfig, None, [*REQUIRED, override])
    assert said in str(error.value) and "\n" not in str(error.value)


def test_limits_that_leave_nothing() -> None:
    with pytest.raises(ConfigError, match=r"min_side 9 is above max_side 8"):
        load_config(BuildConfig, None, [*REQUIRED, "ingest.min_side=9", "ingest.max_side=8"])


def test_what_the_columns_name() -> None:
    overrides = ["columns.question=q", "columns.answer=a", "columns.options=[a0,a1]", "extensions=[MP4,.webm]"]
    config = load_config(BuildConfig, None, [*REQUIRED, *overrides])
    assert config.columns.named == ("video", "q", "a", "a0", "a1") and config.columns.has_annotations
    assert config.extensions == (".mp4", ".webm")
    assert not load_config(BuildConfig, None, REQUIRED).columns.has_annotations
