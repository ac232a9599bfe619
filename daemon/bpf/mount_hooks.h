/* SPDX-License-Identifier: GPL-2.0-only */
/* Mounts by source, target, file system type and flags, through the old interface and the new one. */
#pragma once

#include "mount_judge.h"
#include "operation.h"

/* A mount of what lies at one place of the tree (or is given as text: see sb_mount) on another. */
struct places {
	struct dentry *from;
	struct vfsmount *from_mount;
	struct dentry *to;
	struct vfsmount *to_mount;
	u32 hook;
	u32 flags;
};

/* Both places are in the tree. */
static __noinline int judge_mount_places(struct profile *profile, struct scratch *scratch, struct places *places)
{
	int offset = walk_path(scratch, places->to, places->to_mount, PATH_END);

	if (offset < 0)
		return refuse_mount(scratch->mount.identity, places->hook, places->flags, -offset);
	set_target(profile, scratch, offset);
	ask_mount(scratch, places->flags);
	offset = walk_path(scratch, places->from, places->from_mount, PATH_END);
	if (offset < 0)
		return refuse_mount(scratch->mount.identity, places->hook, places->flags, -offset);
	set_source(profile, scratch, offset, PATH_END - offset, 0);
	judge_mount(profile, scratch);
	return conclude_mount(profile, scratch);
}

static __always_inline int judge_mount_at(struct places *places)
{
	struct subject who;
	struct scratch *scratch;
	u32 index;
	int verdict;

	if (!confined(&who) || !judges_mounts(who.profile))
		return 0;
	scratch = take_scratch(&index);
	if (!scratch)
		return refuse_mount(who.identity, places->hook, places->flags, REASON_NO_BUFFER);
	begin_mount(scratch, who.identity, places->hook);
	verdict = judge_mount_places(who.profile, scratch, places);
	release_scratch(index);
	return verdict;
}

struct mount_call {
	const char *source;
	const char *type;
	struct dentry *to;
	struct vfsmount *to_mount;
	u32 flags;
};

/*
 * mount(2). The source is what the caller wrote, unless nothing new is mounted: then it is what is there already. The name
 * of a tree that is bound or moved counts as it is written; one that is not in its shortest form may be any.
 */
static __noinline int judge_mount_call(struct profile *profile, struct scratch *scratch, struct mount_call *call)
{
	int offset = walk_path(scratch, call->to, call->to_mount, PATH_END);
	u64 identity = scratch->mount.identity;
	const char *source = call->source;
	u32 flags = call->flags;
	long size = 0;
	u32 length;

	if (offset < 0)
		return refuse_mount(identity, HOOK_MOUNT, flags, -offset);
	set_target(profile, scratch, offset);
	ask_mount(scratch, flags);
	if (flags & MS_WITHOUT_SOURCE)
		set_source(profile, scratch, offset, PATH_END - offset, 0);
	if (!(flags & MS_WITHOUT_TYPE) && call->type)
		bpf_probe_read_kernel_str(scratch->mount.fstype, FSTYPE_SIZE, call->type);
	if (source)
		size = bpf_probe_read_kernel_str(scratch->path, PATH_SIZE, source);
	if (size < 0 || size > PATH_SIZE)
		return refuse_mount(identity, HOOK_MOUNT, flags, REASON_PATH_TOO_LONG);
	length = size ? size - 1 : 0;
	set_source(profile, scratch, 0, length, flags & MS_WITHOUT_SOURCE);
	if (flags & (MS_BIND | MS_MOVE) && !(flags & MS_WITHOUT_SOURCE) && is_crooked(scratch, length))
		scratch->mount.claimed = ~0U;
	judge_mount(profile, scratch);
	return conclude_mount(profile, scratch);
}

SEC("?lsm/sb_mount")
int BPF_PROG(varmor_mount, const char *source, const struct path *path, const char *type, unsigned long flags)
{
	struct mount_call call = {
		.source = source, .type = type, .to = path->dentry, .to_mount = path->mnt, .flags = flags
	};
	struct scratch *scratch;
	struct subject who;
	u32 index;
	int verdict;

	if (!confined(&who) || !judges_mounts(who.profile))
		return 0;
	scratch = take_scratch(&index);
	if (!scratch)
		return verdict_of(refuse_mount(who.identity, HOOK_MOUNT, flags, REASON_NO_BUFFER));
	begin_mount(scratch, who.identity, HOOK_MOUNT);
	verdict = judge_mount_call(who.profile, scratch, &call);
	release_scratch(index);
	return verdict_of(verdict);
}

SEC("?lsm/sb_umount")
int BPF_PROG(varmor_umount, struct vfsmount *mount)
{
	struct places places = { .from = mount->mnt_root, .from_mount = mount, .to = mount->mnt_root, .to_mount = mount,
				 .hook = HOOK_UMOUNT, .flags = MOUNT_RULE_UMOUNT };

	return verdict_of(judge_mount_at(&places));
}

/* The new root moves to where the old one was, and the old one below it: judged as a move of the new root. */
SEC("?lsm/sb_pivotroot")
int BPF_PROG(varmor_pivot_root, const struct path *old, const struct path *new)
{
	struct places places = { .from = new->dentry, .from_mount = new->mnt, .to = old->dentry, .to_mount = old->mnt,
				 .hook = HOOK_MOVE_MOUNT, .flags = MS_MOVE };

	return verdict_of(judge_mount_at(&places));
}

/* --- the new interface: fsopen, fsmount, open_tree, move_mount --- */

#define INSTANCES 1024	/* mounts of one file system among which the original of a copied tree is looked for */
#define INSTANCE_STEPS 64 /* components from the root of the original to the root of the copy */

/* The search for a mount of the caller's namespace that holds what a detached tree shows. */
struct search {
	struct mnt_namespace *ns;
	struct dentry *root; /* of the detached tree */
	struct mount *next, *found;
	void *head;
};

static __always_inline bool lies_below(struct dentry *dentry, struct dentry *root)
{
	for (int i = 0; i < INSTANCE_STEPS; i++) {
		struct dentry *parent;

		if (dentry == root)
			return true;
		parent = BPF_CORE_READ(dentry, d_parent);
		if (parent == dentry)
			return false;
		dentry = parent;
	}
	return false;
}

static __always_inline struct mount *mount_of_link(struct list_head *link)
{
	return (void *)link - bpf_core_field_offset(struct mount, mnt_instance);
}

static long search_step(u64 index, struct search *search)
{
	struct mount *mount = search->next;
	struct mount___chained *chained = (void *)mount;
	struct mnt_namespace *ns;
	struct dentry *root;

	if (bpf_core_field_exists(chained->mnt_next_for_sb)) {
		if (!mount)
			return 1;
		search->next = BPF_CORE_READ(chained, mnt_next_for_sb);
	} else {
		if ((void *)mount == search->head)
			return 1;
		search->next = mount_of_link(BPF_CORE_READ(mount, mnt_instance.next));
	}
	ns = BPF_CORE_READ(mount, mnt_ns);
	root = BPF_CORE_READ(mount, mnt.mnt_root);
	if (ns != search->ns || !lies_below(search->root, root))
		return 0;
	search->found = mount;
	return 1;
}

/* Where the caller sees what a detached tree shows, NULL when nowhere. */
static __noinline struct mount *find_original(struct super_block *sb, struct dentry *root)
{
	struct mount___chained *chained = NULL;
	struct search search = { .root = root };
	struct task_struct *task = bpf_get_current_task_btf();

	search.ns = task->nsproxy->mnt_ns;
	if (bpf_core_field_exists(chained->mnt_next_for_sb)) {
		struct super_block___chained *chain = (void *)sb;

		search.next = BPF_CORE_READ(chain, s_mounts);
	} else {
		struct list_head *head = (void *)sb + bpf_core_field_offset(struct super_block, s_mounts);

		search.head = mount_of_link(head);
		search.next = mount_of_link(BPF_CORE_READ(head, next));
	}
	bpf_loop(INSTANCES, search_step, &search, 0);
	return search.found;
}

/* The flags of mount(2) that would have made such a mount. */
static __always_inline u32 flags_of_mount(struct vfsmount *mount, struct super_block *sb)
{
	u32 set = BPF_CORE_READ(mount, mnt_flags), flags = (u32)BPF_CORE_READ(sb, s_flags) & SB_FLAGS_OF_USER;

	flags |= set & MNT_NOSUID ? MS_NOSUID : 0;
	flags |= set & MNT_NODEV ? MS_NODEV : 0;
	flags |= set & MNT_NOEXEC ? MS_NOEXEC : 0;
	flags |= set & MNT_NOATIME ? MS_NOATIME : 0;
	flags |= set & MNT_NODIRATIME ? MS_NODIRATIME : 0;
	flags |= set & MNT_RELATIME ? MS_RELATIME : 0;
	flags |= set & MNT_READONLY ? MS_RDONLY : 0;
	flags |= set & MNT_NOSYMFOLLOW ? MS_NOSYMFOLLOW : 0;
	return flags;
}

static __always_inline void ask_new_mount(struct profile *profile, struct scratch *scratch, struct vfsmount *mount,
					  struct super_block *sb)
{
	const char *type = BPF_CORE_READ(sb, s_type, name), *device;
	struct mount *whole = (void *)mount - bpf_core_field_offset(struct mount, mnt);
	long size;

	ask_mount(scratch, flags_of_mount(mount, sb));
	bpf_probe_read_kernel_str(scratch->mount.fstype, FSTYPE_SIZE, type);
	device = BPF_CORE_READ(whole, mnt_devname);
	size = bpf_probe_read_kernel_str(scratch->path, PATH_SIZE, device);
	set_source(profile, scratch, 0, size > 0 ? size - 1 : 0, 0);
	judge_mount(profile, scratch);
}

/* 1: copied from a tree, 0: new, -1: this kernel does not tell. */
static __always_inline int is_copy(struct mnt_namespace *ns)
{
	struct mnt_namespace___origin *known = (void *)ns;

	if (!bpf_core_field_exists(known->seq_origin))
		return -1;
	return BPF_CORE_READ(known, seq_origin) != 0;
}

/*
 * A tree that fsmount(2) made is a new mount of its file system; one that open_tree(2) copied is a bind mount of what it
 * was copied from. Before 6.15 nothing tells them apart when the file system is mounted in the caller's namespace already:
 * the whole of a file system that has no device may then be either and is judged as both.
 */
static __noinline int judge_detached(struct profile *profile, struct scratch *scratch, struct places *places)
{
	struct vfsmount *mount = places->from_mount;
	struct mount *whole = (void *)mount - bpf_core_field_offset(struct mount, mnt), *original;
	struct super_block *sb = BPF_CORE_READ(mount, mnt_sb);
	struct dentry *root = BPF_CORE_READ(mount, mnt_root);
	int copy = is_copy(BPF_CORE_READ(whole, mnt_ns)), offset;

	offset = walk_path(scratch, places->to, places->to_mount, PATH_END);
	if (offset < 0)
		return refuse_mount(scratch->mount.identity, places->hook, places->flags, -offset);
	set_target(profile, scratch, offset);
	original = copy ? find_original(sb, root) : NULL;
	if (copy > 0 && !original)
		return refuse_mount(scratch->mount.identity, places->hook, MS_BIND, REASON_NO_PLACE);
	if (original) {
		ask_mount(scratch, MS_BIND);
		offset = walk_path(scratch, root, (void *)original + bpf_core_field_offset(struct mount, mnt), PATH_END);
		if (offset < 0)
			return refuse_mount(scratch->mount.identity, places->hook, MS_BIND, -offset);
		set_source(profile, scratch, offset, PATH_END - offset, 0);
		judge_mount(profile, scratch);
	}
	if (copy <= 0 && (!original || (root == BPF_CORE_READ(sb, s_root) && !BPF_CORE_READ(sb, s_bdev))))
		ask_new_mount(profile, scratch, mount, sb);
	return conclude_mount(profile, scratch);
}

SEC("?lsm/move_mount")
int BPF_PROG(varmor_move_mount, const struct path *from, const struct path *to)
{
	struct places places = { .from = from->dentry, .from_mount = from->mnt, .to = to->dentry, .to_mount = to->mnt,
				 .hook = HOOK_MOVE_MOUNT, .flags = MS_MOVE };
	struct mount *mount = (void *)from->mnt - bpf_core_field_offset(struct mount, mnt);
	struct mnt_namespace *ns = BPF_CORE_READ(mount, mnt_ns);
	struct scratch *scratch;
	struct subject who;
	u32 index;
	int verdict;

	if (!ns || !is_anonymous(ns))
		return verdict_of(judge_mount_at(&places));
	if (!confined(&who) || !judges_mounts(who.profile))
		return 0;
	scratch = take_scratch(&index);
	if (!scratch)
		return verdict_of(refuse_mount(who.identity, HOOK_MOVE_MOUNT, MS_MOVE, REASON_NO_BUFFER));
	begin_mount(scratch, who.identity, HOOK_MOVE_MOUNT);
	verdict = judge_detached(who.profile, scratch, &places);
	release_scratch(index);
	return verdict_of(verdict);
}

/*
 * A file system that fsmount(2) makes can be used without being attached anywhere, through its descriptor. So what rules say
 * about a type whatever source, target and flags are is said when the file system itself is made, for both interfaces.
 */
static __noinline int judge_file_system(struct profile *profile, struct scratch *scratch, struct super_block *sb)
{
	const char *type = BPF_CORE_READ(sb, s_type, name);

	scratch->mount.partial = 1;
	ask_mount(scratch, 0);
	bpf_probe_read_kernel_str(scratch->mount.fstype, FSTYPE_SIZE, type);
	__builtin_memcpy(scratch->path, ANY_TEXT, sizeof(ANY_TEXT));
	scratch->mount.targets = match_pair(scratch, &profile->mount_target, 0, sizeof(ANY_TEXT) - 1, 0);
	scratch->mount.sources = match_pair(scratch, &profile->mount_source, 0, sizeof(ANY_TEXT) - 1, 0);
	judge_mount(profile, scratch);
	return conclude_mount(profile, scratch);
}

SEC("?lsm/sb_set_mnt_opts")
int BPF_PROG(varmor_file_system, struct super_block *sb)
{
	bool on_device = BPF_CORE_READ(sb, s_bdev) || BPF_CORE_READ(sb, s_type, fs_flags) & FS_REQUIRES_DEV;
	struct scratch *scratch;
	struct subject who;
	u32 index;
	int verdict;

	/* not what the kernel mounts for itself, or below a mount when somebody goes there */
	if (BPF_CORE_READ(sb, s_flags) & (SB_KERNMOUNT | SB_SUBMOUNT) || !confined(&who))
		return 0;
	if (on_device) {
		verdict = judge_switches(who.profile, who.identity, SWITCH_BLOCK_DEVICE_MOUNT);
		if (verdict)
			return verdict_of(verdict);
	}
	if (!who.profile->mounts)
		return 0;
	scratch = take_scratch(&index);
	if (!scratch)
		return verdict_of(refuse_mount(who.identity, HOOK_MOUNT, 0, REASON_NO_BUFFER));
	begin_mount(scratch, who.identity, HOOK_MOUNT);
	verdict = judge_file_system(who.profile, scratch, sb);
	release_scratch(index);
	return verdict_of(verdict);
}
