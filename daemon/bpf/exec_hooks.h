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
	binding->executable = 0;
	binding->next = 0;
	binding->armed = 0;
	*workload = index;
	return flags & (BIND_UNIT | BIND_ENTRY_ONCE) ? BINDS_UNJUDGED : BINDS;
}

static long rewrite_byte(u64 index, struct scratch **context)
{
	struct scratch *scratch = *context;
	struct rewriting *at = &scratch->rewriting;
	u8 byte = scratch->path[--at->read & PATH_MASK];
	bool stays;

	if (byte != '/') {
		scratch->path[--at->write & PATH_MASK] = byte;
		at->size++;
		at->dots += byte == '.';
		return 0;
	}
	stays = at->size && (at->dots != at->size || at->size > 2);
	if (!stays) {
		at->skipped += at->size == 2;
	} else if (at->skipped) {
		at->skipped--;
		stays = false;
	}
	if (stays) {
		scratch->path[--at->write & PATH_MASK] = '/';
		at->kept = at->write;
	}
	at->write = at->kept;
	at->size = 0;
	at->dots = 0;
	return 0;
}

/* Rewrites scratch->path[offset, end); returns where it begins then. */
static __noinline int normalise(struct scratch *scratch, u32 offset, u32 end)
{
	struct rewriting *at = &scratch->rewriting;
	struct scratch *context = scratch;

	__builtin_memset(at, 0, sizeof(*at));
	at->read = end;
	at->write = end;
	at->kept = end;
	bpf_loop(end - offset, rewrite_byte, &context, 0);
	return at->write;
}

/*
 * The name that was given to execve(2), as a path: a multi-call program such as busybox does what its symbolic link is
 * called, and the link's name is nowhere else. A relative name is taken from the working directory.
 */
static __always_inline struct location name_of_exec(struct scratch *scratch, struct linux_binprm *bprm)
{
	const char *name = BPF_CORE_READ(bprm, filename);
	struct task_struct *task = bpf_get_current_task_btf();
	long size = bpf_probe_read_kernel_str(scratch->path, PATH_SIZE, name);
	struct location location = {};
	struct dentry *dentry;
	struct vfsmount *mount;
	u32 start, end = PATH_END;
	int offset = 0;

	if (size <= 1 || size > PATH_SIZE)
		return unknown(REASON_PATH_TOO_LONG);
	if (scratch->path[0] == '/') {
		end = size - 1;
	} else {
		if (size >= PATH_SIZE - 2)
			return unknown(REASON_PATH_TOO_LONG);
		start = PATH_SIZE - (u32)size;
		bpf_probe_read_kernel(&scratch->path[start & PATH_MASK], (u32)size & PATH_MASK, name);
		start--;
		scratch->path[start & PATH_MASK] = '/';
		dentry = BPF_CORE_READ(task, fs, pwd.dentry);
		mount = BPF_CORE_READ(task, fs, pwd.mnt);
		offset = walk_path(scratch, dentry, mount, start);
		if (offset < 0)
			return unknown(-offset);
	}
	location.offset = normalise(scratch, offset, end);
	location.length = end - location.offset;
	return location;
}

static __always_inline struct location file_of_exec(struct scratch *scratch, struct linux_binprm *bprm)
{
	if (place_of(bprm->file->f_path.mnt) == PLACE_NOWHERE)
		return unknown(REASON_NO_PLACE);
	return locate(scratch, bprm->file);
}

/* The program's number in `children`, 0 when it has no rules of its own. */
static __always_inline u32 find_executable(struct profile *profile, struct scratch *scratch, struct location location)
{
	if (location.offset < 0)
		return 0;
	return match_pair(scratch, &profile->executables, location.offset, location.length, 0);
}

/* What an exec is looked at for. */
#define EXEC_JUDGED 1
#define EXEC_CHANGES_RULES 2

/* Judges both names of the program, and finds by either whether it has rules of its own. */
static __noinline int judge_exec(struct profile *profile, struct scratch *scratch, struct linux_binprm *bprm, u32 wanted,
				 u32 *executable)
{
	struct location location = file_of_exec(scratch, bprm);
	int verdict = 0;

	if (wanted & EXEC_JUDGED)
		verdict = judge_path(profile, scratch, location.offset, location.length);
	if (verdict)
		return verdict;
	if (wanted & EXEC_CHANGES_RULES)
		*executable = find_executable(profile, scratch, location);
	if (!(wanted & EXEC_JUDGED) && *executable)
		return 0;
	location = name_of_exec(scratch, bprm);
	scratch->request.defaults = 0; /* an allow-list names files, not what they may be called */
	if (wanted & EXEC_JUDGED)
		verdict = judge_path(profile, scratch, location.offset, location.length);
	if (!verdict && wanted & EXEC_CHANGES_RULES && !*executable)
		*executable = find_executable(profile, scratch, location);
	return verdict;
}

/*
 * Notes what the exec changes once it has succeeded. A script comes here once more with its interpreter: what the script
 * itself is called comes first.
 */
static __always_inline int note_executable(struct linux_binprm *bprm, u32 executable)
{
	struct task_binding *binding = bpf_task_storage_get(&tasks, bpf_get_current_task_btf(), 0, 0);

	if (!binding) {
		count(COUNTER_BIND_FAILED);
		return executable ? -ENOMEM : 0;
	}
	if (BPF_CORE_READ(bprm, interp) == BPF_CORE_READ(bprm, filename) || !binding->next)
		binding->next = executable;
	return 0;
}

SEC("lsm/bprm_check_security")
int BPF_PROG(varmor_exec, struct linux_binprm *bprm)
{
	u32 executable = 0, workload = current_workload(&executable), index, wanted = EXEC_JUDGED;
	struct scratch *scratch;
	struct subject who;
	int verdict;

	if (workload == UNBOUND) {
		executable = 0;
		verdict = bind_at_exec(bprm, &workload);
		if (verdict < 0)
			return -ENOMEM;
		if (verdict == NOT_BOUND)
			return 0;
		if (verdict == BINDS_UNJUDGED)
			wanted = 0;
	}
	if (!rules_of(workload, executable, &who))
		return 0;
	if (!(ACCESS_EXEC & (who.profile->paths_deny | who.profile->paths_audit)))
		wanted = 0;
	if (who.profile->children) /* only a workload's own rules have it: those of a program hold for all that it starts */
		wanted |= EXEC_CHANGES_RULES;
	if (!wanted)
		return 0;
	scratch = take_scratch(&index);
	if (!scratch) {
		if (wanted & EXEC_CHANGES_RULES)
			return -ENOMEM;
		return verdict_of(judge_unknown(who.profile, who.identity, HOOK_EXEC, ACCESS_EXEC, REASON_NO_BUFFER));
	}
	ask(scratch, who.identity, HOOK_EXEC, ACCESS_EXEC, ACCESS_EXEC, 0);
	executable = 0;
	verdict = judge_exec(who.profile, scratch, bprm, wanted, &executable);
	release_scratch(index);
	if (!verdict && wanted & EXEC_CHANGES_RULES)
		verdict = note_executable(bprm, executable);
	return verdict_of(verdict);
}

/* The point of no return of execve(2). */
SEC("lsm/bprm_committed_creds")
int BPF_PROG(varmor_exec_committed)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct cgroup_binding *found;
	struct task_binding *binding;
	struct process process;
	u32 tgid = task->tgid;
	u64 cgroup;

	if (!task->bpf_storage)
		return 0;
	binding = bpf_task_storage_get(&tasks, task, 0, 0);
	if (!binding || binding->workload == UNBOUND)
		return 0;
	if (binding->next) {
		binding->executable = binding->next;
		binding->next = 0;
	}
	process.workload = binding->workload;
	process.executable = binding->executable;
	bpf_map_update_elem(&pids, &tgid, &process, BPF_ANY);
	if (binding->armed)
		return 0;
	cgroup = binding->cgroup;
	binding->armed = 1;
	found = bpf_map_lookup_elem(&cgroups, &cgroup);
	if (found && found->flags & BIND_ENTRY_ONCE) {
		__sync_fetch_and_and(&found->flags, ~BIND_ENTRY_ONCE);
		remember_mounts(task, process.workload);
	}
	return 0;
}
