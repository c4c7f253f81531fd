import pytest

from vtalign.errors import InputError
from vtalign.launch import join_ranks, sharding_asked_for


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda:1"])
def test_a_process_of_its_own_waits_for_nobody_and_keeps_its_device(device: str) -> None:
    ranks = join_ranks(device)
    ranks.wait()
    assert (ranks.index, ranks.count, ranks.device, ranks.is_main) == (0, 1, device, True)


@pytest.mark.parametrize(("name", "sharding"), [("FSDP", "fsdp"), ("DEEPSPEED", "deepspeed")])
def test_a_launch_that_spreads_weights_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, sharding: str) -> None:
    assert sharding_asked_for() is None
    monkeypatch.setenv(f"ACCELERATE_USE_{name}", "true")
    assert sharding_asked_for() == sharding
    with pytest.raises(InputError, match=f"this launch asks for {sharding}, but every process holds the whole model"):
        join_ranks("cpu")


def test_one_device_for_several_processes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(InputError, match="device 'cuda:1': is one device for several processes"):
        join_ranks("cuda:1")
