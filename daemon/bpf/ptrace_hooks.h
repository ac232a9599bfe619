/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Looking into other processes: ptrace(2), and what asks for the same right: /proc/<pid>/{root,mem,environ,maps,fd,ns},
 * process_vm_readv(2), pidfd_getfd(2), kcmp(2). Refusals are -EACCES, as AppArmor's. The kernel asks here after its own
 * checks, and never about another thread of the same process.
 */
#pragma once

#include "event.h"

/* From what a task does to what is done to the other one. */
#define TO_PASSIVE(act) ((act) << 2)

/* One side of the act. `other` is the process that is not the current one. */
struct ptrace_side {
	u32 workload;
	u32 executable;
	u32 act; /* PTRACE_* */
	u32 other;
	bool across; /* the other side does not belong to the same workload */
	bool quiet;
};

static __always_inline int judge_ptrace(const struct ptrace_side *side)
{
	u32 act = side->act, deny, audit;
	struct subject who;

	if (!rules_of(side->workload, side->executable, &who))
		return 0;
	deny = who.profile->ptrace_deny_all | (side->across ? who.profile->ptrace_deny : 0);
	audit = who.profile->ptrace_audit_all | (side->across ? who.profile->ptrace_audit : 0);
	if (audit & act && !side->quiet)
		report(who.identity, (u64)act << 32 | side->other,
		       WHAT(HOOK_PTRACE, deny & act ? VERDICT_DENIED : VERDICT_AUDIT, REASON_RULE));
	return deny & act ? -EACCES : 0;
}

/*
 * Whether the rules of the traced side are asked: not about an unconfined task in the host's mount namespace, which is the
 * node's own (its debuggers, monitoring, container runtimes).
 */
static __always_inline bool is_hosts_own(struct task_struct *tracer, u32 workload)
{
	return workload == UNBOUND && mount_namespace_of(tracer) == host_mount_namespace;
}

SEC("?lsm/ptrace_access_check")
int BPF_PROG(varmor_ptrace, struct task_struct *child, unsigned int mode)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct ptrace_side tracer = {}, traced = {};
	int verdict = 0;

	if (task->tgid == child->tgid)
		return 0;
	tracer.workload = workload_of(task, &tracer.executable);
	traced.workload = workload_of(child, &traced.executable);
	tracer.act = mode & PTRACE_MODE_ATTACH ? PTRACE_TRACE : PTRACE_READ;
	traced.act = TO_PASSIVE(tracer.act);
	tracer.other = traced.other = child->tgid;
	tracer.across = traced.across = tracer.workload != traced.workload;
	tracer.quiet = traced.quiet = mode & PTRACE_MODE_NOAUDIT;
	if (tracer.workload != UNBOUND)
		verdict = judge_ptrace(&tracer);
	if (!verdict && traced.workload != UNBOUND && !is_hosts_own(task, tracer.workload))
		verdict = judge_ptrace(&traced);
	return verdict_of(verdict);
}

/* PTRACE_TRACEME: the current task is the one that would be traced. */
SEC("?lsm/ptrace_traceme")
int BPF_PROG(varmor_traceme, struct task_struct *parent)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct ptrace_side tracer = {}, traced = {};
	int verdict = 0;

	tracer.workload = workload_of(parent, &tracer.executable);
	traced.workload = workload_of(task, &traced.executable);
	tracer.act = PTRACE_TRACE;
	traced.act = PTRACE_TRACED_BY;
	tracer.other = traced.other = parent->tgid;
	tracer.across = traced.across = tracer.workload != traced.workload;
	if (tracer.workload != UNBOUND)
		verdict = judge_ptrace(&tracer);
	if (!verdict && traced.workload != UNBOUND && !is_hosts_own(parent, tracer.workload))
		verdict = judge_ptrace(&traced);
	return verdict_of(verdict);
}
