"""The messages of `open_inference.proto`, read when the server starts: no generated code, and no compiler to install.

They lie in a pool of their own: a client's package in the same process brings messages of the same names.
"""

import re
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

PROTO = Path(__file__).with_name("open_inference.proto")
PACKAGE = "inference"
SERVICE = f"{PACKAGE}.GRPCInferenceService"

_FIELD = re.compile(r"(?P<repeated>repeated )?(?P<kind>map<string, \w+>|\w+) (?P<name>\w+) = (?P<number>\d+)")
_METHOD = re.compile(r"rpc (\w+)\((\w+)\) returns \((\w+)\)")
_KINDS = {name[5:].lower(): number for name, number in FieldDescriptorProto.Type.items()}


def read_proto(text: str) -> FileDescriptorProto:
    """Return what a .proto file says, of the parts of the language that ours has.

    Every line opens a message, a oneof or the service, closes one, or is a field or a method; one message may lie in
    another, in front of its fields.
    """
    file = FileDescriptorProto(name=PROTO.name, package=PACKAGE, syntax="proto3")
    open_: list[Any] = [file]
    for line in (line.partition("//")[0].strip() for line in text.splitlines()):
        top = open_[-1]
        words = line.split()
        if line.endswith("{}") and words[0] == "message":
            file.message_type.add(name=words[1])
        elif line.endswith("{"):
            kinds = {"message": getattr(top, "nested_type", file.message_type), "service": file.service}
            opened = top.oneof_decl if words[0] == "oneof" else kinds[words[0]]
            open_.append(opened.add(name=words[1]))
        elif line == "}":
            open_.pop()
        elif method := _METHOD.match(line):
            name, taken, returned = method.groups()
            top.method.add(name=name, input_type=f".{PACKAGE}.{taken}", output_type=f".{PACKAGE}.{returned}")
        elif field := _FIELD.match(line):
            of = top if isinstance(top, DescriptorProto) else open_[-2]  # in a oneof it is the message's around it
            _add_field(of, field, oneof=top is not of)
    return file


def _add_field(message: DescriptorProto, told: re.Match[str], *, oneof: bool) -> None:
    field = message.field.add(name=told["name"], number=int(told["number"]))
    field.label = field.LABEL_REPEATED if told["repeated"] else field.LABEL_OPTIONAL
    if oneof:
        field.oneof_index = 0
    kind = told["kind"]
    if kind.startswith("map"):  # in messages a list of entries of a key and a value
        entry = message.nested_type
        name = "".join(part.title() for part in told["name"].split("_")) + "Entry"
        made = entry.add(name=name)
        made.options.map_entry = True
        made.field.add(name="key", number=1, type=_KINDS["string"], label=field.LABEL_OPTIONAL)
        made.field.add(name="value", number=2, label=field.LABEL_OPTIONAL, type_name=kind[len("map<string, ") : -1])
        field.label, kind = field.LABEL_REPEATED, name
    if kind in _KINDS:
        field.type = _KINDS[kind]
    else:
        field.type_name = kind


_POOL = DescriptorPool()
_POOL.Add(read_proto(PROTO.read_text(encoding="utf-8")))


def message(name: str) -> Any:  # noqa: ANN401 (its class is made here)
    """Return the class of a message of the protocol."""
    return GetMessageClass(_POOL.FindMessageTypeByName(f"{PACKAGE}.{name}"))


def methods() -> dict[str, tuple[Any, Any]]:
    """Return by name the class that each method of the service takes, and the one that it returns."""
    service = _POOL.FindServiceByName(SERVICE)
    return {each.name: (message(each.input_type.name), message(each.output_type.name)) for each in service.methods}
