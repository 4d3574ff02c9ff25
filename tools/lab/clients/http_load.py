#!/usr/bin/python3
"""http_load.py: HTTP requests, counted exactly and never repeated.

Each request is a connection of its own. One that does not end with status 200 and a complete body within the timeout
is a failure, recorded with its error. The report is one line of JSON on standard output; its "ports" are the client's
different ones, of which the kernel may give one twice.
"""

import argparse
import collections
import json
import os
import select
import socket
import sys
import time


class Request:
    """One connection with one request on it."""

    def __init__(self, address, port, path):
        self.started = time.monotonic()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        host = f"[{address}]" if family == socket.AF_INET6 else address
        self._text = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
        self._answer = b""
        self.socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self.socket.connect_ex((address, port))

    def writable(self):
        error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
        self.socket.sendall(self._text)

    def readable(self):
        """The name of the backend when the answer is complete, else None."""
        data = self.socket.recv(65536)
        if data:
            self._answer += data
            return None
        head, separator, body = self._answer.partition(b"\r\n\r\n")
        if not separator:
            raise ValueError(f"closed after {len(self._answer)} bytes of an answer")
        lines = head.decode("latin-1").split("\r\n")
        headers = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines[1:])}
        if lines[0].split(" ")[1] != "200":
            raise ValueError(f"status {lines[0]}")
        if len(body) != int(headers["content-length"]):
            raise ValueError(f"{len(body)} bytes of {headers['content-length']}")
        return headers["x-backend"]


class Load:
    def __init__(self, options):
        self._options = options
        self._poll = select.epoll()
        self._live = {}
        self._begun = 0
        self._ok = 0
        self._backends = collections.Counter()
        self._ports = set()
        self._errors = collections.Counter()

    def run(self):
        start = time.monotonic()
        next_check = start + 1
        while self._more() or self._live:
            while self._more() and len(self._live) < self._options.concurrency:
                self._begin()
            for descriptor, events in self._poll.poll(1):
                self._advance(self._live[descriptor], events)
            if time.monotonic() >= next_check:
                next_check += 1
                self._time_out()
        return {"requests": self._begun, "ok": self._ok, "failed": self._begun - self._ok,
                "by_backend": dict(sorted(self._backends.items())), "errors": dict(self._errors),
                "ports": len(self._ports), "seconds": round(time.monotonic() - start, 3)}

    def _more(self):
        return self._begun < self._options.requests

    def _begin(self):
        self._begun += 1
        try:
            request = Request(self._options.address, self._options.port, self._options.path)
        except OSError as error:
            self._errors[repr(error)] += 1
            return
        self._live[request.socket.fileno()] = request
        self._ports.add(request.socket.getsockname()[1])
        self._poll.register(request.socket, select.EPOLLOUT)

    def _advance(self, request, events):
        try:
            if events & select.EPOLLOUT:
                request.writable()
                self._poll.modify(request.socket, select.EPOLLIN)
                return
            backend = request.readable()
            if backend is None:
                return
            self._ok += 1
            self._backends[backend] += 1
        except (OSError, ValueError, KeyError, IndexError) as error:
            self._errors[repr(error)] += 1
        self._end(request)

    def _time_out(self):
        limit = time.monotonic() - self._options.timeout
        for request in [live for live in self._live.values() if live.started < limit]:
            self._errors[f"no answer within {self._options.timeout} s"] += 1
            self._end(request)

    def _end(self, request):
        del self._live[request.socket.fileno()]
        self._poll.unregister(request.socket)
        request.socket.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address")
    parser.add_argument("--port", type=int, default=80)
    parser.add_argument("--path", default="/")
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--timeout", type=float, default=10, help="seconds that one request may take")
    json.dump(Load(parser.parse_args()).run(), sys.stdout)
    print()


if __name__ == "__main__":
    main()
