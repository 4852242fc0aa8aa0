#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A relay that counts requests: frames.py PORT SERVER_PORT FILE.

Passes connections to PORT of 127.0.0.1 on to SERVER_PORT, and writes into FILE how
many frames (SMB's four bytes of length and what follows) clients have sent, each
time before it passes them on.
"""

import socket
import sys
import threading

port, server_port, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
lock = threading.Lock()
count = 0


def counted(pending, data):
    """Frames that begin in data; pending: bytes of the last one still to come."""
    global count
    head = pending[1] + data
    left = pending[0]
    n = 0
    while head:
        if left:
            step = min(left, len(head))
            head, left = head[step:], left - step
        elif len(head) >= 4:
            left, head, n = int.from_bytes(head[1:4], "big"), head[4:], n + 1
        else:
            break
    with lock:
        count += n
        with open(path, "w", encoding="ascii") as file:
            print(count, file=file)
    return left, head


def pump(source, sink, count_it):
    pending = (0, b"")
    try:
        while data := source.recv(1 << 20):
            if count_it:
                pending = counted(pending, data)
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


listener = socket.create_server(("127.0.0.1", port))
while True:
    client = listener.accept()[0]
    try:
        server = socket.create_connection(("127.0.0.1", server_port))
    except OSError:
        client.close()
        continue
    for end in (client, server):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    threading.Thread(target=pump, args=(client, server, True), daemon=True).start()
    threading.Thread(target=pump, args=(server, client, False), daemon=True).start()
