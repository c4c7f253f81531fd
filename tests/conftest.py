"""Fixtures that several test folders share, and the rule that continuous integration skips nothing."""

import os
import random
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from .chat_servers import ChatEcho, FaultProxy

# No deadline: how long an example takes says more about the machine than about the code. The same examples every time.
settings.register_profile("vtalign", deadline=None, derandomize=True)
settings.load_profile("vtalign")

# Ray gives way to all other processes by default: beside a second test process on two cores it would hardly run.
os.environ.setdefault("RAY_worker_niceness", "0")

NO_SKIP = os.environ.get("VTALIGN_NO_SKIP") == "1"


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The checkout."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data(project_root: Path) -> Path:
    """Real clips and TempCompass files beside the checkout; tests that need them skip where they are absent."""
    folder = project_root.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data (real clips and TempCompass files), which is not here")
    return folder


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random tiny video LLM whose weights are large enough (initializer range 0.07) that errors show in its numbers."""
    from vtalign.cli.base_text import sentences
    from vtalign.models.tiny import build_tiny, save_tiny

    folder = tmp_path_factory.mktemp("tiny")
    model, processor = build_tiny(sentences(random.Random(0), stories=150))
    save_tiny(model, processor, folder)
    return folder


@pytest.fixture(scope="session")
def parrot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A judge on disk that says `Correct` whatever it is asked."""
    from .small_judges import save_parrot

    return save_parrot(tmp_path_factory.mktemp("judges") / "parrot")


@pytest.fixture(scope="session")
def babbler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A judge on disk with random weights, whose replies are no verdicts."""
    from .small_judges import save_babbler

    return save_babbler(tmp_path_factory.mktemp("judges") / "babbler")


@pytest.fixture(scope="session")
def small_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A written synthetic corpus: 16 training videos, 4 validation and 12 held-out families."""
    from vtalign_data.synth import write_corpus

    folder = tmp_path_factory.mktemp("corpus") / "synth"
    write_corpus(folder, videos=16, seed=0)
    return folder


@pytest.fixture
def chat_echo() -> Iterator[Callable[..., "ChatEcho"]]:
    """(key, longest prompt) -> a running chat server that answers at once."""
    from .chat_servers import ChatEcho

    with ExitStack() as servers:
        yield lambda *args, **changes: servers.enter_context(ChatEcho(*args, **changes))


@pytest.fixture
def fault_proxy() -> Iterator[Callable[..., "FaultProxy"]]:
    """(upstream URL, share of requests that fail, seed, faults) -> a running proxy that fails on purpose."""
    from .chat_servers import FaultProxy

    with ExitStack() as servers:
        yield lambda *args, **changes: servers.enter_context(FaultProxy(*args, **changes))


@pytest.fixture(scope="session")
def served_checkpoint(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of `transformers serve` on the tiny checkpoint; the model's name there is its folder."""
    from .chat_servers import transformers_serve

    with transformers_serve(tiny_checkpoint, tmp_path_factory.mktemp("serve") / "log.txt") as url:
        yield url


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With VTALIGN_NO_SKIP=1 a test that skips is a test that failed (an expected failure stays one)."""
    report = yield
    if NO_SKIP and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be skipped (VTALIGN_NO_SKIP=1): {call.excinfo and call.excinfo.value}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole file that skips while it is collected."""
    report = yield
    if NO_SKIP and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid}: skipped where nothing may be skipped (VTALIGN_NO_SKIP=1): {report.longrepr}"
    return report
