#!/usr/bin/python3
"""grpc_health.py PORT FILE: answers grpc.health.v1.Health/Check with the status that FILE names at the moment.

Messages are bytes here, so that no generated code is needed.
"""

import sys
from concurrent import futures

import grpc

STATUSES = {"SERVING": b"\x08\x01", "NOT_SERVING": b"\x08\x02"}
SERVICES = (b"", b"\x0a\x08lab.Echo")  # of HealthCheckRequest


class Health(grpc.GenericRpcHandler):
    def __init__(self, path):
        self._path = path

    def service(self, details):
        if details.method != "/grpc.health.v1.Health/Check":
            return None
        return grpc.unary_unary_rpc_method_handler(self._check)

    def _check(self, request, context):
        if request not in SERVICES:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        with open(self._path, encoding="utf-8") as file:
            return STATUSES[file.read().strip()]


def main():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4), handlers=[Health(sys.argv[2])])
    server.add_insecure_port(f"[::]:{sys.argv[1]}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
