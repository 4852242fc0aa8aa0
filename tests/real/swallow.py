#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A relay that loses a reply: swallow.py PORT SERVER_PORT FILE COMMAND.

Passes connections to PORT of 127.0.0.1 on to SERVER_PORT.  Once FILE is there, the
next frame of the server's that begins with a reply to COMMAND (its number in SMB) is
not passed on, and FILE is removed.
"""

import os
import socket
import sys
import threading

port, server_port, path, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])


def whole(source, size):
    data = b""
    while len(data) < size:
        more = source.recv(size - len(data))
        if not more:
            raise OSError
        data += more
    return data


def is_unwanted(frame):
    return int.from_bytes(frame[12:14], "little") == command and os.path.exists(path)


def pump(source, sink, loses):
    try:
        while True:
            head = whole(source, 4)
            frame = whole(source, int.from_bytes(head[1:4], "big"))
            if loses and is_unwanted(frame):
                os.unlink(path)
            else:
                sink.sendall(head + frame)
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
    server = socket.create_connection(("127.0.0.1", server_port))
    for end in (client, server):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    threading.Thread(target=pump, args=(client, server, False), daemon=True).start()
    threading.Thread(target=pump, args=(server, client, True), daemon=True).start()
