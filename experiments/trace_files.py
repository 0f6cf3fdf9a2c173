"""Reads the traces of TensorFlow's profiler (`.xplane.pb`), as far as is needed.

TensorFlow has no public name for this format, so that the few fields of it are
described here.
"""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_MESSAGES = {
    "XSpace": {"planes": (1, "XPlane", True)},
    "XPlane": {"lines": (3, "XLine", True), "event_metadata": (4, "Entry", True)},
    "XLine": {"events": (4, "XEvent", True)},
    "XEvent": {"metadata_id": (1, None, False), "duration_ps": (3, None, False)},
    "Entry": {"key": (1, None, False), "value": (2, "Metadata", False)},
    "Metadata": {"name": (2, str, False)},
}
"""Number, type (None: int64) and whether there are many, by message and field."""


def read(path):
    """A trace.

    Args:
        path: `pathlib.Path` of the file.

    Returns:
        Object with `planes`; each has `lines` with `events` (`metadata_id`,
        `duration_ps`) and `event_metadata`, entries of `key` and `value.name`.
    """
    file = descriptor_pb2.FileDescriptorProto(name="trace.proto", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind, many) in fields.items():
            own = message.field.add(name=field, number=number)
            own.label = kinds.LABEL_REPEATED if many else kinds.LABEL_OPTIONAL
            own.type = {None: kinds.TYPE_INT64, str: kinds.TYPE_STRING}.get(
                kind, kinds.TYPE_MESSAGE
            )
            if own.type == kinds.TYPE_MESSAGE:
                own.type_name = f".{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    space = message_factory.GetMessageClass(pool.FindMessageTypeByName("XSpace"))()
    space.ParseFromString(path.read_bytes())
    return space
