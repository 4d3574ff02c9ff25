#!/usr/bin/python3
"""The packages, from their making to their removal, in a clean Debian: needs root, and a mirror the first time."""

import atexit
import functools
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

from clean_system import CleanSystem, run
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARIES = pathlib.Path(os.environ.get("SLUICE_BINARIES", ROOT / "build" / "release" / "bin"))
EXAMPLES = "/usr/share/doc/sluice/examples"
OLDER = "0.0.1"


@functools.cache
def programs():
    """Copies without what is for debuggers, which dh_strip takes minutes to set aside."""
    folder = tempfile.TemporaryDirectory(prefix="sluice-programs-")
    atexit.register(folder.cleanup)
    for program in ("sluiced", "sluicectl", "sluice-replay", "sluice-backend"):
        run("strip", "--strip-debug", "-o", pathlib.Path(folder.name) / program, BINARIES / program)
    return folder.name


def make_packages(output, *options):
    environment = {**os.environ, "DEB_BUILD_OPTIONS": "noautodbgsym", "DPKG_DEB_COMPRESSOR_LEVEL": "0"}
    run(ROOT / "tools" / "package", "--binaries", programs(), "--output", output, *options, env=environment)
    return sorted(pathlib.Path(output).glob("*.deb"))


def field(package, name):
    return run("dpkg-deb", "--field", package, name).stdout.strip()


class PackagesTest(unittest.TestCase):
    """In the order of their names: the life of an installation."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="sluice-packages-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.older = make_packages(cls.folder / "older", "--version", OLDER)
        cls.packages = make_packages(cls.folder / "first")
        cls.version = re.search(r"project\(sluice VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text("utf-8"))[1]
        cls.system = CleanSystem(cls.packages)
        cls.addClassCleanup(cls.system.remove)
        cls.before = cls.system.files()

    def test_1_names_and_versions_come_from_one_place(self):
        names = {package.name.split("_")[0] for package in self.packages}
        self.assertLessEqual({"sluice", "sluice-cli"}, names)
        for package in self.packages:
            self.assertEqual(field(package, "Version"), self.version)

    def test_1_two_builds_give_equal_bytes(self):
        again = make_packages(self.folder / "again")
        self.assertEqual([package.name for package in again], [package.name for package in self.packages])
        for one, other in zip(self.packages, again):
            self.assertEqual(one.read_bytes(), other.read_bytes(), f"{one.name} differs from build to build")

    def test_1_lintian_finds_no_errors(self):
        done = run("lintian", "--allow-root", "--fail-on", "error", *self.packages)
        print(f"\n{done.stdout}", flush=True)

    def test_2_the_older_one_installs_offline(self):
        self.system.install(self.older)
        self.assertIn(OLDER, self.installed("sluice"))
        self.assertIn("sluice:", (self.system.root / "etc/group").read_text("utf-8"))
        directory = (self.system.root / "etc/sluice").stat()
        self.assertEqual(directory.st_mode & 0o7777, 0o2750)
        self.assertNotEqual(directory.st_gid, 0)

    def test_3_an_upgrade_keeps_what_the_operator_wrote(self):
        example = (self.system.root / EXAMPLES.lstrip("/") / "one-arm.yaml").read_text("utf-8")
        configuration = self.system.root / "etc/sluice/sluice.yaml"
        configuration.write_text(example, "utf-8")
        configuration.chmod(0o640)
        default = self.system.root / "etc/default/sluice"
        default.write_text('SLUICE_HUGEPAGES="0:7"\n', "ascii")
        self.system.install(self.packages)
        self.assertIn(self.version, self.installed("sluice"))
        self.assertEqual(default.read_text("ascii"), 'SLUICE_HUGEPAGES="0:7"\n')
        self.assertEqual(configuration.read_text("utf-8"), example)
        # The group came from the directory, so that sluiced can read it and others cannot.
        self.assertEqual(configuration.stat().st_gid, (self.system.root / "etc/sluice").stat().st_gid)

    def test_4_every_example_is_valid(self):
        examples = sorted((self.system.root / EXAMPLES.lstrip("/")).glob("*.yaml"))
        self.assertGreater(len(examples), 3)
        for example in examples:
            with self.subTest(example=example.name):
                done = self.system.run("sluiced", "--check", "--config", f"{EXAMPLES}/{example.name}")
                self.assertIn("valid", done.stdout)

    def test_4_the_service_user_reads_the_configuration_and_nobody_else_does(self):
        def check(user):
            command = self.system.command("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "sluiced",
                                          "--check", "--config", "/etc/sluice/sluice.yaml")
            return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

        self.assertEqual(check("sluice").returncode, 0)
        self.assertEqual(check("daemon").returncode, 3)

    def test_4_preflight_looks_at_the_machine(self):
        command = self.system.command("sluiced", "preflight", "--json", "--config", "/etc/sluice/sluice.yaml")
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        answer = json.loads(done.stdout)
        self.assertEqual(done.returncode, 4 if answer["errors"] else 0, done.stdout)
        checks = {finding["check"] for finding in answer["findings"]}
        self.assertLessEqual({"kernel.release", "memory.hugepages", "process.capabilities"}, checks)

    def test_4_replay_forwards(self):
        packet = Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01") / IP(src="198.51.100.7", dst="203.0.113.10")
        wrpcap(str(self.system.root / "tmp/in.pcap"), packet / TCP(sport=40000, dport=80, flags="S"))
        done = self.system.run("sluice-replay", "--config", f"{EXAMPLES}/one-arm.yaml", "--in", "/tmp/in.pcap",
                               "--json")
        self.assertEqual(json.loads(done.stdout)["totals"]["forwarded"], 1)

    def test_4_manual_pages_are_there(self):
        for page in ("man8/sluiced.8.gz", "man1/sluicectl.1.gz", "man1/sluice-replay.1.gz"):
            text = run("zcat", self.system.root / "usr/share/man" / page).stdout
            self.assertIn("SYNOPSIS", text)

    def test_4_rules_dashboards_and_completion_are_there(self):
        share = self.system.root / "usr/share"
        for folder, names in (("sluice/prometheus", ("sluice-alerts.yml", "prometheus.yml")),
                              ("sluice/grafana", ("sluice-fleet.json", "sluice-vip.json"))):
            for name in names:
                self.assertEqual((share / folder / name).read_bytes(),
                                 (ROOT / "deploy" / pathlib.Path(folder).name / name).read_bytes())
        for path in ("bash-completion/completions/sluicectl", "zsh/vendor-completions/_sluicectl"):
            self.assertIn("__complete", (share / path).read_text("utf-8"))

    def test_5_the_labs_traffic_through_the_installed_programs(self):
        self.system.bind("/run/sluice-lab")
        wrappers = self.system.wrappers(self.folder / "bin",
                                        {"sluiced": "/usr/sbin/sluiced", "sluicectl": "/usr/bin/sluicectl",
                                         "sluice-backend": "/usr/sbin/sluice-backend"})
        environment = {**os.environ, "SLUICE_BINARIES": str(wrappers)}
        for test, names in {"test_forwarding.py": ["ForwardingTest.test_transfers_arrive_whole",
                                                   "ForwardingTest.test_each_new_flow_is_counted_once"],
                            # With the agent of its package on the backends.
                            "test_tunnels.py": ["TunnelsTest.test_each_kind"]}.items():
            done = run("/usr/bin/python3", "-B", ROOT / "tests" / "e2e" / test, "-v", *names, env=environment)
            self.assertIn("OK", done.stderr)

    def test_5_every_program_has_its_page(self):
        for page, words in {"man8/sluiced.8": ["PREFLIGHT", "--probe", "/etc/sluice/sluice.yaml", "SIGHUP"],
                            "man1/sluicectl.1": ["backend drain", "SLUICE_SERVER", "Exit codes"],
                            "man5/sluice.yaml.5": ["connections_v4", "proxy_protocol", "rate_limit_pps"],
                            "man1/sluice-replay.1": ["--neighbours", "SCENARIOS", "flows_alive"],
                            "man8/sluice-backend.8": ["--director", "drop_foreign_source", "backend.yaml"]}.items():
            with self.subTest(page=page):
                path = self.system.root / "usr/share/man" / f"{page}.gz"
                shown = run("man", "--warnings", "--no-hyphenation", "--local-file", path,
                            env={**os.environ, "MANWIDTH": "120"})
                self.assertEqual(shown.stderr, "")
                for word in words:
                    self.assertIn(word.lower(), shown.stdout.lower())

    def test_5_documents_name_files_that_are_there(self):
        documents = self.system.root / "usr/share/doc/sluice"
        present = {path.name.removesuffix(".gz") for path in documents.iterdir()}
        self.assertLessEqual({"README.md", "PLANNING.md", "BACKENDS.md", "TROUBLESHOOTING.md", "configuration.md"},
                             present)

    def test_5_what_the_guide_asks_for_is_done(self):
        """So that there is something to be left behind."""
        self.system.run("systemctl", "enable", "sluiced", "sluice-hugepages", "sluice-backend",
                        "sluice-bind@0000:03:00.0")
        for path in ("etc/systemd/system/sluiced.service.d/af-xdp.conf", "etc/sluice/backend.yaml",
                     "etc/sluice/server.key", "var/lib/sluice/state/1"):
            path = self.system.root / path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("", "ascii")

    def test_6_removal_leaves_the_operators_files(self):
        self.system.run("apt-get", "remove", "--yes", *self.names())
        self.assertFalse((self.system.root / "usr/sbin/sluiced").exists())
        for kept in ("etc/sluice/sluice.yaml", "etc/default/sluice", "etc/sluice/backend.yaml",
                     "var/lib/sluice/state/1"):
            self.assertTrue((self.system.root / kept).exists(), kept)

    def test_7_purge_leaves_nothing(self):
        self.system.run("apt-get", "purge", "--yes", *self.names())
        # The user stays, as Debian wants it: files that it owns elsewhere must not become another's.
        left = {path for path in self.system.files() - self.before if path not in ("etc/passwd-", "etc/group-")}
        self.assertEqual({path for path in left if not re.fullmatch(r"etc/(g?shadow|subuid|subgid)-", path)}, set())

    def names(self):
        return [package.name.split("_")[0] for package in self.packages]

    def installed(self, name):
        return self.system.run("dpkg-query", "--show", "--showformat=${Version} ${db:Status-Status}", name).stdout


if __name__ == "__main__":
    os.makedirs("/run/sluice-lab", exist_ok=True)
    # Each step stands on those before it.
    unittest.main(failfast=True)
