"""Confluent's own Python client as a judge: writes orders by the serializers, and says in what bytes, or reads them by the deserializers.

registry_judge.py write|read REGISTRY BROKERS PREFIX SCHEMAS
"""

import base64
import datetime
import decimal
import importlib
import json
import sys
import tempfile

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf.json_format import MessageToDict, ParseDict
from grpc_tools import protoc

LARGE = 2**63 - 1
UTC = datetime.timezone.utc


def compiled(schemas):
    """The message class that Google's own compiler makes of the file."""
    out = tempfile.mkdtemp()
    well_known = protoc.__file__.rsplit("/", 1)[0] + "/_proto"
    if protoc.main(["protoc", f"-I{schemas}", f"-I{well_known}", f"--python_out={out}", f"{schemas}/order.proto"]) != 0:
        raise SystemExit("protoc failed")
    sys.path.insert(0, out)
    return importlib.import_module("order_pb2").Order


def text(schemas, name):
    with open(f"{schemas}/{name}", encoding="utf-8") as file:
        return file.read()


AVRO = [
    {
        "id": LARGE,
        "price": decimal.Decimal("-12345678901234567890.10"),
        "at": datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, UTC),
        "day": datetime.date(1969, 12, 31),
        "state": "PAID",
        "blob": b"\x00\xff",
        "how": ("shop.Card", {"digits": "42"}),
        "tags": {"a": 1, "é": -2},
        "lines": [{"sku": "x", "part": 0.1}, {"sku": "", "part": -1.5}],
    },
    {
        "id": 1,
        "price": decimal.Decimal("0.00"),
        "at": datetime.datetime(1970, 1, 1, tzinfo=UTC),
        "day": datetime.date(2026, 1, 2),
        "state": "NEW",
        "blob": None,
        "how": 7,
        "tags": {},
        "lines": [],
    },
]
PROTOBUF = [
    {
        "id": str(2**64 - 1),
        "at": "2026-01-02T03:04:05.678901Z",
        "state": "PAID",
        "blob": base64.b64encode(b"\x00\xff").decode(),
        "card": {"digits": "42"},
        "tags": {"a": 1},
        "lines": [{"sku": "x", "part": 0.1}],
    },
    {},
]
JSON = [{"id": 5, "state": "PAID"}, {"id": 6}]


def value_of(topic):
    return SerializationContext(topic, MessageField.VALUE)


def write(registry, producer, prefix, schemas):
    message = compiled(schemas)
    serializers = {
        "avro": (AvroSerializer(registry, text(schemas, "order.avsc")), AVRO),
        "protobuf": (ProtobufSerializer(message, registry), [ParseDict(row, message()) for row in PROTOBUF]),
        "json": (JSONSerializer(text(schemas, "order.json"), registry), JSON),
    }
    written = {}
    for name, (serialize, rows) in serializers.items():
        topic = f"{prefix}-{name}"
        values = [serialize(row, value_of(topic)) for row in rows]
        for value in values:
            producer.produce(topic, value, partition=0)
        written[name] = [value.hex() for value in values]
    producer.flush(30)
    print(json.dumps(written))


def shown(value):
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)


def read(registry, brokers, prefix, schemas):
    message = compiled(schemas)
    deserializers = {
        "avro": AvroDeserializer(registry),
        "protobuf": ProtobufDeserializer(message, {"use.deprecated.format": False}),
        "json": JSONDeserializer(text(schemas, "order.json"), schema_registry_client=registry),
    }
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": prefix, "isolation.level": "read_committed"})
    found = {}
    for name, deserialize in deserializers.items():
        topic = f"{prefix}-{name}"
        consumer.assign([TopicPartition(topic, 0, 0)])
        rows = found[name] = []
        while len(rows) < 2:
            record = consumer.poll(30)
            if record is None:
                raise SystemExit(f"nothing came of {topic}")
            row = deserialize(record.value(), value_of(topic))
            rows.append(MessageToDict(row, preserving_proto_field_name=True) if name == "protobuf" else row)
    consumer.close()
    print(json.dumps(found, default=shown))


if __name__ == "__main__":
    _, command, url, brokers, prefix, schemas = sys.argv
    client = SchemaRegistryClient({"url": url})
    if command == "write":
        write(client, Producer({"bootstrap.servers": brokers}), prefix, schemas)
    else:
        read(client, brokers, prefix, schemas)
