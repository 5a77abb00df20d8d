/* Replaying a flow entry: size, Ethernet addresses, output. */
#pragma once

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "flow.h"
#include "parse.h"
#include "stats.h"

static __always_inline int gp_deliver(struct __sk_buff *skb, struct gp_flow_value *flow,
				      const struct gp_packet *packet)
{
	__u32 largest = skb->gso_size ? packet->headers + skb->gso_size : skb->len;

	if (largest > flow->mtu)
		return gp_drop(GP_DROP_TOO_LARGE);
	/* Destination and source lie in the value as in the frame. */
	if (bpf_skb_store_bytes(skb, 0, flow->dst_mac, 2 * ETH_ALEN, 0))
		return gp_drop(GP_DROP_NO_MEMORY);
	gp_flow_count(skb, flow, packet);
	/* The host side took the frame for somebody else's, since it holds another MAC, and the guest would believe it. */
	if (skb->pkt_type != PACKET_HOST)
		bpf_skb_change_type(skb, PACKET_HOST);
	return bpf_redirect_peer(flow->out_ifindex, 0);
}
