#!/usr/bin/python3
"""A director on cards with drivers of their own, from a bare Debian to traffic, as the operator's guide says.

QEMU emulates the machine in software; the guide's commands are carried out in it one by one. Needs root.
"""

import os
import pathlib
import re
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))

# pylint: disable=wrong-import-position
import guide
import yaml
from appliance import GATEWAY, GATEWAY6, LAN_PCI, VIP_FULL_NAT, VIP_LAN, WAN_PCI, Appliance
from disk_image import DiskImage
from lab.clients.tools import http_load, ping
from lab.director import entered, left, number
from lab.network import DIRECTOR, VIP4, VIP6
from lab.process import LabError, wait_until
from test_packages import make_packages
from virtual_machine import MANAGEMENT_ADDRESS, MANAGEMENT_MAC, VirtualMachine

GUIDE_PCI = "0000:03:00.0"
AS_BACKEND = {4: "192.0.2.13", 6: "2001:db8::13"}
PAGES = 256
# Watching TCP time out takes longer than the answer of a machine that is slow.
LOAD_S = 600


def say(text):
    print(f"\n{text}", flush=True)


class VirtualMachineTest(unittest.TestCase):
    """In the order of their names: the life of one machine."""

    @classmethod
    def setUpClass(cls):
        started = time.monotonic()
        folder = tempfile.TemporaryDirectory(prefix="sluice-vm-")
        cls.addClassCleanup(folder.cleanup)
        packages = make_packages(pathlib.Path(folder.name) / "packages")
        image = DiskImage(folder.name, packages, MANAGEMENT_MAC, MANAGEMENT_ADDRESS)
        cls.appliance = Appliance()
        cls.addClassCleanup(cls.appliance.remove)
        cls.client = cls.appliance.client
        made = time.monotonic()
        cls.machine = VirtualMachine(cls.appliance.switch, folder.name, image, cls.appliance.cards())
        cls.machine.wait_booted()
        say(f"disk made in {made - started:.0f} s, booted in {time.monotonic() - made:.0f} s: "
            + cls.machine.shell("uname -rv; systemd --version | head -1; lspci -nn | grep -i ethernet").stdout)

    # ---- the guide

    def configuration(self, example):
        """The guide's example with this machine's ports, and servers of its own."""
        wish = yaml.safe_load(example)
        wan, = wish["node"]["ports"]
        wan.update(devices=[WAN_PCI], mtu=1500, rx_descriptors=256, tx_descriptors=256)
        wish["node"].update(
            ports=[wan, {"name": "lan", "devices": [LAN_PCI], "addresses": ["10.0.0.2/24"],
                         "rx_descriptors": 256, "tx_descriptors": 256, "exception": {"interface": "sluice-lan"}}],
            workers={"count": 2, "cpus": [1, 2], "idle": "adaptive"}, memory={"hugepages": "require"},
            tables={"connections_v4": 16384, "connections_v6": 16384, "nat_sessions": 16384},
            nat={"local_addresses": ["10.0.0.3"]})
        roles = sorted(self.appliance.network.backends)
        number_of = {role: int(role.rpartition("-")[2]) for role in roles}
        wish["services"].update(
            pools=[{"name": "wan", "backends": [{"name": role, "address": f"192.0.2.{10 + number_of[role]}"}
                                                for role in roles]},
                   {"name": "wan6", "backends": [{"name": role, "address": f"2001:db8::{10 + number_of[role]}"}
                                                 for role in roles]},
                   {"name": "lan", "backends": [{"name": role, "address": f"10.0.0.{10 + number_of[role]}"}
                                                for role in roles]}],
            vips=[{"name": "virtio-to-virtio", "address": VIP4, "port": 80, "pool": "wan", "mode": "l2"},
                  {"name": "virtio6", "address": VIP6, "port": 80, "pool": "wan6", "mode": "l2"},
                  {"name": "virtio-to-e1000e", "address": VIP_LAN, "port": 80, "pool": "lan", "mode": "l2"},
                  {"name": "both-ways", "address": VIP_FULL_NAT, "port": 80, "pool": "lan", "mode": "full-nat"}])
        return yaml.safe_dump(wish, sort_keys=False)

    def edit(self, path):
        """What an operator would do in the editor."""
        text = self.machine.call("cat", path).stdout
        if path == "/etc/default/grub":
            options = " ".join(guide.kernel_options())
            text, found = re.subn("^GRUB_CMDLINE_LINUX=.*$", f'GRUB_CMDLINE_LINUX="{options}"', text,
                                  flags=re.MULTILINE)
            self.assertEqual(found, 1, text)
        elif path == "/etc/sluice/sluice.yaml":
            text = self.configuration(text)
        else:
            self.assertEqual(path, "/etc/default/sluice")
            text = re.sub("^SLUICE_HUGEPAGES=.*$", f'SLUICE_HUGEPAGES="0:{PAGES}"', text, flags=re.MULTILINE)
        self.machine.write(path, text)

    def carry_out(self, command):
        command = command.replace("./sluice", "/root/sluice")
        if command.startswith("editor "):
            self.edit(command.split()[1])
            return
        if command == "reboot":
            self.machine.reboot()
            say(self.machine.shell("cat /proc/cmdline /sys/devices/system/cpu/isolated").stdout)
            return
        if command.startswith("ping "):
            # Until three came back: neighbours may have to be asked for first.
            command += " -c 3 -w 60"
        for pci in (WAN_PCI, LAN_PCI) if GUIDE_PCI in command else (GUIDE_PCI,):
            line = command.replace(GUIDE_PCI, pci)
            done = self.machine.shell(line, check=False)
            progress = re.compile(r"^\(Reading database .*%\n", re.MULTILINE)
            said = progress.sub("", (done.stdout + done.stderr).replace("\r", "\n"))
            say(f"# {line}\n{said.strip()}")
            # The first look at the machine is there to find what is missing.
            self.assertIn(done.returncode, (0, 4) if line.startswith("sluiced preflight") else (0,), line)

    def test_1_the_guide_leads_to_a_running_director(self):
        steps = guide.steps("From nothing to a running director")
        self.assertGreater(len(steps), 5)
        for title, commands in steps:
            say(f"== {title}")
            for command in commands:
                self.carry_out(command)
        status = self.machine.call("sluicectl", "status").stdout
        self.assertRegex(status, r"(?m)^health +healthy$")
        self.assertEqual(self.machine.show("sluiced", "ActiveState"), "active")
        self.assertEqual(self.machine.show("sluiced", "StatusText"), "forwarding")

    def test_2_the_kernel_was_told_what_the_guide_says(self):
        told = self.machine.shell("cat /proc/cmdline").stdout.split()
        self.assertLessEqual(set(guide.kernel_options()), set(told))
        self.assertEqual(self.machine.shell("cat /sys/devices/system/cpu/isolated").stdout, "1-2\n")

    def test_2_the_drivers_are_those_of_the_cards(self):
        for pci in (WAN_PCI, LAN_PCI):
            self.assertIn("vfio-pci", self.machine.shell(f"readlink /sys/bus/pci/devices/{pci}/driver").stdout)
            self.assertIn("iommu_group", self.machine.shell(f"ls /sys/bus/pci/devices/{pci}").stdout)
        say(self.machine.shell("sluicectl get ports").stdout)
        # systemd-udevd has given it no other.
        self.assertIn(DIRECTOR.mac, self.machine.shell("cat /sys/class/net/sluice-wan/address").stdout)
        self.assertNotIn("root", self.machine.shell("ps -o user= -C sluiced").stdout)

    # ---- traffic

    def ctl(self, *arguments):
        return yaml.safe_load(self.machine.call("sluicectl", "-o", "json", *arguments).stdout)

    def worker_packets(self):
        return [number(worker, "received") for worker in self.ctl("get", "workers")["workers"]]

    def load(self, address, requests=200, path="/"):
        report = http_load(self.client, address, requests, concurrency=8, path=path, timeout=LOAD_S,
                           request_timeout=LOAD_S / 5)
        say(f"{address}: {report}")
        self.assertEqual((report["ok"], report["failed"]), (requests, 0), report)
        return report

    def test_3_traffic_by_virtio_and_rss_spreads_it(self):
        before = self.worker_packets()
        for address in (VIP4, VIP6):
            self.assertEqual(len(self.load(address)["by_backend"]), 2)
        workers = [after - earlier for after, earlier in zip(self.worker_packets(), before)]
        say(self.machine.shell("sluicectl get workers").stdout)
        self.assertGreater(min(workers), sum(workers) / 5, workers)

    def test_3_traffic_from_virtio_to_e1000e_and_both_ways(self):
        for address in (VIP_LAN, VIP_FULL_NAT):
            self.assertEqual(len(self.load(address)["by_backend"]), 2)
        say(self.machine.shell("sluicectl get vips; sluicectl get ports; sluicectl get workers").stdout)

    def test_3_every_packet_has_one_fate(self):
        def at_rest():
            packets = self.ctl("stats")["packets"]
            totals = {key: number(packets, key) for key in
                      ("received", "from_host", "originated", "forwarded", "answered", "punted", "sent_for_host",
                       "dropped", "held")}
            return totals if entered(totals) == left(totals) and totals["held"] == 0 else None

        say(wait_until(at_rest, 60, "packets entered = packets left", interval=1))
        say(self.machine.shell("sluicectl stats").stdout)

    def test_4_the_exception_port_keeps_the_machine_reachable(self):
        self.assertGreaterEqual(ping(self.client, DIRECTOR.ipv4, count=5, interval=0.5), 4)
        words = self.machine.ssh_command(DIRECTOR.ipv4, 22, "echo", "$SSH_CONNECTION")
        answer = self.client.run(words, timeout=120).stdout
        say(f"ssh by the exception port: {answer}")
        self.assertIn(DIRECTOR.ipv4, answer)

    # ---- the service

    def wait_for_another(self, pid, what):
        def back():
            return (self.machine.show("sluiced", "MainPID") not in (pid, "0")
                    and self.machine.show("sluiced", "ActiveState") == "active")

        wait_until(back, 600, what, interval=1)

    def test_5_the_watchdog_ends_one_whose_worker_stands_still(self):
        pid = self.machine.show("sluiced", "MainPID")
        script = (pathlib.Path(guide.GUIDE).parents[1] / "tools/lab/hold_thread.py").read_text("utf-8")
        self.machine.write("/root/hold_thread.py", script)
        hold = f"from hold_thread import held; import os, time\nwith held({pid}, 'rte-worker-1'):\n" \
               f" while os.path.exists('/proc/{pid}/stat') and open('/proc/{pid}/stat').read().split()[2] != 'Z':" \
               " time.sleep(0.5)\n"
        self.machine.shell("cd /root && timeout 300 python3 -", stdin=hold)
        self.wait_for_another(pid, "systemd has started sluiced again after the watchdog")
        journal = self.machine.shell("journalctl -u sluiced -o cat --no-pager | grep -i -E 'watchdog|signal'").stdout
        say(journal)
        self.assertIn("watchdog: worker 0", journal)
        self.load(VIP4, 50)

    def test_6_a_crash_of_one_worker_ends_it_and_it_comes_back_over_what_is_left(self):
        pid = self.machine.show("sluiced", "MainPID")
        # Where the unit may write, so that the kernel can leave a dump.
        self.machine.shell("sysctl -q kernel.core_pattern=/var/lib/sluice/core kernel.core_uses_pid=0")
        tgkill = f"import ctypes, os; task = next(task for task in os.listdir('/proc/{pid}/task') if " \
                 f"open('/proc/{pid}/task/' + task + '/comm').read() == 'rte-worker-2\\n'); " \
                 f"ctypes.CDLL(None).syscall(234, {pid}, int(task), 11)"
        self.machine.shell("python3 -", stdin=tgkill + "\n")
        self.wait_for_another(pid, "systemd has started sluiced again after a crash")
        say(self.machine.shell("journalctl -u sluiced -o short-monotonic --no-pager | grep -A3 -m1 'status=11'; "
                               "systemctl status sluiced --no-pager | head -12; grep -E 'MemTotal|Huge' /proc/meminfo; "
                               "ls -lsA /var/lib/sluice; ls -A /dev/hugepages").stdout)
        self.assertEqual(self.machine.shell("ls -A /dev/hugepages").stdout, "")
        # Packet buffers and tables alone are more.
        dumped = int(self.machine.shell("stat --format=%b /var/lib/sluice/core").stdout) * 512
        self.assertLess(dumped, PAGES * 2**21 / 4)
        self.machine.shell("rm /var/lib/sluice/core")
        self.load(VIP4, 50)

    def test_7_after_a_boot_it_forwards_by_itself(self):
        started = time.monotonic()
        self.machine.reboot()
        wait_until(lambda: self.machine.show("sluiced", "ActiveState") == "active", 600, "it is active", interval=2)
        say(f"active {time.monotonic() - started:.0f} s after `systemctl reboot`")
        self.load(VIP4, 50)

    def test_8_stopping_gives_everything_back(self):
        self.machine.call("systemctl", "stop", "sluiced")
        self.assertEqual(self.machine.show("sluiced", "Result"), "success")
        journal = self.machine.shell("journalctl -b -u sluiced -o cat --no-pager | tail -12").stdout
        say(journal)
        self.assertIn("packet sum: in = out", journal)
        self.assertNotIn("sluice-", self.machine.shell("ls /sys/class/net").stdout)
        self.machine.shell(f"systemctl stop sluice-bind@{WAN_PCI} sluice-bind@{LAN_PCI}")
        for pci, driver in ((WAN_PCI, "virtio-pci"), (LAN_PCI, "e1000e")):
            self.assertIn(driver, self.machine.shell(f"readlink /sys/bus/pci/devices/{pci}/driver").stdout)

    # ---- the other guide: the machine as a backend, now that its cards are the kernel's again

    def as_backend(self, script):
        """One of the other guide's scripts, with this machine's names."""
        for theirs, here in (("eth0", self.device), ("192.0.2.11", AS_BACKEND[4]), ("2001:db8::11", AS_BACKEND[6]),
                             ("./sluice", "/root/sluice")):
            script = script.replace(theirs, here)
        done = self.machine.shell("set -e\n" + script)
        say(f"# {script}{done.stdout}{done.stderr}")

    def announced(self, kind, outer, inner, seconds):
        """The MSS of the answer to a SYN in a tunnel, or "none"."""
        script = pathlib.Path(__file__).with_name("syn_in_tunnel.py")
        words = ["/usr/bin/python3", "-B", str(script), kind, str(outer), str(inner), DIRECTOR.mac,
                 AS_BACKEND[outer], str(seconds)]
        answer = self.client.run(words, timeout=seconds + 60).stdout.strip()
        say(f"{kind}, IPv{inner} in IPv{outer}: MSS {answer}")
        return answer

    def test_9_as_a_backend_it_takes_every_kind_of_tunnel_off(self):
        type(self).device = self.machine.shell(
            f"basename $(dirname $(grep -l {DIRECTOR.mac} /sys/class/net/*/address))").stdout.strip()
        self.machine.shell(
            f"ip link set {self.device} up; ip address add {AS_BACKEND[4]}/24 dev {self.device}; "
            f"ip address add {AS_BACKEND[6]}/64 dev {self.device} nodad; "
            f"ip route add default via {GATEWAY}; ip -6 route add default via {GATEWAY6}")
        self.as_backend(guide.scripts("Mode `l2`")[0])
        install, service, *by_kernel = guide.scripts("The tunnel modes")
        self.assertEqual(len(by_kernel), 6)
        for script in by_kernel:
            kinds, outer = re.match(r"# ([a-z -]+) over IPv([46])\n", script).groups()
            mss = dict(zip((4, 6), (re.search(rf"ip {option}route change .* advmss (\d+)", script)
                                    for option in ("", "-6 "))))
            for kind in kinds.split(" and "):
                self.assertEqual(self.announced(kind, int(outer), 4 if mss[4] else 6, 2), "none")
            self.as_backend(script)
            for kind in kinds.split(" and "):
                for inner in (inner for inner in (4, 6) if mss[inner]):
                    self.assertEqual(self.announced(kind, int(outer), inner, 60), mss[inner][1])
            self.machine.shell("for link in tunl0 sit0 ip6tnl0 sluice-gre sluice-gre6; do ip link set $link down; "
                               "done; ip fou del port 6080; ip fou del port 6080 -6", check=False)
        self.as_backend(re.sub("^ip address.*\n", "", install, flags=re.MULTILINE))
        self.as_backend(service)
        wait_until(lambda: "VIP " in self.machine.call("sluice-backend", "status", check=False).stdout, 120,
                   "the agent is attached", interval=1)
        for kind in ("ipip", "gue", "gue-direct", "gre"):
            for outer, inner in ((4, 4), (4, 6), (6, 4), (6, 6)):
                self.assertLess(int(self.announced(kind, outer, inner, 60)), 1460 if inner == 4 else 1440)

    def test_9_then_it_is_switched_off(self):
        self.assertEqual(self.machine.power_off(), 0)

    def tearDown(self):
        result = self._outcome.result
        if any(test is self for test, _ in result.failures + result.errors) and self.machine.process.running():
            try:
                say(self.machine.shell("journalctl -b -u sluiced --no-pager -o cat | tail -60; sluicectl get ports; "
                                       "sluicectl get workers; sluicectl stats; ip neigh", check=False).stdout)
            except LabError as error:
                say(error)


if __name__ == "__main__":
    # Each step stands on those before it.
    unittest.main(failfast=True)
