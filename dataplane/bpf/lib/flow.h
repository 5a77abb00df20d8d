/* What a hit in the flow table leaves behind in the entry. */
#pragma once

#include "../maps.h"
#include "parse.h"

#define GP_TCP_FIN 0x01
#define GP_TCP_SYN 0x02
#define GP_TCP_RST 0x04
#define GP_TCP_ACK 0x10

/* May this packet ask for a new connection, by the tuple of one that lets it pass? Whether that one has ended, its
 * other direction tells as well: user space looks at both.
 */
static __always_inline int gp_flow_reopens(const struct gp_flow_value *flow, const struct gp_packet *packet)
{
	return (packet->tcp_flags & (GP_TCP_SYN | GP_TCP_ACK | GP_TCP_RST)) == GP_TCP_SYN &&
	       flow->action == GP_ACTION_DELIVER;
}

/* Packets that the frame is on the wire. */
static __always_inline __u32 gp_segments(struct __sk_buff *skb, const struct gp_packet *packet)
{
	__u32 payload = skb->len - packet->headers;

	if (skb->gso_size == 0)
		return 1;
	if (skb->gso_segs)
		return skb->gso_segs;
	/* A guest's raw socket may leave the count to the kernel. */
	return payload > skb->gso_size ? (payload + skb->gso_size - 1) / skb->gso_size : 1;
}

/* The counters are atomic: two queues of one guest may send packets of one flow. The flags are not: the race can lose
 * a flag only while two CPUs each add a first one, and then the connection lives until its idle timeout.
 */
static __always_inline void gp_flow_count(struct __sk_buff *skb, struct gp_flow_value *flow,
					  const struct gp_packet *packet, __u32 segments, __u64 now)
{
	__sync_fetch_and_add(&flow->packets, segments);
	__sync_fetch_and_add(&flow->bytes, skb->len + (__u64)(segments - 1) * packet->headers);
	flow->last_seen_ns = now;
	if ((flow->tcp_flags | packet->tcp_flags) != flow->tcp_flags)
		flow->tcp_flags |= packet->tcp_flags;
}
