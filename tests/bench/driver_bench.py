#!/usr/bin/python3
"""sluiced with drivers beside dpdk-testpmd, on the same devices and packets, in turn.

Usage: driver_bench.py --binaries DIR [--seconds N] [--rounds N] [--flows N ...] [--no-scaling] [--no-head]

Prints lines of the table (bench_table.py).

Source is net_pcap, which repeats a file of packets from memory (infinite_rx=1), sink is net_null. One worker of sluiced
(1 000 VIPs, 1 000 backends, IPIP, connection table, 60 B frames of TCP) against one forwarding core of testpmd in
macswap and 5tswap. What counts is the ratio: the devices are software, and cost both sides the same.

The programs are started once and stopped (SIGSTOP); then each runs alone for a short while, in turn, for many rounds.
Rates are packets by the seconds for which the forwarding threads had a CPU: other work on it takes caches then, but no
time. The machine's speed changes from second to second all the same, so ratios are taken within a round, of windows
that follow each other.

Then two workers against one, beside two cores of testpmd against one: what counts is sluiced's gain by testpmd's, again
within a round.

All of it runs at a high priority where it may, so that other work on the machine disturbs less. Needs huge pages for
20 000 buffers and one for each flow, of 2.3 KB, for each core and each of both programs.
"""

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

import bench_table
from lab.stop import end_with_parent

SOURCE_MAC = bytes.fromhex("027063617000")  # what net_pcap0 has
VIPS = 1000
BACKENDS = 1000
POOL_BACKENDS = 100
START_S = 60
FREE_PAGES = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages")
PROGRAM_PAGES = 128  # beside its packet buffers
CPUS = sorted(os.sched_getaffinity(0))


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


def begin():
    """Of a program, on the CPUs that this process left to it."""
    os.sched_setaffinity(0, CPUS)
    end_with_parent()


@contextlib.contextmanager
def running(command, log, **options):
    with open(log, "w", encoding="utf-8") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, preexec_fn=begin, **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGINT if "dpdk-testpmd" in command else signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def fail(what, log):
    sys.exit(f"driver_bench: {what}\n" + pathlib.Path(log).read_text(encoding="utf-8")[-3000:])


class Program:
    """One that forwards, and runs between resume and pause only."""

    def __init__(self, stack, command, log, **options):
        self.log = log
        self.process = stack.enter_context(running(command, log, **options))

    def await_packets(self, wanted):
        deadline = time.monotonic() + START_S
        while self.forwarded() < wanted:
            if self.process.poll() is not None or time.monotonic() > deadline:
                fail(f"{self.process.args[0]} forwards nothing", self.log)
            time.sleep(0.2)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def forwarded(self):
        """Packets that have left by the second port."""
        raise NotImplementedError

    def forwarding_threads(self):
        tasks = pathlib.Path("/proc", str(self.process.pid), "task").iterdir()
        return [task for task in tasks if (task / "comm").read_text(encoding="ascii").startswith("rte-worker")]

    def at(self):
        """Packets forwarded, and for how long each of the forwarding threads had a CPU when they were counted, to
        within a tick of the kernel's clock."""
        threads = self.forwarding_threads()

        def mean_s():
            return statistics.fmean(int((task / "schedstat").read_text(encoding="ascii").split()[0]) / 1e9
                                    for task in threads)

        begin = mean_s()
        count = self.forwarded()
        return count, (begin + mean_s()) / 2

    def rate(self, seconds):
        """Packets a second, if the threads had their CPUs for themselves."""
        self.resume()
        self.at()
        before, begin = self.at()
        time.sleep(seconds)
        after, end = self.at()
        self.pause()
        return (after - before) / (end - begin)


class Sluiced(Program):
    def __init__(self, stack, binaries, directory, ports, flows, cpus):
        directory = tempfile.mkdtemp(dir=directory)
        path = pathlib.Path(directory, "sluice.yaml")
        path.write_text(json.dumps(configuration(directory, ports, flows, cpus)), encoding="utf-8")
        super().__init__(stack, [f"{binaries}/sluiced", "--config", str(path)], f"{directory}/log")
        self.stats = [f"{binaries}/sluicectl", "--server", f"unix:{directory}/api.sock", "-o", "json", "stats"]
        self.await_packets(4 * flows * len(cpus))  # every flow has its entry
        self.pause()

    def forwarded(self):
        done = subprocess.run(self.stats, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return 0
        packets = json.loads(done.stdout)["packets"]
        received, forwarded = (int(packets.get(fate, 0)) for fate in ("received", "forwarded"))
        if forwarded < 0.99 * received - 10_000:  # both are of a moment each
            fail(f"sluiced does not forward what it receives: {packets}", self.log)
        return forwarded


class Testpmd(Program):
    """In whichever mode was set last."""

    def __init__(self, stack, directory, ports, flows, cpus):
        self.mode = "5tswap"
        command = [*testpmd(self.mode, ports, flows, cpus), "--interactive"]
        super().__init__(stack, ["stdbuf", "--output=L", *command], f"{tempfile.mkdtemp(dir=directory)}/log",
                         stdin=subprocess.PIPE, text=True)
        self.await_packets(4 * flows * len(cpus))
        self.pause()

    def tell(self, *commands):
        for command in commands:
            self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def set_mode(self, mode):
        if mode == self.mode:
            return
        self.mode = mode
        self.resume()
        self.tell("stop", f"set fwd {mode}", "start")

    def forwarded(self):
        answered = os.path.getsize(self.log)
        self.tell("show port stats 1")
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            with open(self.log, encoding="utf-8", errors="replace") as log:
                log.seek(answered)
                if found := re.search(r"TX-packets: (\d+)\s", log.read()):
                    return int(found[1])
            time.sleep(0.001)
        fail("testpmd does not answer", self.log)


def testpmd(mode, ports, flows, cpus):
    vdevs = [word for device in ports for word in ("--vdev", device)]
    # Forwarding cores are numbered from 1 on; the main one only talks.
    lcores = ",".join([f"0@{CPUS[0]}"] + [f"{number}@{cpu}" for number, cpu in enumerate(cpus, 1)])
    return ["dpdk-testpmd", "--lcores", lcores, "--main-lcore", "0", "--no-pci", "--no-telemetry", "--in-memory",
            *vdevs, "--", f"--forward-mode={mode}", "--auto-start", f"--nb-cores={len(cpus)}", f"--rxq={len(cpus)}",
            f"--txq={len(cpus)}", f"--total-num-mbufs={len(cpus) * buffers(flows)}"]


def at_flows(flows):
    return f"at {flows:_} flows".replace("_", " ")


def fits(flows, cores):
    """Whether there are huge pages for both programs."""
    needed = 2 * (PROGRAM_PAGES + cores * buffers(flows) * 2400 // 2**21)
    free = int(FREE_PAGES.read_text(encoding="ascii"))
    if free < needed:
        bench_table.show(f"sluiced and testpmd {at_flows(flows)}", bench_table.spread([]),
                         note=f"left out: {free} huge pages of 2 MB are free, {needed} are needed")
    return free >= needed


def both(stack, arguments, directory, flows, cpus):
    capture = f"{directory}/{flows}.pcap"
    write_capture(capture, flows)
    ports = devices(capture, len(cpus))
    sluiced = Sluiced(stack, arguments.binaries, directory, ports, flows, cpus)
    return sluiced, Testpmd(stack, directory, ports, flows, cpus)


def ratios(over, under):
    return bench_table.spread(one / other for one, other in zip(over, under))


def one_core(arguments, directory, flows, cpu):
    rates = {"sluiced": [], "macswap": [], "5tswap": []}
    with contextlib.ExitStack() as stack:
        sluiced, rival = both(stack, arguments, directory, flows, [cpu])
        for _ in bench_table.each_round(arguments.rounds):
            rates["sluiced"].append(sluiced.rate(arguments.seconds))
            for mode in ("macswap", "5tswap"):
                rival.set_mode(mode)
                rates[mode].append(rival.rate(arguments.seconds))
    for name, values in rates.items():
        bench_table.show(f"{name} {at_flows(flows)}", bench_table.spread(value / 1e6 for value in values), "Mpps")
    for name in ("5tswap", "macswap"):
        bench_table.show(f"sluiced / {name} {at_flows(flows)}", ratios(rates["sluiced"], rates[name]), "ratio")


def two_cores(arguments, directory, flows, cpus):
    gains = {"sluiced": [], "5tswap": []}
    with contextlib.ExitStack() as stack:
        one, two = (both(stack, arguments, directory, flows, share) for share in (cpus[-1:], cpus))
        for _ in bench_table.each_round(arguments.rounds):
            for name, of_one, of_two in zip(gains, one, two):
                gains[name].append(of_two.rate(arguments.seconds) / of_one.rate(arguments.seconds))
    what = f"2 cores / 1 core {at_flows(flows)}"
    for name, values in gains.items():
        bench_table.show(f"{what}: {name}", bench_table.spread(values), "ratio")
    bench_table.show(f"{what}: sluiced / 5tswap", ratios(gains["sluiced"], gains["5tswap"]), "ratio")


def argument_parser(description, seconds, rounds):
    parser = bench_table.argument_parser(description, rounds)
    parser.add_argument("--seconds", type=float, default=seconds, metavar="N", help="of each measurement")
    return parser


def take_place():
    """Away from the CPU that forwards, and in front of other work."""
    os.sched_setaffinity(0, CPUS[:-1] or CPUS)
    with contextlib.suppress(PermissionError):
        os.nice(-15)


def main():
    parser = argument_parser(__doc__, seconds=0.4, rounds=15)
    parser.add_argument("--flows", type=int, nargs="*", default=[1000, 100_000, 1_000_000], metavar="N")
    parser.add_argument("--no-scaling", action="store_true", help="one worker only")
    arguments = parser.parse_args()
    take_place()
    bench_table.head(arguments)
    bench_table.section("With drivers, beside testpmd: rates and their ratios in turn")
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as directory:
        for flows in (flows for flows in arguments.flows if fits(flows, 1)):
            one_core(arguments, directory, flows, CPUS[-1])
        if not arguments.no_scaling and len(CPUS) > 1 and fits(arguments.flows[0], 3):
            two_cores(arguments, directory, arguments.flows[0], CPUS[-2:])


if __name__ == "__main__":
    bench_table.run(main)
