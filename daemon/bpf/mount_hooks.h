/* SPDX-License-Identifier: GPL-2.0-only */
/* Mounts by source, file system type and flags. Refusals are -EPERM. */
#pragma once

#include "judge.h"

/* changes of a mount that make no new file system: their type is "none" */
#define MS_WITHOUT_TYPE \
	(MS_REMOUNT | MS_BIND | MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE | MS_MOVE | MOUNT_RULE_UMOUNT)

static __always_inline bool mount_rule_matches(struct mount_rule *rule, struct mount_request *request)
{
	const u64 *fstype = (const u64 *)rule->fstype;

	if (rule->fstype[0] != '*' && (fstype[0] != request->fstype[0] || fstype[1] != request->fstype[1]))
		return false;
	if (request->flags == MOUNT_RULE_UMOUNT) /* a rule speaks about umount only if it says so */
		return rule->flags & MOUNT_RULE_UMOUNT;
	return (request->flags & rule->flags) || (~request->flags & rule->reverse);
}

/* Judges scratch->mount, whose source is scratch->path[offset, offset+length). */
static __noinline int judge_mount(struct profile *profile, struct scratch *scratch, u32 offset, u32 length)
{
	u32 rules = match_pair(scratch, &profile->mount_source, offset, length, 0), deny = 0, audit = 0;
	struct mount_request *request = &scratch->mount;
	u32 bytes = length & PATH_MASK;

	for (u32 i = 0; i < MAX_MOUNT_RULES; i++) {
		struct mount_rule *rule = &profile->mount[i];

		if (i >= profile->mounts)
			break;
		if (!(rules & (1U << i)) || !mount_rule_matches(rule, request))
			continue;
		deny |= rule->deny;
		audit |= rule->audit;
	}
	if (audit) {
		fill_event(&scratch->event, request->identity,
			   WHAT(request->hook, deny ? VERDICT_DENIED : VERDICT_AUDIT, REASON_RULE));
		scratch->event.argument = request->flags;
		__builtin_memcpy(scratch->event.address, request->fstype, FSTYPE_SIZE);
		bpf_probe_read_kernel(scratch->text, bytes, &scratch->path[offset & PATH_MASK]);
		send_event(&scratch->event, bytes);
	}
	return deny ? -EPERM : 0;
}

/* Without a buffer or a path nothing can be told from something that is denied. */
static __always_inline int refuse_mount(u64 identity, u32 hook, u32 flags, u32 reason)
{
	report(identity, flags, WHAT(hook, VERDICT_DENIED, reason));
	return -EPERM;
}

static __always_inline void ask_mount(struct scratch *scratch, u64 identity, u32 hook, u32 flags)
{
	struct mount_request *request = &scratch->mount;

	request->identity = identity;
	request->hook = hook;
	request->flags = flags;
	__builtin_memset(request->fstype, 0, FSTYPE_SIZE);
	if (flags & MS_WITHOUT_TYPE)
		__builtin_memcpy(request->fstype, "none", 4);
}

/* A mount whose source is a place in the tree of files. */
static __always_inline int judge_mount_at(struct dentry *dentry, struct vfsmount *mount, u32 hook, u32 flags)
{
	struct subject who;
	struct scratch *scratch;
	u32 index;
	int offset, verdict;

	if (!confined(&who) || !who.profile->mounts)
		return 0;
	scratch = take_scratch(&index);
	if (!scratch)
		return refuse_mount(who.identity, hook, flags, REASON_NO_BUFFER);
	ask_mount(scratch, who.identity, hook, flags);
	offset = walk_path(scratch, dentry, mount, PATH_END);
	if (offset < 0)
		verdict = refuse_mount(who.identity, hook, flags, -offset);
	else
		verdict = judge_mount(who.profile, scratch, offset, PATH_END - offset);
	release_scratch(index);
	return verdict;
}

SEC("?lsm/sb_mount")
int BPF_PROG(varmor_mount, const char *source, const struct path *path, const char *type, unsigned long flags)
{
	struct scratch *scratch;
	struct subject who;
	long size = 0;
	u32 index;
	int verdict;

	if (!confined(&who) || !who.profile->mounts)
		return 0;
	scratch = take_scratch(&index);
	if (!scratch)
		return verdict_of(refuse_mount(who.identity, HOOK_MOUNT, flags, REASON_NO_BUFFER));
	ask_mount(scratch, who.identity, HOOK_MOUNT, flags);
	if (!(flags & MS_WITHOUT_TYPE) && type)
		bpf_probe_read_kernel_str(scratch->mount.fstype, FSTYPE_SIZE, type);
	if (source)
		size = bpf_probe_read_kernel_str(scratch->path, PATH_SIZE, source);
	if (size < 0 || size > PATH_SIZE)
		verdict = refuse_mount(who.identity, HOOK_MOUNT, flags, REASON_PATH_TOO_LONG);
	else
		verdict = judge_mount(who.profile, scratch, 0, size ? size - 1 : 0);
	release_scratch(index);
	return verdict_of(verdict);
}

/* move_mount(2), which also attaches what fsmount(2) and open_tree(2) made. */
SEC("?lsm/move_mount")
int BPF_PROG(varmor_move_mount, const struct path *from)
{
	return verdict_of(judge_mount_at(from->dentry, from->mnt, HOOK_MOVE_MOUNT, MS_MOVE));
}

SEC("?lsm/sb_umount")
int BPF_PROG(varmor_umount, struct vfsmount *mount)
{
	return verdict_of(judge_mount_at(mount->mnt_root, mount, HOOK_UMOUNT, MOUNT_RULE_UMOUNT));
}
