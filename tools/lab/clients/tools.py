"""Wrappers of clients: the lab's own scripts and curl, wrk, ping, iperf3."""

import hashlib
import json
import os
import re
import signal
import subprocess
import threading

from lab.process import LabError, wait_until

_HERE = os.path.dirname(os.path.abspath(__file__))


def _url(address, path):
    return f"http://[{address}]{path}" if ":" in address else f"http://{address}{path}"


def http_load(namespace, address, requests, concurrency=32, path="/", timeout=60, request_timeout=10):
    """`requests` HTTP requests, each on a connection of its own, no retries; the report of http_load.py."""
    command = ["/usr/bin/python3", os.path.join(_HERE, "http_load.py"), address, "--path", path,
               "--requests", str(requests), "--concurrency", str(concurrency), "--timeout", str(request_timeout)]
    return json.loads(namespace.run(command, timeout=timeout).stdout)


class HeldConnections:
    """Connections that stay open and speak again and again; see held.py."""

    def __init__(self, namespace, address, count, name="held", interval=0.2):
        command = ["/usr/bin/python3", os.path.join(_HERE, "held.py"), address, "--interval", str(interval)]
        self._process = namespace.start(name, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._ask(f"open {count}")

    def open(self, count):
        return self._ask(f"open {count}")

    def status(self):
        return self._ask("status")

    def connections(self):
        return self._ask("connections")

    def close(self, backend):
        return self._ask(f"close {backend}")

    def pause(self):
        """Returns when all answers are there; nothing is sent until `resume`."""
        return self._ask("pause")

    def resume(self):
        return self._ask("resume")

    def stop(self):
        """Closes all connections in good order; the last status."""
        report = self._ask("stop")
        self._process.stop()
        return report

    def _ask(self, command, timeout=30):
        popen = self._process.popen
        popen.stdin.write(command.encode() + b"\n")
        popen.stdin.flush()
        # A hanging script is killed, which ends the readline.
        alarm = threading.Timer(timeout, popen.kill)
        alarm.start()
        try:
            line = popen.stdout.readline()
        finally:
            alarm.cancel()
        if not line:
            raise LabError(f"held.py gave no answer to '{command}' within {timeout} s\n{self._process.log()}")
        return json.loads(line)


class Downloads:
    """Long downloads with curl, all at once; each is hashed as it arrives."""

    def __init__(self, namespace, address, count, path="/big", bytes_per_second=None, timeout=60, name="download"):
        self._items = []
        for index in range(count):
            command = ["curl", "-sS", "--fail", "--max-time", str(timeout), "--dump-header", "/dev/stderr"]
            if bytes_per_second is not None:
                command += ["--limit-rate", str(bytes_per_second)]
            process = namespace.start(f"{name}-{index}", command + [_url(address, path)], stdout=subprocess.PIPE)
            item = {"process": process, "hash": hashlib.sha256(), "bytes": 0}
            item["thread"] = threading.Thread(target=self._read, args=(item,), daemon=True)
            item["thread"].start()
            self._items.append(item)
        self._timeout = timeout

    def finish(self):
        """Waits for all; for each: backend, bytes, sha256, and the error or None."""
        reports = []
        for item in self._items:
            item["thread"].join(self._timeout + 5)
            code = item["process"].wait(5)
            log = item["process"].log()
            backend = re.search(r"^X-Backend: (\S+)", log, re.MULTILINE)
            error = None if code == 0 else f"curl ended with {code}: {log.strip().splitlines()[-1:]}"
            reports.append({"backend": backend.group(1) if backend else None, "bytes": item["bytes"],
                            "sha256": item["hash"].hexdigest(), "error": error})
        return reports

    @staticmethod
    def _read(item):
        with item["process"].popen.stdout as stream:
            while block := stream.read(1 << 16):
                item["hash"].update(block)
                item["bytes"] += len(block)


class Wrk:
    """wrk for some seconds; its connections end after 50 requests each, so that new ones begin all the time. With
    `pause_ms` each waits for so long before a request; without, the load is all that the machine can do."""

    def __init__(self, namespace, address, seconds, connections=16, path="/short", name="wrk", pause_ms=None):
        self._seconds = seconds
        command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s",
                   "--timeout", "10s"]
        if pause_ms is None:
            command.append(_url(address, path))
        else:
            command += ["--script", os.path.join(_HERE, "pause.lua"), _url(address, path), "--", str(pause_ms)]
        self._process = namespace.start(name, command)
        # It first tries one connection, and gives up when that fails: what a test breaks next would end it. And what is
        # lost of a first request comes again after half a second or more, when the test may be over.
        wait_until(lambda: self._answered(namespace) >= min(connections, 2) or not self._process.running(), 30,
                   f"{name} has answers")

    def _answered(self, namespace):
        """Its connections on which something came."""
        sockets = namespace.run(["ss", "-HtnpiO", "state", "established"]).stdout.splitlines()
        return sum(f"pid={self._process.pid}," in socket and "bytes_received:" in socket for socket in sockets)

    def stop(self):
        """Ends it before its time and returns what `finish` does."""
        self._process.send_signal(signal.SIGINT)
        return self.finish()

    def finish(self):
        """Requests, requests per second, and failures (socket errors and answers other than 2xx or 3xx)."""
        code = self._process.wait(self._seconds + 20)
        text = self._process.log()
        total = re.search(r"(\d+) requests in ", text)
        rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
        if code != 0 or not total or not rate:
            raise LabError(f"wrk ended with {code}:\n{text}")
        errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
        failed = sum(int(count) for count in errors.groups()) if errors else 0
        bad_status = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        failed += int(bad_status.group(1)) if bad_status else 0
        return {"requests": int(total.group(1)), "per_second": float(rate.group(1)), "failed": failed, "text": text}


def curl(namespace, url, timeout=10, options=()):
    """The body, or LabError."""
    return namespace.run(["curl", "-sS", "--fail", "--max-time", str(timeout), *options, url],
                         timeout=timeout + 5).stdout


def ping(namespace, address, count=3, interval=0.2, size=56, wait=5):
    """How many of `count` echo requests were answered within `wait` seconds each."""
    done = namespace.run(["ping", "-n", "-c", str(count), "-i", str(interval), "-W", str(wait), "-s", str(size),
                          address], timeout=count * (interval + wait) + 10, check=False)
    answered = re.search(r"(\d+) received", done.stdout)
    if not answered:
        raise LabError(f"ping {address}: {done.stdout}{done.stderr}")
    return int(answered.group(1))


def ping_until_answered(namespace, address, count):
    """Sends echo requests until `count` were answered: under a flood some are lost before anyone sees them, in queues
    that know nothing of what they drop. Returns how many were sent."""
    sent = answered = 0

    def enough():
        nonlocal sent, answered
        sent += 1
        answered += ping(namespace, address, 1, wait=1)
        return answered >= count

    wait_until(enough, 120, f"{count} answers of {address} to echo requests", interval=0)
    return sent


def stop_flood(process):
    """Ends flood.py; its report."""
    process.send_signal(signal.SIGTERM)
    return json.loads(process.popen.communicate(timeout=30)[0])


def iperf3(namespace, server, address, port, seconds, options=()):
    """Bits per second that the receiving side got: an iperf3 in the namespace `server`, with -R the client. `address`
    is where the client finds it."""
    # One server for each stream: between two it opens its port anew, and resets who came just before.
    receiver = server.start("iperf3", ["iperf3", "-s", "-1", "-p", str(port)])
    try:
        wait_until(lambda: server.run(["ss", "-Htln", f"sport = :{port}"]).stdout, 10, "iperf3 listens")
        command = ["iperf3", "-c", address, "-p", str(port), "-t", str(seconds), "-J", *options]
        answer = json.loads(namespace.run(command, timeout=seconds + 20, check=False).stdout)
    finally:
        receiver.kill()
    if "error" in answer:
        raise LabError(f"iperf3: {answer['error']}; the server: {receiver.log()}")
    return answer["end"]["sum_received"]["bits_per_second"]
