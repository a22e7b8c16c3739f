"""`python -m` without its imports: a warm process forks a child for every stage that `dvc repro` starts in tests.

LAUNCH="python tests/warm.py <socket>" makes a stage's command a client, which hands its folder, environment and
open files to the server and waits for the exit code. The server holds packages alone, not a line of this repository, so
that a child runs the code of the folder that it is in. Half a second then stands for five of torch and diffusers.
Forking is sound because the server has one thread and never computes; it is asked before every fork.

Tests that kill stages, or mean an interpreter of a stage's own, start `python` itself.
"""

import contextlib
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
from typing import Any, TextIO

LENGTH = 8  # bytes that say how long a message is
OWN = {"src", "stages", "commands", "benchmarks", "tests", "__main__", "__mp_main__"}


def serve(path: str) -> None:
    """Run what clients ask for until this process is ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no child is waited for
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    waiting: list[Any] = [listener]
    while True:
        for ready in select.select(waiting, [], [])[0]:
            if ready is listener:
                waiting.append(fork(listener))
                continue
            with ready:  # a child's end
                names = ready.read().split()
            waiting.remove(ready)
            for name in names:  # for the children to come
                with contextlib.suppress(Exception):  # there are modules that cannot be had by their names
                    importlib.import_module(name)


def fork(listener: socket.socket) -> TextIO:
    """A child for the next client; at its end it says there what it has imported."""
    client, _ = listener.accept()
    assert len(os.listdir("/proc/self/task")) == 1, "this process has threads, which no fork survives"
    ours, theirs = os.pipe()
    if os.fork() == 0:
        listener.close()
        os.close(ours)
        run(client, theirs)
    client.close()
    os.close(theirs)
    return open(ours)


def run(client: socket.socket, news: int) -> None:
    """Be the process that the client stands for, and leave without returning. news: gets what was imported."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    before, code = set(sys.modules), 1
    try:
        head, files, *_ = socket.recv_fds(client, LENGTH, 3)
        with client.makefile("rb") as stream:
            request = json.loads(stream.read(int.from_bytes(head, "big")))
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        _, module, *sys.argv[1:] = request["command"]
        sys.path[0] = os.getcwd()
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        client.sendall(b"%d" % code)
        names = [name for name in sys.modules if name not in before and name.split(".")[0] not in OWN]
        os.write(news, "\n".join(names).encode())
        os._exit(0)


def ask(path: str, command: list[str]) -> int:
    """Run `command` as the server's child with this process's folder, environment and open files; its exit code."""
    request = {"folder": os.getcwd(), "environment": dict(os.environ), "command": command}
    data = json.dumps(request).encode()
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(path)
        socket.send_fds(server, [len(data).to_bytes(LENGTH, "big")], [0, 1, 2])
        server.sendall(data)
        return int(server.recv(LENGTH) or b"1")


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        serve(sys.argv[2])
    else:
        sys.exit(ask(sys.argv[1], sys.argv[2:]))
