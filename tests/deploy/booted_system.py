"""A clean system that is booted: its systemd is the first process of a container made of namespaces."""

import os
import pathlib
import re
import signal
import subprocess
import time

from clean_system import run

# What a container's systemd wants to find in /dev, from the machine.
DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "net/tun")
# Run with the root's directory and the container's name: a cgroup of its own first, then the namespaces.
_OUTER = r"""
set -e
mount -t cgroup2 none "$1/mnt"
mkdir "$1/mnt/$2"
echo $$ > "$1/mnt/$2/cgroup.procs"
umount "$1/mnt"
exec unshare --pid --fork --kill-child --ipc --uts --cgroup sh -c "$3" inner "$1"
"""
_INNER = r"""
set -e
# A mount of its own, or its units could not make it read-only.
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/net dev/pts dev/shm
for device in DEVICES; do touch dev/$device; mount --bind /dev/$device dev/$device; done
mount -t devpts devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
touch dev/console
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . \
  /lib/systemd/systemd --system --unit=multi-user.target
""".replace("DEVICES", " ".join(DEVICES))


class BootedSystem:
    """Boots the system in a network namespace of its own; stop() ends all of it."""

    def __init__(self, system, setup=()):
        """`setup`: arguments of `ip`, run before it boots."""
        self.root = system.root
        self.name = f"sluice-boot-{os.getpid()}"
        self._log = open(f"{system.root}.boot.log", "wb")
        run("ip", "netns", "add", self.name)
        for arguments in setup:
            run("ip", "-n", self.name, *arguments)
        command = ["ip", "netns", "exec", self.name, "sh", "-c", _OUTER, "outer", self.root, self.name, _INNER]
        self._process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=self._log,
                                         stderr=self._log, start_new_session=True)
        self.init = self.wait(self._find_init, "systemd is the first process")
        self.wait(lambda: self.call("systemctl", "is-system-running").stdout.strip() in ("running", "degraded"),
                  "the system has booted")

    def _find_init(self):
        """The process of the machine that is the first one of the container."""
        children = pathlib.Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        pids = children.read_text("ascii").split() if children.exists() else []
        names = [pathlib.Path(f"/proc/{pid}/comm").read_text("ascii").strip() for pid in pids]
        return int(pids[0]) if names == ["systemd"] else None

    def wait(self, condition, what, timeout=60):
        deadline = time.monotonic() + timeout
        while not (result := condition()):
            if time.monotonic() >= deadline:
                log = pathlib.Path(self._log.name).read_text("utf-8", errors="replace")
                raise AssertionError(f"after {timeout} s still not: {what}\n{log[-2000:]}")
            time.sleep(0.2)
        return result

    def call(self, *command):
        """Runs a command inside and returns the CompletedProcess, whatever its exit code."""
        enter = ["nsenter", f"--target={self.init}", "--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup",
                 "chroot", self.root]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
        return subprocess.run([str(word) for word in [*enter, *command]], env=environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False, timeout=120)

    def show(self, unit, setting):
        """One property of a unit."""
        return self.call("systemctl", "show", "--value", f"--property={setting}", unit).stdout.strip()

    def machine_pid(self, unit):
        """The main process of a unit, as the machine numbers it."""
        inside, space = self.show(unit, "MainPID"), os.readlink(f"/proc/{self.init}/ns/pid")
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                numbers = re.search(r"^NSpid:\t(.*)$", (process / "status").read_text("ascii", "replace"), re.MULTILINE)
                if numbers[1].split()[-1] == inside and os.readlink(process / "ns/pid") == space:
                    return int(process.name)
            except (FileNotFoundError, ProcessLookupError):
                continue
        raise AssertionError(f"{unit} has no process {inside}")

    def stop(self):
        # The end of the first process ends all others.
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(20)
        self._log.close()
        os.unlink(self._log.name)
        run("ip", "netns", "del", self.name)
        remove = 'mount -t cgroup2 none "$1/mnt" && find "$1/mnt/$2" -depth -type d -delete'
        self.wait_gone(["unshare", "--mount", "sh", "-c", remove, "remove", str(self.root), self.name])

    @staticmethod
    def wait_gone(command):
        """A cgroup can be removed once its last process is gone."""
        deadline = time.monotonic() + 20
        while subprocess.run(command, capture_output=True, check=False).returncode != 0:
            if time.monotonic() >= deadline:
                raise AssertionError("the container's cgroup cannot be removed")
            time.sleep(0.2)
