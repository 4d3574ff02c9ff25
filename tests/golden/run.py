#!/usr/bin/python3
"""Runs golden cases: captures in, captures and counters out, compared byte by byte with what each case expects.

    run.py [--replay PATH] [--seeds DIR] [NAME...]

With --replay runs the named cases (shell patterns; all without names). With --seeds writes seeds for fuzzers: what
arrives in the cases into DIR/frames, one file for each frame, and their configurations into DIR/configs.
"""

import argparse
import fnmatch
import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import yaml  # noqa: E402

import capture  # noqa: E402
import kit  # noqa: E402

TIMEOUT_S = 60
SEEDS_PER_CASE = 16


def load(name):
    """The case of a folder, built."""
    spec = importlib.util.spec_from_file_location(f"case_{name}", HERE / "cases" / name / "case.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    case = kit.Case(name)
    module.build(case)
    return case


def all_names():
    return sorted(path.parent.name for path in HERE.glob("cases/*/case.py"))


def difference(what, number, expected, got):
    """Says where two frames differ, in hex and in words."""
    at = next((i for i, (a, b) in enumerate(zip(expected, got)) if a != b), min(len(expected), len(got)))
    lines = [f"{what} frame {number}: differs at byte {at}; expected {len(expected)} bytes, got {len(got)}"]
    for label, frame in (("expected", expected), ("got", got)):
        part = frame[max(0, at - 4) : at + 16].hex(" ")
        lines.append(f"  {label:8} ...{part}...  {kit.scapy.Ether(frame).summary()}")
    return "\n".join(lines)


def compare_frames(what, packets, fates, path):
    expected = []
    for p in packets:
        expected += [(p.time_ns, p.out)] if p.record["fate"] in fates else []
        # Frames beyond the packet's own are forwarded ones in all cases there are.
        expected += [(p.time_ns, out) for out in p.extra if "forwarded" in fates]
    got = capture.read(path)
    problems = []
    for number, (want, have) in enumerate(zip(expected, got), 1):
        if want[1] != have[1]:
            problems.append(difference(what, number, want[1], have[1]))
        elif want[0] != have[0]:
            problems.append(f"{what} frame {number}: time stamp {have[0]}, expected {want[0]}")
    if len(expected) != len(got):
        problems.append(f"{what}: {len(got)} frames, expected {len(expected)}")
    return problems


def compare_counters(path, expected, got):
    """Compares what `expected` states; `got` may hold more, but no other reasons, VIPs or backends."""
    problems = []
    for key, value in expected.items():
        if isinstance(value, dict):
            problems += compare_counters(f"{path}.{key}", value, got.get(key, {}))
        elif got.get(key) != value:
            problems.append(f"{path}.{key} is {got.get(key)}, expected {value}")
    if path in ("report.totals.dropped", "report.vips", "report.backends"):
        problems += [f"{path}.{key} is {got[key]}, expected none" for key in got if key not in expected]
    return problems


def compare_report(case, report):
    expected = case.expected()
    problems = []
    for number, (want, have) in enumerate(zip(expected.pop("packets"), report["packets"]), 1):
        have = {k: v for k, v in have.items() if k not in ("number", "time_ns", "port")}
        if want != have:
            problems.append(f"packet {number}: became {have}, expected {want}")
    problems += compare_counters("report", expected, report)
    problems += compare_counters("stated", case.counters, report)
    totals = report["totals"]
    entered = totals["received"] + totals["from_host"] + totals["originated"]
    left = totals["forwarded"] + totals["answered"] + totals["punted"] + totals["sent_for_host"] + totals["held"]
    left += sum(totals["dropped"].values())
    arrived_or_made = len(case.packets) + totals["originated"]
    if entered != left or entered != arrived_or_made or not report["balanced"]:
        problems.append(f"packet sum: {len(case.packets)} arrived, {entered} counted in, {left} accounted for")
    return problems


def write_input(case, folder):
    """Writes what arrives: one capture, or a scenario with one for each run of packets. Returns the options for it."""

    def write_capture(name, packets):
        capture.write(folder / name, [(p.time_ns, p.frame) for p in packets])

    if not case.steps:
        write_capture("in.pcap", case.packets)
        return ["--in", folder / "in.pcap"]
    steps = []
    for number, part in enumerate(case.scenario(), 1):
        if isinstance(part, list):
            write_capture(f"in-{number}.pcap", part)
            part = {"replay": {"capture": f"in-{number}.pcap"}}
        if "apply" in part:
            (folder / f"apply-{number}.yaml").write_text(yaml.safe_dump(part["apply"]["file"], sort_keys=False))
            part = {"apply": {**part["apply"], "file": f"apply-{number}.yaml"}}
        steps.append(part)
    (folder / "steps.yaml").write_text(yaml.safe_dump({"steps": steps}, sort_keys=False))
    return ["--scenario", folder / "steps.yaml"]


def run(case, replay, folder):
    """Problems of the case, none when it passes."""
    config, neighbours = folder / "config.yaml", folder / "neighbours.yaml"
    config.write_text(yaml.safe_dump(case.config(), sort_keys=False))
    neighbours.write_text(yaml.safe_dump(case.neighbours))
    command = [replay, "--config", config, "--neighbours", neighbours, "--json", "--mac", kit.DIRECTOR_MAC]
    command += ["--out", folder / "out.pcap", "--host", folder / "host.pcap", *write_input(case, folder)]
    result = subprocess.run(command + case.arguments, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if result.returncode != 0:
        return [f"sluice-replay ended with {result.returncode}: {result.stderr.strip()}"]
    if result.stderr:
        return [f"sluice-replay wrote to standard error: {result.stderr.strip()}"]
    report = json.loads(result.stdout)
    if case.steps:
        report["packets"] = [packet for step in report["steps"] for packet in step.get("packets", [])]
    problems = compare_report(case, report)
    for what, path, fates in (("out", "out.pcap", ("forwarded", "answered")), ("host", "host.pcap", ("punted",))):
        problems += compare_frames(what, case.packets, fates, folder / path)
    return problems


def write_seeds(case, directory):
    frames, configs = directory / "frames", directory / "configs"
    for folder in (frames, configs):
        folder.mkdir(parents=True, exist_ok=True)
    # Some cases send thousands of like frames; a fuzzer that reads them all has no time left to change any.
    step = -(-len(case.packets) // SEEDS_PER_CASE)
    for number, packet in enumerate(case.packets[:: max(step, 1)]):
        (frames / f"{case.name}-{number}").write_bytes(packet.frame)
    (configs / f"{case.name}.yaml").write_text(yaml.safe_dump(case.config(), sort_keys=False))


def main():
    parser = argparse.ArgumentParser(description="Runs golden cases.")
    parser.add_argument("--replay", type=pathlib.Path, help="the sluice-replay to test")
    parser.add_argument("--seeds", type=pathlib.Path, metavar="DIR", help="write seeds for fuzzers into this folder")
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIR", help="leave the captures in this folder")
    parser.add_argument("patterns", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    names = [n for n in all_names() if not arguments.patterns or any(fnmatch.fnmatch(n, p) for p in arguments.patterns)]
    if not names:
        parser.error("no case has such a name")
    if not arguments.replay and not arguments.seeds:
        parser.error("--replay or --seeds is missing")
    failed = 0
    with tempfile.TemporaryDirectory(prefix="sluice-golden-") as temporary:
        for name in names:
            case = load(name)
            if arguments.seeds:
                write_seeds(case, arguments.seeds)
            if not arguments.replay:
                continue
            folder = (arguments.keep or pathlib.Path(temporary)) / name
            folder.mkdir(parents=True, exist_ok=True)
            problems = run(case, arguments.replay.resolve(), folder)
            print(f"{'FAILED' if problems else 'ok':6} {name}", flush=True)
            for problem in problems[:20]:
                print("  " + problem.replace("\n", "\n  "))
            failed += bool(problems)
    if arguments.replay:
        print(f"{len(names) - failed} of {len(names)} cases passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
