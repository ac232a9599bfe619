/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Executable mappings of files. The dynamic loader runs a program that may not be executed by mapping it
 * ("ld.so program"), so a file that execve(2) would run is judged as such here, too. Refusals are -EACCES.
 */
#pragma once

#include "judge.h"

#define NAME_BYTES 255

/* Whether scratch->text, a file's name of so many bytes, is a library's: "*.so" or "*.so.*". */
static __noinline bool is_library(struct scratch *scratch, u32 length)
{
	u32 window = 0;

	for (u32 i = 0; i < NAME_BYTES; i++) {
		if (i >= length)
			break;
		window = window << 8 | scratch->text[i];
		if (window == ('.' << 24 | 's' << 16 | 'o' << 8 | '.'))
			return true;
	}
	return (window & 0xffffff) == ('.' << 16 | 's' << 8 | 'o');
}

/* Libraries often have execute permission without being programs: a rule against execution must not stop those. */
static __always_inline bool is_program(struct scratch *scratch, struct dentry *dentry)
{
	struct qstr name;
	u32 length;

	if (!(BPF_CORE_READ(dentry, d_inode, i_mode) & 0111))
		return false;
	bpf_core_read(&name, sizeof(name), &dentry->d_name);
	length = name.len;
	if (length > NAME_BYTES)
		return true;
	bpf_probe_read_kernel(scratch->text, length & 255, name.name);
	return !is_library(scratch, length);
}

/* The accesses that an executable mapping is, as far as rules speak about them. */
static __always_inline u32 spoken_about(struct subject *who)
{
	return (ACCESS_MAP | ACCESS_MAP_PROGRAM) & (who->profile->paths_deny | who->profile->paths_audit);
}

static __always_inline void ask_map(struct scratch *scratch, u64 identity, struct dentry *dentry, u32 wanted)
{
	u32 access = ACCESS_MAP;

	if (wanted & ACCESS_MAP_PROGRAM && is_program(scratch, dentry))
		access |= ACCESS_MAP_PROGRAM;
	ask(scratch, identity, HOOK_MAP, access, access, 0);
}

SEC("?lsm/mmap_file")
int BPF_PROG(varmor_map, struct file *file, unsigned long requested, unsigned long protection)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct location location;
	struct scratch *scratch;
	struct subject who;
	u32 wanted, index;
	int verdict;

	if (!(protection & PROT_EXEC) || !file)
		return 0;
	if (!confined(&who))
		return 0;
	wanted = spoken_about(&who);
	if (!wanted || BPF_CORE_READ(task, mm, exe_file) == file) /* the program itself was judged when it was executed */
		return 0;
	if (place_of(file->f_path.mnt) == PLACE_NOWHERE)
		return verdict_of(judge_unknown(who.profile, who.identity, HOOK_MAP, wanted, REASON_NO_PLACE));
	scratch = take_scratch(&index);
	if (!scratch)
		return verdict_of(judge_unknown(who.profile, who.identity, HOOK_MAP, wanted, REASON_NO_BUFFER));
	ask_map(scratch, who.identity, file->f_path.dentry, wanted);
	location = locate(scratch, file);
	verdict = judge_path(who.profile, scratch, location.offset, location.length);
	release_scratch(index);
	return verdict_of(verdict);
}

/*
 * Where a mapped file lies for its user. A mapping of a file on overlayfs holds the layer's file: until 6.4 with the
 * overlay's path, since then on a private mount and with the path that the user knows beside it.
 */
static __always_inline void mapped_path(struct file *file, struct path *path)
{
	struct backing_file *backing = (void *)file;

	path->mnt = BPF_CORE_READ(file, f_path.mnt);
	path->dentry = BPF_CORE_READ(file, f_path.dentry);
	if (!bpf_core_field_exists(backing->user_path) || place_of(path->mnt) != PLACE_INTERNAL)
		return;
	if (BPF_CORE_READ(path->dentry, d_parent) == path->dentry) /* a memfd has no layer */
		return;
	path->mnt = BPF_CORE_READ(backing, user_path.mnt);
	path->dentry = BPF_CORE_READ(backing, user_path.dentry);
}

static __noinline int judge_mapped(struct file *file)
{
	struct path path = {};
	struct scratch *scratch;
	struct subject who;
	u32 wanted, index;
	int verdict;

	if (!confined(&who))
		return 0;
	wanted = spoken_about(&who);
	if (!wanted)
		return 0;
	mapped_path(file, &path);
	if (place_of(path.mnt) == PLACE_NOWHERE)
		return judge_unknown(who.profile, who.identity, HOOK_MAP, wanted, REASON_NO_PLACE);
	scratch = take_scratch(&index);
	if (!scratch)
		return judge_unknown(who.profile, who.identity, HOOK_MAP, wanted, REASON_NO_BUFFER);
	ask_map(scratch, who.identity, path.dentry, wanted);
	verdict = judge_walked(who.profile, scratch, walk_path(scratch, path.dentry, path.mnt, PATH_END));
	release_scratch(index);
	return verdict;
}

/* A mapping that was made without execute permission gets it. */
SEC("?lsm/file_mprotect")
int BPF_PROG(varmor_protect, struct vm_area_struct *area, unsigned long requested, unsigned long protection)
{
	struct file *file;

	if (!(protection & PROT_EXEC) || BPF_CORE_READ(area, vm_flags) & VM_EXEC)
		return 0;
	file = BPF_CORE_READ(area, vm_file);
	return file ? verdict_of(judge_mapped(file)) : 0;
}
