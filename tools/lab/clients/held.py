#!/usr/bin/python3
"""held.py: TCP connections that stay open and speak again and again.

Each connection sends an HTTP request every interval on the same TCP connection and checks that the backend that
answers is the one that answered first. A reset, a close, a missing answer or another backend is a failure and ends
that connection. Commands on standard input, one answer of JSON a line on standard output:

    status          what the connections have seen so far
    connections     each one: its local port, its backend, whether it failed
    open N          opens N more
    close NAME      closes the connections to backend NAME in good order
    pause           answers as status does once no request waits for its answer; none is sent until
    resume          they speak again
    stop            closes all, answers as status does, ends
"""

import argparse
import asyncio
import collections
import json
import resource
import sys
import time


class Connection:
    def __init__(self):
        self.backend = None
        self.port = None
        self.requests = 0
        self.failed = False
        self.wanted = True  # False: to be closed in good order
        self.closed = False


class Held:
    def __init__(self, options):
        self._options = options
        self._connections = []
        self._tasks = []
        self._failures = []  # in the order in which they happened
        self._may_speak = asyncio.Event()
        self._may_speak.set()
        self._speaking = 0

    async def open(self, count):
        for _ in range(count):
            connection = Connection()
            self._connections.append(connection)
            self._tasks.append(asyncio.create_task(self._hold(connection)))
        while any(c.backend is None and not c.failed for c in self._connections):
            await asyncio.sleep(0.01)
        return self.status()

    async def close(self, backend=None):
        self._may_speak.set()  # one that is paused would not see that it is to end
        for connection in self._connections:
            if backend in (None, connection.backend):
                connection.wanted = False
        while any(not (c.wanted or c.closed) for c in self._connections):
            await asyncio.sleep(0.01)
        return self.status()

    async def pause(self):
        self._may_speak.clear()
        while self._speaking:
            await asyncio.sleep(0.01)
        return self.status()

    def resume(self):
        self._may_speak.set()
        return self.status()

    def status(self):
        backends = collections.defaultdict(lambda: {"open": 0, "requests": 0})
        for connection in self._connections:
            if connection.backend is not None:
                backends[connection.backend]["open"] += 0 if connection.closed else 1
                backends[connection.backend]["requests"] += connection.requests
        return {"connections": len(self._connections), "open": sum(not c.closed for c in self._connections),
                "requests": sum(c.requests for c in self._connections), "failures": self._failures,
                "by_backend": dict(sorted(backends.items()))}

    def connections(self):
        return [{"port": c.port, "backend": c.backend, "failed": c.failed} for c in self._connections]

    async def _hold(self, connection):
        writer = None
        try:
            reader, writer = await asyncio.wait_for(
                asyncio.open_connection(self._options.address, self._options.port), self._options.timeout)
            connection.port = writer.get_extra_info("sockname")[1]
            while connection.wanted:
                await self._may_speak.wait()
                began = time.monotonic()
                self._speaking += 1
                try:
                    await asyncio.wait_for(self._speak(connection, reader, writer), self._options.timeout)
                finally:
                    self._speaking -= 1
                await asyncio.sleep(max(0.0, began + self._options.interval - time.monotonic()))
        except asyncio.TimeoutError:
            self._fail(connection, f"no answer within {self._options.timeout} s")
        except (OSError, EOFError, ValueError) as error:
            self._fail(connection, repr(error))
        finally:
            if writer is not None:
                writer.close()
            connection.closed = True

    async def _speak(self, connection, reader, writer):
        address = self._options.address
        host = f"[{address}]" if ":" in address else address
        writer.write(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = next(int(line.split(":")[1]) for line in head.lower().split("\r\n")
                      if line.startswith("content-length"))
        backend = (await reader.readexactly(length)).decode().strip()
        if not head.startswith("HTTP/1.1 200 "):
            raise ValueError(f"status {head.splitlines()[0]}")
        if connection.backend not in (None, backend):
            raise ValueError(f"answered by {backend}")
        connection.backend = backend
        connection.requests += 1

    def _fail(self, connection, what):
        name = connection.backend or "no backend yet"
        connection.failed = True
        self._failures.append(f"connection to {name} after {connection.requests} requests: {what}")


async def serve(options):
    held = Held(options)
    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := (await commands.readline()).decode().split():
        if line[0] == "open":
            answer = await held.open(int(line[1]))
        elif line[0] == "close":
            answer = await held.close(line[1])
        elif line[0] == "pause":
            answer = await held.pause()
        elif line[0] == "resume":
            answer = held.resume()
        elif line[0] == "stop":
            answer = await held.close()
        elif line[0] == "connections":
            answer = held.connections()
        else:
            answer = held.status()
        print(json.dumps(answer), flush=True)
        if line[0] == "stop":
            return


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address")
    parser.add_argument("--port", type=int, default=80)
    parser.add_argument("--interval", type=float, default=0.2, help="seconds between two requests of a connection")
    parser.add_argument("--timeout", type=float, default=10, help="seconds that an answer may take")
    options = parser.parse_args()
    # A descriptor for each connection: more than the usual soft limit of 1024.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(serve(options))


if __name__ == "__main__":
    main()
