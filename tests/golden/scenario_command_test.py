#!/usr/bin/python3
"""sluice-replay --scenario as a command: steps, expectations, outputs, errors. Usage: scenario_command_test.py
SLUICE_REPLAY"""

import json
import pathlib
import subprocess
import sys
import tempfile
import textwrap
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import yaml  # noqa: E402
from scapy.all import ARP, IP, TCP, Ether  # noqa: E402

import capture  # noqa: E402
import kit  # noqa: E402

REPLAY = pathlib.Path(sys.argv.pop(1)).resolve() if len(sys.argv) > 1 else None
START_NS = 1_700_000_000_000_000_000

# A wrong scenario, and what is said about it.
WRONG_STEPS = (
    ("- replay: {}", '2:11: steps[0].replay.capture: is missing; add "capture: clients.pcap"'),
    ("- replay: {capture: '-'}", '2:21: steps[0].replay.capture: "-" is not the name of a file'),
    ("- repaly: {capture: a.pcap}", 'steps[0].repaly: unknown key "repaly"; did you mean replay?'),
    ("- {}", "2:3: steps[0]: a step does one thing, this one none; write one of replay, apply,"),
    ("- {advance: 1, backend: {name: a/b, change: drain}}", "a step does one thing, this one several"),
    ("- advance: 0", "2:12: steps[0].advance: 0 is out of range; give a whole number from 1 to 10000000"),
    ("- advance: -5", "steps[0].advance: -5 is out of range"),
    ("- advance: 1m", '2:12: steps[0].advance: "1m" is not a whole number; give one from 1 to 10000000'),
    ("- backend: {name: web-1, change: drain}", '"web-1" does not name a backend; write pool and backend'),
    ("- backend: {name: a/b, change: drian}", '"drian" is not one of add, drain, undrain, weight, remove, down, up'),
    ("- backend: {name: a/b, change: down, weight: 5}", "backend.weight: has no meaning for down; remove it"),
    ("- backend: {name: a/b, change: add}", 'needs an address; add "address: 192.0.2.11"'),
    ("- backend: {name: a/b, change: add, address: 1.2.3}", 'address: "1.2.3" is not an IP address'),
    ("- backend: {name: a/b, change: weight}", 'which weight is missing; add "weight: 50"'),
    ("- backend: {name: a/b, change: weight, weight: x}", 'backend.weight: "x" is not a whole number'),
    ("- backend: {name: a/b, change: drain, weight: 5}", "backend.weight: has no meaning for drain; remove it"),
    ("- backend: {name: a/b, change: remove, address: 1.2.3.4}", "address: has no meaning for remove"),
    ("- backend: {name: a/b, change: drain, refused: ''}", "write a part of the expected error message"),
    ("- expect: {}", "steps[0].expect: expects nothing; write counters"),
    ("- expect: {totals: {dropped: {vip_imcp: 1}}}", 'unknown key "vip_imcp"; did you mean vip_icmp?'),
    ("- expect: {vips: {www: {pakets: 1}}}", 'vips.www.pakets: unknown key "pakets"; did you mean packets?'),
    ("- expect: {vips: {www: {packets: many}}}", 'packets: "many" is not a number of packets, bytes or flows'),
    ("- expect: {vips: {www: {packets: at least -1}}}", '"at least -1" is not a number'),
    ("- expect: {rungs: {scheduler: 99999999999999999999}}", "is not a number of packets"),
    ("- expect: {vips: {w: {packets: 1}, w: {packets: 1}}}", 'key "w" is given twice'),
    ("- replay: {capture: a, out: x}\n- replay: {capture: a, out: ./x}", "is written by step 1 already"),
    ("- [", "not valid YAML"),
)


def segment(port, flags="S", destination=kit.DIRECTOR_MAC):
    packet = IP(src=kit.CLIENT_V4, dst=kit.VIP_V4) / TCP(sport=port, dport=80, flags=flags)
    return bytes(Ether(src=kit.ROUTER_MAC, dst=destination) / packet)


class ScenarioCommandTest(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.folder = pathlib.Path(self.temporary.name)
        case = kit.Case("scenario")
        case.pool("web", {"web-1": "192.0.2.11"})
        case.vip("www", kit.VIP_V4, "tcp", 80, "web", "l2")
        lan = {"name": "lan", "devices": ["net_null1"], "addresses": ["10.9.0.2/16"], "exception": {"enabled": False}}
        case.node["ports"].append(lan)
        self.config = case.config()
        self.write("config.yaml", yaml.safe_dump(self.config))
        self.write_capture("syn.pcap", [segment(port) for port in (1, 2, 3)])
        self.write_capture("ack.pcap", [segment(port, "A") for port in (1, 2, 3)])
        self.write_capture("arp.pcap", [bytes(Ether(src=kit.ROUTER_MAC, dst="ff:ff:ff:ff:ff:ff") / ARP())])

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def write_capture(self, name, frames, start_ns=START_NS, interval_ns=1000):
        capture.write(self.folder / name, [(start_ns + i * interval_ns, f) for i, f in enumerate(frames)])

    def run_steps(self, steps, *arguments):
        """Runs steps, given as the text below `steps:`."""
        self.write("steps.yaml", "steps:\n" + textwrap.dedent(steps).strip("\n") + "\n")
        command = [REPLAY, "--config", self.folder / "config.yaml", "--scenario", self.folder / "steps.yaml"]
        return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=60, check=False)

    def report(self, steps, *arguments, status=0):
        result = self.run_steps(steps, "--json", *arguments)
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertEqual(result.stderr == "", status == 0)
        return json.loads(result.stdout)

    def assert_error(self, status, text, steps, *arguments):
        result = self.run_steps(steps, *arguments)
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertIn(text, result.stderr)

    def test_a_record_for_each_step(self):
        report = self.report("""
            - replay: {capture: syn.pcap}
            - backend: {name: web/web-2, change: add, address: 192.0.2.12, weight: 50}
            - backend: {name: web/web-1, change: drain}
            - advance: 20
            - expect:
                totals: {received: 3, forwarded: 3, dropped: {no_backend: 0}}
                rungs: {scheduler: at most 3}
                backends: {web/web-1: {flows_alive: at least 3}}
        """)
        steps = report["steps"]
        self.assertEqual([s["kind"] for s in steps], ["replay", "backend", "backend", "advance", "expect"])
        self.assertEqual([s["step"] for s in steps], [1, 2, 3, 4, 5])
        self.assertEqual([s["line"] for s in steps], [2, 3, 4, 5, 6])
        self.assertEqual([s["clock_s"] for s in steps], [0, 0, 0, 20, 20])
        self.assertTrue(all(s["ok"] and s["failures"] == [] for s in steps))
        self.assertEqual([p["rung"] for p in steps[0]["packets"]], ["scheduler"] * 3)
        self.assertEqual(steps[1]["changes"], ["+ backend web/web-2: 192.0.2.12 weight 50 active"])
        self.assertEqual(steps[2]["changes"], ["~ backend web/web-1: active -> draining"])
        checks = [(c["counter"], c["expected"], c["actual"], c["ok"]) for c in steps[4]["expectations"]]
        self.assertIn(("rungs.scheduler", "at most 3", 3, True), checks)
        self.assertEqual(len(checks), 5)
        self.assertEqual(report["totals"]["forwarded"], 3)
        self.assertTrue(report["balanced"])
        self.assertNotIn("packets", self.report("- replay: {capture: syn.pcap}", "--totals")["steps"][0])

    def test_failed_expectations(self):
        steps = """
            - replay: {capture: syn.pcap}
            - expect:
                totals:
                  received: 3
                  forwarded: 4
                vips: {www: {packets: at most 2}}
                backends: {web/gone: {packets: 0}}
            - replay: {capture: ack.pcap}
            - expect: {totals: {received: at least 7}}
        """
        report = self.report(steps, status=3)
        self.assertEqual([s["ok"] for s in report["steps"]], [True, False, True, False])
        self.assertEqual(
            report["steps"][1]["failures"],
            [
                {"line": 6, "text": "totals.forwarded is 3, expected 4"},
                {"line": 7, "text": "vips.www.packets is 3, expected at most 2"},
                {
                    "line": 8,
                    "text": "backends.web/gone.packets is absent (there is no backend of this name, only: web/web-1), "
                    "expected 0",
                },
            ],
        )
        self.assertEqual([c["actual"] for c in report["steps"][1]["expectations"]], [3, 3, 3, None])
        self.assertEqual(report["totals"]["received"], 6)  # the run went on
        result = self.run_steps(steps)
        self.assertEqual(result.returncode, 3)
        self.assertIn("steps.yaml:6: step 2: totals.forwarded is 3, expected 4\n", result.stderr)
        self.assertIn("and 3 more failures", result.stderr)
        self.assertIn("step 4 (line 10): expect 1 counters\n  FAILED line 10: totals.received is 6,", result.stdout)
        self.assertIn("  1 of 4 are as expected\n", result.stdout)

    def test_changes_that_are_refused(self):
        self.config["services"]["vips"][0]["pool"] = "missing"
        self.write("wrong.yaml", yaml.safe_dump(self.config))
        steps = """
            - replay: {capture: syn.pcap}
            - apply: {file: wrong.yaml}
            - backend: {name: web/web-9, change: drain}
            - replay: {capture: ack.pcap}
            - expect: {rungs: {connection_table: 3, rescheduled: 0}, vips: {www: {packets: 6}}}
        """
        report = self.report(steps, status=3)
        self.assertEqual([s["ok"] for s in report["steps"]], [True, False, False, True, True])
        self.assertRegex(report["steps"][1]["refusal"], r'wrong\.yaml:\d+:\d+: services\.vips\[0\]\.pool: .*"missing"')
        self.assertTrue(report["steps"][1]["failures"][0]["text"].startswith("the change was refused: "))
        self.assertIn("web-9", report["steps"][2]["refusal"])
        self.report("""
            - apply: {file: wrong.yaml, refused: '"missing"'}
            - backend: {name: web/web-9, change: drain, refused: web-9}
        """)
        report = self.report("- apply: {file: wrong.yaml, refused: other words}", status=3)
        self.assertIn("refused, but not with", report["steps"][0]["failures"][0]["text"])
        report = self.report("- backend: {name: web/web-1, change: drain, refused: why}", status=3)
        self.assertIn("the change was made", report["steps"][0]["failures"][0]["text"])
        self.assert_error(1, "steps.yaml:2: step 1: ", "- apply: {file: none.yaml, refused: x}")

    def test_counters_of_a_backend_with_another_name(self):
        self.config["services"]["pools"][0]["backends"][0]["name"] = "web-a"
        self.write("renamed.yaml", yaml.safe_dump(self.config))
        report = self.report("""
            - replay: {capture: syn.pcap}
            - apply: {file: renamed.yaml}
            - expect: {backends: {web/web-a: {packets: 0, flows_started: 0, flows_ended: 0, flows_alive: 3}}}
            - replay: {capture: ack.pcap}
            - expect: {backends: {web/web-a: {packets: 3, flows_started: 0, flows_ended: 0, flows_alive: 3}}}
            - advance: 7200
            - expect: {backends: {web/web-a: {packets: 3, flows_ended: 3, flows_alive: 0}}}
        """)
        # What a packet's backend is called is what it was called then.
        names = [[p["backend"] for p in step["packets"]] for step in report["steps"] if "packets" in step]
        self.assertEqual(names, [["web/web-1"] * 3, ["web/web-a"] * 3])
        self.assertEqual(report["backends"]["web/web-a"]["packets"], 3)
        self.assertNotIn("web/web-1", report["backends"])

    def test_outputs(self):
        outputs = ["--out", self.folder / "out.pcap", "--host", self.folder / "host.pcap"]
        self.write_capture("late.pcap", [segment(9), segment(8)], START_NS - 10**9)
        self.report(
            """
            - replay: {capture: syn.pcap}
            - replay: {capture: arp.pcap}
            - replay: {capture: ack.pcap, out: ack-out.pcap}
            - replay: {capture: arp.pcap, host: arp-host.pcap}
            - replay: {capture: late.pcap}
        """,
            *outputs,
        )

        def ports(name):
            return [int.from_bytes(frame[34:36], "big") for _, frame in capture.read(self.folder / name)]

        self.assertEqual(ports("out.pcap"), [1, 2, 3, 9, 8])
        self.assertEqual(ports("ack-out.pcap"), [1, 2, 3])
        self.assertEqual(capture.read(self.folder / "host.pcap"), capture.read(self.folder / "arp-host.pcap"))
        stamps = [stamp for stamp, _ in capture.read(self.folder / "out.pcap")]
        self.assertEqual(stamps[2:4], [START_NS + 2000, START_NS - 10**9])
        self.assert_error(1, "step 1: ", "- replay: {capture: syn.pcap, out: missing/out.pcap}")

    def test_the_clock(self):
        self.write_capture("slow.pcap", [segment(1)] * 3, interval_ns=10 * 10**9)
        self.write_capture("later.pcap", [segment(1)], START_NS + 100 * 10**9)
        report = self.report("""
            - replay: {capture: slow.pcap}
            - advance: 5
            # From before the clock's time: begins now, and its own intervals count.
            - replay: {capture: slow.pcap}
            # 100 s after the first packet of the one before, by the time stamps: 125 s on the clock.
            - replay: {capture: later.pcap}
            - advance: 31
            - expect: {table_v4: {entries: 0, expired: 2}, backends: {web/web-1: {flows_alive: 0, flows_started: 2}}}
        """)
        self.assertEqual([s["clock_s"] for s in report["steps"]], [20, 25, 45, 125, 156, 156])
        self.assertEqual(report["steps"][3]["packets"][0]["rung"], "scheduler")

    def test_ports(self):
        report = self.report("""
            - replay: {capture: arp.pcap, port: lan}
            - replay: {capture: arp.pcap}
            - expect: {totals: {punted: 1, dropped: {punt_no_host: 1}}}
        """)
        self.assertEqual([s["packets"][0]["fate"] for s in report["steps"][:2]], ["dropped", "punted"])
        self.assert_error(1, "steps.yaml:2: port dmz: the configuration has no such port, only: wan, lan",
                          "- replay: {capture: arp.pcap, port: dmz}")

    def test_own_mac_is_found_in_any_capture(self):
        self.write_capture("nic.pcap", [segment(1, destination="90:e2:ba:00:00:01")])
        self.report("""
            - replay: {capture: arp.pcap}
            - replay: {capture: nic.pcap}
            - expect: {totals: {forwarded: 1, punted: 1}}
        """)

    def test_a_capture_that_breaks(self):
        data = (self.folder / "syn.pcap").read_bytes()
        (self.folder / "broken.pcap").write_bytes(data[:-5])
        self.write_capture("first.pcap", [segment(1)])
        steps = """
            - replay: {capture: first.pcap}
            - replay: {capture: broken.pcap}
            - advance: 5
        """
        result = self.run_steps(steps, "--json", "--mac", kit.DIRECTOR_MAC)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, r"steps\.yaml:3: step 2: .*broken\.pcap: broken after frame 2")
        report = json.loads(result.stdout)
        self.assertEqual([(s["ok"], len(s["packets"])) for s in report["steps"]], [(True, 1), (False, 2)])
        self.assertEqual(report["totals"]["received"], 3)
        self.assert_error(1, "steps.yaml:2: ", "- replay: {capture: none.pcap}", "--mac", kit.DIRECTOR_MAC)

    def test_wrong_yaml(self):
        for steps, error in WRONG_STEPS:
            with self.subTest(steps=steps):
                self.assert_error(1, error, steps)
                self.assert_error(1, "steps.yaml:", steps)

    def test_wrong_usage(self):
        self.assert_error(2, "--in and --scenario exclude each other", "- advance: 1", "--in", "x")
        command = [REPLAY, "--config", self.folder / "config.yaml", "--scenario", self.folder / "none.yaml"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("none.yaml: cannot be read; check the path", result.stderr)


if __name__ == "__main__":
    if REPLAY is None:
        sys.exit(__doc__)
    unittest.main()
