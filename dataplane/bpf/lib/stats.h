/* Counting what dies. */
#pragma once

#include "../generated/drop_reasons.h"
#include "../maps.h"
#include "helpers.h"

/* One packet ends here. Frames that were left whole for segmentation count once. */
static __always_inline int gp_drop(__u32 reason)
{
	__u64 *dropped = bpf_map_lookup_elem(&gp_drops, &reason);

	if (dropped)
		*dropped += 1;
	return TC_ACT_SHOT;
}
