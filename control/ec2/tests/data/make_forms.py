"""Writes botocore_forms.txt: for each action of model/actions.txt and STS's GetCallerIdentity, the form that botocore
sends when every member that it knows is given, lists with two entries. Run with any Python that has botocore."""

import datetime
import pathlib
import urllib.parse

import botocore.serialize
import botocore.session

HERE = pathlib.Path(__file__).parent


def sample(shape):
    kind = shape.type_name
    if kind == "structure":
        return {name: sample(member) for name, member in shape.members.items()}
    if kind == "list":
        return [sample(shape.member), sample(shape.member)]
    low = int(shape.metadata.get("min", 1))
    if kind in ("integer", "long"):
        return max(low, 1)
    if kind in ("float", "double"):
        return 1.5
    if kind == "timestamp":
        return datetime.datetime(2026, 11, 21, 8, 26, 17, tzinfo=datetime.timezone.utc)
    if kind == "boolean":
        return True
    if kind == "blob":
        return b"\x00\xff blob"
    return shape.enum[0] if getattr(shape, "enum", None) else "ä b&c=+%.*" + "x" * low


def form(model, name):
    operation = model.operation_model(name)
    serializer = botocore.serialize.create_serializer(model.metadata["protocol"], include_validation=True)
    params = sample(operation.input_shape) if operation.input_shape else {}
    if "MaxResults" in params:
        params["MaxResults"] = max(5, params["MaxResults"])
    return urllib.parse.urlencode(serializer.serialize_to_request(params, operation)["body"])


def main():
    session = botocore.session.get_session()
    names = [(name, "ec2") for name in (HERE / "../../model/actions.txt").read_text().split()]
    names.append(("GetCallerIdentity", "sts"))
    lines = [form(session.get_service_model(service), name) for name, service in sorted(names)]
    (HERE / "botocore_forms.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
