"""sluiced in the director's namespace: configuration, start, reload, stop; sluicectl; metrics; the packet sum."""

import json
import os
import re
import signal

import yaml

from lab import config as lab_config
from lab.clients.tools import curl
from lab.leftovers import machine_state
from lab.network import DIRECTOR
from lab.process import SHORTEST_DEADLINE_S, LabError, session_members, wait_until

READY_S = 30  # EAL and the tables are up long before


class Director:
    def __init__(self, owner, namespace, binaries, host=DIRECTOR):
        self._directory = owner.directory
        self.namespace = namespace
        self.host = host
        self._name = "sluiced" if host is DIRECTOR else f"sluiced-{host.role}"
        self.socket_path = os.path.join(owner.directory, f"{self._name}.sock")
        self.config_path = os.path.join(owner.directory, "sluice.yaml" if host is DIRECTOR else f"{self._name}.yaml")
        self._binaries = binaries
        self._process = None
        self._starts = 0
        self._before = None

    @property
    def process(self):
        return self._process

    def binary(self, name):
        path = os.path.join(self._binaries, name)
        if not os.access(path, os.X_OK):
            raise LabError(f"{path}: no such program; tools/build makes it")
        return path

    def node(self, **options):
        return lab_config.node(self.socket_path, host=self.host, **options)

    def write_config(self, configuration):
        """A dictionary, or text that is written as it is."""
        text = configuration if isinstance(configuration, str) else yaml.safe_dump(configuration, sort_keys=False)
        with open(self.config_path, "w", encoding="utf-8") as file:
            file.write(text)

    def start(self, configuration):
        """Starts sluiced and waits until its workers have taken up a state."""
        self.write_config(configuration)
        self._before = machine_state()
        self._starts += 1
        self._process = self.namespace.start(f"{self._name}-{self._starts}",
                                             [self.binary("sluiced"), "--config", self.config_path])

        def ready():
            if not self._process.running():
                raise LabError(f"sluiced ended at its start with {self._process.wait(1)}")
            answer = self.ctl_run("-o", "json", "status", check=False)
            return answer.returncode == 0 and number(json.loads(answer.stdout), "state_generation_in_use") > 0

        try:
            wait_until(ready, READY_S, "sluiced answers to `sluicectl status` with a state in use")
        except LabError as error:
            log = self._process.log()
            self.kill()
            raise LabError(f"{error}\n{log}") from error

    def check(self, configuration):
        """`sluiced --check`: its exit code and all it printed."""
        return self._run_to_end(configuration, ["--check"])

    def try_start(self, configuration):
        """Starts sluiced with a configuration that it is to refuse: its exit code and all it printed."""
        return self._run_to_end(configuration, [])

    def _run_to_end(self, configuration, options):
        path = os.path.join(self._directory, "candidate.yaml")
        text = configuration if isinstance(configuration, str) else yaml.safe_dump(configuration, sort_keys=False)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        done = self.namespace.run([self.binary("sluiced"), "--config", path, *options], timeout=30, check=False)
        return done.returncode, done.stdout + done.stderr

    def reload(self, configuration):
        """Writes the configuration and sends SIGHUP; whether it was taken shows in the log and the state."""
        self.write_config(configuration)
        self._process.send_signal(signal.SIGHUP)

    def stop(self, number_of_signal=signal.SIGTERM):
        """Stops sluiced; returns its exit code and the list of what it left behind, which is to be empty."""
        process, self._process = self._process, None
        process.send_signal(number_of_signal)
        try:
            code = process.wait(SHORTEST_DEADLINE_S)
            left = [f"process {pid}" for pid in session_members(process.pid)]
        finally:
            process.kill()
        left += [f"interface {name}" for name in self.namespace.interfaces() if name not in ("lo", "eth0")]
        left += [f"socket {path}" for path in [self.socket_path] if os.path.exists(path)]
        left += [f"file {path}" for path in sorted(machine_state() - self._before)]
        return code, left

    def last_log(self, lines=30):
        """The end of the log of the sluiced that was started last."""
        if self._starts == 0:
            return ""
        path = os.path.join(self._directory, f"{self._name}-{self._starts}.log")
        with open(path, encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-lines:])

    def kill(self):
        if self._process is not None:
            self._process.kill()
            self._process = None

    # ---- sluicectl

    def ctl_command(self, *arguments):
        return [self.binary("sluicectl"), "--server", f"unix:{self.socket_path}", *arguments]

    def ctl_run(self, *arguments, check=True):
        return self.namespace.run(self.ctl_command(*arguments), check=check)

    def ctl_text(self, *arguments):
        """What the command prints for people."""
        return self.ctl_run(*arguments).stdout

    def ctl(self, *arguments):
        """The answer as parsed JSON."""
        answer = self.ctl_run("-o", "json", *arguments).stdout
        try:
            return json.loads(answer)
        except json.JSONDecodeError as error:
            raise LabError(f"sluicectl {' '.join(arguments)}: no JSON ({error}): {answer[:500]}") from error

    def backends(self, pool):
        """{name: status} of a pool's backends."""
        return {status["backend"]["name"]: status for status in self.ctl("get", "backends").get("backends", [])
                if status["pool"] == pool}

    def flows_alive(self, pool, name):
        return number(self.backends(pool)[name], "flows_alive")

    # ---- counters

    def totals(self):
        """The terms of invariant 2 as whole numbers, and dropped_by_reason."""
        packets = self.ctl("stats")["packets"]
        totals = {key: number(packets, key) for key in
                  ("received", "from_host", "originated", "forwarded", "answered", "punted", "sent_for_host", "dropped",
                   "held")}
        totals["dropped_by_reason"] = {key: int(value) for key, value in packets.get("dropped_by_reason", {}).items()}
        return totals

    def totals_at_rest(self, timeout=10):
        """The totals once two readings agree, no packet is held, and the sums are equal; LabError if that never is."""
        last = {}

        def at_rest():
            now = self.totals()
            before = last.get("totals")
            last["totals"] = now
            return now if now == before and now["held"] == 0 and entered(now) == left(now) else None

        try:
            return wait_until(at_rest, timeout, "packets entered = packets left, held = 0", interval=0.2)
        except LabError as error:
            totals = last["totals"]
            raise LabError(f"{error}: entered {entered(totals)}, left {left(totals)}: {totals}") from error

    def metrics(self):
        """All samples of the metrics endpoint: {(name, ((label, value), ...)): number}."""
        return parse_metrics(curl(self.namespace, f"http://127.0.0.1:{lab_config.METRICS_PORT}/metrics"))

    def totals_and_metrics(self):
        """Both of the same moment: no packet came (an ARP request, say) between the readings."""
        def same_moment():
            before, samples, after = self.totals(), self.metrics(), self.totals()
            return (after, samples) if before == after else None

        return wait_until(same_moment, 10, "a moment without packets")


def number(message, key):
    """A 64-bit field of a proto message in JSON: absent means 0, numbers come as text."""
    return int(message.get(key, 0))


def entered(totals):
    return totals["received"] + totals["from_host"] + totals["originated"]


def left(totals):
    return sum(totals[key] for key in ("forwarded", "answered", "punted", "sent_for_host", "dropped", "held"))


_SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)(?: \d+)?$')
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)')


def parse_metrics(text):
    """The Prometheus text format; LabError at a line that is not of it."""
    samples = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        match = _SAMPLE.match(line)
        labels = match.group(2) or "" if match else ""
        pairs = tuple(sorted(_LABEL.findall(labels)))
        if not match or _LABEL.sub("", labels):
            raise LabError(f"metrics: not a sample: {line}")
        samples[(match.group(1), pairs)] = float(match.group(3))
    return samples
