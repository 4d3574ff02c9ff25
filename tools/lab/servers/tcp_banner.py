#!/usr/bin/python3
"""tcp_banner.py PORT: sends a line as an SSH server does, then echoes what the client says until it closes."""

import socket
import sys
import threading


def serve(connection):
    with connection:
        connection.sendall(b"SSH-2.0-lab\r\n")
        while data := connection.recv(4096):
            connection.sendall(data)


def main():
    server = socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1024)
    while True:
        connection, _ = server.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
