"""Writes sigv4.json: requests signed by botocore, an independent signer. Run with any Python that has botocore."""

import datetime
import json
import pathlib
import urllib.parse
from unittest import mock

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

NOW = datetime.datetime(2026, 11, 21, 8, 26, 17, tzinfo=datetime.timezone.utc)
KEY, SECRET = "111122223333", "c2VjcmV0+/with odd$characters"
FORM = "application/x-www-form-urlencoded; charset=utf-8"
HOST = "http://127.0.0.1:4566"
TAGGED = {"Action": "CreateTags", "Version": "2016-11-15", "ResourceId.1": "vpc-0123456789abcdef0",
          "Tag.1.Key": "Name", "Tag.1.Value": "größer & + = ~ * / ä"}


def signed(name, method, url, service, region, body=b"", headers=None, token=None, presign=None, expect="ok"):
    request = AWSRequest(method=method, url=url, data=body, headers=headers or {})
    credentials = Credentials(KEY, SECRET, token)
    if presign:
        signer = botocore.auth.SigV4QueryAuth(credentials, service, region, expires=presign)
    else:
        signer = botocore.auth.SigV4Auth(credentials, service, region)
    with mock.patch.object(botocore.auth, "get_current_datetime", lambda *a, **k: NOW.replace(tzinfo=None)):
        signer.add_auth(request)
    prepared = request.prepare()
    parts = urllib.parse.urlsplit(prepared.url)
    sent = [[k.lower(), v.decode() if isinstance(v, bytes) else v] for k, v in prepared.headers.items()]
    if "host" not in dict(sent):
        sent.append(["host", parts.netloc])
    return {"name": name, "method": method, "path": parts.path, "query": parts.query, "headers": sent,
            "body": body.decode(), "region": region, "service": service, "expires": presign}


def main():
    form = urllib.parse.urlencode(TAGGED).encode()
    query = urllib.parse.urlencode(TAGGED, quote_via=urllib.parse.quote)
    cases = [
        signed("post", "POST", HOST + "/", "ec2", "us-east-1", form, {"Content-Type": FORM}),
        signed("post with session token", "POST", HOST + "/", "ec2", "eu-central-1", form,
               {"Content-Type": FORM}, token="session/token=="),
        signed("get", "GET", HOST + "/?" + query, "ec2", "us-east-1"),
        signed("sts", "POST", HOST + "/", "sts", "us-east-1", b"Action=GetCallerIdentity&Version=2011-06-15",
               {"Content-Type": FORM}),
        signed("headers with inner spaces", "POST", HOST + "/", "ec2", "us-west-2", form,
               {"Content-Type": FORM, "X-Amz-Meta": "  a   b  "}),
        signed("path with segments", "POST", HOST + "/a//b/../c%20d/", "ec2", "us-east-1", form),
        signed("presigned", "GET", HOST + "/?" + query, "ec2", "us-east-1", presign=3600),
    ]
    out = {"secret": SECRET, "now_ms": int(NOW.timestamp() * 1000), "access_key": KEY, "cases": cases}
    path = pathlib.Path(__file__).with_name("sigv4.json")
    path.write_text(json.dumps(out, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
