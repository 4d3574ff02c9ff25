#!/usr/bin/python3
"""sluiced with drivers beside dpdk-testpmd, on the same devices and packets, in turn.

Usage: driver_bench.py --binaries DIR [--seconds N] [--rounds N] [--flows N ...] [--no-scaling]

Source is net_pcap, which repeats a file of packets from memory (infinite_rx=1), sink is net_null. One worker of sluiced
(1 000 VIPs, 1 000 backends, IPIP, connection table, 60 B frames of TCP) against one forwarding core of testpmd in
macswap and 5tswap. What counts is the ratio: the devices are software, and cost both sides the same.

Then two workers against one, beside two cores of testpmd against one: on two CPUs both sides share them with whatever
else runs, so what counts is sluiced's gain by testpmd's.

All of it runs at a high priority where it may, so that other work on the machine disturbs less. Needs huge pages for
20 000 buffers and one for each flow, of 2.3 KB, for each core.
"""

import argparse
import contextlib
import json
import os
import pathlib
import random
import re
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time

SOURCE_MAC = bytes.fromhex("027063617000")  # what net_pcap0 has
VIPS = 1000
BACKENDS = 1000
POOL_BACKENDS = 100
START_S = 60


def vip(index):
    return f"198.18.{(index + 1) >> 8}.{(index + 1) & 0xff}"


def backend(index):
    return f"172.16.{(index + 1) >> 8}.{(index + 1) & 0xff}"


def checksum(header):
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xffff) + (total >> 16)
    return ~(total + (total >> 16)) & 0xffff


def frame(flow):
    """An ACK of a flow to its VIP."""
    source = 0x0a000000 + flow // 8
    destination = 0xc6120000 + 1 + (flow * 0xd1342543de82ef95 >> 24) % VIPS
    ip = struct.pack("!BBHHHBBHII", 0x45, 0, 40, 0, 0, 64, 6, 0, source, destination)
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    tcp = struct.pack("!HHIIBBHHH", 1024 + flow % 8, 80, 0, 0, 5 << 4, 0x10, 0xffff, 0, 0)
    return (SOURCE_MAC + bytes.fromhex("020000000001") + b"\x08\x00" + ip + tcp).ljust(60, b"\0")


def write_capture(path, flows):
    order = list(range(flows))
    random.Random(1).shuffle(order)
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for flow in order:
            data = frame(flow)
            file.write(struct.pack("<IIII", 0, 0, len(data), len(data)) + data)


def devices(capture, workers):
    """Each receive queue repeats the file for itself."""
    return ["net_pcap0," + f"rx_pcap={capture}," * workers + "infinite_rx=1", "net_null0,no-rx=1"]


def configuration(directory, ports, flows, cpus):
    """Of sluiced; `ports`: the source and the sink."""
    source, sink = ports
    pools = [{"name": f"pool-{p}",
              "backends": [{"name": f"backend-{b}", "address": backend(b)}
                           for b in range(p * POOL_BACKENDS, (p + 1) * POOL_BACKENDS)]}
             for p in range(BACKENDS // POOL_BACKENDS)]
    vips = [{"name": f"vip-{v}", "address": vip(v), "protocol": "tcp", "port": 80, "mode": "ipip",
             "pool": f"pool-{v % len(pools)}"} for v in range(VIPS)]
    return {
        "node": {
            "name": "bench",
            "ports": [{"name": "front", "devices": [source], "exception": {"enabled": False}},
                      {"name": "back", "devices": [sink], "addresses": ["192.0.2.2/24"], "gateways": ["192.0.2.1"],
                       "gateway_mac": "02:00:00:00:00:02", "exception": {"enabled": False}}],
            "workers": {"count": len(cpus), "cpus": cpus, "idle": "poll"},
            "memory": {"mbufs": len(cpus) * buffers(flows), "hugepages": "require"},
            "tables": {"connections_v4": max(4096, 2 * flows)},
            "api": {"listen": f"unix:{directory}/api.sock"},
            "metrics": {"enabled": False},
        },
        "services": {"seed": "000102030405060708090a0b0c0d0e0f", "pools": pools, "vips": vips},
    }


def buffers(flows):
    """For one queue: net_pcap keeps the file's packets in buffers of the pool."""
    return 16384 + flows


@contextlib.contextmanager
def running(command, log, **options):
    with open(log, "w", encoding="utf-8") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT if "testpmd" in command[0] else signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def fail(what, log):
    sys.exit(f"driver_bench: {what}\n" + pathlib.Path(log).read_text(encoding="utf-8")[-3000:])


def rate_of_sluiced(binaries, directory, capture, flows, cpus, seconds):
    path, log = f"{directory}/sluice.yaml", f"{directory}/sluiced.log"
    pathlib.Path(path).write_text(json.dumps(configuration(directory, devices(capture, len(cpus)), flows, cpus)),
                                  encoding="utf-8")
    ctl = [f"{binaries}/sluicectl", "--server", f"unix:{directory}/api.sock", "-o", "json", "stats"]

    def stats():
        done = subprocess.run(ctl, capture_output=True, text=True, check=False)
        return json.loads(done.stdout)["packets"] if done.returncode == 0 else {}

    with running([f"{binaries}/sluiced", "--config", path], log) as process:
        deadline = time.monotonic() + START_S
        while int(stats().get("forwarded", 0)) < 4 * flows * len(cpus):  # every flow has its entry
            if process.poll() is not None or time.monotonic() > deadline:
                fail("sluiced forwards nothing", log)
            time.sleep(0.2)
        before, begin = stats(), time.monotonic()
        time.sleep(seconds)
        after, took = stats(), time.monotonic() - begin
        received, forwarded = (int(after[fate]) - int(before[fate]) for fate in ("received", "forwarded"))
        if forwarded < 0.99 * received:
            fail(f"sluiced does not forward what it receives: {after}", log)
        return forwarded / took


def testpmd(mode, ports, flows, cpus):
    vdevs = [word for device in ports for word in ("--vdev", device)]
    main_cpu = min(os.sched_getaffinity(0))
    # Forwarding cores are numbered from 1 on; the main one only prints.
    lcores = ",".join([f"0@{main_cpu}"] + [f"{number}@{cpu}" for number, cpu in enumerate(cpus, 1)])
    return ["dpdk-testpmd", "--lcores", lcores, "--main-lcore", "0", "--no-pci", "--no-telemetry", "--in-memory",
            *vdevs, "--", f"--forward-mode={mode}", "--auto-start", "--stats-period=1", f"--nb-cores={len(cpus)}",
            f"--rxq={len(cpus)}", f"--txq={len(cpus)}", f"--total-num-mbufs={len(cpus) * buffers(flows)}"]


def rate_of_testpmd(mode, directory, capture, flows, cpus, seconds):
    log = f"{directory}/testpmd.log"
    command = testpmd(mode, devices(capture, len(cpus)), flows, cpus)
    with running(command, log, stdin=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + START_S
        while len(rates(log)) < seconds + 2:  # the first ones are of the start
            if process.poll() is not None or time.monotonic() > deadline:
                fail("testpmd forwards nothing", log)
            time.sleep(0.2)
    return statistics.median(rates(log)[2:])


def rates(log):
    """Packets per second that left by the second port, as testpmd prints them."""
    text = pathlib.Path(log).read_text(encoding="utf-8", errors="replace")
    return [int(rate) for rate in re.findall(r"port 1 .*?Tx-pps:\s+(\d+)", text, re.DOTALL)]


def beside_testpmd(arguments, directory, flows, cpus):
    capture = f"{directory}/{flows}.pcap"
    write_capture(capture, flows)
    results = {"sluiced": [], "macswap": [], "5tswap": []}
    for _ in range(arguments.rounds):
        results["sluiced"].append(
            rate_of_sluiced(arguments.binaries, directory, capture, flows, cpus, arguments.seconds))
        for mode in ("macswap", "5tswap"):
            results[mode].append(rate_of_testpmd(mode, directory, capture, flows, cpus, arguments.seconds))
    return results


def report(results, flows, cpus):
    ours = statistics.median(results["sluiced"])
    for name, values in results.items():
        middle = statistics.median(values)
        print(f"{flows:8} flows  {len(cpus)} core{'s' if len(cpus) > 1 else ' '}  {name:8} {middle / 1e6:6.2f} Mpps "
              f"({min(values) / 1e6:.2f} to {max(values) / 1e6:.2f})  sluiced / it {ours / middle:5.2f}", flush=True)


def argument_parser(description, seconds, rounds):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", required=True, metavar="DIR", help="those of the build")
    parser.add_argument("--seconds", type=int, default=seconds, metavar="N", help="of each measurement")
    parser.add_argument("--rounds", type=int, default=rounds, metavar="N", help="how often, in turn")
    return parser


def take_priority():
    with contextlib.suppress(PermissionError):
        os.nice(-15)


def main():
    parser = argument_parser(__doc__, seconds=3, rounds=3)
    parser.add_argument("--flows", type=int, nargs="*", default=[1000, 100_000, 1_000_000], metavar="N")
    parser.add_argument("--no-scaling", action="store_true", help="one worker only")
    arguments = parser.parse_args()
    take_priority()
    cpus = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as directory:
        one = {}
        for flows in arguments.flows:
            one[flows] = beside_testpmd(arguments, directory, flows, cpus[-1:])
            report(one[flows], flows, cpus[-1:])
        if arguments.no_scaling or len(cpus) < 2:
            return
        flows = arguments.flows[0]
        two = beside_testpmd(arguments, directory, flows, cpus[-2:])
        report(two, flows, cpus[-2:])
        gains = {name: statistics.median(two[name]) / statistics.median(one[flows][name]) for name in two}
        print(f"{flows:8} flows  two cores by one: " + ", ".join(f"{name} {gain:.2f}" for name, gain in gains.items()) +
              f"; sluiced by 5tswap {gains['sluiced'] / gains['5tswap']:.2f}")


if __name__ == "__main__":
    main()
