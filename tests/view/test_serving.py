"""The command: what it refuses, in one line and with exit code 2."""

import socket

import pytest

from separatrix import cli
from separatrix.view import application


def test_a_port_that_is_taken(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert cli.main(["view", "--port", str(taken.getsockname()[1])]) == 2
    assert "choose another with --port" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"), [(["--host", "0.0.0.0"], "--token"), (["--token", "short"], "at least 12")]
)
def test_a_host_and_token_that_do_not_fit(words, message, capsys):
    assert cli.main(["view", *words]) == 2
    assert message in capsys.readouterr().err


def test_a_missing_package_names_the_extra(capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "uvicorn", None)
    assert cli.main(["view", "--port", "0"]) == 2
    assert "pip install 'separatrix[view]'" in capsys.readouterr().err
    assert application.create_app
