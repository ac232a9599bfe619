/* SPDX-License-Identifier: GPL-2.0-only */
/* A path, an access, a verdict. */
#pragma once

#include "event.h"
#include "match.h"

/* Mounts whose files have no path, because they are in no mount namespace's tree. */
enum place {
	PLACE_TREE = 0,
	PLACE_INTERNAL, /* the kernel's own: overlayfs' layers, memfd, pipes */
	PLACE_NOWHERE,	/* detached (open_tree, fsmount, umount -l): the path would begin at the wrong root */
};

static __always_inline enum place place_of(struct vfsmount *vfsmount)
{
	struct mount *mount = (void *)vfsmount - bpf_core_field_offset(struct mount, mnt);
	struct mnt_namespace *ns = BPF_CORE_READ(mount, mnt_ns);

	if (ns == bpf_get_current_task_btf()->nsproxy->mnt_ns)
		return PLACE_TREE;
	if (!ns)
		return PLACE_NOWHERE;
	if ((u64)ns >= (u64)-MAX_ERRNO)
		return PLACE_INTERNAL;
	return is_anonymous(ns) ? PLACE_NOWHERE : PLACE_TREE;
}

/* Where a path lies in a scratch buffer; `offset` may be a negative reason why there is none. */
struct location {
	int offset;
	u32 length;
};

static __always_inline struct location walked(int offset)
{
	struct location location = { .offset = offset, .length = offset < 0 ? 0 : PATH_END - offset };

	return location;
}

static __always_inline struct location unknown(u32 reason)
{
	struct location location = { .offset = -(int)reason };

	return location;
}

/*
 * The path of a file that the verifier trusts, in the hooks that may call bpf_d_path(). Another thread may change the root
 * meanwhile.
 */
static __always_inline struct location locate(struct scratch *scratch, struct file *file)
{
	struct location location = {};
	u32 root = count_of_root();
	long length = 0;
	bool is_true = !(root & 1) && d_path_is_true(file->f_path.dentry);

	if (is_true) {
		length = bpf_d_path(&file->f_path, (char *)scratch->path, PATH_SIZE);
		/* What was moved out of a bind mount that it is reached by is called "/", what was unlinked has words behind its name. */
		is_true = length != 2 && is_hashed(file->f_path.dentry) && count_of_root() == root;
	}
	if (!is_true)
		return walked(walk_path(scratch, file->f_path.dentry, file->f_path.mnt, PATH_END));
	if (length <= 0 || length > PATH_SIZE)
		return unknown(REASON_PATH_TOO_LONG);
	location.length = length - 1;
	return location;
}

static __noinline void report_path(struct scratch *scratch, u32 offset, u32 length, u32 access, u32 what)
{
	u32 bytes = length & PATH_MASK;

	fill_event(&scratch->event, scratch->request.identity, what);
	scratch->event.argument = access & ACCESS_MAP_PROGRAM ? (access & ~ACCESS_MAP_PROGRAM) | ACCESS_MAP : access;
	bpf_probe_read_kernel(scratch->text, bytes, &scratch->path[offset & PATH_MASK]);
	send_event(&scratch->event, bytes);
}

/* An access to something whose path is not known: refused where some rule denies such an access, recorded where some rule
 * speaks about it. */
static __always_inline int judge_unknown(struct profile *profile, u64 identity, u32 hook, u32 access, u32 reason)
{
	u32 deny = profile->paths_deny & access, audit = profile->paths_audit & access;

	if (deny)
		report(identity, deny, WHAT(hook, VERDICT_DENIED, reason));
	else if (audit)
		report(identity, audit, WHAT(hook, VERDICT_AUDIT, reason));
	return deny ? -EACCES : 0;
}

static __always_inline void ask(struct scratch *scratch, u64 identity, u32 hook, u32 deny, u32 audit, u32 place)
{
	scratch->request.identity = identity;
	scratch->request.hook = hook;
	scratch->request.deny = deny;
	scratch->request.audit = audit;
	scratch->request.place = place;
	scratch->request.defaults = ~0;
	scratch->request.accept = 0;
}

/* Accesses that are refused, and those that are recorded. */
struct ruling {
	u32 deny, audit;
};

/* What the automata's answer means for accesses that must not be denied, and accesses whose record is wanted. Without an
 * allow-list the profile's defaults are zero. */
static __always_inline struct ruling weigh(struct profile *profile, u32 accept, u32 defaults, u32 deny, u32 audit)
{
	u32 missing = defaults & ~ACCEPT_ALLOW(accept);
	struct ruling ruling;

	ruling.deny = (ACCEPT_DENY(accept) | (profile->paths_default_deny & missing)) & deny;
	ruling.audit = (ACCEPT_AUDIT(accept) | (profile->paths_default_audit & missing)) & (ruling.deny ? ruling.deny : audit);
	return ruling;
}

/* Answers scratch->request for the path at scratch->path[offset], or a negative reason why there is none. 0 or -EACCES. */
static __noinline int judge_path(struct profile *profile, struct scratch *scratch, int offset, u32 length)
{
	struct request *request = &scratch->request;
	struct ruling ruling;

	request->known = offset >= 0;
	if (offset < 0)
		return judge_unknown(profile, request->identity, request->hook, request->deny, -offset);
	request->offset = offset;
	request->length = length;
	request->accept = match_path(scratch, profile, offset, length, request->place & 1);
	ruling = weigh(profile, request->accept, request->defaults, request->deny, request->audit);
	if (ruling.audit)
		report_path(scratch, offset, length, ruling.deny ? ruling.deny : ruling.audit,
			    WHAT(request->hook, ruling.deny ? VERDICT_DENIED : VERDICT_AUDIT, REASON_RULE));
	return ruling.deny ? -EACCES : 0;
}

static __always_inline int judge_walked(struct profile *profile, struct scratch *scratch, int offset)
{
	return judge_path(profile, scratch, offset, offset < 0 ? 0 : PATH_END - offset);
}
