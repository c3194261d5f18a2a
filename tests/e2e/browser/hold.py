"""Many connections that stay: `hold.py serve PORT` takes them and sends back what it reads, `hold.py open PORT COUNT`
opens them, says a word on each, and prints `open` once every word has come back. Both go on until they are ended."""

import select
import socket
import sys


def serve(port):
    listener = socket.create_server(("127.0.0.1", port), backlog=4096)
    poll, clients = select.epoll(), {}
    poll.register(listener, select.EPOLLIN)
    print("serving", flush=True)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == listener.fileno():
                client, _ = listener.accept()
                clients[client.fileno()] = client
                poll.register(client, select.EPOLLIN)
                continue
            client = clients[descriptor]
            said = client.recv(4096)
            if said:
                client.sendall(said)
            else:
                poll.unregister(client)
                del clients[descriptor]
                client.close()


def hold(port, count):
    # From several addresses, as clients are.
    clients = []
    for number in range(count):
        source = (f"127.0.{1 + number % 40}.1", 0)
        clients.append(socket.create_connection(("127.0.0.1", port), source_address=source))
    for number, client in enumerate(clients):
        client.sendall(b"x" * (1 + number % 1000))
    for client in clients:
        assert client.recv(4096)
    print("open", flush=True)
    # The first ones go on talking, so that there is something to see.
    while True:
        select.select([], [], [], 0.2)
        for client in clients[:20]:
            client.sendall(b"y" * 500)
            client.recv(4096)


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]))
else:
    hold(int(sys.argv[2]), int(sys.argv[3]))
