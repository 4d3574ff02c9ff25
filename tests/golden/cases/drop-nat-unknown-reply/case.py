"""What is sent to a port that full NAT has, without being an answer of any flow, is dropped, and does not get to the
host: from a stranger, from the backend to another port, of another protocol, after the session ended. So is an
answer of a backend that serves several VIPs, when none of them has such a flow."""

import kit
import nat
from scapy.all import TCP, UDP


def build(case):
    nat.use_full_nat(case)
    for family in (4, 6):
        backend = nat.BACKENDS[family]
        case.pool(f"web{family}", {"web-1": {"address": backend, "port": 8080}})
        case.vip(f"www{family}", nat.VIPS[family], "tcp", 80, f"web{family}", "full-nat", timeouts={"tcp_syn_s": 10})
        for port in (81, 82):
            case.vip(f"nat{port}-{family}", nat.VIPS[family], "tcp", port, f"web{family}", "nat")
        member = f"web{family}/web-1"
        flow = nat.Flow(case, f"www{family}", family, "tcp", 80, backend_port=8080, full=True, backend=member)
        flow.sends(flow.packet(), "scheduler")
        flow.answers(flow.reply(l4_fields={"flags": "SA", "seq": 1, "ack": 1}))
        local, port = flow.local

        def refuse(source, l4):
            packet = nat.ip(family, source, local) / l4
            case.send(kit.ether_in() / packet).dropped("nat_unknown_reply")

        refuse(nat.CLIENTS[family], TCP(sport=8080, dport=port))
        refuse(backend, TCP(sport=8081, dport=port))
        refuse(backend, TCP(sport=8080, dport=port + 1))
        refuse(backend, UDP(sport=8080, dport=port))
        stray = nat.ip(family, backend, nat.CLIENTS[family]) / TCP(sport=8080, dport=40000)
        case.send(kit.ether_in() / stray).dropped("nat_unknown_reply")
        case.wait(30)
        refuse(backend, TCP(sport=8080, dport=port))
