"""A gRPC server over TLS, which takes no client that doesn't offer h2 (ALPN). Arguments: port, certificate, key."""

import concurrent.futures
import sys

import grpc

port, certificate, key = sys.argv[1:]
server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=4))
with open(key, "rb") as key, open(certificate, "rb") as chain:
    credentials = grpc.ssl_server_credentials([(key.read(), chain.read())])
server.add_secure_port(f"0.0.0.0:{port}", credentials)
server.start()
print("listening", flush=True)
server.wait_for_termination()
