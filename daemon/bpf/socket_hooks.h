/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Making sockets: socket(2), socketpair(2) and io_uring's own call, which come the same way. Refusals are -EACCES, as
 * AppArmor's. Sockets that the kernel makes for itself are not judged, nor those that accept(2) gives.
 */
#pragma once

#include "event.h"

#define PROTOCOLS_ALL (PROTOCOL_ICMP | PROTOCOL_TCP | PROTOCOL_UDP | PROTOCOL_SCTP | PROTOCOL_OTHER)

/* The class of an IP protocol. `raw` sockets with protocol 0 or 255 carry whatever their owner writes. */
static __always_inline u32 class_of_number(int protocol, bool raw)
{
	switch (protocol) {
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return PROTOCOL_ICMP;
	case IPPROTO_TCP:
	case IPPROTO_SMC:
	case IPPROTO_MPTCP:
		return PROTOCOL_TCP;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		return PROTOCOL_UDP;
	case IPPROTO_SCTP:
		return PROTOCOL_SCTP;
	case IPPROTO_IP:
	case IPPROTO_RAW:
		return raw ? PROTOCOLS_ALL : PROTOCOL_OTHER;
	}
	return PROTOCOL_OTHER;
}

/* What the kernel will really speak: libc programs leave the protocol 0. */
static __always_inline u32 protocols_of(int family, int type, int protocol)
{
	if (family == AF_SMC) /* TCP, with or without RDMA beside it */
		return PROTOCOL_TCP;
	if (family != AF_INET && family != AF_INET6)
		return PROTOCOL_OTHER;
	if (protocol == IPPROTO_IP && type == SOCK_STREAM)
		return PROTOCOL_TCP;
	if (protocol == IPPROTO_IP && type == SOCK_DGRAM)
		return PROTOCOL_UDP;
	return class_of_number(protocol, type == SOCK_RAW);
}

struct socket_request {
	u64 domain;    /* as bits */
	u32 type;      /* as a bit */
	u32 protocols; /* several: the socket can speak all of them */
};

static __always_inline bool socket_rule_matches(struct socket_rule *rule, struct socket_request *request)
{
	if (rule->domains && !(rule->domains & request->domain))
		return false;
	if (rule->types && !(rule->types & request->type))
		return false;
	return !rule->protocols || rule->protocols & request->protocols;
}

/* `argument` is the event's: domain << 32 | type << 16 | PROTOCOL_*. */
static __noinline int judge_new_socket(struct profile *profile, u64 identity, u64 argument)
{
	struct socket_request request = { .protocols = (u16)argument };
	u32 domain = argument >> 32, type = (argument >> 16) & 0xffff, deny = 0, audit = 0, allowed = 0;

	request.domain = domain < 64 ? 1ULL << domain : 0;
	request.type = type < 32 ? 1U << type : 0;
	for (u32 i = 0; i < MAX_SOCKET_RULES; i++) {
		struct socket_rule *rule = &profile->socket[i];

		if (i >= profile->sockets)
			break;
		if (!socket_rule_matches(rule, &request))
			continue;
		deny |= rule->deny;
		audit |= rule->audit;
		if (rule->allow)
			allowed |= rule->protocols ? rule->protocols : PROTOCOLS_ALL;
	}
	if (request.protocols & ~allowed) { /* one that can speak several is allowed when all of them are */
		deny |= profile->sockets_default & DEFAULT_DENY;
		audit |= profile->sockets_default & DEFAULT_AUDIT;
	}
	if (audit)
		report(identity, argument, WHAT(HOOK_SOCKET, deny ? VERDICT_DENIED : VERDICT_AUDIT, REASON_RULE));
	return deny ? -EACCES : 0;
}

SEC("?lsm/socket_create")
int BPF_PROG(varmor_socket, int family, int type, int protocol, int kern)
{
	struct subject who;
	u64 argument;

	if (kern || !confined(&who) || !(who.profile->sockets | who.profile->sockets_default))
		return 0;
	argument = (u64)(u32)family << 32 | (u32)(type & 0xffff) << 16 | protocols_of(family, type, protocol);
	return verdict_of(judge_new_socket(who.profile, who.identity, argument));
}
