/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The path of a file as the mount namespace sees it: up to the namespace's root, so that chroot(2) does not change what a
 * rule matches. Only the last PATH_SIZE bytes' worth is ever used; what does not fit is an error, never a shorter path.
 */
#pragma once

#include "scratch.h"

#define PATH_MASK (PATH_SIZE - 1)
#define PATH_END (PATH_SIZE - 1) /* where a walked path's NUL stands */

/* Where the processor may change the order of loads and stores, an atomic operation whose result is used keeps it. */
static __always_inline void read_barrier(void)
{
	u64 word = 0;

	if (!loads_in_order) {
		word = __sync_fetch_and_add(&word, 1);
		barrier_var(word);
	}
	barrier();
}

enum walk_state {
	WALK_GOES_ON = 0,
	WALK_DONE,
	WALK_TOO_LONG,
	WALK_NO_PLACE,
};

struct walk {
	struct dentry *dentry, *root;
	struct mount *mount;
	struct scratch *scratch;
	u32 offset;
	u32 state;
};

static __always_inline u32 prepend_name(struct walk *walk, const unsigned char *name, u32 length)
{
	u32 offset = walk->offset - length;

	if (length > 255 || length >= walk->offset)
		return WALK_TOO_LONG;
	bpf_probe_read_kernel(&walk->scratch->path[offset & PATH_MASK], length & 255, name);
	offset--;
	walk->scratch->path[offset & PATH_MASK] = '/';
	walk->offset = offset;
	return WALK_GOES_ON;
}

static long walk_step(u64 index, struct walk *walk)
{
	struct dentry *dentry = walk->dentry;
	struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
	struct qstr name;
	u8 first = 0;

	if (dentry == walk->root) {
		struct mount *mount = walk->mount;
		struct mount *above = BPF_CORE_READ(mount, mnt_parent);

		if (above == mount) {
			walk->state = WALK_DONE;
			return 1;
		}
		walk->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
		walk->mount = above;
		walk->root = BPF_CORE_READ(above, mnt.mnt_root);
		return 0;
	}
	bpf_core_read(&name, sizeof(name), &dentry->d_name);
	if (dentry == parent) {
		/* Not below the mount's root: a file without a place in a tree (memfd), known by its name alone, or one that was
		 * opened by handle and is not connected ("/" as name: it may lie anywhere). */
		bpf_probe_read_kernel(&first, 1, name.name);
		walk->state = first == '/' ? WALK_NO_PLACE : WALK_DONE;
		if (first && first != '/' && prepend_name(walk, name.name, name.len))
			walk->state = WALK_TOO_LONG;
		return 1;
	}
	walk->state = prepend_name(walk, name.name, name.len);
	walk->dentry = parent;
	return walk->state != WALK_GOES_ON;
}

/*
 * Writes the path of `dentry` on `mount` so that it ends before `end` in scratch->path. Returns its offset, or the
 * negative reason why it cannot be given.
 */
static __noinline int walk_path(struct scratch *scratch, struct dentry *dentry, struct vfsmount *vfsmount, u32 end)
{
	struct mount *mount = (void *)vfsmount - bpf_core_field_offset(struct mount, mnt);
	struct walk walk = {
		.dentry = dentry,
		.mount = mount,
		.scratch = scratch,
		.offset = end,
		.state = WALK_GOES_ON,
	};

	walk.root = BPF_CORE_READ(mount, mnt.mnt_root);
	bpf_loop(WALK_STEPS, walk_step, &walk, 0);
	if (walk.state == WALK_TOO_LONG)
		return -REASON_PATH_TOO_LONG;
	if (walk.state == WALK_NO_PLACE)
		return -REASON_NO_PLACE;
	if (walk.state != WALK_DONE)
		return -REASON_PATH_TOO_DEEP;
	if (walk.offset == end && end == PATH_END) {
		walk.offset = end - 1;
		scratch->path[PATH_END - 1] = '/';
	}
	return walk.offset;
}

/* Counts by two how often the task's root or working directory was changed; odd meanwhile. */
static __always_inline u32 count_of_root(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u64 offset = bpf_core_field_offset(struct fs_struct, seq);

	read_barrier();
	barrier_var(offset); /* a load of the field itself would have to have the field's size, which differs between kernels */
	offset = *(volatile u32 *)((void *)task->fs + offset);
	read_barrier();
	return offset;
}

static __always_inline bool is_hashed(struct dentry *dentry)
{
	return *(struct hlist_bl_node **volatile *)&dentry->d_hash.pprev;
}

/*
 * Whether bpf_d_path() gives what walk_path() gives, at half the cost. It is relative to the task's root, so that root must
 * be the one of its mount namespace (no chroot), and it adds " (deleted)" to the name of an unlinked file.
 */
static __always_inline bool d_path_is_true(struct dentry *dentry)
{
	/* typed pointers from the task on: plain loads, a tenth of what bpf_probe_read_kernel() costs */
	struct task_struct *task = bpf_get_current_task_btf();
	struct vfsmount *vfsmount = task->fs->root.mnt;
	struct dentry *root = task->fs->root.dentry;
	struct mount *top = task->nsproxy->mnt_ns->root;
	struct mount *mount;

	if (root != vfsmount->mnt_root || !is_hashed(dentry))
		return false;
	mount = (void *)vfsmount - bpf_core_field_offset(struct mount, mnt);
	if (mount == top)
		return true;
	return BPF_CORE_READ(mount, mnt_parent) == top && BPF_CORE_READ(mount, mnt_mountpoint) == top->mnt.mnt_root;
}
