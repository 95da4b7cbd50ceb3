"""Google's own gRPC for Python as the other end: a shop that is read from and written to, in a process of its own.

grpc_judge.py PORT DIRECTORY SCHEMAS [CERT KEY]

What it is to do stands in files of the directory, so that a killed shop goes on where it was: `offered` is the number of its orders,
`mode` which calls fail and how. What it took is in `taken`, a line for each arrival. With a certificate both ends must show it.
"""

import concurrent.futures
import importlib
import json
import os
import sys
import threading
import time

import grpc
from grpc_tools import protoc

PORT, DIRECTORY, SCHEMAS = sys.argv[1:4]
PAGE = 7
PAUSE_S = 0.01
RECEIVED_MAX = 2**20


def compiled():
    """Modules that Google's own compiler makes of the files."""
    well_known = protoc.__file__.rsplit("/", 1)[0] + "/_proto"
    args = ["protoc", f"-I{SCHEMAS}", f"-I{well_known}", f"--python_out={DIRECTORY}", f"--grpc_python_out={DIRECTORY}"]
    descriptors = ["--include_imports", f"--descriptor_set_out={DIRECTORY}/shop.binpb"]
    files = [f"{SCHEMAS}/shop.proto", f"{SCHEMAS}/money.proto"]
    if not os.path.exists(f"{DIRECTORY}/shop_pb2_grpc.py") and protoc.main(args + descriptors + files) != 0:
        raise SystemExit("protoc failed")
    sys.path.insert(0, DIRECTORY)
    return tuple(importlib.import_module(name) for name in ("shop_pb2", "money_pb2", "shop_pb2_grpc"))


messages, money, services = compiled()


def said(name, default):
    try:
        with open(f"{DIRECTORY}/{name}", encoding="utf-8") as file:
            return json.load(file)
    except (FileNotFoundError, json.JSONDecodeError):
        return default


def order(n, padding=0):
    """What the test expects, made again from its number."""
    made = messages.Order(
        n=n,
        name=f"név {n}",
        price=money.Money(units=2**53 + n, currency="HUF"),
        state=n % 2,
        tags=["a", "b"][: n % 3],
        parts={"x": -n},
        blob=b"\x00\xff" + b"x" * padding,
    )
    made.at.FromMilliseconds(1_700_000_000_000 + n)
    if n % 2 == 0:
        made.note = ""
    return made


class Orders(services.OrdersServicer):
    def __init__(self):
        self.lock = threading.Lock()
        self.file = open(f"{DIRECTORY}/taken", "a", encoding="utf-8")

    def refuse(self, method, context):
        """Fails the call as the mode says."""
        mode = said("mode", {})
        status = mode.get(method)
        if status is not None:
            if "pushback" in mode:
                context.set_trailing_metadata((("grpc-retry-pushback-ms", str(mode["pushback"])),))
            secret = dict(context.invocation_metadata()).get("authorization", "")
            context.abort(grpc.StatusCode[status], f"the shop says {status} to {secret}".strip())
        return mode

    def take(self, method, request, context):
        metadata = dict(context.invocation_metadata())
        line = {
            "method": method,
            "id": request.id,
            "key": metadata.get("idempotency-key"),
            "token": metadata.get("authorization"),
            "shop": request.shop,
            "n": request.order.n,
            "order": request.order == order(request.order.n, len(request.order.blob) - 2),
        }
        with self.lock:
            self.file.write(json.dumps(line) + "\n")
            self.file.flush()

    def Follow(self, request, context):
        n = request.after
        while context.is_active():
            mode = self.refuse("Follow", context)
            while n < said("offered", 0):
                n += 1
                yield order(n, mode.get("padding", 0))
                if n % 50 == 0 and not context.is_active():
                    return
            if mode.get("ends"):
                return
            time.sleep(PAUSE_S)

    def List(self, request, context):
        self.refuse("List", context)
        last = min(request.after + PAGE, said("offered", 0))
        return messages.Page(orders=[order(n) for n in range(request.after + 1, last + 1)], last=last)

    def Put(self, request, context):
        mode = self.refuse("Put", context)
        if request.order.n in mode.get("refuse", []):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no such order")
        self.take("Put", request, context)
        return messages.Taken(id=request.id)

    def Load(self, requests, context):
        mode = self.refuse("Load", context)
        for request in requests:
            if request.order.n in mode.get("refuse", []):
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no such order")
            self.take("Load", request, context)
        return messages.Taken()

    def Sync(self, requests, context):
        for request in requests:
            mode = self.refuse("Sync", context)
            if request.order.n in mode.get("refuse", []):
                yield messages.Taken(id=request.id, refused="no such order")
                continue
            self.take("Sync", request, context)
            yield messages.Taken(id=request.id)


def main():
    pool = concurrent.futures.ThreadPoolExecutor(max_workers=64)
    options = {
        "grpc.so_reuseport": 0,
        "grpc.http2.min_ping_interval_without_data_ms": 100,
        "grpc.max_receive_message_length": RECEIVED_MAX,
    }
    server = grpc.server(pool, options=list(options.items()))
    services.add_OrdersServicer_to_server(Orders(), server)
    address = f"127.0.0.1:{PORT}"
    if len(sys.argv) > 4:
        cert, key = (open(path, "rb").read() for path in sys.argv[4:6])
        secure = grpc.ssl_server_credentials([(key, cert)], root_certificates=cert, require_client_auth=True)
        server.add_secure_port(address, secure)
    else:
        server.add_insecure_port(address)
    server.start()
    server.wait_for_termination()


main()
