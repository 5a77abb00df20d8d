/* Handing a packet to user space, within the budget of its ENI. */
#pragma once

#include "../maps.h"
#include "helpers.h"
#include "parse.h"
#include "stats.h"

#define GP_NS_PER_SECOND 1000000000ull

/* Adds what the time since the last refill has earned. Whole tokens only: the time of a fraction is kept. */
static __always_inline void gp_refill(struct gp_eni_state *eni, __u64 now)
{
	__u64 elapsed = now - eni->refilled_ns;
	__u64 earned;

	if (now < eni->refilled_ns || eni->upcall_rate == 0)
		return;
	earned = elapsed / GP_NS_PER_SECOND * eni->upcall_rate +
		 elapsed % GP_NS_PER_SECOND * eni->upcall_rate / GP_NS_PER_SECOND;
	if (earned == 0)
		return;
	if (earned >= eni->upcall_burst || eni->tokens + earned >= eni->upcall_burst) {
		eni->tokens = eni->upcall_burst;
		eni->refilled_ns = now;
		return;
	}
	eni->tokens += earned;
	/* earned is below the burst, and so small. */
	eni->refilled_ns += earned * GP_NS_PER_SECOND / eni->upcall_rate;
}

/* A frame left whole for segmentation reaches user space in its segments. */
static __always_inline __u64 gp_upcall_cost(struct __sk_buff *skb)
{
	if (skb->gso_size == 0)
		return 1;
	return skb->gso_segs ? skb->gso_segs : (skb->len + skb->gso_size - 1) / skb->gso_size;
}

/* Takes what the frame costs. One that costs more than the burst never passes: a guest may ask for segments of one
 * byte. Without locks: CPUs that race here can grant an upcall twice, at most one for each CPU and packet.
 */
static __always_inline int gp_take_tokens(struct gp_eni_state *eni, __u64 cost)
{
	gp_refill(eni, bpf_ktime_get_coarse_ns());
	if (eni->tokens < cost)
		return 0;
	eni->tokens -= cost;
	return 1;
}

/* Out of line: several ways lead here, and a hit takes none of them. */
static __noinline int gp_upcall(struct __sk_buff *skb, __u32 cause)
{
	__u32 port = gp_port(skb), zero = 0;
	struct gp_upcall_header header = { .magic = GP_UPCALL_MAGIC, .port = port, .cause = cause };
	struct gp_eni_state *eni = bpf_map_lookup_elem(&gp_enis, &port);
	struct gp_config *config = bpf_map_lookup_elem(&gp_config, &zero);

	if (!eni || !config)
		return gp_drop(GP_DROP_UNKNOWN_ENI);
	if (!gp_take_tokens(eni, gp_upcall_cost(skb))) {
		__sync_fetch_and_add(&eni->upcall_drops, 1);
		return gp_drop(GP_DROP_UPCALL_BUDGET);
	}
	/* The port tells it. In the frame, the TAP would write it into the middle of our header. */
	if (skb->vlan_present && bpf_skb_vlan_pop(skb))
		return gp_drop(GP_DROP_NO_MEMORY);
	if (bpf_skb_change_head(skb, sizeof(header), 0) || bpf_skb_store_bytes(skb, 0, &header, sizeof(header), 0))
		return gp_drop(GP_DROP_NO_MEMORY);
	__sync_fetch_and_add(&eni->upcalls, 1);
	return bpf_redirect(config->upcall_ifindex, 0);
}
