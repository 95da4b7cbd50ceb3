"""Publishes orders to a `grpc+listen:` source by Google's own gRPC, each twice, and prints what was acknowledged first.

grpc_publisher.py PORT PROTO COUNT
"""

import importlib
import os
import sys
import tempfile

import grpc
from google.protobuf import json_format
from grpc_tools import protoc

PORT, PROTO, COUNT = sys.argv[1:4]

out = tempfile.mkdtemp()
well_known = protoc.__file__.rsplit("/", 1)[0] + "/_proto"
folder, name = os.path.split(PROTO)
if protoc.main(["protoc", f"-I{folder}", f"-I{well_known}", f"--python_out={out}", f"--grpc_python_out={out}", name]) != 0:
    raise SystemExit("protoc failed")
sys.path.insert(0, out)
messages = importlib.import_module("intake_pb2")
services = importlib.import_module("intake_pb2_grpc")


def events():
    for _ in range(2):
        for n in range(1, int(COUNT) + 1):
            yield json_format.ParseDict({"id": f"order-{n}", "data": {"n": n, "name": f"név {n}"}}, messages.Event())


with grpc.insecure_channel(f"127.0.0.1:{PORT}") as channel:
    publish = services.IntakeStub(channel).Publish
    acks = [ack.id for ack in publish(events(), wait_for_ready=True)]
if acks[: int(COUNT)] != acks[int(COUNT) :]:
    raise SystemExit("what came twice is acknowledged twice")
print(*acks[: int(COUNT)])
