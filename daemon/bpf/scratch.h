/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Room for a path and an event. LSM programs can be preempted by each other on one CPU (measured: a plain per-CPU buffer
 * is overwritten under preempt=full), so a program takes one of several per-CPU buffers by compare-and-swap.
 */
#pragma once

#include "maps.h"

#define BUFFERS 4
#define TEXT_SIZE (2 * PATH_SIZE) /* of the two paths of a mount */
#define STATES (4 * 2 * MAX_PAIRS) /* of two paths and a directory; a power of two */
#define PLACE_OF_DIRECTORY 2

/* What is asked about a path, for the functions that answer. */
struct request {
	u64 identity;
	u32 hook;
	u32 deny;  /* accesses that must not be denied */
	u32 audit; /* accesses whose record is wanted */
	u32 place; /* where the final states are kept: 0 old name, 1 new name */
	u32 defaults; /* accesses for which an allow-list must have an entry */
	u32 accept;   /* the answer: what the automata say about the path ... */
	u32 known;    /* ... if it is known */
	u32 offset, length; /* the path, where it was written down */
};

/*
 * A path that is written anew from its end on, without empty components, "." and "..". It does not lie on the stack: before
 * 6.7 the verifier looks at a callback once only, with the values of its first call, and drops what those do not reach.
 */
struct rewriting {
	u32 read, write;
	u32 kept;	  /* where what stays begins */
	u32 size, dots; /* of the component that is being read */
	u32 skipped;	  /* components to leave out, for the ".." behind them */
};

struct mount_request {
	u64 identity;
	u64 fstype[FSTYPE_SIZE / 8]; /* as text, zero padded: compared as words */
	u64 shown_fstype[FSTYPE_SIZE / 8];
	u32 hook;
	u32 flags;
	u32 partial; /* neither source nor target nor flags are known yet */
	u32 targets; /* the rules whose target, and whose source, is that of the request */
	u32 sources;
	u32 claimed; /* the rules whose source is what the caller calls it, of a request that does not depend on that */
	u32 deny, audit, allow;
	u32 reported; /* a rule has spoken: what the event shows is settled */
	u32 shown_flags;
	u32 target_length; /* the target is the beginning of the event's text, then come NUL and the source */
	u32 text_length;
};

/* How a name is written. */
struct spelling {
	u32 dots; /* since the last slash, when there is nothing else; ORDINARY otherwise */
	u32 crooked;
};

/* What is counted about the tree of all files. */
struct tree_counts {
	u32 renames, mounts; /* by two; odd while one goes on */
	u32 moves, directory_moves;
};

struct scratch {
	u8 path[2 * PATH_SIZE]; /* a path ends (or starts) here; twice the size so that a masked offset plus a length stays inside */
	struct event event;
	u8 text[TEXT_SIZE]; /* directly after the header: both go to the ring buffer as one record */
	u32 states[STATES];
	struct request request;
	struct tree_counts counts;
	struct rewriting rewriting;
	struct mount_request mount;
	struct spelling spelling;
};

struct busy {
	u32 taken;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, u32);
	__type(value, struct scratch);
	__uint(max_entries, BUFFERS);
} scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, u32);
	__type(value, struct busy);
	__uint(max_entries, BUFFERS);
} scratch_busy SEC(".maps");

/* NULL when all are taken: the caller refuses what it cannot judge. */
static __always_inline struct scratch *take_scratch(u32 *index)
{
	for (u32 i = 0; i < BUFFERS; i++) {
		u32 key = i;
		struct busy *busy = bpf_map_lookup_elem(&scratch_busy, &key);

		if (!busy)
			return NULL;
		if (__sync_val_compare_and_swap(&busy->taken, 0, 1) == 0) {
			*index = i;
			return bpf_map_lookup_elem(&scratch, &key);
		}
	}
	count(COUNTER_NO_BUFFER);
	return NULL;
}

static __always_inline void release_scratch(u32 index)
{
	struct busy *busy = bpf_map_lookup_elem(&scratch_busy, &index);

	if (busy)
		__sync_lock_test_and_set(&busy->taken, 0);
}
