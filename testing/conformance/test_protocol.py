"""The Query protocol and everything that is not one: errors as AWS words them, nothing stored, server up."""

import re
import socket
import urllib.error
import urllib.request
from urllib.parse import urlparse

import pytest

FORM = "application/x-www-form-urlencoded; charset=utf-8"


def post(account, body, headers=(), path="/", method="POST"):
    """(status, body) of a plain HTTP request signed as the account in name only."""
    credential = f"AWS4-HMAC-SHA256 Credential={account.number}/20260101/eu-central-1/ec2/aws4_request, SignedHeaders=host, Signature=0"
    request = urllib.request.Request(
        account.groundplane.endpoint + path,
        data=body.encode() if isinstance(body, str) else body,
        method=method,
        headers={"Authorization": credential, "Content-Type": FORM, **dict(headers)},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def error_of(body):
    return re.search(r"<Code>(.*?)</Code>", body)[1], re.search(r"<Message>(.*?)</Message>", body, re.S)[1]


@pytest.mark.parametrize(
    "form, status, code",
    [
        ("", 400, "MissingAction"),
        ("Action=", 400, None),
        ("Action=MakeCoffee&Version=2016-11-15", 400, "InvalidAction"),
        ("Action=CreateTransitGateway&Version=2016-11-15", 400, "UnsupportedOperation"),
        ("Action=CreateVpc&Version=2016-11-15&Colour=blue", 400, "UnknownParameter"),
        ("Action=CreateSubnet&Version=2016-11-15&CidrBlock=10.0.0.0/24", 400, "MissingParameter"),
        ("Action=DescribeVpcs&Version=2016-11-15&MaxResults=many", 400, "InvalidParameterValue"),
        ("Action=DescribeVpcs&Version=2016-11-15&VpcId.1=x", 400, "InvalidVpcID.Malformed"),
        ("Action=DescribeVpcs&Version=2016-11-15&VpcId.999999999999=vpc-0123456789abcdef0", 400, None),
        ("Action=DescribeVpcs&Version=2016-11-15&Filter.1.Name=nope&Filter.1.Value.1=x", 400, "InvalidParameterValue"),
        ("Action=RunInstances&Version=2016-11-15&MinCount=1&MaxCount=0&ImageId=ami-0123456789abcdef0", 400, None),
        ("Action=RunInstances&Version=2016-11-15&MinCount=99999999999999999999&MaxCount=1", 400, "InvalidParameterValue"),
        ("%ff%fe=%00&Action=%zz", 400, None),
        ("Action=CreateVpc&Version=2016-11-15&CidrBlock=" + "1" * 100_000, 400, None),
    ],
)
def test_wrong_forms_get_aws_errors(account, form, status, code):
    got, body = post(account, form)
    assert got == status, body
    assert code is None or error_of(body)[0] == code, body
    assert "<RequestID>" in body or "<RequestId>" in body


def test_user_data_must_be_base64_and_small(account):
    vpc, subnet = account.network()
    run = f"Action=RunInstances&Version=2016-11-15&ImageId={account.image()}&MinCount=1&MaxCount=1&SubnetId={subnet}"
    for user_data in ("%21%21%21", "QUFB" * 6000):
        status, body = post(account, f"{run}&UserData={user_data}")
        assert status == 400, body
    assert account.ec2.describe_instances()["Reservations"] == []


def test_get_works_as_post_does(account):
    status, body = post(account, None, path="/?Action=DescribeVpcs&Version=2016-11-15", method="GET")
    assert status == 200 and "<DescribeVpcsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">" in body


def test_huge_bodies_are_refused(account):
    try:
        status, _ = post(account, b"Action=DescribeVpcs&x=" + b"y" * (64 << 20))
        assert status in (400, 413)
    except (ConnectionError, urllib.error.URLError):
        pass  # The server may close while we are still sending.
    assert account.ec2.describe_vpcs()["Vpcs"]


@pytest.mark.parametrize(
    "payload",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nContent-Length: 20\r\n\r\nAction=Des",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nAction\r\n0\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 50_000 + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_not_http_does_no_harm(account, payload):
    address = urlparse(account.groundplane.endpoint)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        try:
            connection.sendall(payload)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(65536)
        except TimeoutError:
            raise
        except OSError:
            # The server may hang up while it is still being talked to.
            pass
    assert account.ec2.describe_vpcs()["Vpcs"]


def test_half_sent_requests_hold_nobody_up(account):
    address = urlparse(account.groundplane.endpoint)
    held = []
    for _ in range(50):
        connection = socket.create_connection((address.hostname, address.port), timeout=10)
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nAction=CreateVpc")
        held.append(connection)
    before = len(account.ec2.describe_vpcs()["Vpcs"])
    for connection in held:
        connection.close()
    assert len(account.ec2.describe_vpcs()["Vpcs"]) == before


def test_health_and_reset(account):
    with urllib.request.urlopen(account.groundplane.endpoint + "/_groundplane/health", timeout=5) as answer:
        assert answer.status == 200
    account.network()
    other = account.groundplane.account()
    kept, _ = other.network()
    account.reset()
    assert [v["IsDefault"] for v in account.ec2.describe_vpcs()["Vpcs"]] == [True]
    assert kept in {v["VpcId"] for v in other.ec2.describe_vpcs()["Vpcs"]}
    other.reset()


def test_accounts_do_not_see_each_other(account):
    vpc, _ = account.network()
    other = account.groundplane.account()
    status, body = post(other, f"Action=DescribeVpcs&Version=2016-11-15&VpcId.1={vpc}")
    assert error_of(body)[0] == "InvalidVpcID.NotFound"
    other.reset()


def test_strict_auth_checks_signatures(tmp_path):
    import boto3
    from botocore.exceptions import ClientError
    from conftest import Groundplane, free_port

    keys = tmp_path / "keys"
    keys.write_text("AKIAEXAMPLE0000000001 the-secret 123456789012\n")
    groundplane = Groundplane(tmp_path, free_port(), "--auth", "strict", "--keys", str(keys), "--store", "memory").up()

    def identity(secret, key="AKIAEXAMPLE0000000001"):
        sts = boto3.client(
            "sts", "eu-central-1", endpoint_url=groundplane.endpoint, aws_access_key_id=key, aws_secret_access_key=secret
        )
        return sts.get_caller_identity()["Account"]

    try:
        assert identity("the-secret") == "123456789012"
        for secret, key in [("wrong", "AKIAEXAMPLE0000000001"), ("the-secret", "AKIAUNKNOWN")]:
            with pytest.raises(ClientError) as caught:
                identity(secret, key)
            assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] in (401, 403)
        request = urllib.request.Request(groundplane.endpoint + "/_groundplane/reset", method="POST", data=b"")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=5)
        assert refused.value.code == 403
    finally:
        groundplane.down()
