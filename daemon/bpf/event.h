/* SPDX-License-Identifier: GPL-2.0-only */
/* Records for the daemon. A denial without `audit` is silent: it makes none. */
#pragma once

#include "binding.h"

/* What an event is about, in one word: hook, verdict, reason. */
#define WHAT(hook, verdict, reason) ((u32)(reason) << 16 | (u32)(verdict) << 8 | (u32)(hook))

static __always_inline void fill_event(struct event *event, u64 identity, u32 what)
{
	u64 ids = bpf_get_current_pid_tgid();

	event->time = bpf_ktime_get_boot_ns();
	event->cgroup = bpf_get_current_cgroup_id();
	event->argument = 0;
	event->tgid = ids >> 32;
	event->tid = (u32)ids;
	event->uid = (u32)bpf_get_current_uid_gid();
	event->workload = (u32)identity;
	event->slot = identity >> 32;
	event->mount_namespace = mount_namespace_of(bpf_get_current_task_btf());
	event->hook = what & 0xff;
	event->verdict = (what >> 8) & 0xff;
	event->reason = (what >> 16) & 0xff;
	event->reserved = 0;
	event->text_length = 0;
	__builtin_memset(event->address, 0, sizeof(event->address));
	bpf_get_current_comm(event->comm, sizeof(event->comm));
}

#define NANOSECONDS 1000000000ULL

/*
 * Whether a workload may still record in this second: one that floods must not take the room of others. What it may not is
 * counted, and the daemon tells how much it was. Two CPUs may begin a second at once: then some more events pass.
 */
static __always_inline bool may_record(const struct event *event)
{
	u32 index = event->workload, second = event->time / NANOSECONDS;
	struct budget *budget;

	if (!events_per_second)
		return true;
	budget = bpf_map_lookup_elem(&budgets, &index);
	if (!budget)
		return true;
	if (budget->second != second) {
		budget->second = second;
		budget->events = 0;
	}
	if (__sync_fetch_and_add(&budget->events, 1) < events_per_second)
		return true;
	if (event->verdict == VERDICT_DENIED)
		__sync_fetch_and_add(&budget->withheld[0], 1);
	else
		__sync_fetch_and_add(&budget->withheld[1], 1);
	return false;
}

static __always_inline void send_event(struct event *event, u32 text_length)
{
	u32 index = event->workload;
	struct workload *workload;

	if (!may_record(event))
		return;
	workload = bpf_map_lookup_elem(&workloads, &index);
	event->workload = workload ? workload->number : 0;
	event->text_length = text_length;
	if (bpf_ringbuf_output(&events, event, sizeof(*event) + text_length, 0))
		count(COUNTER_LOST_EVENTS);
}

/* An event without text. */
static __noinline void report(u64 identity, u64 argument, u32 what)
{
	struct event event;

	fill_event(&event, identity, what);
	event.argument = argument;
	send_event(&event, 0);
}
