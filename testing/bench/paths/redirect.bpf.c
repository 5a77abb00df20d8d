/* The least that a tc program can do to hand a frame from one guest to another: Ethernet addresses and redirect_peer.
 *
 * No lookup, no policy, no counters: the limit of this way of forwarding. Compiled once for each direction, with
 * OUT_IFINDEX and the six bytes of DST_MAC.
 */
#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>

static long (*bpf_skb_store_bytes)(struct __sk_buff *skb, __u32 offset, const void *from, __u32 len,
				   __u64 flags) = (void *)BPF_FUNC_skb_store_bytes;
static long (*bpf_skb_change_type)(struct __sk_buff *skb, __u32 type) = (void *)BPF_FUNC_skb_change_type;
static long (*bpf_redirect_peer)(__u32 ifindex, __u64 flags) = (void *)BPF_FUNC_redirect_peer;

__attribute__((section("classifier"), used)) int redirect(struct __sk_buff *skb)
{
	/* To whom, from whom (here: nobody's address). */
	unsigned char ethernet[12] = { DST_MAC, 2, 0, 0, 0, 2, 0 };

	if (bpf_skb_store_bytes(skb, 0, ethernet, sizeof(ethernet), 0))
		return TC_ACT_SHOT;
	/* The host side took the frame for somebody else's. */
	if (skb->pkt_type != PACKET_HOST)
		bpf_skb_change_type(skb, PACKET_HOST);
	return bpf_redirect_peer(OUT_IFINDEX, 0);
}

char bench_license[] __attribute__((section("license"), used)) = "Apache-2.0";
