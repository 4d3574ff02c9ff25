"""What a run of the lab created, on disk.

Each run has a file in /run/sluice-lab. A run removes its things and its file at its end; what a killed run left is
found by its file and removed when the next run begins. Processes are known by pid and start time, never by name.
"""

import fcntl
import json
import os
import shutil
import signal
import time

from lab.process import run, session_members, start_ticks

DIRECTORY = "/run/sluice-lab"


class Run:
    """The things of one run. Namespaces are written down before they are created, processes right after."""

    def __init__(self, name, state):
        self.name = name
        self._state = state
        self._children = []

    @classmethod
    def create(cls):
        """A new run with a unique name and an empty directory of its own."""
        os.makedirs(DIRECTORY, exist_ok=True)
        for suffix in ["", *(f"x{n}" for n in range(1, 100))]:
            name = f"slab{os.getpid()}{suffix}"
            if not os.path.exists(_path(name)):
                break
        me = os.getpid()
        new = cls(name, {"owner": [me, start_ticks(me)], "kept": False, "namespaces": [], "processes": [],
                         "directory": os.path.join(DIRECTORY, name)})
        new._write()
        os.makedirs(new.directory, exist_ok=True)
        return new

    @property
    def directory(self):
        return self._state["directory"]

    @property
    def kept(self):
        return self._state["kept"]

    @property
    def namespaces(self):
        return list(self._state["namespaces"])

    @property
    def processes(self):
        return list(self._state["processes"])

    def add_namespace(self, name):
        self._state["namespaces"].append(name)
        self._write()

    def add_process(self, process):
        """A process.Process that was just started."""
        self._state["processes"].append([process.pid, start_ticks(process.pid)])
        self._children.append(process)
        self._write()

    def keep(self):
        """From now on only `tools/demo --clean` removes this run."""
        self._state["kept"] = True
        self._write()

    def abandoned(self):
        pid, ticks = self._state["owner"]
        return not self.kept and start_ticks(pid) != ticks

    def remove(self):
        """Ends its processes, removes namespaces (with the interfaces inside), directory and file. Idempotent."""
        existing = [name for name in run(["ip", "netns", "list"]).stdout.split() if name in self._state["namespaces"]]
        pids = [member for pid, ticks in self._state["processes"] for member in _session(pid, ticks)]
        for namespace in existing:
            pids += [int(pid) for pid in run(["ip", "netns", "pids", namespace]).stdout.split()]
        end_processes(set(pids))
        for child in self._children:
            child.popen.poll()
        for namespace in existing:
            run(["ip", "netns", "del", namespace])
        shutil.rmtree(self.directory, ignore_errors=True)
        if os.path.exists(_path(self.name)):
            os.unlink(_path(self.name))

    def _write(self):
        path = _path(self.name)
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(self._state, file)
        os.rename(path + ".new", path)


def runs():
    """All runs that have a file."""
    found = []
    if os.path.isdir(DIRECTORY):
        for entry in sorted(os.listdir(DIRECTORY)):
            if entry.endswith(".json"):
                try:
                    with open(os.path.join(DIRECTORY, entry), encoding="utf-8") as file:
                        found.append(Run(entry[:-len(".json")], json.load(file)))
                except FileNotFoundError:
                    continue  # its owner removed it this moment
    return found


def remove_abandoned():
    """Removes what killed runs left behind; returns their names. Two runs that begin together do not do it twice."""
    os.makedirs(DIRECTORY, exist_ok=True)
    lock = os.open(DIRECTORY, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        gone = [old for old in runs() if old.abandoned()]
        for old in gone:
            old.remove()
    finally:
        os.close(lock)
    return [old.name for old in gone]


def remove_kept():
    """Removes the runs that were left running on request; returns their names."""
    gone = [old for old in runs() if old.kept]
    for old in gone:
        old.remove()
    return [old.name for old in gone]


def _path(name):
    return os.path.join(DIRECTORY, name + ".json")


def _session(pid, ticks):
    now = start_ticks(pid)
    if now is not None and now != ticks:
        return []  # the number belongs to another process today
    # The leader may be gone and members left: their session's number cannot have been given away meanwhile.
    return session_members(pid)


def end_processes(pids, grace=5):
    """SIGTERM to processes of a run, and SIGKILL for what is still there after `grace` seconds."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        pids = [pid for pid in pids if _alive(pid)]
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        deadline = time.monotonic() + grace
        while time.monotonic() < deadline and any(_alive(pid) for pid in pids):
            time.sleep(0.01)


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
