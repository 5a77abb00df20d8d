/* Neighbour discovery on the uplink's card: every frame that the card's network sends, on ingress of the card's child.
 *
 * A solicitation (RFC 4861, 4.3) for an address of a block that user space has named is answered from here with the
 * card's own MAC address, as ARP for the IPv4 pool is by the kernel, whose own proxy for ND knows single addresses
 * only. All else goes on to the stack. It works on while no agent runs.
 *
 * The answer is a proxy's (7.2.8): it does not override an answer of the address's owner. Who looks for duplicates hears
 * it, too (7.2.4, 7.2.8). Solicitations behind extension headers are left to the stack, which does not know the target.
 */
#include <linux/if_ether.h>
#include <linux/in6.h>

#include "generated/abi.h"
#include "lib/helpers.h"

#define GP_IPV6_BYTES 40
/* Type to reserved, and the target; then the option with the MAC address. */
#define GP_SOLICITATION_BYTES 24
#define GP_ADVERTISEMENT_BYTES 32
#define GP_SOLICITATION 135
#define GP_ADVERTISEMENT 136
#define GP_TARGET_LINK_ADDRESS 2
#define GP_FLAG_ROUTER 0x80
#define GP_FLAG_SOLICITED 0x40
/* Whatever came over a router is forged (7.1.1). */
#define GP_HOP_LIMIT 255

struct gp_block {
	__u32 prefix_len;
	__u8 address[16];
};

/* By the longest block that holds the target. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 16);
	__type(key, struct gp_block);
	__type(value, struct gp_neighbor_answer);
} gp_neighbors SEC(".maps");

struct gp_asker {
	__u8 mac[6];
	__u8 address[16];
};

static __always_inline int gp_is_zero(const __u8 *address)
{
	__u8 any = 0;

	for (int i = 0; i < 16; i++)
		any |= address[i];
	return !any;
}

/* Whose MAC address the frame asks for, and who does. 0 where it is no such question. */
static __always_inline int gp_parse_solicitation(struct __sk_buff *skb, struct gp_block *target, struct gp_asker *asker)
{
	const __u32 bytes = ETH_HLEN + GP_IPV6_BYTES + GP_SOLICITATION_BYTES;
	const __u8 *frame, *ip, *icmp;

	if (skb->len < bytes || bpf_skb_pull_data(skb, bytes))
		return 0;
	frame = (const __u8 *)(long)skb->data;
	if (frame + bytes > (const __u8 *)(long)skb->data_end)
		return 0;
	ip = frame + ETH_HLEN;
	icmp = ip + GP_IPV6_BYTES;
	if (ip[0] >> 4 != 6 || ip[6] != IPPROTO_ICMPV6 || ip[7] != GP_HOP_LIMIT)
		return 0;
	if (icmp[0] != GP_SOLICITATION || icmp[1] != 0)
		return 0;
	__builtin_memcpy(asker->mac, frame + ETH_ALEN, ETH_ALEN);
	__builtin_memcpy(asker->address, ip + 8, 16);
	__builtin_memcpy(target->address, icmp + 8, 16);
	/* A group has no MAC address to ask for, and asks nothing; who has no address asks a group. */
	if (target->address[0] == 0xff || asker->address[0] == 0xff)
		return 0;
	return ip[24] == 0xff || !gp_is_zero(asker->address);
}

static __always_inline __u16 gp_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline int gp_advertise(struct __sk_buff *skb, const struct gp_neighbor_answer *answer,
					const __u8 *target, const struct gp_asker *asker)
{
	/* Ends, length, and the protocol behind three zeros (RFC 8200, 8.1). */
	__u8 pseudo[40] __attribute__((aligned(8))) = {};
	__u8 icmp[GP_ADVERTISEMENT_BYTES] __attribute__((aligned(8))) = {};
	__u8 ip[GP_IPV6_BYTES] __attribute__((aligned(8))) = {};
	__u8 ethernet[ETH_HLEN] = {};
	__u8 flags = GP_FLAG_ROUTER;
	__u16 checksum;

	__builtin_memcpy(ethernet + ETH_ALEN, answer->mac, ETH_ALEN);
	ethernet[12] = ETH_P_IPV6 >> 8;
	ethernet[13] = ETH_P_IPV6 & 0xff;
	__builtin_memcpy(ip + 8, answer->source, 16);
	if (gp_is_zero(asker->address)) {
		/* To all nodes. */
		ip[24] = 0xff;
		ip[25] = 0x02;
		ip[39] = 1;
		ethernet[0] = ethernet[1] = 0x33;
		ethernet[5] = 1;
	} else {
		__builtin_memcpy(ip + 24, asker->address, 16);
		__builtin_memcpy(ethernet, asker->mac, ETH_ALEN);
		flags |= GP_FLAG_SOLICITED;
	}
	ip[0] = 6 << 4;
	ip[5] = GP_ADVERTISEMENT_BYTES;
	ip[6] = IPPROTO_ICMPV6;
	ip[7] = GP_HOP_LIMIT;
	icmp[0] = GP_ADVERTISEMENT;
	icmp[4] = flags;
	__builtin_memcpy(icmp + 8, target, 16);
	icmp[24] = GP_TARGET_LINK_ADDRESS;
	icmp[25] = 1;
	__builtin_memcpy(icmp + 26, answer->mac, ETH_ALEN);
	__builtin_memcpy(pseudo, ip + 8, 32);
	pseudo[35] = GP_ADVERTISEMENT_BYTES;
	pseudo[39] = IPPROTO_ICMPV6;
	checksum = gp_fold(bpf_csum_diff(0, 0, icmp, sizeof(icmp), bpf_csum_diff(0, 0, pseudo, sizeof(pseudo), 0)));
	__builtin_memcpy(icmp + 2, &checksum, 2);

	if (bpf_skb_change_tail(skb, ETH_HLEN + sizeof(ip) + sizeof(icmp), 0) ||
	    bpf_skb_store_bytes(skb, 0, ethernet, sizeof(ethernet), 0) ||
	    bpf_skb_store_bytes(skb, ETH_HLEN, ip, sizeof(ip), 0) ||
	    bpf_skb_store_bytes(skb, ETH_HLEN + sizeof(ip), icmp, sizeof(icmp), 0))
		return TC_ACT_SHOT;
	return bpf_redirect(skb->ifindex, 0);
}

SEC("classifier")
int gp_from_card(struct __sk_buff *skb)
{
	struct gp_block target = { .prefix_len = 128 };
	struct gp_asker asker = {};
	struct gp_neighbor_answer *answer;

	if (skb->protocol != gp_ntohs(ETH_P_IPV6) || skb->vlan_present)
		return TC_ACT_OK;
	if (!gp_parse_solicitation(skb, &target, &asker))
		return TC_ACT_OK;
	answer = bpf_map_lookup_elem(&gp_neighbors, &target);
	if (!answer || !answer->is_answered)
		return TC_ACT_OK;
	return gp_advertise(skb, answer, target.address, &asker);
}

/* No helper used here asks for a GPL-compatible program. */
char gp_license[] SEC("license") = "Apache-2.0";
