/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Most files lie in directories that were walked before. What the automata of a profile said up to a directory is kept by
 * the directory's dentry: an access then costs the last component of its path, however long the path and many the rules.
 *
 * What is kept must be what a walk would find. A path depends on names and parents of dentries and on mounts, so it holds
 *
 * - for the same profile revision, dentry and mount;
 * - while the dentry lives: a child that is being opened holds it. Another directory's may come to its address later, but
 *   only by an instantiation, which raises `generation`;
 * - while no directory was renamed. Every rename of the kernel is a write section of rename_lock, which counts them by two.
 *   Those that a program of ours has seen moving something else than a directory (`moves`) do not matter; is there one
 *   that it has not seen, then the numbers differ;
 * - while no mount was attached, detached or moved: each is a write section of mount_lock;
 * - for some seconds, in which neither of these 32-bit counters can go round.
 *
 * Locks are read last. Whoever holds one while we look has made its count odd, which is never kept.
 */
#pragma once

#include "judge.h"

#define KEPT_JIFFIES 8192 /* 8 s to 82 s */
#define KEPT_NAME 64	  /* a component must be shorter, else the path is walked; a power of two */
#define KEPT_BITS 13	  /* of the number of places for directories */
#define KEPT_WAYS 4	  /* profiles whose states one directory keeps; a power of two */

/* What the automata of a profile said up to a directory. */
struct kept_states {
	u64 revision; /* of the profile */
	u64 dentry;   /* the directory */
	u64 mount;
	u64 since; /* in jiffies */
	u32 sequence; /* odd while it is written */
	u32 generation;
	struct tree_counts counts; /* when the states were found */
	u32 states[2 * MAX_PAIRS];
};

struct directory {
	u32 generation; /* counts the directories that came to the addresses of this place */
	u32 reserved;
	struct kept_states kept[KEPT_WAYS];
};

/* by a hash of the address of a directory's dentry: an element never becomes another's while it is read or written */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, u32);
	__type(value, struct directory);
	__uint(max_entries, 1 << KEPT_BITS);
} directories SEC(".maps");

volatile u32 moves = 0;		  /* calls of __d_move() */
volatile u32 directory_moves = 0; /* those that moved a directory */

/* What the automata of a profile say about a path, and their states there. */
struct final {
	u32 accept;
	u32 states[2 * MAX_PAIRS];
};

/* Counts by two how often a dentry got another name or parent; odd meanwhile. */
static __always_inline u32 sequence_of(struct dentry *dentry)
{
	return *(volatile u32 *)&dentry->d_seq.seqcount.sequence;
}

static __always_inline bool keeps_directories(void)
{
	return rename_lock && mount_lock;
}

/* A seqlock_t begins with its count. */
static __always_inline u32 count_of(u64 lock)
{
	u32 sequence = 1;

	bpf_probe_read_kernel(&sequence, sizeof(sequence), (void *)lock);
	return sequence;
}

static __always_inline void read_counts(struct tree_counts *counts)
{
	counts->moves = moves;
	counts->directory_moves = directory_moves;
	read_barrier();
	counts->renames = count_of(rename_lock);
	counts->mounts = count_of(mount_lock);
	read_barrier();
}

/* The place of what is kept about a directory: that of some others, too. */
static __always_inline struct directory *place_in_table(struct dentry *dentry)
{
	u64 address = (void *)dentry - (void *)&moves; /* of all arithmetic with pointers only this difference is allowed */
	u32 index = address * 0x9e3779b97f4a7c15ULL >> (64 - KEPT_BITS);

	return bpf_map_lookup_elem(&directories, &index);
}

/* Whether all paths of directories are as they were when `counts` were read. */
static __always_inline bool is_unchanged(const struct tree_counts *counts)
{
	struct tree_counts now;

	read_counts(&now);
	return now.mounts == counts->mounts && now.directory_moves == counts->directory_moves &&
	       now.renames - counts->renames == 2 * (now.moves - counts->moves);
}

/* Whether not even a file was renamed since `counts` were read, nor meanwhile. */
static __always_inline bool was_quiet(const struct tree_counts *counts)
{
	struct tree_counts now;

	read_counts(&now);
	return now.mounts == counts->mounts && now.renames == counts->renames && now.moves == counts->moves &&
	       now.directory_moves == counts->directory_moves && !((now.mounts | now.renames) & 1);
}

static __always_inline bool is_directory(struct dentry *dentry)
{
	struct inode *inode = dentry->d_inode;

	return !inode || (inode->i_mode & S_IFMT) == S_IFDIR;
}

/* The last component of a path, and where a pair of automata stands before (and after) it. */
struct component {
	u8 name[KEPT_NAME];
	u32 length;
	u32 a, b;
};

/* Runs a pair over a component; what it says then. A global function, as match_pair(). */
__noinline u32 match_component(const struct automaton_pair *pair, struct component *component)
{
	u32 zero = 0, first, second, mask = table_words - 1, a, b, length;
	struct byte_classes *classes_a, *classes_b;
	struct table *rows;

	if (!pair || !component)
		return 0;
	first = pair->a.classes;
	second = pair->b.classes;
	a = component->a;
	b = component->b;
	length = component->length;
	rows = bpf_map_lookup_elem(&table, &zero);
	classes_a = bpf_map_lookup_elem(&columns, &first);
	classes_b = bpf_map_lookup_elem(&columns, &second);
	if (!rows || !classes_a || !classes_b)
		return 0;
	for (u32 i = 0; i < KEPT_NAME; i++) {
		u8 byte = component->name[i];

		if (i >= length)
			break;
		a = rows->word[(a + classes_a->column[byte]) & mask];
		b = rows->word[(b + classes_b->column[byte]) & mask];
		if (!(a | b))
			break;
	}
	component->a = a;
	component->b = b;
	return rows->word[a & mask] | rows->word[b & mask];
}

/* Fills `final` from what is kept about the parent of `dentry`; false when that must be walked. */
static __noinline bool match_kept(struct profile *profile, struct dentry *dentry, struct vfsmount *mount, struct final *final)
{
	u32 step = sequence_of(dentry), length = dentry->d_name.len, sequence, pairs = profile->pairs;
	struct dentry *parent = dentry->d_parent;
	volatile struct kept_states *kept;
	struct directory *directory;
	struct tree_counts counts;
	struct component component = {};
	u64 since;

	if (!keeps_directories() || parent == dentry || !length || length >= KEPT_NAME)
		return false;
	directory = place_in_table(parent);
	if (!directory)
		return false;
	kept = &directory->kept[profile->revision & (KEPT_WAYS - 1)];
	sequence = kept->sequence;
	read_barrier();
	if (sequence & 1 || kept->revision != profile->revision || kept->dentry != (u64)parent ||
	    kept->mount != (u64)mount || kept->generation != *(volatile u32 *)&directory->generation)
		return false;
	since = kept->since;
	counts.renames = kept->counts.renames;
	counts.moves = kept->counts.moves;
	counts.directory_moves = kept->counts.directory_moves;
	counts.mounts = kept->counts.mounts;
	for (u32 i = 0; i < 2 * MAX_PAIRS; i++) {
		if (i >= 2 * pairs)
			break;
		final->states[i] = kept->states[i];
	}
	component.length = length;
	if (bpf_probe_read_kernel(component.name, length & (KEPT_NAME - 1), dentry->d_name.name))
		return false;
	read_barrier();
	if (step & 1 || sequence_of(dentry) != step || kept->sequence != sequence || !is_unchanged(&counts) ||
	    bpf_jiffies64() - since > KEPT_JIFFIES)
		return false;
	final->accept = 0;
	for (u32 i = 0; i < MAX_PAIRS; i++) {
		if (i >= pairs)
			break;
		component.a = final->states[2 * i];
		component.b = final->states[2 * i + 1];
		final->accept |= match_component(&profile->pair[i], &component);
		final->states[2 * i] = component.a;
		final->states[2 * i + 1] = component.b;
	}
	return true;
}

/*
 * Keeps what the automata say up to the directory of `dentry`, whose path was judged last. scratch->counts were read before
 * it was found: is there a rename or a change of mounts since, then it is not kept.
 */
static __noinline void keep_directory(struct profile *profile, struct scratch *scratch, struct dentry *dentry,
				      struct vfsmount *mount)
{
	u32 sequence, step = sequence_of(dentry), length = dentry->d_name.len;
	u32 offset = scratch->request.offset, above = scratch->request.length - length;
	struct dentry *parent = dentry->d_parent;
	struct kept_states *kept;
	struct directory *directory;

	/* a mount's root has the name of its mount point, which lies in no directory of that mount */
	if (!keeps_directories() || !scratch->request.known || parent == dentry || dentry == mount->mnt_root ||
	    length >= scratch->request.length || step & 1 || place_of(mount) != PLACE_TREE)
		return;
	if (scratch->path[(offset + above - 1) & PATH_MASK] != '/') /* there is something beside the name */
		return;
	match_path(scratch, profile, offset, above, PLACE_OF_DIRECTORY);
	directory = place_in_table(parent);
	if (!directory)
		return;
	kept = &directory->kept[profile->revision & (KEPT_WAYS - 1)];
	sequence = *(volatile u32 *)&kept->sequence;
	if (sequence & 1 || __sync_val_compare_and_swap(&kept->sequence, sequence, sequence + 1) != sequence)
		return;
	kept->revision = 0;
	kept->since = bpf_jiffies64();
	kept->generation = *(volatile u32 *)&directory->generation;
	if (sequence_of(dentry) == step && was_quiet(&scratch->counts)) {
		kept->dentry = (u64)parent;
		kept->mount = (u64)mount;
		kept->counts = scratch->counts;
		__builtin_memcpy(kept->states, &scratch->states[PLACE_OF_DIRECTORY * 2 * MAX_PAIRS],
				 sizeof(kept->states));
		kept->revision = profile->revision;
	}
	sequence = __sync_fetch_and_add(&kept->sequence, 1);
	barrier_var(sequence); /* used, so that it orders the stores before it */
}

/* False when the path must be walked: it is not known, or a record has to show it. */
static __always_inline bool judge_kept(struct profile *profile, struct dentry *dentry, struct vfsmount *mount, u32 access,
				       struct ruling *ruling)
{
	struct final final;

	if (!match_kept(profile, dentry, mount, &final))
		return false;
	*ruling = weigh(profile, final.accept, ~0, access, access);
	return !ruling->audit; /* a record shows the path */
}

/* Answers scratch->request about an entry of a directory by a walk, and keeps the directory. 0 or -EACCES. */
static __noinline int judge_by_walk(struct profile *profile, struct scratch *scratch, struct dentry *dentry,
				    struct vfsmount *mount)
{
	int verdict;

	read_counts(&scratch->counts);
	verdict = judge_walked(profile, scratch, walk_path(scratch, dentry, mount, PATH_END));
	keep_directory(profile, scratch, dentry, mount);
	return verdict;
}

/* The same from what is kept, if it can be; the states are left in scratch->states, as after a walk. */
static __noinline int judge_entry(struct profile *profile, struct scratch *scratch, struct dentry *dentry,
				  struct vfsmount *mount)
{
	struct request *request = &scratch->request;
	struct ruling ruling;
	struct final final;

	if (match_kept(profile, dentry, mount, &final)) {
		ruling = weigh(profile, final.accept, request->defaults, request->deny, request->audit);
		if (!ruling.audit) {
			request->accept = final.accept;
			request->known = 1;
			__builtin_memcpy(&scratch->states[(request->place & 1) * 2 * MAX_PAIRS], final.states,
					 sizeof(final.states));
			return ruling.deny ? -EACCES : 0;
		}
	}
	return judge_by_walk(profile, scratch, dentry, mount);
}

SEC("?fentry/__d_move")
int BPF_PROG(varmor_move, struct dentry *dentry, struct dentry *target, bool exchange)
{
	__sync_fetch_and_add(&moves, 1);
	if (is_directory(dentry) || (exchange && is_directory(target)))
		__sync_fetch_and_add(&directory_moves, 1);
	return 0;
}

/* A directory comes to an address: what was kept about an earlier one there is void. */
SEC("?lsm/d_instantiate")
int BPF_PROG(varmor_instantiate, struct dentry *dentry, struct inode *inode)
{
	struct directory *directory;

	if (!inode || (inode->i_mode & S_IFMT) != S_IFDIR)
		return 0;
	directory = place_in_table(dentry);
	if (directory)
		__sync_fetch_and_add(&directory->generation, 1);
	return 0;
}
