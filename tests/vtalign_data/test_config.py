import pytest

from vtalign.config import load_config
from vtalign.errors import ConfigError
from vtalign.video.sample import FramePolicy
from vtalign_data.config import BuildConfig, FrameOverride

NEEDED = {"videos": "v", "model": "m", "out": "o"}


def load(*overrides: str) -> BuildConfig:
    return load_config(BuildConfig, None, overrides, **NEEDED)


def test_the_shipped_config_is_the_default(project_root) -> None:
    """configs/build.yaml names what a person would change, with the values that they change from."""
    assert load_config(BuildConfig, project_root / "configs" / "build.yaml", (), **NEEDED) == load()


@pytest.mark.parametrize("name", ["temple", "rrpo"])
def test_the_papers_settings_load(project_root, name: str) -> None:
    config = load_config(BuildConfig, project_root / "configs" / "builds" / f"{name}.yaml", (), **NEEDED)
    assert config.sources == {"temple": ("self",), "rrpo": ("annotation",)}[name]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("clip.method=scenes", "clip: unknown key"),
        ("clips.metod=scenes", "clips.metod: unknown key (known: method"),
        ("clips.method=magic", "clips.method: Input should be 'scenes', 'transnetv2' or 'uniform'"),
        ("clips.min_clips=1", "clips.min_clips"),
        ("clips.min_clips=40", "clips: min_clips 40 is above max_clips 32"),
        ("clips.shots.min_count=40", "clips.shots: min_count 40 is above max_count 32"),
        ("clips.groups.encoder=clip", "clips.groups: checkpoint names the image model of encoder clip: give both or neither"),
        ("clips.groups.checkpoint=google/siglip", "clips.groups: checkpoint names the image model"),
        ("clips={method: uniform, frames: sharpest}", "clips: frames: sharpest needs shots"),
        ("select.keep=0", "select.keep"),
        ("composer.middle=then", "composer.middle: 'then' lacks field {0}"),
        ("composer.merge_prompt=merge", "'merge' lacks field {captions}"),
        ("questions.order=['which, {a} or {c} ?']", "'which, {a} or {c} ?' has unknown field {c} (known: {a}, {b})"),
        ("questions.order=['which?']", "lacks field {a}"),
        ("questions.after=[]", "questions.after"),
        ("perturbations=[{name: shuffle, strength: 1}]", "changes nothing; the least is 2"),
        ("perturbations=[{name: drop, strength: 2}, {name: drop, strength: 2}]", "perturbation drop-2 is there twice"),
        ("balance.max_accuracy=0.4", "balance.max_accuracy"),
        ("workers=0", "workers"),
        ("runner.kind=spark", "runner.kind: Input should be 'local' or 'ray'"),
        ("runner.model_workers=0", "runner: model_workers 0: at least 1, or auto"),
        ("runner.address=auto", "runner: address auto is for kind ray"),
        ("runner={kind: ray, address: 'ray://head:10001'}", "expected host:port or auto (run the command on a machine"),
        ("captions.relative_prompt='{clip} ?'", "lacks field {previous}"),
        ("responses.input=frames", "responses.input: Input should be 'caption', 'clip' or 'video'"),
        ("responses.clips_prompt='{clips} {question}'", "unknown field {question} (known: {clips}, {prompt})"),
        ("responses={input: video, samples: 2}", "samples 2 at temperature 0 would all be the same"),
        ("responses.samples=2", "set composer.method to model and composer.temperature"),
        ("server={url: 'http://localhost/v1'}", "server.model: is required"),
        ("server={url: 'http://key@localhost/v1', model: m}", "a key belongs into the environment variable"),
    ],
)
def test_wrong_configs_are_one_line(override: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(override)
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("server=null", "model: is required, unless server names a model that writes"),
        ("score_filters.min_margin=0", "score_filters.min_margin: needs weights, which a server does not give"),
        ("score_filters.drop_top_ches=0.1", "score_filters.drop_top_ches: needs weights"),
        ("select.signal=reversal", "select.signal: reversal: needs weights"),
        ("clips.groups.encoder=model", "clips.groups.encoder: model: needs weights"),
    ],
)
def test_what_needs_weights_says_so_where_a_server_writes_alone(override: str, said: str) -> None:
    alone = ("server={url: 'http://a/v1', model: m}", "score_filters.near_duplicate=0.9")
    assert load_config(BuildConfig, None, alone, videos="v", out="o").writer == "m"
    with pytest.raises(ConfigError) as error:
        load_config(BuildConfig, None, (*alone, override), videos="v", out="o")
    assert said in str(error.value) and "\n" not in str(error.value)


def test_thresholds_of_the_selection_are_temples() -> None:
    """facts of lscpku/TEMPLE, preprocess.py: what `data build` selects by where nothing else is said."""
    shots, groups = load().clips.shots, load().clips.groups
    assert (shots.min_seconds, shots.min_grey_range, shots.max_seconds) == (0.2, 10, 16.0)
    assert (shots.min_count, shots.max_count) == (4, 32)
    assert (groups.threshold, groups.min_clips, groups.recurrence_divisor, groups.max_recurrence) == (0.8, 4, 3, 3)
    assert load().clips.transnetv2_threshold == 0.5


def test_videos_model_and_out_are_required() -> None:
    with pytest.raises(ConfigError, match="videos: is required"):
        load_config(BuildConfig, None)


def test_someone_must_write() -> None:
    with pytest.raises(ConfigError, match="model: is required, unless server names a model that writes"):
        load_config(BuildConfig, None, (), videos="v", out="o")
    server = {"url": "http://localhost:8000/v1", "model": "large"}
    assert load_config(BuildConfig, None, (), videos="v", out="o", server=server).writer == "large"


def test_frame_overrides_keep_the_rest_of_the_models_policy() -> None:
    policy = FramePolicy(fps=2.0, max_pixels=2304, multiple=16)
    assert FrameOverride().apply(policy) == policy
    assert FrameOverride(fps=1.0).apply(policy) == FramePolicy(fps=1.0, max_pixels=2304, multiple=16)
    with pytest.raises(ConfigError, match=r"frames: .*no room"):
        FrameOverride(max_pixels=9).apply(policy)


def test_workers_and_places_do_not_decide_the_result() -> None:
    assert load("workers=1").result_settings() == load("workers=7", "frame_cache=/x").result_settings()
    assert load().result_settings() == load("runner.kind=ray", "runner.address=10.0.0.1:6379").result_settings()
    near, far = (load(f"server={{url: 'http://{host}/v1', model: m, retries: {n}}}") for n, host in enumerate("ab"))
    assert near.result_settings() == far.result_settings() != load().result_settings()
    assert load("seed=1").result_settings() != load("seed=2").result_settings()
    assert load("positions=library").result_settings() != load().result_settings()
