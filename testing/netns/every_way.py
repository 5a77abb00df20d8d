"""One VPC with every way out that AWS has, and a client on each.

```text
10.0.1.0/24  igw        client 10.0.1.10   internet gateway, both families
             nat instance 10.0.1.20, proxy 10.0.1.30, NAT gateway
10.0.2.0/24  nat        client 10.0.2.10   NAT gateway; IPv6 by the egress-only gateway
10.0.3.0/24  instance   client 10.0.3.10   the NAT instance
10.0.5.0/24  proxy      client 10.0.5.10   no way but the proxy
```

Tests that change something put it back.
"""

from dataclasses import dataclass

from internet import DEEP, DEEP6, WEB, WEB6, Network, sh
from test_packets import wait_for

# With nothing but what an instance has: as the VPC user guide's page on NAT instances says.
NAT_INSTANCE = """#!/bin/sh
sysctl -w net.ipv4.ip_forward=1
nft add table nat
nft add chain nat postrouting '{ type nat hook postrouting priority 100; }'
nft add rule nat postrouting oifname eth0 masquerade
echo masquerading
"""
PROXY_PORT = 8888
PROXY = f"""#!/bin/sh
cat > /root/tinyproxy.conf <<END
Port {PROXY_PORT}
Timeout 60
MaxClients 20
Allow 10.0.0.0/16
END
exec tinyproxy -d -c /root/tinyproxy.conf
"""
# Our router, the ISP: what lies between a region and `web`.
HOPS_TO_WEB = 2


@dataclass(frozen=True)
class Way:
    """How packets of a client leave."""

    client: str
    # The servers that it can reach: (near, behind the narrow link).
    web: str
    deep: str
    # Whom they see.
    seen: str
    # Routers in the VPC that its packets meet.
    routers: int = 0
    # What curl must be told.
    curl: tuple = ()


class Ways(Network):
    def __init__(self, internet):
        super().__init__(internet.groundplane.account())
        self.internet = internet
        eigw = self.ec2.create_egress_only_internet_gateway(VpcId=self.vpc)["EgressOnlyInternetGateway"]
        self.eigw = eigw["EgressOnlyInternetGatewayId"]
        self.public, self.public_table = self.subnet(1, ("0.0.0.0/0", self.igw), ("::/0", self.igw))
        self.nat, self.nat_address = self.nat_gateway(self.public, "10.0.1.100")
        self.private, self.private_table = self.subnet(2, ("0.0.0.0/0", self.nat), ("::/0", self.eigw))
        self.igw_client = self.run(self.public, "10.0.1.10", ipv6=True, wait=False)
        self.nat_client = self.run(self.private, "10.0.2.10", ipv6=True, wait=False)
        self.nat_instance = self.run(self.public, "10.0.1.20", user_data=NAT_INSTANCE)
        self.by_instance, self.by_instance_table = self.subnet(3, ("0.0.0.0/0", self.router(self.nat_instance)))
        self.instance_client = self.run(self.by_instance, "10.0.3.10", wait=False)
        self.proxy = self.run(self.public, "10.0.1.30", user_data=PROXY, wait=False)
        self.closed, _ = self.subnet(5)
        self.proxy_client = self.run(self.closed, "10.0.5.10", wait=False)
        self.account.wait(
            [self.igw_client, self.nat_client, self.instance_client, self.proxy, self.proxy_client], "running"
        )
        self.igw_address, _ = self.elastic(self.igw_client)
        self.instance_address, _ = self.elastic(self.nat_instance)
        self.proxy_address, _ = self.elastic(self.proxy)
        logs = lambda instance: self.groundplane.command("logs", instance).stdout
        assert wait_for(lambda: "masquerading" in logs(self.nat_instance)), logs(self.nat_instance)
        listens = lambda: f":{PROXY_PORT}" in self.groundplane.exec(self.proxy, "ss", "-ltn").stdout
        assert wait_for(listens), logs(self.proxy)
        through_proxy = ("-x", f"http://10.0.1.30:{PROXY_PORT}")
        self.by = {
            "internet gateway": Way(self.igw_client, WEB, DEEP, self.igw_address),
            "internet gateway, IPv6": Way(self.igw_client, WEB6, DEEP6, self.ipv6_of(self.igw_client)),
            "NAT gateway": Way(self.nat_client, WEB, DEEP, self.nat_address),
            "egress-only gateway": Way(self.nat_client, WEB6, DEEP6, self.ipv6_of(self.nat_client)),
            "NAT instance": Way(self.instance_client, WEB, DEEP, self.instance_address, routers=1),
            "proxy": Way(self.proxy_client, WEB, DEEP, self.proxy_address, curl=through_proxy),
        }

    def forget_mtu(self, by):
        """Lets all on this way forget what they have learnt of paths; a server tells it by its MSS."""
        for family in ("-4", "-6"):
            forget = ("ip", family, "route", "flush", "cache")
            for instance in (self.by[by].client, self.nat_instance):
                self.groundplane.exec(instance, *forget)
            for server in (self.internet.web, self.internet.deep):
                sh(*forget, namespace=server)


# All of them but the proxy lead packets; a proxy leads requests.
LEADING_PACKETS = [
    "internet gateway", "internet gateway, IPv6", "NAT gateway", "egress-only gateway", "NAT instance",
]
ALL = [*LEADING_PACKETS, "proxy"]
