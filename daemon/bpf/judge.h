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

/* The path of a file that the verifier trusts, in the hooks that may call bpf_d_path(). */
static __always_inline struct location locate(struct scratch *scratch, struct file *file)
{
	struct location location = {};
	long length;

	if (!d_path_is_true(file->f_path.dentry))
		return walked(walk_path(scratch, file->f_path.dentry, file->f_path.mnt, PATH_END));
	length = bpf_d_path(&file->f_path, (char *)scratch->path, PATH_SIZE);
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

/*
 * Answers scratch->request for the path at scratch->path[offset], or a negative reason why there is none. 0 or -EACCES.
 * Without an allow-list the defaults are zero.
 */
static __noinline int judge_path(struct profile *profile, struct scratch *scratch, int offset, u32 length)
{
	struct request *request = &scratch->request;
	u32 accept, missing, deny, audit;

	if (offset < 0)
		return judge_unknown(profile, request->identity, request->hook, request->deny, -offset);
	accept = match_path(scratch, profile, offset, length, request->place & 1);
	request->accept = accept;
	missing = request->defaults & ~ACCEPT_ALLOW(accept);
	deny = (ACCEPT_DENY(accept) | (profile->paths_default_deny & missing)) & request->deny;
	audit = (ACCEPT_AUDIT(accept) | (profile->paths_default_audit & missing)) & (deny ? deny : request->audit);
	if (audit)
		report_path(scratch, offset, length, deny ? deny : audit,
			    WHAT(request->hook, deny ? VERDICT_DENIED : VERDICT_AUDIT, REASON_RULE));
	return deny ? -EACCES : 0;
}

static __always_inline int judge_walked(struct profile *profile, struct scratch *scratch, int offset)
{
	return judge_path(profile, scratch, offset, offset < 0 ? 0 : PATH_END - offset);
}
