/* Replaying a flow entry: size, bandwidth, addresses and ports, Ethernet addresses, tag, output. */
#pragma once

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "bandwidth.h"
#include "flow.h"
#include "parse.h"
#include "stats.h"

#define GP_IPV4_CHECKSUM (ETH_HLEN + 10)
#define GP_IPV4_ADDRESSES (ETH_HLEN + 12)
#define GP_TCP_CHECKSUM 16
#define GP_UDP_CHECKSUM 6
#define GP_ICMP_CHECKSUM 2
#define GP_ICMP_ID 4

/* RFC 9293, 3.1. */
#define GP_TCP_OPTIONS 20
#define GP_TCP_OPTIONS_MAX 40
#define GP_TCP_OPTION_END 0
#define GP_TCP_OPTION_FILLING 1
#define GP_TCP_OPTION_MSS 2
#define GP_TCP_OPTION_MSS_BYTES 4
/* Headers of Ethernet, IPv4 and TCP, without options. */
#define GP_TCP_FRAME_HEADERS (ETH_HLEN + 40)

/* A drop, too, may stand behind a place that tells the senders of larger packets so; one that doesn't has no limit: 0. */
static __always_inline int gp_is_too_large(struct __sk_buff *skb, const struct gp_adjacency *adjacency,
					   const struct gp_packet *packet)
{
	__u32 largest = skb->gso_size ? packet->headers + skb->gso_size : skb->len;

	return adjacency->mtu && largest > adjacency->mtu;
}

/* Where the transport's checksum lies, and how it is to be updated; 0 for none. A checksum that the sender has left to
 * the interface covers only the pseudo header so far, and one of UDP may be absent (RFC 768): the kernel's helper knows.
 */
static __always_inline __u32 gp_checksum(const struct gp_packet *packet, __u64 *flags)
{
	switch (packet->key.protocol) {
	case IPPROTO_TCP:
		*flags = 0;
		return packet->transport + GP_TCP_CHECKSUM;
	case IPPROTO_UDP:
		*flags = BPF_F_MARK_MANGLED_0;
		return packet->transport + GP_UDP_CHECKSUM;
	default:
		return 0;
	}
}

static __always_inline int gp_translate_addresses(struct __sk_buff *skb, const struct gp_packed_flow *flow,
						  const struct gp_packet *packet)
{
	__u32 old[2];
	__u64 flags = 0;
	__u32 checksum = gp_checksum(packet, &flags);
	__u64 change;

	__builtin_memcpy(&old[0], packet->key.src + 12, 4);
	__builtin_memcpy(&old[1], packet->key.dst + 12, 4);
	/* Source and destination lie in the value as in the packet. */
	change = bpf_csum_diff(old, sizeof(old), flow->new_src, 2 * sizeof(flow->new_src), 0);
	if (bpf_l3_csum_replace(skb, GP_IPV4_CHECKSUM, 0, change, 0))
		return -1;
	if (checksum && bpf_l4_csum_replace(skb, checksum, 0, change, flags | BPF_F_PSEUDO_HDR))
		return -1;
	return bpf_skb_store_bytes(skb, GP_IPV4_ADDRESSES, flow->new_src, 2 * sizeof(flow->new_src), 0);
}

static __always_inline int gp_translate_icmp_id(struct __sk_buff *skb, __u16 old, __u16 new, __u32 transport)
{
	if (bpf_l4_csum_replace(skb, transport + GP_ICMP_CHECKSUM, old, new, sizeof(new)))
		return -1;
	return bpf_skb_store_bytes(skb, transport + GP_ICMP_ID, &new, sizeof(new), 0);
}

static __always_inline int gp_translate_ports(struct __sk_buff *skb, const struct gp_packed_flow *flow,
					      const struct gp_packet *packet)
{
	__u16 old[2] = { gp_ntohs(packet->key.src_port), gp_ntohs(packet->key.dst_port) };
	__u16 new[2] = { gp_ntohs(flow->new_src_port), gp_ntohs(flow->new_dst_port) };
	__u64 flags = 0;
	__u32 checksum = gp_checksum(packet, &flags);

	if (packet->key.protocol == IPPROTO_ICMP)
		return gp_translate_icmp_id(skb, old[0], new[0], packet->transport);
	if (!checksum)
		return 0;
	if (bpf_l4_csum_replace(skb, checksum, 0, bpf_csum_diff((void *)old, sizeof(old), (void *)new, sizeof(new), 0),
				flags))
		return -1;
	return bpf_skb_store_bytes(skb, packet->transport, new, sizeof(new), 0);
}

/* Writes a lower segment size into the option at `at`. Words are summed from the transport header's start: behind an odd
 * number of bytes the value lies in two of them.
 */
static __always_inline int gp_write_mss(struct __sk_buff *skb, const struct gp_packet *packet, __u32 at,
					__u16 old, __u16 limit)
{
	__u16 new = gp_ntohs(limit);
	int is_odd = (at - packet->transport) & 1;

	if (bpf_l4_csum_replace(skb, packet->transport + GP_TCP_CHECKSUM, is_odd ? old : gp_ntohs(old),
				is_odd ? limit : new, sizeof(new)))
		return -1;
	return bpf_skb_store_bytes(skb, at + 2, &new, sizeof(new), 0);
}

/* A walk over a SYN's options. */
struct gp_mss_search {
	struct __sk_buff *skb;
	/* Of the next option. */
	__u32 at;
	__u32 end;
	__u16 announced;
	__u8 is_found;
	__u8 has_failed;
};

/* Looks at one option; 1 ends the walk. */
static long gp_next_option(__u32 number, void *data)
{
	struct gp_mss_search *search = data;
	__u8 option[GP_TCP_OPTION_MSS_BYTES];

	(void)number;
	if (search->at + sizeof(option) > search->end)
		return 1;
	if (bpf_skb_load_bytes(search->skb, search->at, option, sizeof(option))) {
		search->has_failed = 1;
		return 1;
	}
	if (option[0] == GP_TCP_OPTION_FILLING) {
		search->at++;
		return 0;
	}
	if (option[0] == GP_TCP_OPTION_END || option[1] < 2)
		return 1;
	if (option[0] == GP_TCP_OPTION_MSS && option[1] == sizeof(option)) {
		search->announced = (__u16)option[2] << 8 | option[3];
		search->is_found = 1;
		return 1;
	}
	search->at += option[1];
	return 0;
}

/* Lowers the segment size that a SYN announces to what fits the flow's MTU.
 *
 * The walk is a call of a helper and no loop of ours: the verifier would follow a loop along each way through 40 options,
 * two seconds at every start.
 */
static __noinline int gp_lower_mss(struct __sk_buff *skb, const struct gp_adjacency *adjacency,
				   const struct gp_packet *packet)
{
	__u16 limit = adjacency->mtu - GP_TCP_FRAME_HEADERS;
	struct gp_mss_search search = { .skb = skb,
					.at = packet->transport + GP_TCP_OPTIONS,
					.end = packet->headers };

	if (bpf_loop(GP_TCP_OPTIONS_MAX, gp_next_option, &search, 0) < 0 || search.has_failed)
		return -1;
	if (!search.is_found || search.announced <= limit)
		return 0;
	return gp_write_mss(skb, packet, search.at, search.announced, limit);
}

/* Out of line: flows that nothing translates are to stay as cheap as they are. */
static __noinline int gp_translate(struct __sk_buff *skb, const struct gp_packed_flow *flow,
				   const struct gp_adjacency *adjacency, const struct gp_packet *packet)
{
	if (packet->key.family != 4)
		return 0;
	if ((adjacency->translate & GP_TRANSLATE_ADDRESSES) && gp_translate_addresses(skb, flow, packet))
		return -1;
	if ((adjacency->translate & GP_TRANSLATE_PORTS) && gp_translate_ports(skb, flow, packet))
		return -1;
	if ((adjacency->translate & GP_TRANSLATE_MSS) && (packet->tcp_flags & GP_TCP_SYN))
		return gp_lower_mss(skb, adjacency, packet);
	return 0;
}

/* Takes off the tag that the frame came with and puts the receiver's on. */
static __noinline int gp_retag(struct __sk_buff *skb, const struct gp_adjacency *adjacency)
{
	if (skb->vlan_present && bpf_skb_vlan_pop(skb))
		return -1;
	return adjacency->out_vlan ? bpf_skb_vlan_push(skb, gp_ntohs(ETH_P_8021Q), adjacency->out_vlan) : 0;
}

static __always_inline int gp_deliver(struct __sk_buff *skb, struct gp_packed_flow *flow,
				      const struct gp_adjacency *adjacency, const struct gp_packet *packet,
				      __u32 segments, __u64 now)
{
	__u32 empty = gp_police(flow, gp_ip_bytes(skb, packet, segments), now);

	if (empty)
		return gp_exceeded(adjacency, packet, empty, segments);
	if (adjacency->translate && gp_translate(skb, flow, adjacency, packet))
		return gp_drop(GP_DROP_NO_MEMORY);
	/* Destination and source lie in the row as in the frame. */
	if (bpf_skb_store_bytes(skb, 0, adjacency->dst_mac, 2 * ETH_ALEN, 0))
		return gp_drop(GP_DROP_NO_MEMORY);
	if ((skb->vlan_present || adjacency->out_vlan) && gp_retag(skb, adjacency))
		return gp_drop(GP_DROP_NO_MEMORY);
	gp_flow_count(skb, flow, packet, segments, now);
	if (adjacency->output == GP_OUTPUT_EGRESS)
		return bpf_redirect(adjacency->out_ifindex, 0);
	/* The host side took the frame for somebody else's, since it holds another MAC, and the guest would believe it. */
	if (skb->pkt_type != PACKET_HOST)
		bpf_skb_change_type(skb, PACKET_HOST);
	return bpf_redirect_peer(adjacency->out_ifindex, 0);
}
