"""The whole lab as a context manager: with Lab(...) as lab: ..."""

import os
import signal

from lab import registry
from lab.backends import Backends
from lab.director import Director
from lab.leftovers import machine_interfaces
from lab.network import Network
from lab.process import LabError, run, session_members
from lab.stop import stop_by_exception

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def default_binaries():
    """SLUICE_BINARIES, else the release build."""
    return os.environ.get("SLUICE_BINARIES", os.path.join(ROOT, "build", "release", "bin"))


class Lab:
    """Network, backends and director of one run. Leaving the context removes all of it, whatever happened."""

    def __init__(self, backend_count=4, binaries=None, udp=False, tunnels=False, agent_options=()):
        if os.geteuid() != 0:
            raise LabError("the lab needs root: it makes network namespaces")
        stop_by_exception()
        registry.remove_abandoned()
        self._interfaces = machine_interfaces()
        self.run = registry.Run.create()
        try:
            self.network = Network(self.run, backend_count)
            binaries = binaries or default_binaries()
            self.backends = Backends(self.run, self.network, binaries)
            self.backends.start_nginx()
            if udp:
                self.backends.start_udp()
            if tunnels:
                self.backends.accept_tunnels(agent_options)
            self.director = Director(self.run, self.network.director, binaries)
        except BaseException:
            self.remove()
            raise
        self.client = self.network.client

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if not self.run.kept:
            self.remove()

    def remove(self):
        """Ends every process and removes every namespace; a second Ctrl-C does not interrupt it."""
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
        try:
            self.run.remove()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def forget_connections(self):
        """Neither client nor backends know of a connection any more: the next sluiced sees none of the last one's."""
        for namespace in (self.client, *self.network.backends.values()):
            namespace.forget_connections()

    def remains(self):
        """What there still is of a removed lab; to be empty."""
        namespaces = run(["ip", "netns", "list"]).stdout.split()
        left = [f"namespace {name}" for name in self.run.namespaces if name in namespaces]
        left += [f"process {pid}" for first, _ in self.run.processes for pid in session_members(first)]
        left += [f"interface {name}" for name in sorted(machine_interfaces() - self._interfaces)]
        left += [f"directory {self.run.directory}"] if os.path.exists(self.run.directory) else []
        return left
