/* SPDX-License-Identifier: GPL-2.0-only */
/* Capabilities and destinations. Refusals are -EPERM. */
#pragma once

#include "judge.h"

SEC("?lsm/capable")
int BPF_PROG(varmor_capable, const struct cred *cred, struct user_namespace *ns, int capability, unsigned int options)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct subject who;
	u64 bit, deny, audit;

	if (!confined(&who))
		return 0;
	bit = 1ULL << (capability & 63);
	deny = who.profile->capabilities_deny & bit;
	audit = who.profile->capabilities_audit & bit;
	if (!(deny | audit))
		return 0;
	/* The kernel acts with somebody else's credentials on the task's behalf: overlayfs copies a file up as the one who
	 * mounted it. io_uring lets a task choose credentials by itself, so a task that uses it gets no such exception, nor
	 * do the threads that the kernel makes for it. */
	if (task->cred != task->real_cred && !task->io_uring && !(task->flags & PF_IO_WORKER))
		return 0;
	if (audit && !(options & CAP_OPT_NOAUDIT))
		report(who.identity, capability, WHAT(HOOK_CAPABLE, deny ? VERDICT_DENIED : VERDICT_AUDIT, REASON_RULE));
	return verdict_of(deny ? -EPERM : 0);
}

struct port_search {
	u32 first;
	u16 port;
	u8 deny, audit;
};

static long port_step(u64 index, struct port_search *search)
{
	u32 key = search->first + (u32)index;
	struct port_range *range = bpf_map_lookup_elem(&ports, &key);

	if (!range)
		return 1;
	if (search->port < range->low || search->port > range->high)
		return 0;
	search->deny = range->deny;
	search->audit = range->audit;
	return 1;
}

struct destination {
	u16 family; /* 4 or 6; 0: nothing to judge */
	u16 port;
	u8 address[16];
};

static __always_inline void read_ipv4(const void *address, struct destination *destination)
{
	struct sockaddr_in in = {};

	bpf_probe_read_kernel(&in, sizeof(in), address);
	destination->family = 4;
	destination->port = __builtin_bswap16(in.sin_port);
	__builtin_memcpy(destination->address, in.sin_addr, 4);
}

static __always_inline void read_ipv6(const void *address, struct destination *destination)
{
	struct sockaddr_in6 in = {};
	u64 high, low;

	bpf_probe_read_kernel(&in, sizeof(in), address);
	destination->port = __builtin_bswap16(in.sin6_port);
	__builtin_memcpy(&high, in.sin6_addr, 8);
	__builtin_memcpy(&low, in.sin6_addr + 8, 8);
	if (high == 0 && (u32)low == __builtin_bswap32(0xffff)) {
		/* ::ffff:a.b.c.d is sent as IPv4 */
		destination->family = 4;
		__builtin_memcpy(destination->address, in.sin6_addr + 12, 4);
		return;
	}
	destination->family = 6;
	__builtin_memcpy(destination->address, in.sin6_addr, 16);
}

static __noinline int judge_destination(struct profile *profile, u64 identity, struct destination *destination, u32 hook)
{
	struct network_key key = { .family = destination->family };
	struct port_search search = { .port = destination->port };
	struct network_value *value;
	struct event event;

	key.profile = profile->networks;
	key.prefix = 48 + (destination->family == 4 ? 32 : 128);
	__builtin_memcpy(key.address, destination->address, 16);
	value = bpf_map_lookup_elem(&networks, &key);
	if (!value)
		return 0;
	search.first = value->first;
	bpf_loop(value->count, port_step, &search, 0);
	if (search.audit) {
		fill_event(&event, identity, WHAT(hook, search.deny ? VERDICT_DENIED : VERDICT_AUDIT, REASON_RULE));
		event.argument = (u64)destination->family << 16 | destination->port;
		__builtin_memcpy(event.address, destination->address, 16);
		send_event(&event, 0);
	}
	return search.deny ? -EPERM : 0;
}

SEC("?lsm/socket_connect")
int BPF_PROG(varmor_connect, struct socket *sock, struct sockaddr *address)
{
	struct destination destination = {};
	struct subject who;
	u16 family;

	if (!confined(&who) || !who.profile->networks)
		return 0;
	family = address->sa_family;
	if (family == AF_INET) /* also on an IPv6 datagram socket */
		read_ipv4(address, &destination);
	else if (family == AF_INET6)
		read_ipv6(address, &destination);
	else /* AF_UNSPEC dissolves a connection; other families have no rules */
		return 0;
	return verdict_of(judge_destination(who.profile, who.identity, &destination, HOOK_CONNECT));
}

/* Only with a destination of its own; what goes along a connection was judged when it was made. */
SEC("?lsm/socket_sendmsg")
int BPF_PROG(varmor_sendmsg, struct socket *sock, struct msghdr *message)
{
	struct destination destination = {};
	const void *address;
	struct subject who;
	u16 family = 0;

	if (!confined(&who) || !who.profile->networks)
		return 0;
	address = message->msg_name;
	if (!address || message->msg_namelen < (int)sizeof(family))
		return 0;
	bpf_probe_read_kernel(&family, sizeof(family), address);
	/* an IPv4 socket takes AF_UNSPEC for AF_INET here */
	if (family == AF_UNSPEC)
		family = BPF_CORE_READ(sock, sk, __sk_common.skc_family) == AF_INET ? AF_INET : AF_UNSPEC;
	if (family == AF_INET)
		read_ipv4(address, &destination);
	else if (family == AF_INET6)
		read_ipv6(address, &destination);
	else
		return 0;
	return verdict_of(judge_destination(who.profile, who.identity, &destination, HOOK_SENDMSG));
}
