/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Calls that a seccomp filter refuses. The kernel's own audit records need a flag of the filter (SECCOMP_FILTER_FLAG_LOG)
 * that not every OCI runtime sets and systemd cannot set at all; here the filter's answer itself is seen, whoever made it.
 * Nothing is decided here, and tasks without a filter never come this way.
 *
 * The daemon tells from number and arguments whether the policy refuses such a call, or another filter of the task does.
 */
#pragma once

#include "event.h"

#define REFUSED -1	    /* __secure_computing(): the call must not run */
#define SECCOMP_MODE_DEAD 3 /* the task is being killed, of which there is always an audit record */
#define TS_COMPAT 0x0002    /* an i386 call */

static __always_inline bool is_recorded(u32 number)
{
	struct slot *slot = bpf_map_lookup_elem(&slots, &number);

	return slot && *(volatile u32 *)&slot->flags & SLOT_RECORD_SYSCALLS;
}

static __always_inline void read_call(struct task_struct *task, struct refused_call *call)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
	bool compat = BPF_CORE_READ(task, thread_info.status) & TS_COMPAT;
	s64 answer = BPF_CORE_READ(regs, ax);
	u32 error = 0; /* SCMP_ACT_TRAP restores the register, which holds the number again */

	if (compat)
		answer = (s32)answer;
	if (answer < 0 && answer >= -MAX_ERRNO)
		error = -answer;
	call->event.argument = (u64)error << 32 | (u32)BPF_CORE_READ(regs, orig_ax);
	*(u32 *)call->event.address = compat ? AUDIT_ARCH_I386 : AUDIT_ARCH_X86_64;
	if (compat) {
		call->args[0] = (u32)BPF_CORE_READ(regs, bx);
		call->args[1] = (u32)BPF_CORE_READ(regs, cx);
		call->args[2] = (u32)BPF_CORE_READ(regs, dx);
		call->args[3] = (u32)BPF_CORE_READ(regs, si);
		call->args[4] = (u32)BPF_CORE_READ(regs, di);
		call->args[5] = (u32)BPF_CORE_READ(regs, bp);
		return;
	}
	call->args[0] = BPF_CORE_READ(regs, di);
	call->args[1] = BPF_CORE_READ(regs, si);
	call->args[2] = BPF_CORE_READ(regs, dx);
	call->args[3] = BPF_CORE_READ(regs, r10);
	call->args[4] = BPF_CORE_READ(regs, r8);
	call->args[5] = BPF_CORE_READ(regs, r9);
}

/* The function's parameters differ between kernels; bpf_get_func_ret() finds the result whatever they are. */
SEC("?fexit/__secure_computing")
int varmor_seccomp(u64 *context)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct refused_call call = {};
	struct subject who;
	u64 result = 0;

	if (bpf_get_func_ret(context, &result) || (s32)result != REFUSED)
		return 0;
	if (!confined(&who) || !is_recorded(who.identity >> 32) || task->seccomp.mode == SECCOMP_MODE_DEAD)
		return 0;
	fill_event(&call.event, who.identity, WHAT(HOOK_SECCOMP, VERDICT_DENIED, REASON_RULE));
	read_call(task, &call);
	send_event(&call.event, sizeof(call.args));
	return 0;
}
