/* SPDX-License-Identifier: GPL-2.0-only */
/* Opening files and changing directory entries. Refusals are -EACCES, as AppArmor's. */
#pragma once

#include "directory.h"
#include "operation.h"

/* The accesses of an open file description that rules speak about. */
static __always_inline u32 access_of(struct file *file)
{
	u32 flags = file->f_flags, mode = file->f_mode, access = 0;

	if (flags & FMODE_EXEC_FLAG) /* opened by the kernel to execute it: judged as an exec */
		return 0;
	if (mode & FMODE_READ)
		access |= ACCESS_READ;
	if (mode & FMODE_WRITE)
		access |= flags & O_APPEND ? ACCESS_APPEND : ACCESS_WRITE;
	if (flags & O_TRUNC)
		access |= ACCESS_WRITE;
	return access;
}

/* An open file, as its path and the accesses that it was opened for say. */
static __always_inline int judge_file(struct profile *profile, u64 identity, struct file *file, u32 hook)
{
	struct dentry *dentry = file->f_path.dentry;
	struct vfsmount *mount = file->f_path.mnt;
	struct location location;
	struct scratch *scratch;
	struct ruling ruling;
	enum place place;
	u32 access = access_of(file), index;
	int verdict;

	if (!(access & (profile->paths_deny | profile->paths_audit)))
		return 0;
	/* overlayfs opens the layer's file as well: on a private mount since 6.5, before with the overlay's path but the layer's
	 * inode. The file of the overlay itself was judged already. */
	if (dentry->d_inode != file->f_inode)
		return 0;
	if (judge_kept(profile, dentry, mount, access, &ruling))
		return ruling.deny ? -EACCES : 0;
	place = place_of(mount);
	if (place == PLACE_INTERNAL)
		return 0;
	if (place == PLACE_NOWHERE)
		return judge_unknown(profile, identity, hook, access, REASON_NO_PLACE);
	scratch = take_scratch(&index);
	if (!scratch)
		return judge_unknown(profile, identity, hook, access, REASON_NO_BUFFER);
	ask(scratch, identity, hook, access, access, 0);
	read_counts(&scratch->counts);
	location = locate(scratch, file);
	verdict = judge_path(profile, scratch, location.offset, location.length);
	keep_directory(profile, scratch, dentry, mount);
	release_scratch(index);
	return verdict;
}

SEC("?lsm/file_open")
int BPF_PROG(varmor_file_open, struct file *file)
{
	struct subject who;
	int verdict = 0;

	if (!confined(&who))
		return 0;
	if ((who.profile->switches_deny | who.profile->switches_audit) & SWITCHES_OF_OPEN)
		verdict = judge_open(who.profile, who.identity, file);
	if (!verdict)
		verdict = judge_file(who.profile, who.identity, file, HOOK_FILE_OPEN);
	return verdict_of(verdict);
}

/* What another process has opened and hands over: through a unix socket, or taken from it by pidfd_getfd(2). */
SEC("?lsm/file_receive")
int BPF_PROG(varmor_file_receive, struct file *file)
{
	struct subject who;
	int verdict = 0;

	if (!confined(&who))
		return 0;
	if ((who.profile->switches_deny | who.profile->switches_audit) & SWITCH_BLOCK_DEVICE_OPEN)
		verdict = judge_block_device(who.profile, who.identity, file);
	if (!verdict)
		verdict = judge_file(who.profile, who.identity, file, HOOK_FILE_RECEIVE);
	return verdict_of(verdict);
}

/* One directory entry that is made, removed or changed: a write to its path. */
static __noinline int change_entry(struct dentry *dentry, struct vfsmount *mount, u32 hook)
{
	struct subject who;
	struct scratch *scratch;
	struct ruling ruling;
	enum place place;
	u32 index;
	int verdict;

	if (!confined(&who))
		return 0;
	if (!(ACCESS_WRITE & (who.profile->paths_deny | who.profile->paths_audit)))
		return 0;
	if (judge_kept(who.profile, dentry, mount, ACCESS_WRITE, &ruling))
		return ruling.deny ? -EACCES : 0;
	place = place_of(mount);
	if (place == PLACE_INTERNAL)
		return 0;
	if (place == PLACE_NOWHERE)
		return judge_unknown(who.profile, who.identity, hook, ACCESS_WRITE, REASON_NO_PLACE);
	scratch = take_scratch(&index);
	if (!scratch)
		return judge_unknown(who.profile, who.identity, hook, ACCESS_WRITE, REASON_NO_BUFFER);
	ask(scratch, who.identity, hook, ACCESS_WRITE, ACCESS_WRITE, 0);
	verdict = judge_by_walk(who.profile, scratch, dentry, mount);
	release_scratch(index);
	return verdict;
}

SEC("?lsm/path_unlink")
int BPF_PROG(varmor_unlink, const struct path *dir, struct dentry *dentry)
{
	return verdict_of(change_entry(dentry, dir->mnt, HOOK_UNLINK));
}

SEC("?lsm/path_rmdir")
int BPF_PROG(varmor_rmdir, const struct path *dir, struct dentry *dentry)
{
	return verdict_of(change_entry(dentry, dir->mnt, HOOK_RMDIR));
}

SEC("?lsm/path_mkdir")
int BPF_PROG(varmor_mkdir, const struct path *dir, struct dentry *dentry)
{
	return verdict_of(change_entry(dentry, dir->mnt, HOOK_MKDIR));
}

SEC("?lsm/path_mknod")
int BPF_PROG(varmor_mknod, const struct path *dir, struct dentry *dentry)
{
	return verdict_of(change_entry(dentry, dir->mnt, HOOK_MKNOD));
}

SEC("?lsm/path_symlink")
int BPF_PROG(varmor_symlink, const struct path *dir, struct dentry *dentry)
{
	return verdict_of(change_entry(dentry, dir->mnt, HOOK_SYMLINK));
}

SEC("?lsm/path_truncate")
int BPF_PROG(varmor_truncate, const struct path *path)
{
	return verdict_of(change_entry(path->dentry, path->mnt, HOOK_TRUNCATE));
}

SEC("?lsm/path_chmod")
int BPF_PROG(varmor_chmod, const struct path *path)
{
	return verdict_of(change_entry(path->dentry, path->mnt, HOOK_CHMOD));
}

SEC("?lsm/path_chown")
int BPF_PROG(varmor_chown, const struct path *path)
{
	return verdict_of(change_entry(path->dentry, path->mnt, HOOK_CHOWN));
}

struct move {
	struct dentry *from;
	struct vfsmount *from_mount;
	struct dentry *to;
	struct vfsmount *to_mount;
	u32 hook;
	u32 renames;
};

/* What an allow-list would let a file (and, for a directory, what lies below) do under its new name only. */
static __always_inline struct ruling weigh_gains(struct profile *profile, u32 old, u32 new, u32 below)
{
	u32 gains = ACCEPT_ALLOW(new) & ~ACCEPT_DENY(new) & ~ACCEPT_ALLOW(old);
	struct ruling ruling;

	if (below & BELOW_GAINS)
		gains |= ACCESS_WRITE;
	ruling.deny = profile->paths_default_deny & gains;
	ruling.audit = profile->paths_default_audit & gains;
	return ruling;
}

/* The event shows the old name. */
static __always_inline void report_move(struct scratch *scratch, struct move *move, u32 access, u32 verdict, u32 reason)
{
	int offset = walk_path(scratch, move->from, move->from_mount, PATH_END);

	if (offset < 0)
		report(scratch->request.identity, access, WHAT(move->hook, verdict, reason));
	else
		report_path(scratch, offset, PATH_END - offset, access, WHAT(move->hook, verdict, reason));
}

/*
 * A second or a new name. The new one must be writable. Under the old one nothing at all may be denied that is not under the
 * new one too, else the file would shed its rules, nor below it when it is a directory, unless the new place says the same.
 * Nor may the new name be in an allow-list with more than the old one.
 */
static __noinline int judge_move(struct profile *profile, struct scratch *scratch, struct move *move)
{
	struct dentry *entry = move->from; /* BPF_CORE_READ relocates what it is given: not a struct of ours */
	u64 identity = scratch->request.identity;
	struct ruling gains;
	u32 new, below = 0;
	umode_t mode;
	int verdict;

	ask(scratch, identity, move->hook, ACCESS_WRITE, ACCESS_WRITE, 1);
	verdict = judge_entry(profile, scratch, move->to, move->to_mount);
	if (verdict)
		return verdict;
	new = scratch->request.accept;
	ask(scratch, identity, move->hook, (0xff & ~ACCEPT_DENY(new)) | ACCESS_WRITE, ACCESS_WRITE, 0);
	scratch->request.defaults = move->renames ? ACCESS_WRITE : 0;
	verdict = judge_entry(profile, scratch, entry, move->from_mount);
	if (verdict || !scratch->request.known)
		return verdict;
	mode = BPF_CORE_READ(entry, d_inode, i_mode);
	if (move->renames && (mode & S_IFMT) == S_IFDIR)
		below = change_below(scratch, profile);
	if (below & BELOW_LOSES) {
		report_move(scratch, move, ACCESS_WRITE, VERDICT_DENIED, REASON_ABOVE_RULE);
		return -EACCES;
	}
	gains = weigh_gains(profile, scratch->request.accept, new, below);
	if (gains.audit)
		report_move(scratch, move, gains.audit, gains.deny ? VERDICT_DENIED : VERDICT_AUDIT, REASON_GAINS);
	return gains.deny ? -EACCES : 0;
}

static __always_inline int move_entry(struct move *move, bool exchange)
{
	struct subject who;
	struct scratch *scratch;
	u32 index;
	int verdict;

	if (!confined(&who))
		return 0;
	if (!(who.profile->paths_deny | who.profile->paths_audit))
		return 0;
	if (place_of(move->from_mount) == PLACE_NOWHERE || place_of(move->to_mount) == PLACE_NOWHERE)
		return judge_unknown(who.profile, who.identity, move->hook, 0xff, REASON_NO_PLACE);
	scratch = take_scratch(&index);
	if (!scratch)
		return judge_unknown(who.profile, who.identity, move->hook, 0xff, REASON_NO_BUFFER);
	scratch->request.identity = who.identity;
	verdict = judge_move(who.profile, scratch, move);
	if (!verdict && exchange) {
		struct move back = { .from = move->to, .from_mount = move->to_mount, .to = move->from,
				     .to_mount = move->from_mount, .hook = move->hook, .renames = 1 };

		verdict = judge_move(who.profile, scratch, &back);
	}
	release_scratch(index);
	return verdict;
}

SEC("?lsm/path_rename")
int BPF_PROG(varmor_rename, const struct path *old_dir, struct dentry *old_dentry, const struct path *new_dir,
	     struct dentry *new_dentry, unsigned int flags)
{
	struct move move = { .from = old_dentry, .from_mount = old_dir->mnt, .to = new_dentry, .to_mount = new_dir->mnt,
			     .hook = HOOK_RENAME, .renames = 1 };

	return verdict_of(move_entry(&move, flags & RENAME_EXCHANGE));
}

/* The hook has no mount for the old name: hard links cannot leave a mount, so it is the new name's. */
SEC("?lsm/path_link")
int BPF_PROG(varmor_link, struct dentry *old_dentry, const struct path *new_dir, struct dentry *new_dentry)
{
	struct move move = { .from = old_dentry, .from_mount = new_dir->mnt, .to = new_dentry, .to_mount = new_dir->mnt,
			     .hook = HOOK_LINK };

	return verdict_of(move_entry(&move, false));
}
