"""One owner at a time, and no lock outlives its owner."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from separatrix.study import locks
from separatrix.study.locks import CellLock, mutex

WORKER = """
import sys
from pathlib import Path
from separatrix.study.locks import CellLock
lock = CellLock(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
print(lock.try_acquire(), flush=True)
sys.stdin.readline()
"""


class Worker:
    """Another process that tries for the lock when told, and then holds on to what it got."""

    def __init__(self, path):
        command = [sys.executable, "-c", WORKER, str(path)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def go(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def won(self):
        return self.process.stdout.readline() == "True\n"

    def kill(self, reap=True):
        self.process.send_signal(signal.SIGKILL)
        if reap:
            self.process.communicate()


@pytest.fixture
def workers():
    made = []

    def make(path):
        made.append(Worker(path))
        return made[-1]

    yield make
    for worker in made:
        worker.kill()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "locks" / "cell.json"


def test_a_lock_is_held_once_and_given_back(path):
    first, second = CellLock(path), CellLock(path)
    assert first.try_acquire()
    assert not second.try_acquire()
    assert not first.try_acquire()
    owner = second.owner()
    assert owner is not None
    assert owner["pid"] == os.getpid()
    second.release()  # not its to give back
    assert first.owner() is not None
    first.release()
    assert first.owner() is None
    assert second.try_acquire()
    second.release()


def test_with_says_whether_the_lock_is_ours(path):
    with CellLock(path) as mine, CellLock(path) as other:
        assert mine
        assert not other
    assert CellLock(path).owner() is None


def test_a_living_process_keeps_its_lock_even_if_it_is_stopped(path, workers):
    worker = workers(path)
    worker.go()
    assert worker.won()
    worker.process.send_signal(signal.SIGSTOP)
    os.utime(path, (0, 0))  # its heart does not beat either
    assert not CellLock(path).try_acquire()


@pytest.mark.parametrize("reap", [True, False], ids=["gone", "zombie"])
def test_a_killed_owner_loses_its_lock_at_once(path, workers, reap):
    worker = workers(path)
    worker.go()
    assert worker.won()
    worker.kill(reap)
    mine = CellLock(path)
    deadline = time.monotonic() + 10
    while not mine.try_acquire():
        assert time.monotonic() < deadline
    assert mine.owner()["pid"] == os.getpid()
    mine.release()


@pytest.mark.parametrize("dead_owner", [False, True], ids=["free", "abandoned"])
def test_of_racing_processes_exactly_one_wins(path, workers, dead_owner):
    if dead_owner:
        victim = workers(path)
        victim.go()
        assert victim.won()
        victim.kill()
    racers = [workers(path) for _ in range(5)]
    for racer in racers:
        racer.go()
    assert sum(racer.won() for racer in racers) == 1


def test_of_racing_threads_exactly_one_wins(path):
    contenders = [CellLock(path) for _ in range(8)]
    wins = []
    threads = [threading.Thread(target=lambda lock=lock: wins.append(lock.try_acquire())) for lock in contenders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wins.count(True) == 1
    for lock in contenders:
        lock.release()


def write_owner(path, age=0.0, **changes):
    path.parent.mkdir(parents=True, exist_ok=True)
    here = {**locks._here(), "pid": os.getpid(), "started": locks._started(os.getpid()), "token": "x"}
    path.write_text(json.dumps({**here, **changes}))
    os.utime(path, (time.time() - age, time.time() - age))


@pytest.mark.parametrize(
    ("owner", "age", "dead"),
    [
        ({}, 1_000, False),
        ({"started": "1"}, 0, True),  # the pid was given to another process
        ({"boot": "before"}, 0, True),
        ({"host": "elsewhere", "pid": 1}, 0, False),
        ({"host": "elsewhere", "pid": 1}, 59, False),
        ({"host": "elsewhere"}, 61, True),
        ({"namespace": "pid:[1]", "pid": 999_999_999}, 0, False),  # another container of this machine
        ({"namespace": "pid:[1]"}, 61, True),
        ({"boot": "", "started": ""}, 0, False),  # a system without /proc
        ({"boot": "", "started": ""}, 61, True),
    ],
)
def test_who_counts_as_dead(path, owner, age, dead):
    write_owner(path, age, **owner)
    lock = CellLock(path)
    assert lock.try_acquire() is dead
    lock.release()


@pytest.mark.parametrize("content", ["", "[]", '{"pid": '])
def test_an_unreadable_lock_waits_for_its_heartbeat_to_end(path, content):
    path.parent.mkdir()
    path.write_text(content)
    assert not CellLock(path).try_acquire()
    os.utime(path, (time.time() - 61, time.time() - 61))
    lock = CellLock(path)
    assert lock.try_acquire()
    lock.release()


def test_the_heart_beats_while_held_and_stops_when_taken_over(path, monkeypatch):
    monkeypatch.setattr(locks, "HEARTBEAT_SECONDS", 0.02)
    lock = CellLock(path)
    assert lock.try_acquire()
    os.utime(path, (0, 0))
    deadline = time.monotonic() + 10
    while path.stat().st_mtime == 0:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    write_owner(path, token="another")
    time.sleep(0.1)
    os.utime(path, (0, 0))
    time.sleep(0.1)
    assert path.stat().st_mtime == 0
    lock.release()
    assert lock.owner()["token"] == "another"


def test_the_mutex_excludes_threads(tmp_path):
    counter = [0]

    def work():
        for _ in range(50):
            with mutex(tmp_path):
                value = counter[0]
                time.sleep(0)
                counter[0] = value + 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter == [200]


def test_without_fcntl_the_mutex_still_excludes_threads(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "fcntl", None)
    test_the_mutex_excludes_threads(tmp_path)
