/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Binding happens at exec: a container runtime's (or systemd's) own code, which sets up the confined process, is not
 * judged; the program that it executes is bound, armed once the exec has succeeded, and stays so with all it forks.
 */
#pragma once

#include "judge.h"

#define NOT_BOUND 0
#define BINDS 1	       /* this exec binds, and is judged */
#define BINDS_UNJUDGED 2 /* this exec binds: the entrypoint of a container or the program of a unit */

/* systemd >= 255 starts units through this program, which does in the unit's cgroup what systemd itself did before. */
static __always_inline bool is_systemd_executor(struct linux_binprm *bprm)
{
	const char executor[24] = "systemd-executor"; /* 16 bytes, compared as words with their NUL */
	struct dentry *dentry = BPF_CORE_READ(bprm, file, f_path.dentry);
	const unsigned char *name = BPF_CORE_READ(dentry, d_name.name);
	u64 found[3] = {}, wanted[3];

	bpf_probe_read_kernel_str(found, sizeof(found), name);
	__builtin_memcpy(wanted, executor, sizeof(wanted));
	return found[0] == wanted[0] && found[1] == wanted[1] && found[2] == wanted[2];
}

/* Finds what an unbound task that executes a program belongs to, and notes it with the task. Negative: errno. */
static __always_inline int bind_at_exec(struct linux_binprm *bprm, u32 *workload)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct cgroup_binding *found;
	struct task_binding *binding;
	u32 flags = 0, index;
	u64 cgroup = 0;

	found = cgroup_of(task, &cgroup);
	if (found) {
		flags = found->flags;
		index = found->workload;
		if (flags & BIND_UNIT ? is_systemd_executor(bprm) :
				       !(flags & BIND_HOST_MOUNTS) && mount_namespace_of(task) == host_mount_namespace)
			index = UNBOUND;
	} else {
		cgroup = 0;
		index = workload_of_mounts(task);
	}
	if (index == UNBOUND) {
		/* what an exec that failed left behind must not be armed by this one */
		binding = task->bpf_storage ? bpf_task_storage_get(&tasks, task, 0, 0) : NULL;
		if (binding)
			binding->workload = UNBOUND;
		return NOT_BOUND;
	}
	binding = bpf_task_storage_get(&tasks, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!binding) {
		count(COUNTER_BIND_FAILED);
		return -ENOMEM;
	}
	binding->workload = index;
	binding->cgroup = cgroup;
	binding->armed = 0;
	*workload = index;
	return flags & (BIND_UNIT | BIND_ENTRY_ONCE) ? BINDS_UNJUDGED : BINDS;
}

/*
 * The name that was given to execve(2), as a path: a multi-call program such as busybox does what its symbolic link is
 * called, and the link's name is nowhere else. A relative name is taken from the working directory; `.` and `..` stay.
 */
static __always_inline int judge_exec_name(struct profile *profile, struct scratch *scratch, struct linux_binprm *bprm)
{
	const char *name = BPF_CORE_READ(bprm, filename);
	struct task_struct *task = bpf_get_current_task_btf();
	long size = bpf_probe_read_kernel_str(scratch->path, PATH_SIZE, name);
	struct dentry *dentry;
	struct vfsmount *mount;
	u32 start;

	if (size <= 1 || size > PATH_SIZE)
		return judge_path(profile, scratch, -REASON_PATH_TOO_LONG, 0);
	if (scratch->path[0] == '/')
		return judge_path(profile, scratch, 0, size - 1);
	if (size >= PATH_SIZE - 2)
		return judge_path(profile, scratch, -REASON_PATH_TOO_LONG, 0);
	start = PATH_SIZE - (u32)size;
	bpf_probe_read_kernel(&scratch->path[start & PATH_MASK], (u32)size & PATH_MASK, name);
	start--;
	scratch->path[start & PATH_MASK] = '/';
	dentry = BPF_CORE_READ(task, fs, pwd.dentry);
	mount = BPF_CORE_READ(task, fs, pwd.mnt);
	return judge_walked(profile, scratch, walk_path(scratch, dentry, mount, start));
}

static __always_inline int judge_exec_file(struct profile *profile, struct scratch *scratch, struct linux_binprm *bprm)
{
	struct dentry *dentry = bprm->file->f_path.dentry;
	struct vfsmount *mount = bprm->file->f_path.mnt;
	long length;

	if (place_of(mount) == PLACE_NOWHERE)
		return judge_path(profile, scratch, -REASON_NO_PLACE, 0);
	if (!d_path_is_true(dentry))
		return judge_walked(profile, scratch, walk_path(scratch, dentry, mount, PATH_END));
	length = bpf_d_path(&bprm->file->f_path, (char *)scratch->path, PATH_SIZE);
	if (length <= 0 || length > PATH_SIZE)
		return judge_path(profile, scratch, -REASON_PATH_TOO_LONG, 0);
	return judge_path(profile, scratch, 0, length - 1);
}

SEC("lsm/bprm_check_security")
int BPF_PROG(varmor_exec, struct linux_binprm *bprm)
{
	u32 workload = current_workload(), index;
	struct scratch *scratch;
	struct subject who;
	int verdict;

	if (workload == UNBOUND) {
		verdict = bind_at_exec(bprm, &workload);
		if (verdict != BINDS)
			return verdict_of(verdict < 0 ? -ENOMEM : 0);
	}
	if (!rules_of(workload, &who))
		return 0;
	if (!(ACCESS_EXEC & (who.profile->paths_deny | who.profile->paths_audit)))
		return 0;
	scratch = take_scratch(&index);
	if (!scratch)
		return verdict_of(judge_unknown(who.profile, who.identity, HOOK_EXEC, ACCESS_EXEC, REASON_NO_BUFFER));
	ask(scratch, who.identity, HOOK_EXEC, ACCESS_EXEC, ACCESS_EXEC, 0);
	verdict = judge_exec_file(who.profile, scratch, bprm);
	if (!verdict)
		verdict = judge_exec_name(who.profile, scratch, bprm);
	release_scratch(index);
	return verdict_of(verdict);
}

/* The point of no return of execve(2). */
SEC("lsm/bprm_committed_creds")
int BPF_PROG(varmor_exec_committed)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct cgroup_binding *found;
	struct task_binding *binding;
	u32 tgid = task->tgid, workload;
	u64 cgroup;

	if (!task->bpf_storage)
		return 0;
	binding = bpf_task_storage_get(&tasks, task, 0, 0);
	if (!binding || binding->workload == UNBOUND)
		return 0;
	workload = binding->workload;
	bpf_map_update_elem(&pids, &tgid, &workload, BPF_ANY);
	if (binding->armed)
		return 0;
	cgroup = binding->cgroup;
	binding->armed = 1;
	found = bpf_map_lookup_elem(&cgroups, &cgroup);
	if (found && found->flags & BIND_ENTRY_ONCE) {
		__sync_fetch_and_and(&found->flags, ~BIND_ENTRY_ONCE);
		remember_mounts(task, workload);
	}
	return 0;
}
