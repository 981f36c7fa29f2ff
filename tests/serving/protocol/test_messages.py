"""Our .proto against the protocol's messages as NVIDIA's client brings them, compiled from the public file."""

from tritonclient.grpc import service_pb2

from unblur.serving.protocol.messages import PROTO, message, methods, read_proto


def described(kind):
    """Return by full name what each field of a message, and of those inside it, is."""
    fields = {
        field.full_name: (
            field.number,
            field.type,
            field.is_repeated,
            field.containing_oneof and field.containing_oneof.name,
            field.message_type and field.message_type.full_name,
            kind.GetOptions().map_entry,
        )
        for field in kind.fields
    }
    for inner in kind.nested_types:
        fields |= described(inner)
    return fields


def test_every_message_is_that_of_the_protocol():
    names = [each.name for each in read_proto(PROTO.read_text(encoding="utf-8")).message_type]
    assert len(names) == 14
    for name in names:
        ours, theirs = message(name).DESCRIPTOR, service_pb2.DESCRIPTOR.message_types_by_name[name]
        assert described(ours) == described(theirs)
        assert len(ours.oneofs) == len(theirs.oneofs)


def test_the_service_is_that_of_the_protocol():
    theirs = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name
    assert len(methods()) == 6
    for name, (taken, returned) in methods().items():
        assert theirs[name].input_type.full_name == taken.DESCRIPTOR.full_name
        assert theirs[name].output_type.full_name == returned.DESCRIPTOR.full_name


def test_what_one_side_writes_the_other_reads():
    ours = message("ModelInferRequest")(model_name="unblur", raw_input_contents=[b"\0\1"])
    ours.parameters["strength"].double_param = 0.5
    ours.inputs.add(name="image", datatype="FP32", shape=[1, 3, 2, -1]).contents.fp32_contents.extend([0.25, 1])
    theirs = service_pb2.ModelInferRequest.FromString(ours.SerializeToString())
    assert theirs.parameters["strength"].double_param == 0.5
    assert theirs.inputs[0].shape == [1, 3, 2, -1]
    assert message("ModelInferRequest").FromString(theirs.SerializeToString()) == ours
