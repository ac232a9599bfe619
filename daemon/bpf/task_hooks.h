/* SPDX-License-Identifier: GPL-2.0-only */
/* Life of tasks and cgroups: bindings are inherited, found again, and go with what they belong to. */
#pragma once

#include "match.h"

SEC("lsm/task_alloc")
int BPF_PROG(varmor_task_alloc, struct task_struct *task)
{
	u32 executable = 0, workload = current_workload(&executable);
	struct task_binding *binding;

	if (workload == UNBOUND)
		return 0;
	binding = bpf_task_storage_get(&tasks, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!binding) {
		count(COUNTER_BIND_FAILED);
		return -ENOMEM; /* rather no child than one without rules */
	}
	binding->workload = workload;
	binding->executable = executable;
	binding->armed = 1;
	return 0;
}

/* The new process has its number now (task_alloc is too early for that). */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(varmor_fork, struct task_struct *parent, struct task_struct *child)
{
	struct process process = {};
	u32 tgid = child->tgid;

	if (child->pid != child->tgid)
		return 0;
	process.workload = current_workload(&process.executable);
	if (process.workload == UNBOUND)
		bpf_map_delete_elem(&pids, &tgid);
	else
		bpf_map_update_elem(&pids, &tgid, &process, BPF_ANY);
	return 0;
}

/* A unit is bound before it has a process, and also while the daemon is down. */
SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(varmor_cgroup_mkdir, struct cgroup *cgroup, const char *path)
{
	struct unit_key key = {};
	struct cgroup_binding *unit, binding;
	long size;
	u64 id;

	if (BPF_CORE_READ(cgroup, root, hierarchy_id) != 0) /* 0: the unified hierarchy */
		return 0;
	size = bpf_probe_read_kernel_str(key.path, sizeof(key.path), path);
	if (size < 0 || size == sizeof(key.path))
		return 0;
	unit = bpf_map_lookup_elem(&units, &key);
	if (!unit)
		return 0;
	id = BPF_CORE_READ(cgroup, kn, id);
	binding = *unit;
	if (bpf_map_update_elem(&cgroups, &id, &binding, BPF_ANY))
		count(COUNTER_BIND_FAILED);
	return 0;
}

static long forget_mounts(void *map, u32 *inum, struct mount_binding *binding, u32 *workload)
{
	if (binding->workload == *workload)
		bpf_map_delete_elem(&mount_namespaces, inum);
	return 0;
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(varmor_cgroup_rmdir, struct cgroup *cgroup)
{
	struct cgroup_binding *binding;
	u32 workload;
	u64 id;

	if (BPF_CORE_READ(cgroup, root, hierarchy_id) != 0)
		return 0;
	id = BPF_CORE_READ(cgroup, kn, id);
	binding = bpf_map_lookup_elem(&cgroups, &id);
	if (!binding)
		return 0;
	workload = binding->workload;
	if (!(binding->flags & BIND_UNIT))
		bpf_for_each_map_elem(&mount_namespaces, forget_mounts, &workload, 0);
	bpf_map_delete_elem(&cgroups, &id);
	return 0;
}

static __always_inline void tell(struct bpf_iter__task *context, struct task_struct *task, u32 index)
{
	struct workload *workload = bpf_map_lookup_elem(&workloads, &index);
	struct bound_task record = { .tgid = task->tgid, .tid = task->pid, .workload = index };

	if (workload)
		record.number = workload->number;
	bpf_seq_write(context->meta->seq, &record, sizeof(record));
}

/* A child of systemd that runs systemd's own code yet: it sets up the unit and will bind at its exec. */
static __always_inline bool is_before_exec(struct task_struct *task)
{
	struct task_struct *parent = BPF_CORE_READ(task, real_parent);

	if (!(task->flags & PF_FORKNOEXEC) || BPF_CORE_READ(parent, tgid) != 1)
		return false;
	return BPF_CORE_READ(task, mm, exe_file, f_inode) == BPF_CORE_READ(parent, mm, exe_file, f_inode);
}

/*
 * The program with rules of its own that a task runs, or that its parent has executed. 0: none. What the table of processes
 * knows comes first: the daemon writes there what the programs of an earlier version knew.
 */
static __always_inline u32 executable_of(struct task_struct *task, u32 workload)
{
	struct task_struct *parent = task->real_parent;
	struct task_binding *binding;
	struct process *process;
	struct scratch *scratch;
	struct subject who;
	struct path path = {};
	u32 tgid = task->tgid, index, executable = 0;
	int offset;

	process = bpf_map_lookup_elem(&pids, &tgid);
	if (process && process->workload == workload && process->executable)
		return process->executable;
	if (!rules_of(workload, 0, &who) || !who.profile->children)
		return 0;
	scratch = take_scratch(&index);
	if (!scratch)
		return 0;
	path.dentry = BPF_CORE_READ(task, mm, exe_file, f_path.dentry);
	path.mnt = BPF_CORE_READ(task, mm, exe_file, f_path.mnt);
	if (path.dentry && path.mnt) {
		offset = walk_path(scratch, path.dentry, path.mnt, PATH_END);
		if (offset >= 0)
			executable = match_pair(scratch, &who.profile->executables, offset, PATH_END - offset, 0);
	}
	release_scratch(index);
	if (executable || !parent)
		return executable;
	binding = bpf_task_storage_get(&tasks, parent, 0, 0);
	return binding && binding->armed && binding->workload == workload ? binding->executable : 0;
}

/* A task that ran before its program got rules of its own has them from now on. */
static __always_inline bool adopt_executable(struct task_struct *task, struct task_binding *binding)
{
	u32 tgid = task->tgid;
	struct process process;

	if (binding->executable)
		return false;
	binding->executable = executable_of(task, binding->workload);
	process.workload = binding->workload;
	process.executable = binding->executable;
	if (binding->executable)
		bpf_map_update_elem(&pids, &tgid, &process, BPF_ANY);
	return binding->executable;
}

/* The cgroup that a task which runs already is to be bound by, NULL when it is not. */
static __always_inline struct cgroup_binding *adopting_cgroup(struct task_struct *task, u64 *cgroup)
{
	struct cgroup_binding *found = cgroup_of(task, cgroup);

	if (!found || found->flags & BIND_ENTRY_ONCE)
		return NULL;
	if (found->flags & BIND_UNIT)
		return is_before_exec(task) ? NULL : found;
	if (!(found->flags & BIND_HOST_MOUNTS) && mount_namespace_of(task) == host_mount_namespace)
		return NULL;
	return found;
}

/* Reading the pinned iterator arms the tasks that already run in bound cgroups, and tells which. Repeat until it is silent. */
SEC("iter/task")
int varmor_adopt(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;
	struct cgroup_binding *found;
	struct task_binding *binding;
	struct process process = {};
	u32 tgid;
	u64 cgroup = 0;

	if (!task || task->flags & (PF_KTHREAD | PF_EXITING))
		return 0;
	found = adopting_cgroup(task, &cgroup);
	if (!found)
		return 0;
	binding = bpf_task_storage_get(&tasks, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!binding) {
		count(COUNTER_BIND_FAILED);
		return 0;
	}
	/* A task that lost its policy (its workload has no slot any more) gets the one that its cgroup has now. */
	if (binding->armed && (binding->workload == found->workload || has_slot(binding->workload))) {
		if (adopt_executable(task, binding))
			tell(context, task, binding->workload);
		return 0;
	}
	process.workload = found->workload;
	process.executable = executable_of(task, process.workload);
	binding->cgroup = cgroup;
	binding->workload = process.workload;
	binding->executable = process.executable;
	binding->armed = 1;
	tgid = task->tgid;
	bpf_map_update_elem(&pids, &tgid, &process, BPF_ANY);
	if (!(found->flags & BIND_UNIT))
		remember_mounts(task, process.workload);
	tell(context, task, process.workload);
	return 0;
}

/* Reading the pinned iterator tells which tasks are confined, wherever they are now. */
SEC("iter/task")
int varmor_bound(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;
	struct task_binding *binding;

	if (!task)
		return 0;
	binding = bpf_task_storage_get(&tasks, task, 0, 0);
	if (binding && binding->armed)
		tell(context, task, binding->workload);
	return 0;
}
