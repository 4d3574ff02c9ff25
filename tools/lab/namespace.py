"""One network namespace: commands, background processes and sockets inside it."""

import contextlib
import ctypes
import os
import socket

from lab.process import SHORTEST_DEADLINE_S, LabError, Process, run
from lab.registry import end_processes

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _setns(descriptor):
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise LabError(f"setns: {os.strerror(error)}; the lab needs root")


class Namespace:
    """Created at once, removed with its run."""

    def __init__(self, owner, role):
        self.role = role
        self.name = f"{owner.name}-{role}"
        self._run = owner
        owner.add_namespace(self.name)
        run(["ip", "netns", "add", self.name])
        self.ip("link set lo up")

    def ip(self, *lines):
        """Lines of `ip` without the word ip, all in one go."""
        run(["ip", "-n", self.name, "-batch", "-"], stdin="\n".join(lines) + "\n")

    def sysctl(self, **values):
        """Keys with dots written as two underscores: net__ipv4__ip_forward=1."""
        settings = [f"{key.replace('__', '.')}={value}" for key, value in values.items()]
        self.run(["sysctl", "-q", "-w", *settings])

    def inside(self, command):
        """The command that runs `command` in this namespace."""
        return ["ip", "netns", "exec", self.name, *command]

    def run(self, command, timeout=SHORTEST_DEADLINE_S, check=True, stdin=None):
        return run(self.inside(command), timeout=timeout, check=check, stdin=stdin)

    def start(self, name, command, **streams):
        """A background process; its log is NAME.log in the run's directory."""
        process = Process(name, self.inside(command), os.path.join(self._run.directory, name + ".log"), **streams)
        self._run.add_process(process)
        return process

    def end_processes(self):
        """Ends everything that runs in it."""
        end_processes([int(pid) for pid in run(["ip", "netns", "pids", self.name]).stdout.split()])

    def forget_connections(self):
        """Ends every TCP connection in it at once. The kernel goes on for minutes with those whose process ended: it
        sends their last data and FINs again."""
        self.run(["ss", "-K", "-Htan", "state", "connected"])

    @contextlib.contextmanager
    def entered(self):
        """The calling thread is in the namespace meanwhile: sockets made here stay in it."""
        with open("/proc/thread-self/ns/net", encoding="ascii") as home, \
             open(f"/run/netns/{self.name}", encoding="ascii") as there:
            _setns(there.fileno())
            try:
                yield
            finally:
                _setns(home.fileno())

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM, protocol=0):
        with self.entered():
            return socket.socket(family, kind, protocol)

    def interfaces(self):
        """Names of the interfaces in it."""
        lines = run(["ip", "-n", self.name, "-oneline", "link", "show"]).stdout.splitlines()
        return [line.split(":")[1].strip().split("@")[0] for line in lines]
