"""A file is wholly there or not at all, and errors of the disk read well."""

import errno
import os
import subprocess
import sys

import pytest

from separatrix._core import files
from separatrix.study.files import StoreError, read_json, storing, write_atomic, write_json


def raising(number):
    def call(*arguments, **keywords):
        raise OSError(number, os.strerror(number))

    return call


def test_bytes_come_back_and_replace_older_ones(tmp_path):
    path = tmp_path / "a"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["a"]


def test_permissions_follow_the_umask(tmp_path):
    before = os.umask(0o022)
    try:
        write_atomic(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, call):
    path = tmp_path / "a"
    write_atomic(path, b"old")
    monkeypatch.setattr(files.os, call, raising(errno.ENOSPC))
    with pytest.raises(StoreError, match=r"the disk is full: .*free space and run again; finished cells are kept"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_write_cut_short_by_the_system_leaves_nothing(tmp_path):
    # a real short write: the limit on file size stops it after 1,000 bytes
    code = (
        "import pathlib, resource, signal, sys; from separatrix.study.files import *\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000))\n"
        "try: write_atomic(pathlib.Path(sys.argv[1]), b'x' * 100_000)\n"
        "except StoreError as error: print(error)"
    )
    command = [sys.executable, "-B", "-c", code, str(tmp_path / "a")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "could not be written: File too large" in done.stdout
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_a_place_that_is_not_writable_is_named(tmp_path, monkeypatch, number):
    monkeypatch.setattr("builtins.open", raising(number))
    with pytest.raises(StoreError, match=r"a is not writable; choose another with --store"):
        write_atomic(tmp_path / "a", b"x")


def test_an_interrupt_leaves_no_temporary_file(tmp_path, monkeypatch):
    def interrupt(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "a", b"x")
    assert os.listdir(tmp_path) == []


def test_every_message_is_one_line(tmp_path):
    with pytest.raises(StoreError) as caught, storing(tmp_path):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)


def test_json_is_strict_and_comes_back(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"é": [1, 2.5, None], "limit": float("inf")})
    assert read_json(path) == {"é": [1, 2.5, None], "limit": "inf"}
    assert path.read_text(encoding="utf-8").endswith("}\n")


def test_unreadable_json_is_reported(tmp_path):
    with pytest.raises(StoreError, match="does not exist"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_bytes(b'{"a": ')
    with pytest.raises(StoreError, match="not valid JSON"):
        read_json(tmp_path / "a.json")
    with pytest.raises(StoreError, match="could not be read"):
        read_json(tmp_path)
