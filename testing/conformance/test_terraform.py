"""Terraform with the real AWS provider: apply, plan nothing, destroy."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import REGION

MIRRORS = [Path(p) for p in os.environ.get("TF_MIRROR", "/opt/tf-plugins:/usr/share/terraform/plugins").split(":")]
PROVIDER = "registry.terraform.io/hashicorp/aws"
STACKS = Path(__file__).parent / "terraform"


def mirror():
    return next((m for m in MIRRORS if (m / PROVIDER).is_dir()), None)


@pytest.fixture
def terraform(account, tmp_path, request):
    """Terraform over a copy of the stack that the test names, or of the basic one."""
    if not shutil.which("terraform") or not mirror():
        pytest.skip("skipped: no Terraform")
    for file in [STACKS / "provider.tf", *(STACKS / getattr(request, "param", "basic")).glob("*.tf")]:
        shutil.copy(file, tmp_path)
    configuration = tmp_path / "terraform.rc"
    configuration.write_text(f'provider_installation {{ filesystem_mirror {{ path = "{mirror()}" }} }}\n')
    environment = {
        **os.environ,
        **account.environment(),
        "TF_CLI_CONFIG_FILE": str(configuration),
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
        "CHECKPOINT_DISABLE": "1",
        "TF_VAR_region": REGION,
        "TF_VAR_endpoint": account.groundplane.endpoint,
    }

    def run(*arguments, allowed=(0,)):
        result = subprocess.run(
            ["terraform", *arguments, "-no-color"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=280
        )
        assert result.returncode in allowed, result.stdout[-6000:] + result.stderr[-6000:]
        return result

    run("init")
    return run


def test_terraform_applies_plans_nothing_and_destroys(terraform, account):
    terraform("apply", "-auto-approve")
    plan = terraform("plan", "-detailed-exitcode", allowed=(0, 2))
    assert plan.returncode == 0, "the second plan wants changes:\n" + plan.stdout
    outputs = outputs_of(terraform)
    assert account.instance(outputs["web"])["PrivateIpAddress"] == "10.20.1.10"
    assert account.groundplane.why(outputs["client"], outputs["web"], "tcp/80")[0]
    assert not account.groundplane.why(outputs["client"], outputs["web"], "tcp/81")[0]
    terraform("destroy", "-auto-approve")
    vpcs = account.ec2.describe_vpcs()["Vpcs"]
    assert [v["IsDefault"] for v in vpcs] == [True]


def outputs_of(terraform):
    return {name: value["value"] for name, value in json.loads(terraform("output", "-json").stdout).items()}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("terraform", ["lists"], indirect=True)
def test_terraform_owns_lists_and_routes(terraform, account):
    terraform("apply", "-auto-approve")
    plan = terraform("plan", "-detailed-exitcode", allowed=(0, 2))
    assert plan.returncode == 0, "the second plan wants changes:\n" + plan.stdout
    outputs = outputs_of(terraform)
    entries = account.ec2.get_managed_prefix_list_entries(PrefixListId=outputs["offices"])["Entries"]
    assert [entry["Cidr"] for entry in entries] == ["198.18.0.0/15", "203.0.113.0/24"]
    [table] = account.ec2.describe_route_tables(RouteTableIds=[outputs["table"]])["RouteTables"]
    assert len(table["Routes"]) == 4 and len(table["Associations"]) == 1
    terraform("destroy", "-auto-approve")
    assert account.ec2.describe_managed_prefix_lists()["PrefixLists"] == []
    assert [acl["IsDefault"] for acl in account.ec2.describe_network_acls()["NetworkAcls"]] == [True]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("terraform", ["classic"], indirect=True)
def test_the_classic_vpc_is_built_planned_again_and_taken_down(terraform, account):
    terraform("apply", "-auto-approve")
    plan = terraform("plan", "-detailed-exitcode", allowed=(0, 2))
    assert plan.returncode == 0, "the second plan wants changes:\n" + plan.stdout
    outputs = outputs_of(terraform)
    assert account.instance(outputs["web"])["PublicIpAddress"] == outputs["web_public_ip"]
    by_nat = [{"Name": "route.state", "Values": ["active"]}, {"Name": "route.nat-gateway-id", "Values": ["nat-*"]}]
    assert len(account.ec2.describe_route_tables(Filters=by_nat)["RouteTables"]) == 2
    for app in outputs["app"]:
        assert account.groundplane.why(outputs["web"], app, "tcp/8080")[0]
        assert not account.groundplane.why(outputs["web"], app, "tcp/8081")[0]
    terraform("destroy", "-auto-approve")
    assert [vpc["IsDefault"] for vpc in account.ec2.describe_vpcs()["Vpcs"]] == [True]
    assert account.ec2.describe_addresses()["Addresses"] == []


@pytest.mark.parametrize("terraform", ["gateways"], indirect=True)
def test_the_ways_in_and_out_are_built_planned_again_and_taken_down(terraform, account):
    terraform("apply", "-auto-approve")
    plan = terraform("plan", "-detailed-exitcode", allowed=(0, 2))
    assert plan.returncode == 0, "the second plan wants changes:\n" + plan.stdout
    outputs = outputs_of(terraform)
    assert account.instance(outputs["public"])["PublicIpAddress"] == outputs["public_ip"]
    gateways = account.ec2.describe_nat_gateways(Filters=[{"Name": "state", "Values": ["available"]}])["NatGateways"]
    public = {address.get("PublicIp") for gateway in gateways for address in gateway["NatGatewayAddresses"]}
    assert len(gateways) == 3 and public == {*outputs["nat_ips"], None}
    terraform("destroy", "-auto-approve")
    assert [vpc["IsDefault"] for vpc in account.ec2.describe_vpcs()["Vpcs"]] == [True]
    assert account.ec2.describe_addresses()["Addresses"] == []
    assert len(account.ec2.describe_internet_gateways()["InternetGateways"]) == 1
