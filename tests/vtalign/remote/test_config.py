import pytest

from vtalign.config import Config, load_config
from vtalign.errors import ConfigError
from vtalign.remote.config import ServerConfig, VideoServerSettings


def test_defaults() -> None:
    config = load_config(ServerConfig, None, ("url=http://localhost:8000/v1/", "model=m"))
    assert (config.url, config.key_env, config.concurrency) == ("http://localhost:8000/v1", "OPENAI_API_KEY", 8)
    assert VideoServerSettings(url="https://example.org/v1").images == "jpeg"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("url=ftp://host/v1", "url: is no http:// or https:// address (got 'ftp://host/v1')"),
        ("url=localhost:8000", "url: is no http:// or https:// address"),
        ("url=http:///v1", "url: is no http:// or https:// address"),
        ("url=http://me:secret@host/v1", "a key belongs into the environment variable that key_env names"),
        ("url=http://host/v1?key=1", "holds more than an address"),
        ("concurrency=0", "concurrency: Input should be greater than or equal to 1"),
        ("timeout_s=0", "timeout_s: Input should be greater than 0"),
        ("key=sk-1", "key: unknown key (known: url, key_env"),
        ("model=", "model: Input should be a valid string"),
    ],
)
def test_wrong_settings_are_one_line(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_config(ServerConfig, None, ("url=http://localhost/v1", "model=m", override))
    assert message in str(error.value) and "\n" not in str(error.value)


class Asking(Config):
    server: VideoServerSettings


@pytest.mark.parametrize("key", ["server.url", "server"])
@pytest.mark.parametrize(
    "address",
    [
        "http://me:hunter2@host/v1",
        "http://host/v1?api_key=hunter2",
        "http://host/v1#hunter2",
        "me:hunter2@host/v1",
        "ftp://me:hunter2@host/v1",
        "http://[me:hunter2@host/v1",
        "http://me:hunter2@host\u2100/v1",
    ],
)
def test_a_secret_in_an_address_is_not_told(address: str, key: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_config(Asking, None, (f"{key}='{address}'",))
    assert "hunter2" not in str(error.value) and f"{key}: " in str(error.value)
