/* SPDX-License-Identifier: GPL-2.0-only */
/* Operations that are refused as a whole (SWITCH_*), whoever asks and whatever for. Refusals are -EPERM. */
#pragma once

#include "event.h"

static __always_inline int judge_switches(struct profile *profile, u64 identity, u32 switches)
{
	u32 deny = profile->switches_deny & switches, audit = profile->switches_audit & (deny ? deny : switches);

	if (audit) /* of several that the request is, the lowest stands for it */
		report(identity, audit & -audit,
		       WHAT(HOOK_OPERATION, deny ? VERDICT_DENIED : VERDICT_AUDIT, REASON_RULE));
	return deny ? -EPERM : 0;
}

static __noinline int judge_operation(u32 switches)
{
	struct subject who;

	if (!confined(&who) || !((who.profile->switches_deny | who.profile->switches_audit) & switches))
		return 0;
	return judge_switches(who.profile, who.identity, switches);
}

/* The bits of a regular file's mode that rules speak about, as switches. Directories need theirs to be entered. */
static __always_inline u32 switches_of_mode(umode_t mode)
{
	u32 switches = 0;

	if (mode & 0111)
		switches |= SWITCH_CHMOD_X_BIT;
	if (mode & (S_ISUID | S_ISGID))
		switches |= SWITCH_CHMOD_S_BIT;
	return switches;
}

#define SWITCHES_OF_OPEN (SWITCH_BLOCK_DEVICE_OPEN | SWITCH_CHMOD_X_BIT | SWITCH_CHMOD_S_BIT)

/* A block special file, wherever it lies. */
static __always_inline int judge_block_device(struct profile *profile, u64 identity, struct file *file)
{
	if ((file->f_inode->i_mode & S_IFMT) != S_IFBLK)
		return 0;
	return judge_switches(profile, identity, SWITCH_BLOCK_DEVICE_OPEN);
}

/* A block special file; a file that is made without a name (O_TMPFILE), to get one later by a link. */
static __always_inline int judge_open(struct profile *profile, u64 identity, struct file *file)
{
	umode_t mode = file->f_inode->i_mode;
	u32 switches = 0;

	if ((mode & S_IFMT) == S_IFBLK)
		return judge_block_device(profile, identity, file);
	if ((mode & S_IFMT) == S_IFREG && file->f_flags & O_TMPFILE_FLAG)
		switches = switches_of_mode(mode);
	return switches ? judge_switches(profile, identity, switches) : 0;
}
