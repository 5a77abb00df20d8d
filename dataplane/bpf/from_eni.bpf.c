/* The fast path: every frame that a guest or the outside sends, on ingress of its port's interface.
 *
 * It decides nothing. A frame whose key is in the flow table is treated as the entry and its adjacency say; one that
 * begins a connection of a known pair gets the entry that the pair says; any other goes to user space. In every case the
 * frame ends here: it is redirected or dropped, and never reaches the host side's own stack.
 */
#include "lib/flow.h"
#include "lib/helpers.h"
#include "lib/open.h"
#include "lib/parse.h"
#include "lib/rewrite.h"
#include "lib/stats.h"
#include "lib/upcall.h"

SEC("classifier")
int gp_from_eni(struct __sk_buff *skb)
{
	struct gp_packet packet = {};
	const struct gp_adjacency *adjacency;
	struct gp_packed_flow *flow;
	int is_opened = 0;
	__u32 segments;
	__u64 now;

	if (skb->vlan_present && skb->vlan_proto != gp_ntohs(ETH_P_8021Q))
		return gp_drop(GP_DROP_UNSUPPORTED_ETHER_TYPE);
	if (gp_parse(skb, &packet) != GP_PARSED)
		return gp_upcall(skb, GP_CAUSE_SLOW);
	flow = gp_flow_find(&packet.key);
	if (!flow) {
		is_opened = gp_open(skb, &packet);
		if (is_opened)
			flow = gp_flow_find(&packet.key);
	}
	adjacency = flow ? gp_adjacency_find(&flow->adjacency) : 0;
	if (!flow || !adjacency)
		return gp_upcall(skb, GP_CAUSE_MISS);
	if (!is_opened && gp_flow_reopens(adjacency, &packet))
		return gp_upcall(skb, GP_CAUSE_REOPEN);
	if (gp_is_too_large(skb, adjacency, &packet))
		return gp_upcall(skb, GP_CAUSE_TOO_LARGE);
	segments = gp_segments(skb, &packet);
	now = bpf_ktime_get_coarse_ns();
	if (adjacency->action == GP_ACTION_DELIVER)
		return gp_deliver(skb, flow, adjacency, &packet, segments, now);
	gp_flow_count(skb, flow, &packet, segments, now);
	return gp_drop(adjacency->drop_reason);
}

/* In which queue of the TAP an upcall waits: each port's in its own, as far as there are queues. A port that floods fills
 * its own and takes no room from others.
 */
SEC("socket")
int gp_to_queue(struct __sk_buff *skb)
{
	__u32 port = 0;

	bpf_skb_load_bytes(skb, __builtin_offsetof(struct gp_upcall_header, port), &port, sizeof(port));
	return port;
}

/* No helper used here asks for a GPL-compatible program. */
char gp_license[] SEC("license") = "Apache-2.0";
