/* From bytes to a flow key: Ethernet, IPv4 or IPv6, and the ports of TCP, UDP, ICMP and ICMPv6.
 *
 * What is not parsed here isn't wrong, only slow: user space parses it in full. Keep in step with
 * core/compile/src/execute/parse.rs; gp-agreement compares the two on random frames.
 */
#pragma once

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "../generated/abi.h"
#include "helpers.h"

struct gp_packet {
	struct gp_flow_key key;
	/* Bytes in front of the payload, Ethernet header included. */
	__u32 headers;
	/* Of them in front of the transport header. */
	__u32 transport;
	__u8 tcp_flags;
};

enum gp_parsed {
	GP_PARSED,
	/* The headers go on behind the linear part of the skb. */
	GP_SHORT,
	GP_SLOW,
};

/* Ethernet, the longest IPv4 header, TCP without options. */
#define GP_HEADERS_MAX (ETH_HLEN + 60 + 20)

/* Of a tag: the rest is priority (IEEE 802.1Q, 9.6). */
#define GP_VLAN_ID 0xfff

#define GP_IP_FRAGMENT 0x3fff /* more fragments, or an offset (RFC 791, 3.1) */

#define GP_ICMP_ECHO_REPLY 0
#define GP_ICMP_ECHO_REQUEST 8
#define GP_ICMP_UNREACHABLE 3
#define GP_ICMP_TIME_EXCEEDED 11
#define GP_ICMP_PARAMETER_PROBLEM 12
#define GP_ICMPV6_ERROR_FIRST 1
#define GP_ICMPV6_ERROR_LAST 4
#define GP_ICMPV6_ECHO_REQUEST 128
#define GP_ICMPV6_ECHO_REPLY 129
/* Router solicitation to redirect: neighbour discovery (RFC 4861), answered by user space. */
#define GP_ICMPV6_ND_FIRST 133
#define GP_ICMPV6_ND_LAST 137

struct gp_icmp {
	__u8 type;
	__u8 code;
	__u16 checksum;
	__u16 id;
	__u16 sequence;
};

static __always_inline int gp_parse_tcp(struct gp_packet *packet, void *at, void *end, __u32 bytes)
{
	struct tcphdr *tcp = at;
	__u32 header;

	if (bytes < sizeof(*tcp))
		return GP_SLOW;
	if ((void *)(tcp + 1) > end)
		return GP_SHORT;
	header = (((__u8 *)at)[12] >> 4) * 4;
	if (header < sizeof(*tcp) || header > bytes)
		return GP_SLOW;
	packet->key.src_port = gp_ntohs(tcp->source);
	packet->key.dst_port = gp_ntohs(tcp->dest);
	packet->tcp_flags = ((__u8 *)at)[13];
	packet->headers += header;
	return GP_PARSED;
}

static __always_inline int gp_parse_udp(struct gp_packet *packet, void *at, void *end, __u32 bytes)
{
	struct udphdr *udp = at;

	if (bytes < sizeof(*udp))
		return GP_SLOW;
	if ((void *)(udp + 1) > end)
		return GP_SHORT;
	if (gp_ntohs(udp->len) < sizeof(*udp) || gp_ntohs(udp->len) > bytes)
		return GP_SLOW;
	packet->key.src_port = gp_ntohs(udp->source);
	packet->key.dst_port = gp_ntohs(udp->dest);
	packet->headers += sizeof(*udp);
	return GP_PARSED;
}

/* Errors belong to the connection of the packet that they quote, and so to more than their own 5-tuple. */
static __always_inline int gp_is_slow_icmp(__u8 type)
{
	return type == GP_ICMP_UNREACHABLE || type == GP_ICMP_TIME_EXCEEDED || type == GP_ICMP_PARAMETER_PROBLEM;
}

static __always_inline int gp_is_slow_icmpv6(__u8 type)
{
	return (type >= GP_ICMPV6_ERROR_FIRST && type <= GP_ICMPV6_ERROR_LAST) ||
	       (type >= GP_ICMPV6_ND_FIRST && type <= GP_ICMPV6_ND_LAST);
}

static __always_inline int gp_parse_icmp(struct gp_packet *packet, void *at, void *end, __u32 bytes)
{
	struct gp_icmp *icmp = at;
	int echo;

	if (bytes < sizeof(*icmp))
		return GP_SLOW;
	if ((void *)(icmp + 1) > end)
		return GP_SHORT;
	if (packet->key.protocol == IPPROTO_ICMPV6) {
		if (gp_is_slow_icmpv6(icmp->type))
			return GP_SLOW;
		echo = icmp->type == GP_ICMPV6_ECHO_REQUEST || icmp->type == GP_ICMPV6_ECHO_REPLY;
	} else {
		if (gp_is_slow_icmp(icmp->type))
			return GP_SLOW;
		echo = icmp->type == GP_ICMP_ECHO_REQUEST || icmp->type == GP_ICMP_ECHO_REPLY;
	}
	packet->key.src_port = echo ? gp_ntohs(icmp->id) : 0;
	packet->key.dst_port = (__u16)icmp->type << 8 | icmp->code;
	packet->headers += sizeof(*icmp);
	return GP_PARSED;
}

/* `bytes`: of the IP payload, as the IP header says. */
static __always_inline int gp_parse_transport(struct gp_packet *packet, void *at, void *end, __u32 bytes)
{
	switch (packet->key.protocol) {
	case IPPROTO_TCP:
		return gp_parse_tcp(packet, at, end, bytes);
	case IPPROTO_UDP:
		return gp_parse_udp(packet, at, end, bytes);
	case IPPROTO_ICMP:
		if (packet->key.family != 4)
			return GP_SLOW;
		return gp_parse_icmp(packet, at, end, bytes);
	case IPPROTO_ICMPV6:
		if (packet->key.family != 6)
			return GP_SLOW;
		return gp_parse_icmp(packet, at, end, bytes);
	default:
		return GP_PARSED;
	}
}

static __always_inline int gp_parse_ipv4(struct gp_packet *packet, void *at, void *end, __u32 bytes)
{
	struct iphdr *ip = at;
	__u32 header, total;

	if ((void *)(ip + 1) > end)
		return GP_SHORT;
	header = (((__u8 *)at)[0] & 0xf) * 4;
	total = gp_ntohs(ip->tot_len);
	if (((__u8 *)at)[0] >> 4 != 4 || header < sizeof(*ip) || total < header || total > bytes)
		return GP_SLOW;
	if (gp_ntohs(ip->frag_off) & GP_IP_FRAGMENT)
		return GP_SLOW;
	packet->key.src[10] = packet->key.src[11] = 0xff;
	packet->key.dst[10] = packet->key.dst[11] = 0xff;
	__builtin_memcpy(packet->key.src + 12, &ip->saddr, 4);
	__builtin_memcpy(packet->key.dst + 12, &ip->daddr, 4);
	packet->key.family = 4;
	packet->key.protocol = ip->protocol;
	packet->headers += header;
	packet->transport = packet->headers;
	return gp_parse_transport(packet, at + header, end, total - header);
}

/* The chain of RFC 8200, 4: user space follows it. */
static __always_inline int gp_is_extension(__u8 next_header)
{
	return next_header == IPPROTO_HOPOPTS || next_header == IPPROTO_ROUTING || next_header == IPPROTO_FRAGMENT ||
	       next_header == IPPROTO_DSTOPTS;
}

static __always_inline int gp_parse_ipv6(struct gp_packet *packet, void *at, void *end, __u32 bytes)
{
	struct ipv6hdr *ip = at;
	__u32 payload;

	if ((void *)(ip + 1) > end)
		return GP_SHORT;
	payload = gp_ntohs(ip->payload_len);
	if (((__u8 *)at)[0] >> 4 != 6 || sizeof(*ip) + payload > bytes || gp_is_extension(ip->nexthdr))
		return GP_SLOW;
	__builtin_memcpy(packet->key.src, &ip->saddr, 16);
	__builtin_memcpy(packet->key.dst, &ip->daddr, 16);
	packet->key.family = 6;
	packet->key.protocol = ip->nexthdr;
	packet->headers += sizeof(*ip);
	return gp_parse_transport(packet, at + sizeof(*ip), end, payload);
}

/* The number of the port that the frame came in at. The kernel keeps a tag beside the frame. */
static __always_inline __u32 gp_port(struct __sk_buff *skb)
{
	__u32 vlan = skb->vlan_present ? skb->vlan_tci & GP_VLAN_ID : 0;

	return skb->ifindex | vlan << GP_PORT_VLAN_SHIFT;
}

/* Fills `packet`, which the caller has zeroed, from the linear part of the skb. */
static __noinline int gp_parse_linear(struct __sk_buff *skb, struct gp_packet *packet)
{
	void *at = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;
	struct ethhdr *ethernet = at;

	if ((void *)(ethernet + 1) > end)
		return GP_SHORT;
	__builtin_memcpy(packet->key.src_mac, ethernet->h_source, ETH_ALEN);
	packet->key.port = gp_port(skb);
	packet->headers = sizeof(*ethernet);
	switch (gp_ntohs(ethernet->h_proto)) {
	case ETH_P_IP:
		return gp_parse_ipv4(packet, ethernet + 1, end, skb->len - sizeof(*ethernet));
	case ETH_P_IPV6:
		return gp_parse_ipv6(packet, ethernet + 1, end, skb->len - sizeof(*ethernet));
	default:
		return GP_SLOW;
	}
}

static __always_inline int gp_parse(struct __sk_buff *skb, struct gp_packet *packet)
{
	int parsed = gp_parse_linear(skb, packet);

	if (parsed != GP_SHORT)
		return parsed;
	/* Rare: senders put their headers in front. Pulling always would copy payload of every segment. */
	if (bpf_skb_pull_data(skb, skb->len < GP_HEADERS_MAX ? skb->len : GP_HEADERS_MAX))
		return GP_SLOW;
	__builtin_memset(packet, 0, sizeof(*packet));
	return gp_parse_linear(skb, packet) == GP_PARSED ? GP_PARSED : GP_SLOW;
}
