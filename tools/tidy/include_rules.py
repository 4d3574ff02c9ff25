"""Who may include whom: the table of the design. Arrows point from control to data and from I/O to pure code."""

import re

# What a room may include beside itself and the standard library. "folder" stands for all headers below it, "folder/x.h"
# for that header alone.
_BASE = ["dataplane/base"]
_NET = [*_BASE, "dataplane/net"]
_LB = [*_NET, "dataplane/lb"]
_FWD = [*_LB, "dataplane/fwd"]
_MODEL = [*_NET, "controlplane/model", "config/schema.h", "config/text.h", "absl"]
_ALL_OF_DATAPLANE = ["dataplane"]
_FOREIGN = [
    "absl",
    "benchmark",
    "civetweb",
    "curl",
    "dpdk",
    "grpc",
    "gtest",
    "netlink",
    "openssl",
    "pcap",
    "prometheus",
    "yaml-cpp",
    "zlib",
]
_EVERYTHING = ["dataplane", "controlplane", "config", "proto", *_FOREIGN]

ROOMS = {
    "dataplane/base": [],
    "dataplane/net": _BASE,
    "dataplane/lb": _NET,
    "dataplane/fwd": [*_LB, "absl"],
    "dataplane/stage": [*_FWD, "dpdk"],
    "dataplane/runtime": [*_ALL_OF_DATAPLANE, "dpdk", "absl", "netlink"],
    "config": [*_NET, "dataplane/lb/cookie_layout.h", "dataplane/lb/quic_lb.h", "yaml-cpp", "absl"],
    "controlplane/model": _MODEL,
    "controlplane/health": _MODEL,
    "controlplane/drain": _MODEL,
    "controlplane/probe": [*_MODEL, "controlplane/health", "curl"],
    "controlplane/preflight": [*_BASE, "controlplane/model/text.h", "absl"],
    "controlplane/reconcile": [*_MODEL, "config/cookie_layout.h", "controlplane/health", *_FWD],
    "controlplane/store": [*_MODEL, "config", "zlib"],
    "controlplane/rpc": [
        *_MODEL,
        "config",
        "controlplane/drain",
        "controlplane/reconcile",
        "dataplane/fwd/interfaces.h",
        "dataplane/fwd/worker_mailbox.h",
        "proto",
        "grpc",
        "openssl",
    ],
    "controlplane/metrics": [
        *_MODEL,
        "controlplane/health",
        "controlplane/drain",
        "dataplane/fwd/interfaces.h",
        "prometheus",
        "civetweb",
        "zlib",
    ],
    # All of the tree, but of these two only what their rooms make of them: their headers take seconds to compile.
    "controlplane/app": [name for name in _EVERYTHING if name not in ("dpdk", "grpc")],
    "tests": [*_EVERYTHING, "tests", "tools"],
    "tools": [*_EVERYTHING, "tools"],
}

_TREE = ("dataplane/", "controlplane/", "config/", "tests/", "tools/")
_FOREIGN_PREFIXES = {
    "absl/": "absl",
    "benchmark/": "benchmark",
    "civetweb.h": "civetweb",
    "curl/": "curl",
    "rte_": "dpdk",
    "grpc": "grpc",
    "google/protobuf/": "grpc",
    "gmock/": "gtest",
    "gtest/": "gtest",
    "netlink/": "netlink",
    "openssl/": "openssl",
    "pcap": "pcap",
    "prometheus/": "prometheus",
    "yaml-cpp/": "yaml-cpp",
    "zlib.h": "zlib",
}

_INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def _room_of(path):
    return next((room for room in ROOMS if str(path).startswith(room + "/")), None)


def _target_of(name):
    """What an include is of: a foreign library, a path of the tree, or None for the standard library."""
    if name.startswith("sluice/v1/"):  # generated from proto/
        return "proto"
    for prefix, library in _FOREIGN_PREFIXES.items():
        if name.startswith(prefix):
            return library
    return name if name.startswith(_TREE) else None


def check_includes(tree):
    """Violations of the table; includes that are not written from the root; source files that are included."""
    for path in tree.with_suffix(".h", ".cc"):
        room = _room_of(path)
        if room is None:
            yield f"{path}: lies in no room of the design; its rules are in tools/tidy/include_rules.py"
            continue
        allowed = [room, *ROOMS[room]]
        for quote, name in _INCLUDE.findall(tree.read(path)):
            target = _target_of(name)
            if name.endswith(".cc"):
                yield f"{path}: includes the source file {name}"
            elif target is None:
                if quote == '"':
                    yield f'{path}: includes "{name}"; write it from the root of the tree'
            elif not any(target == a or target.startswith(a + "/") for a in allowed):
                yield f"{path}: may not include {name}: {room} may include only {', '.join(allowed)}"
            elif "/" in target and not (tree.root / target).is_file():
                yield f"{path}: includes {name}, which does not exist"
