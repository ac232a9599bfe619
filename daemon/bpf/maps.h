/* SPDX-License-Identifier: GPL-2.0-only */
/* All maps of the enforcer. Sizes that an operator may change are set by the loader before the object is loaded. */
#pragma once

#include "kernel_types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "varmor.h"

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task_binding);
} tasks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct workload);
	__uint(max_entries, 65536);
} workloads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct slot);
	__uint(max_entries, 1024);
} slots SEC(".maps");

/* record 0 is never used: 0 means "no profile" */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, u32);
	__type(value, struct profile);
	__uint(max_entries, 1024);
} profiles SEC(".maps");

/* the records of rules that hold from the execution of a program on: written before a slot is switched to their profile */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct child_key);
	__type(value, u32);
	__uint(max_entries, 4096);
} children SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, u64);
	__type(value, struct cgroup_binding);
	__uint(max_entries, 16384);
} cgroups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, u32);
	__type(value, struct mount_binding);
	__uint(max_entries, 16384);
} mount_namespaces SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct unit_key);
	__type(value, struct cgroup_binding);
	__uint(max_entries, 4096);
} units SEC(".maps");

/* by tgid, kept past the end of the process: who was it that an audit record speaks of? */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, u32);
	__type(value, struct process);
	__uint(max_entries, 32768);
} pids SEC(".maps");

/* one value: rows of all automata; word 0 to 511 stay zero (state 0 is dead) */
struct table {
	u32 word[1];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(key_size, 4);
	__uint(value_size, 4 << 20);
	__uint(max_entries, 1);
} table SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct byte_classes);
	__uint(max_entries, 4096);
} columns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct network_key);
	__type(value, struct network_value);
	__uint(max_entries, 65536);
} networks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct port_range);
	__uint(max_entries, 65536);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct budget);
	__uint(max_entries, 65536);
} budgets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, u32);
	__type(value, u64);
	__uint(max_entries, COUNTERS);
} counters SEC(".maps");

/* set by the loader */
const volatile u32 host_mount_namespace = 0;
const volatile u32 table_words = (4 << 20) / 4; /* a power of two: an index is masked, not compared */
const volatile u32 events_per_second = 0;	/* of a workload; 0: no limit */
const volatile u32 loads_in_order = 0;		/* the processor is an x86 */
const volatile u64 rename_lock = 0;		/* addresses of the kernel's sequence locks; 0: not known */
const volatile u64 mount_lock = 0;

static __always_inline void count(u32 counter)
{
	u64 *value = bpf_map_lookup_elem(&counters, &counter);

	if (value)
		__sync_fetch_and_add(value, 1);
}
