from vtalign.cli.arguments import split_arguments
from vtalign.cli.eval_commands import with_server
from vtalign.config import load_config
from vtalign_eval.config import EvalConfig

URL = "http://127.0.0.1:8000/v1"


def test_the_server_flag_leaves_the_other_settings_of_the_server() -> None:
    arguments = ["model=m", "data=d", "out=o", "server.concurrency=2"]
    config = load_config(EvalConfig, *split_arguments(with_server(arguments, URL)))
    assert config.server is not None and (config.server.url, config.server.concurrency) == (URL, 2)


def test_without_the_flag_nothing_changes() -> None:
    assert with_server(None, None) == [] and with_server(["a=1"], None) == ["a=1"]
    assert with_server(None, URL) == [f"server.url={URL}"]
