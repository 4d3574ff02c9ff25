#!/usr/bin/python3
"""sluiced under a service manager: what it tells it, when it feeds its watchdog, and that it needs not be root."""

import json
import os
import pathlib
import re
import select
import signal
import socket
import tempfile
import unittest
import unittest.mock

from lab_case import LabCase
from lab import config
from lab.clients.tools import http_load
from lab.director import number
from lab.hold_thread import held
from lab.lab import default_binaries
from lab.leftovers import machine_state
from lab.network import VIP4
from lab.process import run, wait_until

DEADLINE_S = 30
WATCHDOG_US = 800_000  # it looks four times in this


class Manager:
    """The service manager's socket, where NOTIFY_SOCKET says."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "notify.sock")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        os.chmod(self.path, 0o666)

    def close(self):
        self._socket.close()
        os.unlink(self.path)

    def next(self, timeout=DEADLINE_S):
        """The next message; None when none comes in time."""
        if not select.select([self._socket], [], [], timeout)[0]:
            return None
        return self._socket.recv(4096).decode()

    def waiting(self):
        """All that has come."""
        messages = []
        while (message := self.next(timeout=0)) is not None:
            messages.append(message)
        return messages

    def until(self, start):
        """Reads until a message that begins so; returns it."""
        return wait_until(lambda: (message := self.next(1)) is not None and message.startswith(start) and message,
                          DEADLINE_S, f"sluiced says {start}", interval=0)


class ServiceCase(LabCase):
    BACKENDS = 2

    def setUp(self):
        self.manager = Manager(os.path.dirname(self.director.socket_path))
        self.addCleanup(self.manager.close)
        for name, value in {"NOTIFY_SOCKET": self.manager.path, "WATCHDOG_USEC": str(WATCHDOG_US)}.items():
            os.environ[name] = value
            self.addCleanup(os.environ.pop, name)


class NotifyTest(ServiceCase):
    def test_it_tells_of_its_life(self):
        self.start(config.services({1: 100, 2: 100}))
        self.manager.until("READY=1")
        for _ in range(3):
            self.manager.until("WATCHDOG=1")
        self.director.reload({"node": self.director.node(), "services": config.services({1: 100, 2: 50})})
        self.manager.until("RELOADING=1\nMONOTONIC_USEC=")
        self.manager.until("READY=1")
        self.assertEqual(self.director.stop(), (0, []))
        self.manager.until("STOPPING=1")

    def test_it_is_not_ready_when_it_cannot_start(self):
        configuration = {"node": self.director.node(), "services": config.services({1: 100})}
        configuration["node"]["ports"][0]["devices"] = ["net_af_packet0,iface=absent0"]
        self.assertNotEqual(self.director.try_start(configuration)[0], 0)
        self.assertEqual([message for message in self.manager.waiting() if "READY" in message], [])

    def test_a_thread_that_stands_still_starves_the_watchdog(self):
        self.start(config.services({1: 100, 2: 100}))
        process = self.director.process
        for name, words in {"rte-worker-1": "worker 0 on CPU", "sluice-host": "the exception port's thread",
                            "sluice-control": "the control thread"}.items():
            with self.subTest(thread=name):
                complaint = f"watchdog: {words}"
                with held(process.pid, name):
                    before = process.log().count(complaint)
                    wait_until(lambda: process.log().count(complaint) > before, DEADLINE_S, complaint)
                    # From here on each look finds it standing still.
                    self.manager.waiting()
                    seen = process.log().count(complaint)
                    wait_until(lambda: process.log().count(complaint) >= seen + 3, DEADLINE_S, "three more looks")
                    if name == "rte-worker-1":
                        self.assert_stalled(1)
                    self.assertNotIn("WATCHDOG=1", self.manager.waiting())
                self.manager.until("WATCHDOG=1")
        self.assert_stalled(0)
        self.assert_all_answered(http_load(self.client, VIP4, 100))

    def assert_stalled(self, count):
        """What the log, the API and the metrics say of workers that stand still."""
        wait_until(lambda: number(self.director.ctl("status"), "workers_stalled") == count, DEADLINE_S,
                   f"{count} stalled workers")
        stalled = [value for (metric, _), value in self.director.metrics().items() if metric == "sluice_worker_stalled"]
        self.assertEqual(sum(stalled), count)
        self.assertIn("has made no progress for over" if count else "makes progress again",
                      self.director.process.log())

    def test_abort_ends_it_and_the_next_start_finds_nothing_in_its_way(self):
        """What the manager does to a process that does not feed its watchdog."""
        self.start(config.services({1: 100, 2: 100}))
        self.director.process.send_signal(signal.SIGABRT)
        self.director.process.wait(15)
        self.director.kill()
        self.start(config.services({1: 100, 2: 100}))
        self.assert_all_answered(http_load(self.client, VIP4, 100))

    def test_preflight_asks_the_drivers(self):
        """It opens the devices of two ports, says what their drivers allow, and leaves nothing behind."""
        node = self.director.node(workers=2)
        node["ports"].append({"name": "null", "devices": ["net_null0"], "exception": {"enabled": False}})
        self.director.write_config({"node": node, "services": config.services({1: 100})})
        before = machine_state()
        command = [self.director.binary("sluiced"), "preflight", "--probe", "--json", "--config"]
        done = self.director.namespace.run([*command, self.director.config_path], check=False)
        findings = json.loads(done.stdout)["findings"]
        queues = {f["subject"]: f["severity"] for f in findings if f["check"] == "device.queues"}
        self.assertEqual(set(queues.values()), {"ok"}, done.stdout)
        self.assertEqual(len(queues), 2, done.stdout)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(sorted(self.director.namespace.interfaces()), ["eth0", "lo"])
        self.assertEqual(machine_state() - before, set())


class WrappedCase(ServiceCase):
    """sluiced is started by a script that WRAPPER writes: the command before the program and its arguments."""

    WRAPPER = ""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="sluice-wrapped-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        os.chmod(folder.name, 0o755)
        real = default_binaries()
        os.symlink(os.path.join(real, "sluicectl"), os.path.join(folder.name, "sluicectl"))
        script = os.path.join(folder.name, "sluiced")
        with open(script, "w", encoding="ascii") as file:
            file.write(f'#!/bin/sh\nHERE={folder.name}\n{cls.WRAPPER} "{real}/sluiced" "$@"\n')
        os.chmod(script, 0o755)
        with unittest.mock.patch.dict(os.environ, SLUICE_BINARIES=folder.name):
            super().setUpClass()


class UnprivilegedTest(WrappedCase):
    """As the unit runs it: a user of its own with two capabilities. A third stands for the unit's
    LimitMEMLOCK=infinity, which takes a manager that may raise limits."""

    USER = 64999
    WRAPPER = f"""
export RUNTIME_DIRECTORY=$HERE/run
capabilities=-all,+net_admin,+net_raw,${{LOCK:-+ipc_lock}}
exec prlimit --memlock={8 << 20} setpriv --reuid={USER} --regid={USER} --clear-groups --no-new-privs \\
  --inh-caps=$capabilities --ambient-caps=$capabilities --bounding-set=$capabilities"""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        runtime = os.path.join(cls.folder, "run")
        os.mkdir(runtime)
        for directory in (runtime, os.path.dirname(cls.director.socket_path)):
            os.chown(directory, cls.USER, cls.USER)

    def test_two_capabilities_are_enough_for_packet_sockets(self):
        self.start(config.services({1: 100, 2: 100}))
        self.manager.until("READY=1")
        status = pathlib.Path(f"/proc/{self.director.process.pid}/status").read_text("ascii")
        self.assertRegex(status, rf"Uid:\t{self.USER}\t{self.USER}")
        self.assertEqual(int(re.search(r"CapEff:\t(\w+)", status)[1], 16), 1 << 12 | 1 << 13 | 1 << 14)
        self.assert_all_answered(http_load(self.client, VIP4, 200))

    def test_preflight_agrees(self):
        self.director.write_config({"node": self.director.node(), "services": config.services({1: 100})})
        command = [self.director.binary("sluiced"), "preflight", "--config", self.director.config_path]
        done = self.director.namespace.run(command, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("process.capabilities", done.stdout)

    def test_preflight_and_start_refuse_a_small_limit_of_locked_memory(self):
        os.environ["LOCK"] = "-ipc_lock"
        self.addCleanup(os.environ.pop, "LOCK")
        code, output = self.director.try_start({"node": self.director.node(), "services": config.services({1: 100})})
        self.assertEqual(code, 4, output)
        self.assertIn("LimitMEMLOCK=infinity", output)


def _allowed_calls(filters):
    """The system calls that SystemCallFilter= lets through, groups written out."""
    calls = set()
    for name in filters:
        if not name.startswith("@"):
            calls.add(name)
            continue
        lines = run(["systemd-analyze", "syscall-filter", name]).stdout.splitlines()[1:]
        calls |= _allowed_calls(word for word in map(str.strip, lines) if word and not word.startswith("#"))
    return calls


class SandboxTest(WrappedCase):
    """What sluiced does from its start to its end is what the unit allows."""

    WRAPPER = "exec strace -DDD -f -q -o $HERE/trace"
    # DPDK asks for I/O ports, for old virtio cards, and goes on without.
    REFUSED = {"iopl"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.unit = (pathlib.Path(__file__).resolve().parents[2] / "deploy/systemd/sluiced.service").read_text("utf-8")

    def setting(self, name):
        """All words of a setting of the unit."""
        values = re.findall(rf"^{name}=(.*)$", self.unit, re.MULTILINE)
        return [word for value in values for word in value.split()]

    def test_the_unit_allows_what_sluiced_does(self):
        self.start(config.services({1: 100, 2: 100}))
        self.assert_all_answered(http_load(self.client, VIP4, 50))
        self.director.reload({"node": self.director.node(), "services": config.services({1: 100, 2: 50})})
        self.manager.until("RELOADING=1")
        self.manager.until("READY=1")
        self.director.metrics()
        pid = self.director.process.pid
        self.assertEqual(self.director.stop(), (0, []))
        path = pathlib.Path(self.folder, "trace")
        # strace pads process ids to five places.
        end = re.compile(rf"^{pid} +\+\+\+ exited with 0", re.MULTILINE)
        wait_until(lambda: end.search(path.read_text("utf-8")), DEADLINE_S, "strace has written all")
        trace = path.read_text("utf-8")
        calls = set(re.findall(r"^\d+ +(\w+)\(", trace, re.MULTILINE))
        self.assertGreater(len(calls), 40)
        self.assertEqual(calls - _allowed_calls(self.setting("SystemCallFilter")) - self.REFUSED, set())
        families = set(re.findall(r"socket\((AF_\w+)", trace))
        self.assertLessEqual(families, set(self.setting("RestrictAddressFamilies")))
        self.assertIn("AF_PACKET", families)
        # MemoryDenyWriteExecute=
        self.assertNotRegex(trace, r"PROT_WRITE\|PROT_EXEC")


if __name__ == "__main__":
    unittest.main()
