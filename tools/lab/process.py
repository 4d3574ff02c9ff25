"""Commands with a timeout and background processes with a log."""

import os
import signal
import subprocess
import time


# Deadlines end what hangs; a machine may be slow.
SHORTEST_DEADLINE_S = 30


class LabError(Exception):
    """The lab could not do what was asked; the message says what and why."""


def run(command, timeout=SHORTEST_DEADLINE_S, check=True, stdin=None):
    """Runs `command` to its end and returns its CompletedProcess (text). Non-zero raises LabError if `check`."""
    timeout = max(timeout, SHORTEST_DEADLINE_S)
    try:
        done = subprocess.run(command, input=stdin, text=True, capture_output=True, timeout=timeout, check=False,
                              stdin=subprocess.DEVNULL if stdin is None else None)
    except subprocess.TimeoutExpired as error:
        raise LabError(f"no end after {timeout} s: {' '.join(command)}") from error
    except FileNotFoundError as error:
        raise LabError(f"{command[0]}: not found; tools/setup installs what the lab needs") from error
    if check and done.returncode != 0:
        output = (done.stderr + done.stdout).strip()
        raise LabError(f"exit code {done.returncode}: {' '.join(command)}: {output}")
    return done


def start_ticks(pid):
    """The start time of a process in clock ticks since boot, or None: with the pid it names a process for good."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return int(stat.read().rpartition(")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        return None


def session_members(session):
    """Live processes (no zombies) of a session."""
    members = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as stat:
                fields = stat.read().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            members.append(int(entry))
    return members


def threads(pid):
    """The live threads of a process, each with its state and what it waits for in the kernel."""
    found = []
    for entry in sorted(os.listdir(f"/proc/{pid}/task"), key=int):
        try:
            with open(f"/proc/{pid}/task/{entry}/stat", encoding="ascii", errors="replace") as stat:
                name, _, rest = stat.read().partition("(")[2].rpartition(")")
            with open(f"/proc/{pid}/task/{entry}/wchan", encoding="ascii") as wchan:
                found.append(f"{name} {rest.split()[0]} {wchan.read()}")
        except OSError:
            continue
    return found


def cpu_seconds(pid):
    """CPU time that a process has used, user and system."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_until(condition, timeout, what, interval=0.05):
    """Polls `condition` until it returns something true, which is returned; LabError names `what` at the deadline."""
    timeout = max(timeout, SHORTEST_DEADLINE_S)
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() >= deadline:
            raise LabError(f"after {timeout} s still not: {what}")
        time.sleep(interval)


class Process:
    """A background process, leader of its own session, so that all of it can be ended."""

    def __init__(self, name, command, log_path, stdin=subprocess.DEVNULL, stdout=None):
        self.name = name
        self.log_path = log_path
        with open(log_path, "ab") as log:
            try:
                self.popen = subprocess.Popen(command, stdin=stdin, stdout=log if stdout is None else stdout,
                                              stderr=log, start_new_session=True)
            except FileNotFoundError as error:
                raise LabError(f"{name}: {command[0]}: not found") from error

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def send_signal(self, number):
        self.popen.send_signal(number)

    def wait(self, timeout):
        """The exit code, or LabError if the process does not end."""
        timeout = max(timeout, SHORTEST_DEADLINE_S)
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise LabError(f"{self.name} (pid {self.pid}) did not end within {timeout} s; its threads: "
                           f"{', '.join(threads(self.pid))}\n{self.log()}") from error

    def stop(self, number=signal.SIGTERM, timeout=SHORTEST_DEADLINE_S):
        """Asks it to end and returns its exit code; kills it and raises LabError when it does not."""
        if self.running():
            self.send_signal(number)
        try:
            code = self.wait(timeout)
        except LabError:
            self.kill()
            raise
        self.kill()
        return code

    def kill(self):
        """Ends the process and whatever is left of its session, at once."""
        for pid in session_members(self.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.popen.wait(10)
