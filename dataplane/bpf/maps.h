/* The maps, by the names that gp-maps opens. */
#pragma once

#include "generated/abi.h"
#include "lib/helpers.h"

/* The flow table, a map for each family: IPv4's shorter key keeps an entry in the allocator's class of 128 bytes. User
 * space writes both; the program finds and counts, and inserts only what a pair says.
 *
 * A plain hash and not an LRU one: LRU evicts silently, so one ENI that floods new flows would push out its
 * neighbours' flows, and with them the counters and the last-seen time by which tracked connections live. Here a full
 * table refuses the newcomer (E2BIG), the slow path still forwards its packets itself, and expiry and the ENI's own
 * budget of flows make room. Not preallocated, so an idle host pays for the buckets only.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 20);
	__type(key, struct gp_flow_key4);
	__type(value, struct gp_packed_flow);
} gp_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 20);
	__type(key, struct gp_flow_key);
	__type(value, struct gp_packed_flow);
} gp_flows6 SEC(".maps");

/* What becomes of packets, by the numbers that flows and pairs name. User space alone writes it, and no row that a flow
 * or a pair names. The row at 0 is never used.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1 << 17);
	__type(key, __u32);
	__type(value, struct gp_adjacency);
} gp_adjacencies SEC(".maps");

/* Pairs: how further connections between known peers begin. User space alone writes it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 16);
	__type(key, struct gp_pair_key);
	__type(value, struct gp_packed_pair);
} gp_pairs SEC(".maps");

/* How many connections the program may still let begin, by the cells that pairs name: user space adds, the program
 * takes, and either takes it all back. The cell at 0 is never used.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1 << 16);
	__type(key, __u32);
	__type(value, __u64);
} gp_grants SEC(".maps");

/* A struct gp_opened for each connection that the program has let begin. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} gp_opened SEC(".maps");

/* By port number. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 16);
	__type(key, __u32);
	__type(value, struct gp_eni_state);
} gp_enis SEC(".maps");

/* By drop reason. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, GP_DROP_COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} gp_drops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct gp_config);
} gp_config SEC(".maps");

/* Tracked connections: user space's alone. It is a map so that it outlives the agent. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 20);
	__type(key, struct gp_connection_key);
	__type(value, struct gp_connection_value);
} gp_conns SEC(".maps");

/* What instances have left of their bandwidth, in rows of GP_BUCKETS_PER_ALLOWANCE; the row at 0 is never used. User
 * space has it mapped, since it forwards packets, too.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1 << 15);
	__type(key, __u32);
	__type(value, struct gp_bucket);
} gp_buckets SEC(".maps");

/* Whose row is where: user space's alone. It is a map so that it outlives the agent. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 13);
	__type(key, struct gp_allowance_key);
	__type(value, struct gp_allowance_value);
} gp_allowances SEC(".maps");
