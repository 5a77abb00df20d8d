"""moto_server that also makes network interfaces in its memory: by calls it takes a minute for as many as one run needs.

    python moto_fills.py -H ADDRESS -p PORT

is moto_server. A line `COUNT SUBNET…` on standard input makes so many, the subnets in turn, as its own action does with no more than a
subnet named; their ids are the answer, in one line.
"""

import sys
import threading

from moto.ec2 import ec2_backends
from moto.server import main

# Of callers who name no account of their own.
ACCOUNT, REGION = "123456789012", "us-east-1"


def fill():
    backend = ec2_backends[ACCOUNT][REGION]
    for line in sys.stdin:
        count, *names = line.split()
        subnets = [backend.get_subnet(name) for name in names]
        made = [backend.create_network_interface(subnets[n % len(subnets)], None, [], []) for n in range(int(count))]
        print(*(interface.id for interface in made), flush=True)


if __name__ == "__main__":
    threading.Thread(target=fill, daemon=True).start()
    main()
