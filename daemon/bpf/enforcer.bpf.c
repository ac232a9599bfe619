// SPDX-License-Identifier: GPL-2.0-only
/*
 * The BPF enforcer. One object for Linux 6.1 to 6.18: offsets are relocated at load time, and a program whose section begins
 * with "?" is left out where the kernel lacks its hook.
 *
 * Every hook begins alike: is the current task bound (binding.h)? Nearly all of a node's tasks are not, and that is told by
 * one load. Then the rules of its workload's policy decide (judge.h, match.h); what cannot be judged is refused.
 */
#include "task_hooks.h"
#include "exec_hooks.h"
#include "file_hooks.h"
#include "map_hooks.h"
#include "unix_hooks.h"
#include "call_hooks.h"
#include "socket_hooks.h"
#include "ptrace_hooks.h"
#include "operation_hooks.h"
#include "mount_hooks.h"
#include "seccomp_hooks.h"

char LICENSE[] SEC("license") = "GPL";
