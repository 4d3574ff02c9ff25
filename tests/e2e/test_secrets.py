#!/usr/bin/python3
"""Secrets stay where they are: the seed, the keys of cookies and of QUIC connection ids, and the API's TLS key come up
in nothing that sluiced and sluicectl say, whatever they are asked and however much they log."""

import base64
import os
import pathlib
import re
import socket
import subprocess
import unittest
import zlib

import grpc
import yaml

from management_case import DEADLINE_S, ManagementCase

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto/sluice/v1/sluice.proto"
# 32 digits each, of which no part is another's.
SEED = "5eed00112233445566778899aabbcc01"
COOKIE_KEYS = ["c00c1e0a1b2c3d4e5f60718293a4b502", "c00c1e1b2c3d4e5f60718293a4b5c603"]
QUIC_KEY = "9d1c0a1b2c3d4e5f60718293a4b5d704"
LATER_KEY = "c00c1e2c3d4e5f60718293a4b5c6d805"
FLOW = ("tcp", "198.51.100.7:40000", "203.0.113.10:80")


class SecretsTest(ManagementCase):
    def setUp(self):
        super().setUp()
        self.said = {}  # by where it was said, as bytes
        for name, digits in (("cookie-0", COOKIE_KEYS[0]), ("cookie-1", COOKIE_KEYS[1]), ("later", LATER_KEY),
                             ("quic", QUIC_KEY), ("bad", COOKIE_KEYS[0] + "0")):
            self.path(f"{name}.key").write_text(digits + "\n", "ascii")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", "/CN=netops", "-keyout", self.path("tls.key"), "-out",
                        self.path("tls.pem")], check=True, capture_output=True, timeout=DEADLINE_S)
        with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
            tcp, self.metrics = (f"127.0.0.1:{free.getsockname()[1]}" for free in (first, second))
        self.NODE = {"metrics": {"listen": self.metrics}}
        self.write("api", audit_log=str(self.path("audit.log")), tcp={
            "listen": tcp, "certificate": str(self.path("tls.pem")), "key": str(self.path("tls.key")),
            "client_ca": str(self.path("tls.pem"))}, roles=[{"name": "netops", "role": "admin"}])
        configuration = yaml.safe_load(pathlib.Path(self.config).read_text("utf-8"))
        configuration["services"] = self.services([0, 1])
        pathlib.Path(self.config).write_text(yaml.safe_dump(configuration), "utf-8")

    def path(self, name):
        return pathlib.Path(self.directory, name)

    def services(self, numbers, files=("cookie-0", "cookie-1"), quic_file="quic", seed=SEED):
        """With the cookie keys of these numbers."""
        backends = [{"name": f"web-{i}", "address": f"192.0.2.1{i}", "cookie_id": i, "quic_server_ids": [f"aa0{i}"]}
                    for i in (1, 2)]
        vip = {"address": "203.0.113.10", "pool": "web", "mode": "l2"}
        return {"seed": seed, "pools": [{"name": "web", "backends": backends}],
                "vips": [{**vip, "name": "www", "protocol": "tcp", "port": 80, "consistency": "cookie"},
                         {**vip, "name": "quic", "protocol": "udp", "port": 443, "quic": True}],
                "cookie_keys": [{"number": n, "file": str(self.path(f"{files[n]}.key"))} for n in numbers],
                "quic_configs": [{"number": 1, "server_id_bytes": 2, "nonce_bytes": 6,
                                  "key_file": str(self.path(f"{quic_file}.key"))}]}

    def file_of(self, name, services):
        self.path(name).write_text(yaml.safe_dump({"services": services}), "utf-8")
        return str(self.path(name))

    # ---- listening

    def run_program(self, name, *words, codes=(0,)):
        done = subprocess.run([self.binary(name), *words], check=False, capture_output=True, timeout=DEADLINE_S)
        self.assertIn(done.returncode, codes, done.stderr)
        self.said[" ".join((name, *words))] = done.stdout + done.stderr

    def asks(self, *words, codes=(0,)):
        self.run_program("sluicectl", "-s", self.server, *words, codes=codes)

    def call_everything(self):
        """Every rpc of the API that only looks, with empty requests and with what GetDesired has besides; and those
        that change something with empty requests, which they refuse."""
        service, called = None, 0
        with grpc.insecure_channel(self.server) as channel:
            for line in PROTO.read_text("utf-8").splitlines():
                if found := re.match(r"service (\w+)", line):
                    service = found[1]
                found = re.match(r" +rpc (\w+)\(\w+\) returns \((stream )?", line)
                if not found:
                    continue
                method = f"/sluice.v1.{service}/{found[1]}"
                for request in (b"", b"\x08\x01", b"\x08\x02") if found[1] == "GetDesired" else (b"",):
                    self.said[f"{method} {request.hex()}"] = self.answer(channel, method, request, bool(found[2]))
                    called += 1
        self.assertGreater(called, 30)

    @staticmethod
    def answer(channel, method, request, streams):
        try:
            if not streams:
                return channel.unary_unary(method)(request, timeout=DEADLINE_S)
            # A Watch from the oldest event has no end.
            return b"".join(channel.unary_stream(method)(request, timeout=1))
        except grpc.RpcError as error:
            return error.details().encode()

    # ---- the secrets, in all forms that they could be written in

    def secrets(self):
        digits = {"the seed": SEED, "cookie key 0": COOKIE_KEYS[0], "cookie key 1": COOKIE_KEYS[1],
                  "the later cookie key": LATER_KEY, "the QUIC key": QUIC_KEY}
        forms = {}
        for name, text in digits.items():
            raw = bytes.fromhex(text)
            # In one piece or by parts, as numbers are printed; base64 without what depends on where it begins.
            forms[name] = [text[:16].encode(), text[16:].encode(), raw[:8], raw[8:], raw[7::-1], raw[:7:-1],
                           base64.b64encode(raw)[:20], repr(list(raw))[1:-1].encode(), raw.hex(" ").encode(),
                           raw.hex(":").encode()]
            forms[name] += [form.upper() for form in forms[name][:2]]
        pem = self.path("tls.key").read_bytes().splitlines()
        forms["the TLS key"] = [line for line in pem if not line.startswith(b"-----")] + [b"PRIVATE KEY"]
        return forms

    def assert_nothing_told(self):
        told = [f"{name} in {where}" for where, text in self.said.items() for name, forms in self.secrets().items()
                if any(form in text for form in forms)]
        self.assertEqual(told, [])

    def test_no_secret_is_told(self):
        self.run_program("sluiced", "--check", "--config", self.config)
        self.run_program("sluiced", "preflight", "--config", self.config, codes=(0, 4))
        self.run_program("sluiced", "preflight", "--json", "--config", self.config, codes=(0, 4))
        self.assertIsNone(self.start("--log-level", "debug"), self.log())
        # Keys are added, changed and taken away, and what is wrong with a file of them is told without them.
        new = self.file_of("new.yaml", self.services([0, 1], files=("cookie-0", "later")))
        for words in (("diff", "-f", new), ("apply", "-f", new, "--dry-run"), ("apply", "-f", new)):
            self.asks(*words, codes=(0, 4))
            self.asks("-o", "json", *words, codes=(0, 4))
        self.asks("apply", "-f", self.file_of("fewer.yaml", self.services([1], files=("cookie-0", "later"))))
        for name, services in (("bad-cookie", self.services([0], files=("bad",))),
                               ("bad-quic", self.services([0], quic_file="bad")),
                               ("bad-seed", self.services([0], seed=SEED[1:])),
                               ("other-seed", self.services([0], seed=LATER_KEY))):
            self.asks("apply", "-f", self.file_of(f"{name}.yaml", services), codes=(1,))
        self.asks("rollback", "1")
        self.process.send_signal(1)  # SIGHUP
        for words in (("status",), ("get", "vips"), ("get", "pools"), ("get", "backends"), ("get", "drains"),
                      ("get", "ports"), ("get", "workers"), ("stats",), ("describe", "vip", "www"),
                      ("describe", "pool", "web"), ("describe", "backend", "web/web-1"), ("explain", *FLOW),
                      ("explain", *FLOW, "--ecr", "12345"), ("history",), ("export",)):
            for output in ("table", "wide", "json", "yaml"):
                self.asks("-o", output, *words, codes=(0, 2))
        self.call_everything()
        metrics = subprocess.run(["curl", "-sS", "--fail", f"http://{self.metrics}/metrics"], check=True,
                                 capture_output=True, timeout=DEADLINE_S).stdout
        self.assertIn(b"sluice_cookie_digest_info", metrics)
        self.said["metrics"] = metrics
        self.process.terminate()
        self.assertEqual(self.process.wait(DEADLINE_S), 0)
        self.said["the log"] = self.log().encode()
        self.said["the audit log"] = self.path("audit.log").read_bytes()
        # All of it was said with the keys in force, or they would not come up anyway.
        for where, text in (("the log", b"cookie key 1"), ("the audit log", b"cookie key 1"),
                            (f"sluicectl -s {self.server} -o table export", b"cookie_keys"),
                            (f"sluicectl -s {self.server} -o table history", b"another secret"),
                            ("/sluice.v1.Inspector/GetDesired ", b"203.0.113.10")):
            self.assertIn(text, self.said[where], where)
        self.assert_nothing_told()

    def test_the_state_is_for_nobody_else_to_read(self):
        """The one place where sluiced writes them."""
        self.assertIsNone(self.start(), self.log())
        files = [file for file in pathlib.Path(self.state).rglob("*") if file.is_file()]
        holds = [file for file in files if SEED.encode() in self.plain(file.read_bytes())]
        self.assertGreater(len(holds), 0)
        self.assertEqual([oct(file.stat().st_mode & 0o777) for file in holds], ["0o600"] * len(holds))
        self.assertEqual(os.stat(self.state).st_mode & 0o777, 0o700)

    @staticmethod
    def plain(state):
        """What a file of the state says; it is packed behind its head."""
        packed = state.partition(b"\nplain_bytes: ")[2].partition(b"\n")[2]
        return zlib.decompressobj().decompress(packed)


if __name__ == "__main__":
    unittest.main()
