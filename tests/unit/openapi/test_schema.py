"""The compiled schema against the facts it was written from, and against itself."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor, FileDescriptor

from cmam.openapi._pb import (
    OpenApiCommonMessages_pb2,
    OpenApiCommonModelMessages_pb2,
    OpenApiMessages_pb2,
    OpenApiModelMessages_pb2,
)

FILES: dict[str, FileDescriptor] = {
    module.DESCRIPTOR.name.rsplit("/", 1)[-1]: module.DESCRIPTOR
    for module in (
        OpenApiCommonModelMessages_pb2,
        OpenApiCommonMessages_pb2,
        OpenApiModelMessages_pb2,
        OpenApiMessages_pb2,
    )
}
TYPES = {
    getattr(FieldDescriptor, name): name.removeprefix("TYPE_").lower()
    for name in dir(FieldDescriptor)
    if name.startswith("TYPE_")
}
DIGEST = "b62b705f584bdc7e0365aa99deda9656b918e97d7bce1b3877317113f13cac07"
"""sha256 of `wire_facts()`. It changes only when the schema does, which is a decision and not an accident."""


def _label(field: FieldDescriptor) -> str:
    if field.is_repeated:
        return "repeated"
    return "required" if field.is_required else "optional"


def _default(field: FieldDescriptor) -> object:
    if not field.has_default_value:
        return None
    if field.enum_type is not None:
        return field.enum_type.values_by_number[field.default_value].name
    return field.default_value


def _field(field: FieldDescriptor) -> dict[str, Any]:
    of = field.message_type or field.enum_type
    options = field.GetOptions()
    return {
        "name": field.name,
        "number": field.number,
        "type": TYPES[field.type],
        "label": _label(field),
        "default": _default(field),
        "type_name": None if of is None else of.full_name,
        "packed": bool(options.packed),
        "deprecated": bool(options.deprecated),
    }


def _enum(enum: EnumDescriptor) -> dict[str, int]:
    return {value.name: value.number for value in enum.values}


def wire_facts() -> dict[str, Any]:
    """Everything about our schema that another implementation could see on the wire."""
    facts: dict[str, Any] = {}
    for name, file in FILES.items():
        for message in file.message_types_by_name.values():
            facts[f"{name}:{message.full_name}"] = [_field(field) for field in message.fields]
        for enum in file.enum_types_by_name.values():
            facts[f"{name}:{enum.full_name}"] = _enum(enum)
    return facts


def _documented(file: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for message in file["messages"]:
        if not message.get("withdrawn"):
            keys = ("name", "number", "type", "label", "default", "type_name")
            yield (
                message["name"],
                [
                    {key: field[key] for key in keys} | {key: bool(field.get(key)) for key in ("packed", "deprecated")}
                    for field in message["fields"]
                ],
            )
    for enum in file["enums"]:
        yield enum["name"], {v["name"]: v["number"] for v in enum["values"] if not v.get("withdrawn")}


def test_descriptors_equal_the_published_facts_field_by_field(shared: Path) -> None:
    """Each message, field, number, type, label, default and enum value is the vendor's, and there is none besides."""
    published = json.loads((shared / "openapi" / "messages.json").read_text(encoding="utf-8"))
    expected = {f"{file['name']}:{name}": facts for file in published["files"] for name, facts in _documented(file)}
    assert wire_facts() == expected


def test_digest_of_the_schema_is_the_committed_one() -> None:
    """Where the published facts are not at hand, a digest still notices any change of the wire."""
    text = json.dumps(wire_facts(), sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest() == DIGEST


def test_every_payload_type_has_one_message_that_carries_it() -> None:
    """The default of `payloadType` names a message's type; two messages with one number could not be told apart."""
    seen: dict[int, str] = {}
    for file in FILES.values():
        for message in file.message_types_by_name.values():
            field = message.fields_by_name.get("payloadType")
            if field is not None and field.has_default_value:
                assert field.default_value not in seen, (message.name, seen[field.default_value])
                seen[field.default_value] = message.name
    assert seen[2126] == "ProtoOAExecutionEvent"
    assert not {2189, 2190, 2191, 2192, 2193} & set(seen)


def test_generating_again_changes_nothing(root: Path, tmp_path: Path) -> None:
    """What is committed under _pb is what the pinned generator makes of proto/ today."""
    pytest.importorskip("grpc_tools")
    run = [sys.executable, str(root / "scripts/compile_proto.py"), "--check", str(tmp_path)]
    subprocess.run(run, check=True, capture_output=True)
    made = tmp_path / "cmam/openapi/_pb"
    committed = root / "cmam/openapi/_pb"
    names = sorted(path.name for path in made.iterdir())
    assert names == sorted(path.name for path in committed.glob("*_pb2.py*"))
    assert len(names) == 8
    for name in names:
        assert (made / name).read_text() == (committed / name).read_text(), f"{name} is stale: run `make proto`"


def test_generated_code_is_not_newer_than_the_oldest_runtime_we_allow(root: Path) -> None:
    """protobuf refuses code from a newer generator, so the lower bound in setup.cfg may not be below it."""
    setup = (root / "setup.cfg").read_text(encoding="utf-8")
    bound = re.search(r"protobuf>=(\d+)\.(\d+)\.(\d+)", setup)
    assert bound is not None
    oldest = tuple(int(part) for part in bound.groups())
    for path in (root / "cmam/openapi/_pb").glob("*_pb2.py"):
        written = re.search(r"# Protobuf Python Version: (\d+)\.(\d+)\.(\d+)", path.read_text(encoding="utf-8"))
        assert written is not None
        assert tuple(int(part) for part in written.groups()) <= oldest
