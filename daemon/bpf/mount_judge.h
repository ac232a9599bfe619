/* SPDX-License-Identifier: GPL-2.0-only */
/* A mount request, the rules, a verdict. Refusals are -EPERM. */
#pragma once

#include "judge.h"

/* changes of a mount that make no new file system: their type is "none" */
#define MS_WITHOUT_TYPE \
	(MS_REMOUNT | MS_BIND | MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE | MS_MOVE | MOUNT_RULE_UMOUNT)

/* changes of what is mounted already at the target: the source that is given means nothing to the kernel */
#define MS_WITHOUT_SOURCE (MS_REMOUNT | MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)

/* A source and a target that only patterns for everything match. */
#define ANY_TEXT "\1/\1"

static __always_inline bool mount_rule_matches(struct mount_rule *rule, struct mount_request *request)
{
	const u64 *fstype = (const u64 *)rule->fstype;

	if (rule->fstype[0] != '*' && (fstype[0] != request->fstype[0] || fstype[1] != request->fstype[1]))
		return false;
	if (request->partial)
		return rule->flags & rule->reverse;
	if (request->flags == MOUNT_RULE_UMOUNT) /* a rule speaks about umount only if it says so */
		return rule->flags & MOUNT_RULE_UMOUNT;
	return (request->flags & rule->flags) || (~request->flags & rule->reverse);
}

static __always_inline bool judges_mounts(const struct profile *profile)
{
	return profile->mounts | profile->mounts_default;
}

static __always_inline void begin_mount(struct scratch *scratch, u64 identity, u32 hook)
{
	struct mount_request *request = &scratch->mount;

	__builtin_memset(request, 0, sizeof(*request));
	request->identity = identity;
	request->hook = hook;
}

/* One way to see what is asked for. There may be two of them: see judge_detached(). */
static __always_inline void ask_mount(struct scratch *scratch, u32 flags)
{
	struct mount_request *request = &scratch->mount;

	request->flags = flags;
	request->sources = 0;
	request->claimed = 0;
	__builtin_memset(request->fstype, 0, FSTYPE_SIZE);
	if (flags & MS_WITHOUT_TYPE)
		__builtin_memcpy(request->fstype, "none", 4);
}

/* The target, at scratch->path[offset, PATH_END). It is kept as the beginning of the event's text. */
static __noinline void set_target(struct profile *profile, struct scratch *scratch, u32 offset)
{
	u32 length = PATH_END - (offset & PATH_MASK), bytes = length & PATH_MASK;

	scratch->mount.targets = match_pair(scratch, &profile->mount_target, offset, bytes, 0);
	scratch->mount.target_length = bytes;
	bpf_probe_read_kernel(scratch->text, bytes, &scratch->path[offset & PATH_MASK]);
}

/* What is mounted, at scratch->path[offset, offset+length), or what the caller calls it where that is not what counts. */
static __noinline void set_source(struct profile *profile, struct scratch *scratch, u32 offset, u32 length, u32 claimed)
{
	u32 start = (scratch->mount.target_length & PATH_MASK) + 1, bytes = length & PATH_MASK;
	u32 rules = match_pair(scratch, &profile->mount_source, offset, length, 0);

	if (claimed)
		scratch->mount.claimed = rules;
	else
		scratch->mount.sources = rules;
	if (scratch->mount.reported)
		return;
	scratch->text[start - 1] = 0;
	bpf_probe_read_kernel(&scratch->text[start], bytes, &scratch->path[offset & PATH_MASK]);
	scratch->mount.text_length = start + bytes;
}

#define ORDINARY 3

/* Its state is in the buffer and not on the stack: before 6.7 the verifier looks at one call only, with what it knows of it. */
static long name_step(u64 index, struct scratch **where)
{
	struct scratch *scratch = *where;
	struct spelling *spelling = &scratch->spelling;
	u8 byte = scratch->path[index & PATH_MASK];

	if (byte != '/') {
		spelling->dots = byte == '.' && spelling->dots < ORDINARY ? spelling->dots + 1 : ORDINARY;
		return 0;
	}
	spelling->crooked |= spelling->dots != ORDINARY;
	spelling->dots = 0;
	return 0;
}

/* Whether a name at scratch->path can be another spelling of a path: relative, or with empty components, `.` or `..`. */
static __noinline bool is_crooked(struct scratch *scratch, u32 length)
{
	struct spelling *spelling = &scratch->spelling;

	spelling->dots = ORDINARY;
	spelling->crooked = scratch->path[0] != '/';
	bpf_loop(length & PATH_MASK, name_step, &scratch, 0);
	return spelling->crooked || (spelling->dots != ORDINARY && length > 1);
}

/* Adds what the rules say about the request as it stands. What the event shows is the first that a rule speaks about. */
static __noinline void judge_mount(struct profile *profile, struct scratch *scratch)
{
	struct mount_request *request = &scratch->mount;
	u32 rules = (request->sources | request->claimed) & request->targets, deny = 0, audit = 0, allow = 0;

	for (u32 i = 0; i < MAX_MOUNT_RULES; i++) {
		struct mount_rule *rule = &profile->mount[i];

		if (i >= profile->mounts)
			break;
		if (!(rules & (1U << i)) || !mount_rule_matches(rule, request))
			continue;
		deny |= rule->deny;
		audit |= rule->audit;
		if (request->sources & (1U << i))
			allow |= rule->allow;
	}
	request->deny |= deny;
	request->audit |= audit;
	request->allow |= allow;
	if (request->reported)
		return;
	request->reported = deny | audit;
	request->shown_flags = request->flags;
	__builtin_memcpy(request->shown_fstype, request->fstype, FSTYPE_SIZE);
}

/* The verdict over all that was asked, and its event. */
static __noinline int conclude_mount(struct profile *profile, struct scratch *scratch)
{
	struct mount_request *request = &scratch->mount;
	u32 bytes = request->text_length & (TEXT_SIZE - 1);

	if (!request->allow && !request->partial) {
		request->deny |= profile->mounts_default & DEFAULT_DENY;
		request->audit |= profile->mounts_default & DEFAULT_AUDIT;
	}
	if (request->partial && !request->deny) /* what is only recorded will be when all is known */
		return 0;
	if (request->audit) {
		fill_event(&scratch->event, request->identity,
			   WHAT(request->hook, request->deny ? VERDICT_DENIED : VERDICT_AUDIT, REASON_RULE));
		scratch->event.argument = request->shown_flags;
		__builtin_memcpy(scratch->event.address, request->shown_fstype, FSTYPE_SIZE);
		send_event(&scratch->event, bytes);
	}
	return request->deny ? -EPERM : 0;
}

/* Without a buffer or a path nothing can be told from something that is denied. */
static __always_inline int refuse_mount(u64 identity, u32 hook, u32 flags, u32 reason)
{
	report(identity, flags, WHAT(hook, VERDICT_DENIED, reason));
	return -EPERM;
}
