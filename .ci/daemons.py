"""The programs that the scripts beside this one start and leave running, the ports on which
they listen, and the time that they take."""

import contextlib
import pathlib
import socket
import subprocess
import time


def port():
    """A port that nothing listens on, over TCP and UDP."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            with contextlib.suppress(OSError):
                udp.bind(tcp.getsockname())
                return tcp.getsockname()[1]


def wait(what, seconds, true):
    """Waits until true() is, and returns how long that took. what is a text, or makes one."""
    start = time.monotonic()
    while not true():
        if time.monotonic() - start > seconds:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(0.05)
    return time.monotonic() - start


class Daemon:
    """A process whose output goes to a file. ready is a text that it prints, or a function
    that returns true, when it is ready."""

    def __init__(self, folder, name, *command, ready=None, cwd=None, **options):
        self.log = pathlib.Path(folder) / f"{name}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=cwd or folder, **options)
        if ready:
            try:
                wait(lambda: f"{name} is ready: {self.log.read_text()}", 60, ready if callable(ready) else lambda: ready in self.log.read_text())
            except BaseException:
                self.stop()
                raise

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
