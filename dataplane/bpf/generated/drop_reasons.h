/* Generated from core/trace/src/drop_reason.rs; a test of gp-compile compares, and rewrites it with UPDATE=1. */
#pragma once

/* The frame is not a well-formed Ethernet, ARP, IPv4 or IPv6 packet. */
#define GP_DROP_MALFORMED 1u
/* The EtherType is neither ARP, IPv4 nor IPv6. */
#define GP_DROP_UNSUPPORTED_ETHER_TYPE 2u
/* Broadcast and multicast are not delivered in a VPC. */
#define GP_DROP_MULTICAST 3u
/* A later fragment came without its first one. */
#define GP_DROP_FRAGMENT_WITHOUT_FIRST 4u
/* The source address or MAC address is not the ENI's own and its source/destination check is on. */
#define GP_DROP_SOURCE_CHECK 5u
/* The destination address is not the ENI's own and its source/destination check is on. */
#define GP_DROP_DESTINATION_CHECK 6u
/* No egress rule of the sender's security groups allows it. */
#define GP_DROP_SECURITY_GROUP_EGRESS 7u
/* No ingress rule of the receiver's security groups allows it. */
#define GP_DROP_SECURITY_GROUP_INGRESS 8u
/* The network ACL of the sender's subnet denies it. */
#define GP_DROP_NETWORK_ACL_EGRESS 9u
/* The network ACL of the receiver's subnet denies it. */
#define GP_DROP_NETWORK_ACL_INGRESS 10u
/* The route table has no route to the destination. */
#define GP_DROP_NO_ROUTE 11u
/* The route's target is gone. */
#define GP_DROP_BLACKHOLE 12u
/* The address belongs to the VPC but no ENI holds it. */
#define GP_DROP_NO_SUCH_ADDRESS 13u
/* The ENI that holds the address is not attached to a running instance. */
#define GP_DROP_ENI_NOT_ATTACHED 14u
/* The internet gateway knows no public address for the source. */
#define GP_DROP_NO_PUBLIC_ADDRESS 15u
/* The address is reserved for the VPC itself and does not answer this. */
#define GP_DROP_RESERVED_ADDRESS 16u
/* The link-local service at this address is not offered. */
#define GP_DROP_SERVICE_UNAVAILABLE 17u
/* The ENI sent more new flows per second than its budget allows. */
#define GP_DROP_UPCALL_BUDGET 18u
/* The ENI is not known to this host. */
#define GP_DROP_UNKNOWN_ENI 19u
/* The ENI tracks as many connections as its instance type allows. */
#define GP_DROP_CONNECTION_BUDGET 20u
/* The packet is larger than the MTU of the receiver or of a gateway on the way. */
#define GP_DROP_TOO_LARGE 21u
/* An ARP or neighbour discovery message that asks nothing of the VPC: an announcement, an answer, a probe. */
#define GP_DROP_NEIGHBOR_ANNOUNCEMENT 22u
/* The host had no memory to treat the packet. */
#define GP_DROP_NO_MEMORY 23u
/* No network interface stands behind the public address. */
#define GP_DROP_NO_SUCH_PUBLIC_ADDRESS 24u
/* No internet gateway is attached to the VPC of the public address. */
#define GP_DROP_NO_INTERNET_GATEWAY 25u
/* A gateway to the internet lets nothing out to an address that the internet has no way to. */
#define GP_DROP_PRIVATE_DESTINATION 26u
/* What comes from outside claims a private source address, or one of the region's own. */
#define GP_DROP_SPOOFED_SOURCE 27u
/* An egress-only internet gateway lets in only what answers a connection from inside. */
#define GP_DROP_EGRESS_ONLY 28u
/* A NAT gateway translates TCP, UDP and ICMP over IPv4, and IPv6 to 64:ff9b::/96, and nothing else. */
#define GP_DROP_NAT_PROTOCOL 29u
/* A NAT gateway translates no fragments but those of UDP. */
#define GP_DROP_NAT_FRAGMENT 30u
/* The packet belongs to no connection that was opened through the NAT gateway. */
#define GP_DROP_NAT_NO_CONNECTION 31u
/* The TCP connection is not known to the NAT gateway: it was idle for more than 350 seconds, or never opened. */
#define GP_DROP_NAT_IDLE_TIMEOUT 32u
/* All ports of the NAT gateway towards this destination are taken (metric ErrorPortAllocation). */
#define GP_DROP_NAT_PORT_EXHAUSTED 33u
/* The routes lead the packet in a circle. */
#define GP_DROP_ROUTING_LOOP 34u
/* The sender's instance has used up the bandwidth that its type allows it to send (ENA's bw_out_allowance_exceeded). */
#define GP_DROP_BANDWIDTH_OUT_ALLOWANCE 35u
/* The receiver's instance has used up the bandwidth that its type allows it to receive (ENA's bw_in_allowance_exceeded). */
#define GP_DROP_BANDWIDTH_IN_ALLOWANCE 36u
/* So many first packets of the ENI waited for a decision that this one found no room. */
#define GP_DROP_UPCALL_QUEUE 37u
