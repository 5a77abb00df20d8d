"""ENIs created, attached, detached and deleted one after the other: how long it takes and what it leaves behind."""

import subprocess
import time


def footprint(groundplane):
    """What could leak: links and pins by number, the process's memory in KiB."""
    pid = groundplane.process.pid
    status = open(f"/proc/{pid}/status").read()
    memory = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    files = len(subprocess.check_output(["ls", f"/proc/{pid}/fd"], text=True).split())
    host = groundplane.status()["host"]
    return {"memory KiB": memory, "open files": files, "ENIs": host["enis"], "flows": host["flows"]}


def run(account, permission, enis):
    """`enis` rounds on one running instance; the seconds that create and attach took in each."""
    ec2 = account.ec2
    vpc, subnet = account.network()
    group = account.group(vpc, "all", permission("-1", cidr="10.0.0.0/16"))
    instance = account.run(subnet, [group], InstanceType="m5.large")
    links = lambda: account.groundplane.exec(instance, "ip", "-o", "link").stdout.count("\n")  # noqa: E731
    before, took = links(), []
    for _ in range(enis):
        start = time.monotonic()
        eni = ec2.create_network_interface(SubnetId=subnet, Groups=[group])["NetworkInterface"]["NetworkInterfaceId"]
        attached = ec2.attach_network_interface(NetworkInterfaceId=eni, InstanceId=instance, DeviceIndex=1)
        took.append(time.monotonic() - start)
        ec2.detach_network_interface(AttachmentId=attached["AttachmentId"])
        ec2.delete_network_interface(NetworkInterfaceId=eni)
    assert links() == before, "the instance keeps interfaces of ENIs that are gone"
    return took
