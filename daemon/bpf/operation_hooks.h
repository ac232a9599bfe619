/* SPDX-License-Identifier: GPL-2.0-only */
/* The hooks of operations that are refused as a whole. */
#pragma once

#include "operation.h"

SEC("?lsm/userns_create")
int BPF_PROG(varmor_userns_create)
{
	return verdict_of(judge_operation(SWITCH_USERNS_CREATE));
}

SEC("?lsm/bpf")
int BPF_PROG(varmor_bpf, int command)
{
	return verdict_of(judge_operation(command == BPF_PROG_LOAD ? SWITCH_BPF | SWITCH_BPF_PROG_LOAD : SWITCH_BPF));
}

/* Programs of the classic kind are checked and run like the others; a packet socket's fanout takes both kinds too. */
SEC("?lsm/socket_setsockopt")
int BPF_PROG(varmor_setsockopt, struct socket *sock, int level, int option)
{
	bool filter = level == SOL_SOCKET && (option == SO_ATTACH_FILTER || option == SO_ATTACH_BPF ||
					      option == SO_ATTACH_REUSEPORT_CBPF || option == SO_ATTACH_REUSEPORT_EBPF);

	if (!filter && !(level == SOL_PACKET && option == PACKET_FANOUT_DATA))
		return 0;
	return verdict_of(judge_operation(SWITCH_SOCKET_FILTER));
}

/* Files without a place that are given a security context of their own: userfaultfd(2), /dev/userfaultfd, io_uring_setup(2). */
SEC("?lsm/inode_init_security_anon")
int BPF_PROG(varmor_anonymous_inode, struct inode *inode, const struct qstr *name)
{
	const char userfaultfd[16] = "[userfaultfd]", io_uring[16] = "[io_uring]"; /* compared as words, with their NUL */
	u64 found[2] = {}, wanted[2];
	struct subject who;
	u32 switches = 0;

	if (!confined(&who) || !((who.profile->switches_deny | who.profile->switches_audit) &
				 (SWITCH_USERFAULTFD | SWITCH_IO_URING)))
		return 0;
	bpf_probe_read_kernel_str(found, sizeof(found), BPF_CORE_READ(name, name));
	__builtin_memcpy(wanted, userfaultfd, sizeof(wanted));
	if (found[0] == wanted[0] && found[1] == wanted[1])
		switches = SWITCH_USERFAULTFD;
	__builtin_memcpy(wanted, io_uring, sizeof(wanted));
	if (found[0] == wanted[0] && found[1] == wanted[1])
		switches = SWITCH_IO_URING;
	return verdict_of(judge_switches(who.profile, who.identity, switches));
}

SEC("?lsm/perf_event_open")
int BPF_PROG(varmor_perf_event_open)
{
	return verdict_of(judge_operation(SWITCH_PERF_EVENT_OPEN));
}

/* Not where the kernel looks up a key with credentials of its own (names of NFS, host names). */
static __always_inline int judge_key(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (task->cred != task->real_cred && !task->io_uring && !(task->flags & PF_IO_WORKER))
		return 0;
	return judge_operation(SWITCH_KEYRING);
}

SEC("?lsm/key_permission")
int BPF_PROG(varmor_key_permission)
{
	return verdict_of(judge_key());
}

SEC("?lsm/key_alloc")
int BPF_PROG(varmor_key_alloc)
{
	return verdict_of(judge_key());
}

/*
 * What the kernel reads from a file or takes from memory. A module that the kernel asks for by itself (request_module) is
 * loaded by a task of its own and not meant here.
 */
SEC("?lsm/kernel_read_file")
int BPF_PROG(varmor_kernel_read_file, struct file *file, enum kernel_read_file_id id)
{
	u64 number = (u32)id;
	u32 switches = 0;

	if (number == bpf_core_enum_value(enum kernel_read_file_id, READING_MODULE))
		switches = SWITCH_KERNEL_MODULE;
	else if (bpf_core_enum_value_exists(enum kernel_read_file_id, READING_MODULE_COMPRESSED) &&
		 number == bpf_core_enum_value(enum kernel_read_file_id, READING_MODULE_COMPRESSED))
		switches = SWITCH_KERNEL_MODULE;
	else if (number == bpf_core_enum_value(enum kernel_read_file_id, READING_KEXEC_IMAGE) ||
		 number == bpf_core_enum_value(enum kernel_read_file_id, READING_KEXEC_INITRAMFS))
		switches = SWITCH_KEXEC;
	return switches ? verdict_of(judge_operation(switches)) : 0;
}

SEC("?lsm/kernel_load_data")
int BPF_PROG(varmor_kernel_load_data, enum kernel_load_data_id id)
{
	u64 number = (u32)id;
	u32 switches = 0;

	if (number == bpf_core_enum_value(enum kernel_load_data_id, LOADING_MODULE))
		switches = SWITCH_KERNEL_MODULE;
	else if (number == bpf_core_enum_value(enum kernel_load_data_id, LOADING_KEXEC_IMAGE) ||
		 number == bpf_core_enum_value(enum kernel_load_data_id, LOADING_KEXEC_INITRAMFS))
		switches = SWITCH_KEXEC;
	return switches ? verdict_of(judge_operation(switches)) : 0;
}

/* A file gets what it has not yet. fchmodat2(2) and fchmod(2) come here too. */
SEC("?lsm/path_chmod")
int BPF_PROG(varmor_chmod_bits, const struct path *path, umode_t mode)
{
	struct dentry *dentry = path->dentry;
	umode_t before = BPF_CORE_READ(dentry, d_inode, i_mode);
	u32 switches = switches_of_mode(mode & ~before);

	if (!switches || (before & S_IFMT) != S_IFREG)
		return 0;
	return verdict_of(judge_operation(switches));
}

/* A regular file that is made with such bits: mknod(2), open(2) with O_CREAT. */
SEC("?lsm/path_mknod")
int BPF_PROG(varmor_mknod_bits, const struct path *dir, struct dentry *dentry, umode_t mode)
{
	u32 switches = switches_of_mode(mode);

	if (!switches || (mode & S_IFMT && (mode & S_IFMT) != S_IFREG))
		return 0;
	return verdict_of(judge_operation(switches));
}

#define ACL_ENTRIES 64 /* of which one could grant execution; a longer list is taken for one that does */

struct acl_search {
	const void *entries;
	bool executable;
};

static long acl_step(u64 index, struct acl_search *search)
{
	u16 permissions = 0; /* an entry: u16 tag, u16 permissions, u32 id, in the kernel's form as in that of setxattr(2) */

	bpf_probe_read_kernel(&permissions, sizeof(permissions), search->entries + 8 * (u32)index + 2);
	search->executable = permissions & ACL_EXECUTE;
	return search->executable;
}

/* An access control list is another way to the bits of a mode. */
static __always_inline int judge_acl(struct dentry *dentry, const char *name, const void *entries, u64 count)
{
	const char access[24] = "system.posix_acl_access"; /* compared as words, with its NUL */
	umode_t before = BPF_CORE_READ(dentry, d_inode, i_mode);
	struct acl_search search = { .entries = entries };
	u64 found[3] = {}, wanted[3];

	if ((before & S_IFMT) != S_IFREG || before & 0111)
		return 0;
	__builtin_memcpy(wanted, access, sizeof(wanted));
	bpf_probe_read_kernel_str(found, sizeof(found), name);
	if (found[0] != wanted[0] || found[1] != wanted[1] || found[2] != wanted[2])
		return 0;
	if (count <= ACL_ENTRIES)
		bpf_loop((u32)count, acl_step, &search, 0);
	return search.executable || count > ACL_ENTRIES ? judge_operation(SWITCH_CHMOD_X_BIT) : 0;
}

SEC("?lsm/inode_set_acl")
int BPF_PROG(varmor_set_acl, void *idmap, struct dentry *dentry, const char *name, struct posix_acl *acl)
{
	if (!acl)
		return 0;
	return verdict_of(judge_acl(dentry, name, (void *)acl + bpf_core_field_offset(struct posix_acl, a_entries),
				    BPF_CORE_READ(acl, a_count)));
}

/* Before 6.2 a list is set like any attribute, whose value the kernel does not let a program see: it may hold anything. */
SEC("?lsm/inode_setxattr")
int BPF_PROG(varmor_setxattr, void *idmap, struct dentry *dentry, const char *name)
{
	return verdict_of(judge_acl(dentry, name, NULL, ACL_ENTRIES + 1));
}
