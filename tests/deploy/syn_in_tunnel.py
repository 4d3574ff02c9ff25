#!/usr/bin/python3
"""Sends what a director sends, a client's SYN in a tunnel, and prints the MSS that the VIP's SYN-ACK to the client has,
or "none". In the client's namespace: syn_in_tunnel.py KIND OUTER_VERSION INNER_VERSION MAC DESTINATION SECONDS"""

import random
import sys

from scapy.all import GRE, IP, TCP, UDP, AsyncSniffer, Ether, IPv6, Raw, get_if_hwaddr, sendp

INTERFACE, GUE_PORT, SSH = "eth0", 6080, 22
CLIENT = {4: "198.51.100.7", 6: "2001:db8:c::7"}
DIRECTOR = {4: "192.0.2.2", 6: "2001:db8::2"}
VIP = {4: "203.0.113.10", 6: "2001:db8:f::10"}
LAYER, PROTOCOL, ETHER_TYPE = {4: IP, 6: IPv6}, {4: 4, 6: 41}, {4: 0x0800, 6: 0x86DD}


def main():
    kind, outer, inner, mac, destination, seconds = sys.argv[1:]
    outer, inner = int(outer), int(inner)
    port = random.randrange(20000, 60000)
    syn = LAYER[inner](src=CLIENT[inner], dst=VIP[inner]) / TCP(sport=port, dport=SSH, flags="S",
                                                                options=[("MSS", 1460)])
    udp = UDP(sport=50000, dport=GUE_PORT)
    tunnel = {"ipip": syn, "gre": GRE(proto=ETHER_TYPE[inner]) / syn,
              "gue": udp / Raw(bytes([0, PROTOCOL[inner], 0, 0])) / syn, "gue-direct": udp / Raw(bytes(syn))}[kind]
    frame = (Ether(src=get_if_hwaddr(INTERFACE), dst=mac)
             / LAYER[outer](src=DIRECTOR[outer], dst=destination) / tunnel)

    def is_answer(packet):
        return TCP in packet and packet[TCP].flags == "SA" and packet[TCP].dport == port

    sniffer = AsyncSniffer(iface=INTERFACE, count=1, timeout=float(seconds), lfilter=is_answer,
                           started_callback=lambda: sendp(frame, iface=INTERFACE, verbose=False))
    sniffer.start()
    sniffer.join()
    print(dict(sniffer.results[0][TCP].options)["MSS"] if sniffer.results else "none")


if __name__ == "__main__":
    main()
