"""A NAT table of 1 024 sessions, half of either family, all of clients that showed that they are there: the next flow
of either family is dropped, for nobody's session may end for it. Those that are there go on, and when they are over
there is room again. The VIPs share the backend's port, so that each flow needs a session."""

import kit
import nat

SESSIONS = 1024
LIVES_S = 100


class Datagrams:
    """Frames of flows that differ in the client's port alone, which is written into one frame made with scapy: making
    each with scapy would take a minute."""

    def __init__(self, frame, at):
        self.frame, self.at = bytes(frame), at
        header = 14 + (20 if frame.type == 0x0800 else 40)
        self.checksum_at = header + 6

    def with_port(self, port):
        frame = bytearray(self.frame)
        old, total = int.from_bytes(frame[self.at : self.at + 2], "big"), self.checksum_at
        frame[self.at : self.at + 2] = port.to_bytes(2, "big")
        # RFC 1624, equation 3.
        checksum = (~int.from_bytes(frame[total : total + 2], "big") & 0xFFFF) + (~old & 0xFFFF) + port
        for _ in range(2):
            checksum = (checksum & 0xFFFF) + (checksum >> 16)
        frame[total : total + 2] = (~checksum & 0xFFFF or 0xFFFF).to_bytes(2, "big")
        return bytes(frame)


class Flows:
    """All flows of a family to one VIP."""

    def __init__(self, case, family):
        self.case, self.family, self.vip = case, family, f"first{family}"
        self.backend = f"web{family}/web-1"
        case.pool(f"web{family}", {"web-1": {"address": nat.BACKENDS[family], "port": 8080}})
        lives = {"udp_s": LIVES_S}
        for name, port in (("first", 80), ("second", 81)):
            case.vip(f"{name}{family}", nat.VIPS[family], "udp", port, f"web{family}", "nat", timeouts=lives)
        flow = nat.Flow(case, self.vip, family, "udp", 80, 1, backend_port=8080, backend=self.backend)
        packet, reply = flow.packet(b"question"), flow.reply(b"an answer")
        source = 14 + (20 if family == 4 else 40)
        self.asks = Datagrams(kit.ether_in() / packet, source)
        self.asked = Datagrams(kit.ether_out(flow.server[0]) / nat.changed(packet, None, flow.server), source)
        self.replies = Datagrams(kit.ether_in() / reply, source + 2)
        out = nat.changed(reply, flow.service)
        self.replied = Datagrams(kit.ether_out(nat.GATEWAYS[family]) / out, source + 2)

    def sends(self, port, rung):
        self.case.send(self.asks.with_port(port)).forwarded(self.asked.with_port(port), self.vip, self.backend, rung)

    def refused(self, port):
        self.case.send(self.asks.with_port(port)).dropped("nat_table_full", self.vip)

    def answers(self, port):
        self.case.send(self.replies.with_port(port)).replied(self.replied.with_port(port), self.vip, self.backend)


def build(case):
    case.node["tables"]["nat_sessions"] = SESSIONS
    families = [Flows(case, family) for family in (4, 6)]
    # A quarter of the sessions may be without a sign of life, so they are confirmed as they come.
    ports = range(1000, 1000 + SESSIONS // 2)
    for first in range(0, len(ports), 64):
        some = ports[first : first + 64]
        for flows in families:
            for port in some:
                flows.sends(port, "scheduler")
            for port in some:
                flows.answers(port)
            for port in some:
                flows.sends(port, "connection_table")
    for flows in families:
        for port in range(5000, 5040):
            flows.refused(port)
    for flows in families:
        for port in ports[::64]:
            flows.sends(port, "connection_table")
            flows.answers(port)
    case.expect(totals={"dropped": {"nat_table_full": 80}})
    case.advance(LIVES_S + 1)
    for flows in families:
        flows.sends(5000, "scheduler")
        flows.answers(5000)
