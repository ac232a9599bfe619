/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Automata over the bytes of a path. Entries of the table are word indexes of rows, 0 is the dead state; word 0 of a row
 * says what holds for a path that ends there. Two automata run in one pass: their chains of loads do not depend on each
 * other. The index is masked because the table's size is a power of two; the loader never writes an index outside.
 */
#pragma once

#include "binding.h"
#include "path.h"

#define CHUNK 64 /* bytes per call of bpf_loop's callback: 10 k verified instructions at PATH_MAX, 94 ns for 35 bytes */

struct run {
	const u8 *path;
	const u32 *table;
	const u8 *classes_a, *classes_b;
	u32 a, b, offset, length;
};

static long run_chunk(u64 chunk, struct run *run)
{
	const u8 *path = run->path, *classes_a = run->classes_a, *classes_b = run->classes_b;
	const u32 *table = run->table, mask = table_words - 1;
	u32 a = run->a, b = run->b, offset = run->offset + chunk * CHUNK, left = run->length - chunk * CHUNK;

	for (int i = 0; i < CHUNK; i++) {
		u8 byte;

		if (i >= left)
			break;
		byte = path[(offset + i) & PATH_MASK];
		a = table[(a + classes_a[byte]) & mask];
		b = table[(b + classes_b[byte]) & mask];
		if (!(a | b))
			break;
	}
	run->a = a;
	run->b = b;
	return !(a | b);
}

/*
 * Runs a pair over path[offset, offset+length). Its final states are left in states[where] and states[where + 1]; returns
 * what they say. A global function: the verifier looks at it once in a program and not once for every way that leads here.
 */
__noinline u32 match_pair(struct scratch *scratch, const struct automaton_pair *pair, u32 offset, u32 length, u32 where)
{
	u32 zero = 0, first, second, mask = table_words - 1;
	struct byte_classes *classes_a, *classes_b;
	struct table *rows;
	struct run run = { .offset = offset, .length = length };

	if (!scratch || !pair)
		return 0;
	first = pair->a.classes;
	second = pair->b.classes;
	rows = bpf_map_lookup_elem(&table, &zero);
	classes_a = bpf_map_lookup_elem(&columns, &first);
	classes_b = bpf_map_lookup_elem(&columns, &second);
	if (!rows || !classes_a || !classes_b)
		return 0;
	run.path = scratch->path;
	run.table = rows->word;
	run.classes_a = classes_a->column;
	run.classes_b = classes_b->column;
	run.a = pair->a.start;
	run.b = pair->b.start;
	bpf_loop((length + CHUNK - 1) / CHUNK, run_chunk, &run, 0);
	scratch->states[where & (STATES - 1)] = run.a;
	scratch->states[(where + 1) & (STATES - 1)] = run.b;
	return rows->word[run.a & mask] | rows->word[run.b & mask];
}

/* The union of what all automata of a profile say about a path. `place`: 0 or 1, where the final states are kept. */
static __noinline u32 match_path(struct scratch *scratch, struct profile *profile, u32 offset, u32 length, u32 place)
{
	u32 accept = 0, where = place * 2 * MAX_PAIRS;

	for (int i = 0; i < MAX_PAIRS; i++) {
		if (i >= profile->pairs)
			break;
		accept |= match_pair(scratch, &profile->pair[i], offset, length, where + 2 * i);
	}
	return accept;
}

/* What a directory's move would change below it. */
#define BELOW_LOSES 1 /* something is denied that would not be at the new place */
#define BELOW_GAINS 2 /* an allow-list may have something below the new place that it has not below the old one */

static __always_inline u32 change_below_of(const u32 *rows, struct automaton *automaton, u32 old, u32 new)
{
	u32 index = automaton->classes, before, after, mask = table_words - 1, change = 0;
	struct byte_classes *map = bpf_map_lookup_elem(&columns, &index);

	if (!map)
		return BELOW_LOSES | BELOW_GAINS;
	before = rows[(old + map->column['/']) & mask];
	after = rows[(new + map->column['/']) & mask];
	if (before == after)
		return 0;
	if (ACCEPT_DENY_BELOW(rows[before & mask]))
		change |= BELOW_LOSES;
	if (after)
		change |= BELOW_GAINS;
	return change;
}

/* Equal states after "/" mean equal languages, as the automata are minimal: then a rename changes nothing below. */
static __noinline u32 change_below(struct scratch *scratch, struct profile *profile)
{
	u32 zero = 0, change = 0, *old = &scratch->states[0], *new = &scratch->states[2 * MAX_PAIRS];
	struct table *rows = bpf_map_lookup_elem(&table, &zero);

	if (!rows)
		return BELOW_LOSES | BELOW_GAINS;
	for (int i = 0; i < MAX_PAIRS; i++) {
		if (i >= profile->pairs)
			break;
		change |= change_below_of(rows->word, &profile->pair[i].a, old[2 * i], new[2 * i]);
		change |= change_below_of(rows->word, &profile->pair[i].b, old[2 * i + 1], new[2 * i + 1]);
	}
	return change;
}
