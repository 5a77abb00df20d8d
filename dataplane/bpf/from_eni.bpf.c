/* The fast path: every frame that a guest or the outside sends, on ingress of its port's interface.
 *
 * It decides nothing. A frame whose key is in the flow table is treated as the entry says; one that begins a connection
 * of a known pair gets the entry that the pair says; any other goes to user space. In every case the frame ends here: it
 * is redirected or dropped, and never reaches the host side's own stack.
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
	struct gp_flow_value *flow;
	__u32 segments;
	__u64 now;

	if (skb->vlan_present && skb->vlan_proto != gp_ntohs(ETH_P_8021Q))
		return gp_drop(GP_DROP_UNSUPPORTED_ETHER_TYPE);
	if (gp_parse(skb, &packet) != GP_PARSED)
		return gp_upcall(skb, GP_CAUSE_SLOW);
	flow = bpf_map_lookup_elem(&gp_flows, &packet.key);
	if (!flow) {
		if (gp_open(skb, &packet))
			flow = bpf_map_lookup_elem(&gp_flows, &packet.key);
		if (!flow)
			return gp_upcall(skb, GP_CAUSE_MISS);
	} else if (gp_flow_reopens(flow, &packet)) {
		return gp_upcall(skb, GP_CAUSE_REOPEN);
	}
	if (gp_is_too_large(skb, flow, &packet))
		return gp_upcall(skb, GP_CAUSE_TOO_LARGE);
	segments = gp_segments(skb, &packet);
	now = bpf_ktime_get_coarse_ns();
	if (flow->action == GP_ACTION_DELIVER)
		return gp_deliver(skb, flow, &packet, segments, now);
	gp_flow_count(skb, flow, &packet, segments, now);
	return gp_drop(flow->drop_reason);
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
