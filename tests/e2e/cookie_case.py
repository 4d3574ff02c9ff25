"""Backends whose agents put cookies into the timestamps of their connections, and services that go with them."""

import os
import signal
import sys

from scapy.all import IP, TCP, UDP, Ether, IPv6, rdpcap

from lab_case import LabCase
from lab import config
from lab.director import entered, left, number
from lab.process import wait_until

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "oracle"))

# pylint: disable=wrong-import-position
import cookie

SECRET = bytes(range(16, 32))
COOKIE = {"backend_bits": 10, "check_bits": 2, "idle_s": 7200}
# The same for the oracle. Two hours with 13 bits need 5 of the clock.
LAYOUT = cookie.Layout(key=1, tier=0, backend=10, check=2, clock=5)


GUE_PORT = 6080


def cookie_id(index):
    """What cookies name a backend by."""
    return 10 + index


def out_of_tunnel(frame):
    """The IP packet of a frame, out of the tunnel of any kind that it may be in; None: it has none."""
    packet = frame.payload
    if not isinstance(packet, (IP, IPv6)):
        return None
    protocol = packet.proto if isinstance(packet, IP) else packet.nh
    inner = b""
    if UDP in packet and packet[UDP].dport == GUE_PORT:
        inner = bytes(packet[UDP].payload)
        # Variant 0 has a header of four bytes; variant 1 is told by the version of IP, which it begins with.
        inner = inner if inner[0] >> 6 else inner[4:]
    elif protocol == 47:
        inner = bytes(packet.payload)[4:]
    elif protocol in (4, 41):
        inner = bytes(packet.payload)
    if not inner:
        return packet
    return IP(inner) if inner[0] >> 4 == 4 else IPv6(inner)


class CookieBackendsCase(LabCase):
    TUNNELS = True
    BACKENDS = 4
    VERSIONS = (4,)
    COOKIE = COOKIE  # the widths, as directors and agents are told them
    DIRECTORS = ()  # addresses of further ones that the agents listen to

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.key_path = cls.write_key("cookie.key", SECRET)
        for index in range(1, cls.BACKENDS + 1):
            cls.give_cookies(index)

    @classmethod
    def write_key(cls, name, secret):
        path = os.path.join(cls.lab.run.directory, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(secret.hex() + "\n")
        return path

    @classmethod
    def give_cookies(cls, index):
        """The agent of a backend with its cookie id."""
        role = f"backend-{index}"
        path = cls.write_agent_configuration(index, {0: cls.key_path}, 0)
        cls.lab.backends.agents.pop(role).stop()
        more = ("--director", ",".join(cls.DIRECTORS)) if cls.DIRECTORS else ()
        cls.lab.backends.start_agent(role, *more, "--config", path)

    @classmethod
    def write_agent_configuration(cls, index, key_files, key):
        """For an agent that knows these keys and makes cookies with the one of number `key`."""
        path = os.path.join(cls.lab.run.directory, f"backend-{index}.yaml")
        keys = ", ".join(f"{{number: {number}, file: {file}}}" for number, file in key_files.items())
        widths = ", ".join(f"{name}: {value}" for name, value in cls.COOKIE.items())
        vips = "".join(f"    - {{vip: '{config.VIP[version]}', port: 80, backend: {cookie_id(index)}, key: {key}, "
                       f"{widths}}}\n" for version in cls.VERSIONS)
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"cookies:\n  keys: [{keys}]\n  vips:\n{vips}")
        return path

    def tell_agents(self, key_files, key):
        """Other keys, which they take up without a restart."""
        read_again = "the configuration was read again"
        agents = self.lab.backends.agents.values()
        heard = [agent.log().count(read_again) for agent in agents]
        for index in range(1, self.BACKENDS + 1):
            self.write_agent_configuration(index, key_files, key)
            self.lab.backends.agents[f"backend-{index}"].send_signal(signal.SIGHUP)
        wait_until(lambda: all(agent.log().count(read_again) > before for agent, before in zip(agents, heard)), 20,
                   "the agents read their files")

    @staticmethod
    def reload(director, services):
        before = number(director.ctl("status"), "state_generation")
        director.reload({"node": director.node(), "services": services})
        wait_until(lambda: number(director.ctl("status"), "state_generation_in_use") > before, 20, "a new state")

    def assert_all_speak(self, held):
        before = {each: each.status()["requests"] for each in held}
        wait_until(lambda: all(each.status()["requests"] >= count + 30 for each, count in before.items()), 60,
                   "they speak on")
        for each in held:
            self.assert_held(each.status())

    def finish_director(self, director):
        """Ends another director than the lab's own."""
        if director.process is None:
            return
        try:
            totals = director.totals_at_rest()
            self.assertEqual(entered(totals), left(totals))
        finally:
            director.kill()

    def services(self, weights, **vip):
        services = config.services(weights, mode="gue", versions=self.VERSIONS, udp=False)
        for pool in services["pools"]:
            for index, backend in zip(weights, pool["backends"]):
                backend["cookie_id"] = cookie_id(index)
        for each in services["vips"]:
            each.update(vip)
        if vip.get("consistency") == "cookie":
            services["cookie_keys"] = [{"number": 0, "file": self.key_path}]
        return services

    def capture(self, namespace, role, interface):
        path = os.path.join(self.lab.run.directory, f"{role}-{interface.partition(':')[0]}.pcap")
        # The buffer, in KiB: netlink's usual one is full after a hundred packets, if the CPUs are.
        process = namespace.start(f"capture-{os.path.basename(path)}", [
            "tcpdump", "-Z", "root", "-i", interface, "-B", "4096", "--immediate-mode", "-U", "-w", path])
        wait_until(lambda: "listening on" in process.log(), 10, f"{process.name} listens")
        return path, process

    def on_the_wire(self, path):
        """Packets with TCP timestamps, out of tunnels where they are in some: (source's MAC address, to whom, sequence
        number, flags, TSval, TSecr). Their checksums are right."""
        found = []
        for frame in rdpcap(path):
            packet = out_of_tunnel(frame)
            if packet is None or TCP not in packet or 80 not in (packet[TCP].sport, packet[TCP].dport):
                continue
            again = packet.copy()
            headers = [header for header in (IP, TCP) if header in again]
            for header in headers:
                del again[header].chksum
            again = type(packet)(bytes(again))
            for header in headers:
                # All ones say what zero says, and one packet in 65 536 may have either.
                self.assertEqual(packet[header].chksum % 0xffff, again[header].chksum % 0xffff, "checksums are right")
                again[header].chksum = packet[header].chksum
            self.assertEqual(bytes(again), bytes(packet))
            stamps = dict(option for option in packet[TCP].options if len(option) == 2).get("Timestamp")
            if stamps is not None:
                tcp = packet[TCP]
                found.append((frame[Ether].src, (packet.src, packet.dst, tcp.sport, tcp.dport), tcp.seq,
                              int(tcp.flags), *stamps))
        return found
