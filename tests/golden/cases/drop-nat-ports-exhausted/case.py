"""With two local ports a backend's address and port can have two flows at a time; the next ones are dropped, and those
that are there go on. Another backend port and another protocol have the ports for themselves. When flows have ended,
new ones find their ports. A flow whose client never showed that it is there gives its port to a new one."""

import kit
import nat

LIVES_S = 100


def build(case):
    nat.use_full_nat(case, 20000, 20001)
    for family in (4, 6):
        exhaust(case, family)


def exhaust(case, family):
    backend = f"web{family}/web-1"
    case.pool(f"web{family}", {"web-1": nat.BACKENDS[family]})
    lives = {"tcp_established_s": LIVES_S, "udp_s": LIVES_S}
    for name, protocol, port in (("tcp", "tcp", 80), ("other", "tcp", 81), ("udp", "udp", 80)):
        case.vip(f"{name}{family}", nat.VIPS[family], protocol, port, f"web{family}", "full-nat", timeouts=lives)
    used = {}

    def flow_of(vip, protocol, port, client_port):
        flow = nat.Flow(case, vip, family, protocol, port, client_port, full=True, range_=(20000, 20001),
                        backend=backend)
        taken = used.setdefault((protocol, port), [])
        # The port of the hash, or the one beside it.
        first = flow.local[1]
        free = [p for p in (first, 40001 - first) if p not in taken]
        flow.local = (flow.local[0], free[0]) if free else None
        taken += free[:1]
        return flow

    def begin(name, protocol, port, client_port, confirm=True):
        vip = f"{name}{family}"
        flow = flow_of(vip, protocol, port, client_port)
        if flow.local is None:
            case.send(kit.ether_in() / flow.packet()).dropped("nat_ports_exhausted", vip)
            return None
        tcp = protocol == "tcp"
        flow.sends(flow.packet(), "scheduler")
        flow.answers(flow.reply(l4_fields={"flags": "SA", "seq": 5, "ack": 1} if tcp else {}))
        if confirm:
            flow.sends(flow.packet(l4_fields={"flags": "A", "seq": 1, "ack": 6} if tcp else {}), "connection_table")
        return flow

    flows = [begin("tcp", "tcp", 80, port) for port in (1000, 1001)]
    for port in (1002, 1003, 1004):
        begin("tcp", "tcp", 80, port)
    for flow in flows:
        flow.sends(flow.packet(), "connection_table")
    for port in (1000, 1001, 1002):
        begin("other", "tcp", 81, port)
        begin("udp", "udp", 80, port)
    case.advance(LIVES_S + 1)
    used.clear()
    begin("tcp", "tcp", 80, 1002)
    silent = begin("tcp", "tcp", 80, 1003, confirm=False)
    used["tcp", 80].remove(silent.local[1])
    case.wait(1)
    begin("tcp", "tcp", 80, 1004)
    begin("tcp", "tcp", 80, 1005)
    case.send(kit.ether_in() / silent.packet(l4_fields={"flags": "A", "seq": 1, "ack": 6})).dropped(
        "nat_no_session", f"tcp{family}"
    )
