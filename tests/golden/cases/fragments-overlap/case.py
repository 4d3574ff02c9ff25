"""Fragments that overlap others of their packet, or contradict them, end the packet (RFC 3128, RFC 5722); one that
brings nothing new is dropped alone."""

import fragments
import kit


def build(case):
    fragments.pools(case)
    for family in (4, 6):
        flow = fragments.Flow(case, family, "l2", 0)
        backend = f"pool-{family}/web-1"

        def forward(part, packet, rung="connection_table"):
            case.send(kit.ether_in() / part).forwarded(flow.out(part, packet), flow.vip, backend, rung)

        # A doubled fragment, and a doubled first one.
        packet = fragments.whole(family, flow.l4, flow.port, 2000, 1)
        parts = fragments.cut(packet, 800, 1)
        forward(parts[0], packet, "scheduler")
        forward(parts[1], packet)
        case.send(kit.ether_in() / parts[1]).dropped("fragment_duplicate")
        case.send(kit.ether_in() / parts[0]).dropped("fragment_duplicate")
        forward(parts[2], packet)

        # Pieces of another size, shifted over those that passed; then nothing of the packet passes.
        packet = fragments.whole(family, flow.l4, flow.port, 2000, 2)
        parts = fragments.cut(packet, 800, 2)
        others = fragments.cut(packet, 600, 2)
        forward(parts[0], packet, "scheduler")
        case.send(kit.ether_in() / others[1]).dropped("fragment_overlap")
        case.send(kit.ether_in() / parts[1]).dropped("fragment_overlap")
        case.send(kit.ether_in() / parts[2]).dropped("fragment_overlap")

        # The same before the first one came: what waited is lost as well.
        packet = fragments.whole(family, flow.l4, flow.port, 2000, 3)
        parts = fragments.cut(packet, 800, 3)
        others = fragments.cut(packet, 600, 3)
        waiting = case.send(kit.ether_in() / parts[1]).held()
        spoiler = case.send(kit.ether_in() / others[1])
        spoiler.dropped("fragment_overlap")
        spoiler.releases_dropped(waiting, "fragment_overlap")
        case.send(kit.ether_in() / parts[0]).dropped("fragment_overlap")
