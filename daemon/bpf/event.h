/* SPDX-License-Identifier: GPL-2.0-only */
/* Records for the daemon. A denial without `audit` is silent: it makes none. */
#pragma once

#include "binding.h"

static __always_inline void fill_event(struct event *event, struct subject *who, u8 hook, u8 verdict, u8 reason)
{
	u64 ids = bpf_get_current_pid_tgid();

	event->time = bpf_ktime_get_boot_ns();
	event->cgroup = bpf_get_current_cgroup_id();
	event->argument = 0;
	event->tgid = ids >> 32;
	event->tid = (u32)ids;
	event->uid = (u32)bpf_get_current_uid_gid();
	event->workload = who->number;
	event->slot = who->slot;
	event->mount_namespace = mount_namespace_of(bpf_get_current_task_btf());
	event->hook = hook;
	event->verdict = verdict;
	event->reason = reason;
	event->reserved = 0;
	event->text_length = 0;
	__builtin_memset(event->address, 0, sizeof(event->address));
	bpf_get_current_comm(event->comm, sizeof(event->comm));
}

static __always_inline void send_event(struct event *event, u32 text_length)
{
	event->text_length = text_length;
	if (bpf_ringbuf_output(&events, event, sizeof(*event) + text_length, 0))
		count(COUNTER_LOST_EVENTS);
}

/* What a set of deny and audit bits means for a request, and the record of it. Returns whether the request is refused. */
static __always_inline bool decide(u64 deny, u64 audit, u8 *verdict)
{
	*verdict = 0;
	if (audit)
		*verdict = deny ? VERDICT_DENIED : VERDICT_AUDIT;
	return deny != 0;
}

/* An event without text. */
static __noinline void report(struct subject *who, u64 argument, u32 hook, u32 verdict, u32 reason)
{
	struct event event;

	fill_event(&event, who, hook, verdict, reason);
	event.argument = argument;
	send_event(&event, 0);
}
