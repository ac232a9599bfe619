/* SPDX-License-Identifier: GPL-2.0-only */
/* Which workload a task belongs to, and which rules that gives it. */
#pragma once

#include "maps.h"

#define UNBOUND 0 /* workloads[0] is never used */

/*
 * The last step of every LSM program. Since 6.12 the verifier wants to see that the value is 0 or a negative errno; the
 * barriers keep the compiler from folding the two comparisons into arithmetic that hides it.
 */
static __always_inline int verdict_of(int verdict)
{
	barrier_var(verdict);
	if (verdict > 0)
		return -EPERM;
	barrier_var(verdict);
	if (verdict < -MAX_ERRNO)
		return -EPERM;
	return verdict;
}

/*
 * The confined task that a hook judges. It stays in the frame of the program: what is handed down to functions of their
 * own is `profile` and `identity` (recent verifiers lose sight of a structure that is read two calls below its frame).
 */
struct subject {
	struct profile *profile;
	u64 identity; /* slot << 32 | index in `workloads` */
};

static __always_inline u32 mount_namespace_of(struct task_struct *task)
{
	return BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
}

/* A number that no other mount namespace has or had. */
static __always_inline u64 generation_of(struct mnt_namespace *ns)
{
	struct ns_common___numbered *numbered = (void *)ns + bpf_core_field_offset(struct mnt_namespace, ns);

	if (bpf_core_field_exists(numbered->ns_id))
		return BPF_CORE_READ(numbered, ns_id);
	return BPF_CORE_READ(ns, seq);
}

/* A namespace without processes, for mounts that are attached nowhere. Which of the marks it has depends on the kernel. */
static __always_inline bool is_anonymous(struct mnt_namespace *ns)
{
	u32 inum = BPF_CORE_READ(ns, ns.inum);

	return inum == 0 || inum == MNT_NS_ANON_INO || generation_of(ns) == 0;
}

/* Whether a workload still has a policy. */
static __always_inline bool has_slot(u32 index)
{
	struct workload *workload = bpf_map_lookup_elem(&workloads, &index);

	return workload && *(volatile u32 *)&workload->slot;
}

/*
 * Fills `who` with the rules of a workload; false when it has none. A task that executed a program with rules of its own
 * has those, as long as the policy speaks about that program.
 */
static __always_inline bool rules_of(u32 index, u32 executable, struct subject *who)
{
	struct workload *workload = bpf_map_lookup_elem(&workloads, &index);
	u32 number, record;
	struct slot *slot;

	if (!workload)
		return false;
	number = *(volatile u32 *)&workload->slot;
	if (!number)
		return false;
	slot = bpf_map_lookup_elem(&slots, &number);
	if (!slot)
		return false;
	record = *(volatile u32 *)&slot->profile;
	if (!record)
		return false;
	if (executable) {
		struct child_key key = { .profile = record, .executable = executable };
		u32 *child = bpf_map_lookup_elem(&children, &key);

		if (child)
			record = *child;
	}
	who->profile = bpf_map_lookup_elem(&profiles, &record);
	if (!who->profile)
		return false;
	who->identity = (u64)number << 32 | index;
	return true;
}

/*
 * The workload of a task, UNBOUND when it is not confined, and the program whose rules it has.
 *
 * Most tasks of a node have no storage at all, which one load tells. Before 6.2 bpf_task_storage_get() also gives NULL
 * while a task that was preempted in it holds the per-CPU "busy" mark (preempt=full): the table of processes answers then.
 */
static __always_inline u32 workload_of(struct task_struct *task, u32 *executable)
{
	struct task_binding *binding;
	struct process *fallback;
	u32 tgid;

	if (!task->bpf_storage)
		return UNBOUND;
	binding = bpf_task_storage_get(&tasks, task, 0, 0);
	if (binding) {
		*executable = binding->executable;
		return binding->armed ? binding->workload : UNBOUND;
	}
	tgid = task->tgid;
	fallback = bpf_map_lookup_elem(&pids, &tgid);
	if (!fallback)
		return UNBOUND;
	*executable = fallback->executable;
	return fallback->workload;
}

static __always_inline u32 current_workload(u32 *executable)
{
	return workload_of(bpf_get_current_task_btf(), executable);
}

static __always_inline bool confined(struct subject *who)
{
	u32 executable = 0, workload = current_workload(&executable);

	return workload != UNBOUND && rules_of(workload, executable, who);
}

/* The binding of a task's cgroup or of the nearest bound ancestor. */
static __noinline struct cgroup_binding *cgroup_of(struct task_struct *task, u64 *id)
{
	struct cgroup *cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp);
	int level;

	if (!cgroup)
		return NULL;
	level = BPF_CORE_READ(cgroup, level);
	for (int i = 0; i < CGROUP_LEVELS; i++) {
		struct cgroup *ancestor = NULL;
		struct cgroup_binding *binding;

		if (level - i < 1)
			break;
		bpf_probe_read_kernel(&ancestor, sizeof(ancestor),
				      (void *)cgroup + bpf_core_field_offset(struct cgroup, ancestors) +
					      (u64)(u32)(level - i) * sizeof(void *));
		if (!ancestor)
			break;
		*id = BPF_CORE_READ(ancestor, kn, id);
		binding = bpf_map_lookup_elem(&cgroups, id);
		if (binding)
			return binding;
	}
	return NULL;
}

/* The workload that owns a mount namespace, UNBOUND when none does. */
static __always_inline u32 workload_of_mounts(struct task_struct *task)
{
	struct mnt_namespace *ns = BPF_CORE_READ(task, nsproxy, mnt_ns);
	struct mount_binding *binding;
	u32 inum;

	if (!ns)
		return UNBOUND;
	inum = BPF_CORE_READ(ns, ns.inum);
	binding = bpf_map_lookup_elem(&mount_namespaces, &inum);
	if (!binding || binding->generation != generation_of(ns))
		return UNBOUND;
	return binding->workload;
}

/* Late entrants (`exec` into the container, nsenter) are found by the mount namespace of the container. */
static __always_inline void remember_mounts(struct task_struct *task, u32 workload)
{
	struct mnt_namespace *ns = BPF_CORE_READ(task, nsproxy, mnt_ns);
	struct mount_binding binding = {};
	u32 inum;

	if (!ns)
		return;
	inum = BPF_CORE_READ(ns, ns.inum);
	if (inum == host_mount_namespace)
		return;
	binding.generation = generation_of(ns);
	binding.workload = workload;
	if (bpf_map_update_elem(&mount_namespaces, &inum, &binding, BPF_ANY))
		count(COUNTER_BIND_FAILED);
}
