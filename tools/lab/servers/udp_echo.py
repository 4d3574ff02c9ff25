#!/usr/bin/python3
"""udp_echo.py NAME PORT ADDRESS...: answers each datagram with NAME, a space and the datagram."""

import selectors
import socket
import sys


def main():
    name, port, addresses = sys.argv[1].encode(), int(sys.argv[2]), sys.argv[3:]
    selector = selectors.DefaultSelector()
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        server = socket.socket(family, socket.SOCK_DGRAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        server.bind((address, port))  # answers leave with the VIP as their source
        selector.register(server, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            data, peer = key.fileobj.recvfrom(65536)
            key.fileobj.sendto(name + b" " + data, peer)


if __name__ == "__main__":
    main()
