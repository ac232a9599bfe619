/* SPDX-License-Identifier: GPL-2.0-only */
/* A path, an access, a verdict. */
#pragma once

#include "event.h"
#include "match.h"

struct request {
	u32 hook;
	u32 deny;  /* accesses that must not be denied */
	u32 audit; /* accesses whose record is wanted */
	u32 which; /* where the final states are kept: 0 old place, 1 new place */
};

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
	return generation_of(ns) ? PLACE_TREE : PLACE_NOWHERE;
}

static __noinline void report_path(struct subject *who, struct scratch *scratch, u32 offset, u32 length, u64 what)
{
	u32 bytes = length & PATH_MASK;

	fill_event(&scratch->event, who, what & 0xff, (what >> 8) & 0xff, (what >> 16) & 0xff);
	scratch->event.argument = what >> 32;
	bpf_probe_read_kernel(scratch->text, bytes, &scratch->path[offset & PATH_MASK]);
	send_event(&scratch->event, bytes);
}

#define WHAT(hook, verdict, reason, access) ((u64)(access) << 32 | (u32)(reason) << 16 | (u32)(verdict) << 8 | (hook))

/* An access to something whose path is not known: refused where some rule denies such an access, and always recorded. */
static __noinline int judge_unknown(struct subject *who, struct request *request, u32 reason)
{
	u32 deny = who->profile->paths_deny & request->deny;

	if (!deny)
		return 0;
	report(who, deny, request->hook, VERDICT_DENIED, reason);
	return -EACCES;
}

/* Judges the path at scratch->path[offset], or a negative reason why there is none. 0 or -EACCES. */
static __noinline int judge_path(struct subject *who, struct scratch *scratch, int offset, u32 length,
				 struct request *request)
{
	u32 accept, deny, audit, access;

	if (offset < 0)
		return judge_unknown(who, request, -offset);
	accept = match_path(scratch, who->profile, offset, length, request->which);
	deny = ACCEPT_DENY(accept) & request->deny;
	audit = ACCEPT_AUDIT(accept) & (deny ? deny : request->audit);
	access = deny ? deny : audit;
	if (audit)
		report_path(who, scratch, offset, length,
			    WHAT(request->hook, deny ? VERDICT_DENIED : VERDICT_AUDIT, REASON_RULE, access));
	return deny ? -EACCES : 0;
}

static __always_inline int judge_walked(struct subject *who, struct scratch *scratch, int offset, struct request *request)
{
	return judge_path(who, scratch, offset, offset < 0 ? 0 : PATH_END - offset, request);
}
