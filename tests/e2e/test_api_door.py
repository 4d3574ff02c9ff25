#!/usr/bin/python3
"""Who gets through the API's door: certificates and their roles, renewed ones, and bytes that are no request at all."""

import os
import re
import socket
import ssl
import struct
import subprocess
import unittest

from management_case import DEADLINE_S, ManagementCase
from lab.process import wait_until

INVALID_ARGUMENT, NOT_FOUND, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL = 3, 5, 8, 12, 13
TIMEOUT_S = 20


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def framed(message, length=None, compressed=0):
    """A gRPC message on the wire."""
    return struct.pack(">BI", compressed, len(message) if length is None else length) + message


class ApiDoorTest(ManagementCase):
    def setUp(self):
        super().setUp()
        self.port = free_port()
        for authority in ("ours", "strangers"):
            self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                         "-subj", f"/CN={authority}", "-keyout", self.path(f"{authority}-ca.key"),
                         "-out", self.path(f"{authority}-ca.pem"))
        self.certify("server")
        for name in ("netops", "shop-team", "dashboard", "nobody"):
            self.certify(name)
        self.certify("netops", authority="strangers", file="forged")
        self.write("api", audit_log=self.path("audit.log"), tcp={
            "listen": f"127.0.0.1:{self.port}", "certificate": self.path("server.pem"), "key": self.path("server.key"),
            "client_ca": self.path("ours-ca.pem")}, roles=[
                {"name": "netops", "role": "admin"}, {"name": "dashboard", "role": "viewer"},
                {"name": "shop-team", "role": "operator", "vips": ["shop"]}])
        self.assertIsNone(self.start(), self.log())

    def path(self, name):
        return os.path.join(self.directory, name)

    @staticmethod
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=DEADLINE_S)

    def certify(self, name, authority="ours", file=None, days=2):
        """A key and a certificate in the name; the certificate replaces an earlier one at once."""
        file = file or name
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                     "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1", "-keyout", self.path(f"{file}.key.new"),
                     "-out", self.path(f"{file}.csr"))
        self.openssl("x509", "-req", "-in", self.path(f"{file}.csr"), "-CA", self.path(f"{authority}-ca.pem"),
                     "-CAkey", self.path(f"{authority}-ca.key"), "-CAcreateserial", "-days", str(days),
                     "-copy_extensions", "copy", "-out", self.path(f"{file}.pem.new"))
        for end in ("key", "pem"):
            os.rename(self.path(f"{file}.{end}.new"), self.path(f"{file}.{end}"))

    def remote(self, file, *words, key=None, authority="ours"):
        return subprocess.run([
            self.binary("sluicectl"), "-s", f"127.0.0.1:{self.port}", "--tls-ca", self.path(f"{authority}-ca.pem"),
            "--tls-cert", self.path(f"{file}.pem"), "--tls-key", self.path(f"{key or file}.key"), *words],
            check=False, capture_output=True, text=True, timeout=DEADLINE_S)

    def serial(self):
        """Of the certificate that the server shows now."""
        context = ssl.create_default_context(cafile=self.path("ours-ca.pem"))
        context.load_cert_chain(self.path("netops.pem"), self.path("netops.key"))
        with socket.create_connection(("127.0.0.1", self.port), TIMEOUT_S) as plain:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
                return secure.getpeercert()["serialNumber"]

    def test_certificates_decide_who_may_do_what_and_are_renewed_while_it_runs(self):
        add = ("backend", "add", "web", "web-4", "192.0.2.14")
        self.assertEqual(self.remote("dashboard", "get", "vips").returncode, 0)
        for file, complaint in (("dashboard", "viewer"), ("shop-team", "www"), ("nobody", "nobody")):
            done = self.remote(file, *add)
            self.assertEqual(done.returncode, 1, f"{file}: {done.stdout}{done.stderr}")
            self.assertIn(complaint, done.stderr)
        self.assertEqual(self.remote("nobody", "status").returncode, 1)
        self.certify("netops", file="expired", days=-1)
        for file, key, authority, complaint in (
                ("forged", None, "ours", "sluiced does not accept the client's certificate"),
                ("expired", None, "ours", "expired.pem expired on 2"),
                ("netops", "nobody", "ours", "is not that of the certificate"),
                ("netops", None, "strangers", "is not signed by the CA")):
            done = self.remote(file, "status", key=key, authority=authority)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn(complaint, done.stderr)
        self.assertEqual(self.remote("netops", *add).returncode, 0)
        with open(self.path("audit.log"), encoding="utf-8") as file:
            audit = file.read()
        self.assertIn("netops", audit)
        self.assertIn("shop-team", audit, "what is refused is on record too")

        before = self.serial()
        pid = self.process.pid
        self.certify("server")
        wait_until(lambda: self.serial() != before, DEADLINE_S, "the renewed certificate is shown")
        self.assertEqual(self.remote("netops", "backend", "remove", "web", "web-4").returncode, 0)
        self.certify("server", days=-1)
        wait_until(lambda: "sluiced's certificate, or its CA's, expired on 2" in self.remote("netops", "status").stderr,
                   DEADLINE_S, "the certificate that has ended is shown, and sluicectl says so")
        self.assertEqual((self.process.poll(), self.process.pid), (None, pid))

    # ---- bytes that are no request

    def call(self, method, body):
        """The gRPC code and message that the Unix socket's server answers with."""
        request = self.path("body")
        with open(request, "wb") as file:
            file.write(body)
        for _ in range(20):
            done = subprocess.run([
                "curl", "-sS", "--http2-prior-knowledge", "--max-time", str(TIMEOUT_S), "--unix-socket",
                self.socket_path, "-H", "content-type: application/grpc", "-H", "te: trailers", "--data-binary",
                f"@{request}", "-o", "/dev/null", "-D", "-", f"http://localhost/{method}"], check=False,
                capture_output=True, text=True, timeout=DEADLINE_S)
            # An answer that comes before the body was sent is an error to curl, now and then.
            if done.returncode != 92:
                break
        code = re.search(r"(?mi)^grpc-status: (\d+)", done.stdout)
        message = re.search(r"(?mi)^grpc-message: (.*?)\r?$", done.stdout)
        self.assertIsNotNone(code, f"{method}: {done.stdout}{done.stderr}")
        return int(code[1]), message[1] if message else ""

    def test_requests_that_are_none_get_a_code(self):
        get_vip, status = "sluice.v1.Inspector/GetVip", "sluice.v1.Inspector/GetStatus"
        self.assertEqual(self.call(status, framed(b""))[0], 0)
        self.assertEqual(self.call("sluice.v1.Inspector/Nonsense", framed(b""))[0], UNIMPLEMENTED)
        code, message = self.call(get_vip, framed(b"\x0a\x01x"))
        self.assertEqual((code, '"x"' in message), (NOT_FOUND, True), message)
        # Not a message of its kind; of a length that is a lie; compressed without saying how.
        for body in (framed(b"\xff" * 64), framed(b"\x0a\xff\xff\xff\xff\x0f"), framed(b"\x0a\x01\xff"),
                     framed(b"x" * 100, length=0xffffffff), framed(b"x", compressed=1)):
            self.assertIn(self.call(get_vip, body)[0], (INVALID_ARGUMENT, UNIMPLEMENTED, INTERNAL), body)
        code, message = self.call(get_vip, framed(b"\x0a" + b"\0" * (17 << 20)))
        self.assertEqual((code, "larger than max" in message), (RESOURCE_EXHAUSTED, True), message)
        # Contradictory: what is meant is asked for, and the field named.
        code, message = self.call("sluice.v1.Manager/Apply", framed(b""))
        self.assertEqual(code, INVALID_ARGUMENT, message)
        self.assertIn("desired", message)
        self.assertEqual(self.ctl("status").returncode, 0)

    def hostile_connections(self):
        """Each (family, address, bytes)."""
        unix, tcp = (socket.AF_UNIX, self.socket_path), (socket.AF_INET, ("127.0.0.1", self.port))
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        hello = self.client_hello()
        frame_of_16_mib = b"\xff\xff\xff\x00\x00\x00\x00\x00\x01"
        random = bytes((i * 197 + 13) % 256 for i in range(65536))
        for target in (unix, tcp):
            for data in (b"", b"\0", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", preface, preface + frame_of_16_mib + random,
                         preface + b"\0\0\0\x04\0\0\0\0\0" + b"\0\0\x01\x09\x04\0\0\0\x01\xff" * 1000, hello,
                         hello[:20], hello + random, random, b"\n" * 1_000_000):
                yield (*target, data)

    @staticmethod
    def client_hello():
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        connection = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="sluice")
        try:
            connection.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return outgoing.read()

    def test_hostile_bytes_neither_stop_nor_fill_it(self):
        files_before = len(os.listdir(f"/proc/{self.process.pid}/fd"))
        kept = []
        for family, address, data in self.hostile_connections():
            connection = socket.socket(family)
            connection.settimeout(TIMEOUT_S)
            connection.connect(address)
            try:
                connection.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it had heard enough
            kept.append(connection)
            self.assertIsNone(self.process.poll(), self.log()[-2000:])
        # With all of them still open, both doors answer those who knock properly.
        self.assertEqual(self.ctl("status").returncode, 0)
        self.assertEqual(self.remote("netops", "status").returncode, 0)
        # Plain to TLS is told what to do.
        plain = subprocess.run([self.binary("sluicectl"), "-s", f"127.0.0.1:{self.port}", "status"], check=False,
                               capture_output=True, text=True, timeout=DEADLINE_S)
        self.assertEqual(plain.returncode, 3, plain.stderr)
        self.assertIn("--tls-ca", plain.stderr)
        for connection in kept:
            connection.close()
        wait_until(lambda: len(os.listdir(f"/proc/{self.process.pid}/fd")) <= files_before + 4, DEADLINE_S,
                   "their files are closed")
        self.process.terminate()
        self.assertEqual(self.process.wait(DEADLINE_S), 0)


if __name__ == "__main__":
    unittest.main()
