/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's types, as far as the programs read them. Offsets are relocated at load time (CO-RE) against the running
 * kernel's BTF, so only the names and types of the members matter here, neither their order nor what is left out.
 * Constants that are macros in the kernel (not in BTF) are repeated with their values, all of them user-space ABI or
 * unchanged from 6.1 to 6.18.
 */
#pragma once

typedef signed char s8;
typedef unsigned char u8;
typedef short s16;
typedef unsigned short u16;
typedef int s32;
typedef unsigned int u32;
typedef long long s64;
typedef unsigned long long u64;
typedef s8 __s8;
typedef u8 __u8;
typedef s16 __s16;
typedef u16 __u16;
typedef s32 __s32;
typedef u32 __u32;
typedef s64 __s64;
typedef u64 __u64;
typedef u16 __be16;
typedef u32 __be32;
typedef u64 __be64;
typedef u32 __wsum;
typedef u16 umode_t;
typedef unsigned int fmode_t;
typedef int pid_t;
typedef _Bool bool;

#define NULL ((void *)0)
#define true 1
#define false 0

/* linux/bpf.h */
enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_LPM_TRIE = 11,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};
#define BPF_ANY 0
#define BPF_F_NO_PREALLOC (1U << 0)
#define BPF_F_MMAPABLE (1U << 10)
#define BPF_LOCAL_STORAGE_GET_F_CREATE 1ULL
#define BPF_PROG_LOAD 5

/* errno */
#define EPERM 1
#define ENOMEM 12
#define EACCES 13
#define MAX_ERRNO 4095

/* linux/sched.h */
#define PF_EXITING 0x00000004
#define PF_IO_WORKER 0x00000010
#define PF_FORKNOEXEC 0x00000040
#define PF_KTHREAD 0x00200000

/* linux/fs.h and fcntl.h (f_flags is the same on every architecture that BPF-LSM runs on, but for O_DIRECT and friends) */
#define FMODE_READ 0x1
#define FMODE_WRITE 0x2
#define FMODE_EXEC_FLAG 0x20 /* __FMODE_EXEC: set in f_flags by the kernel when it opens a file to execute it */
#define O_TRUNC 01000
#define O_APPEND 02000
#define RENAME_EXCHANGE (1 << 1)
#define S_IFMT 00170000
#define S_IFDIR 0040000
#define S_IFBLK 0060000
#define S_IFREG 0100000
#define S_ISUID 0004000
#define S_ISGID 0002000
#define O_TMPFILE_FLAG 020000000 /* __O_TMPFILE */
#define FS_REQUIRES_DEV 1
#define SB_KERNMOUNT (1 << 22)
#define SB_FLAGS_OF_USER (1 | 16 | 64 | 128 | 1 << 25) /* read-only, sync, mand, dirsync, lazytime: as in mount(2) */
#define SB_SUBMOUNT (1 << 26)

/* linux/posix_acl.h */
#define ACL_EXECUTE 1

/* linux/mman.h, linux/mm.h */
#define PROT_EXEC 4
#define VM_EXEC 4

/* linux/mount.h */
#define MS_RDONLY 1
#define MS_NOSUID 2
#define MS_NODEV 4
#define MS_NOEXEC 8
#define MS_NOSYMFOLLOW 256
#define MS_NOATIME 1024
#define MS_NODIRATIME 2048
#define MS_RELATIME (1 << 21)
#define MNT_NOSUID 0x01
#define MNT_NODEV 0x02
#define MNT_NOEXEC 0x04
#define MNT_NOATIME 0x08
#define MNT_NODIRATIME 0x10
#define MNT_RELATIME 0x20
#define MNT_READONLY 0x40
#define MNT_NOSYMFOLLOW 0x80
#define MS_REMOUNT 32
#define MS_BIND 4096
#define MS_MOVE 8192
#define MS_UNBINDABLE (1 << 17)
#define MS_PRIVATE (1 << 18)
#define MS_SLAVE (1 << 19)
#define MS_SHARED (1 << 20)

/* linux/nsfs.h, since 6.18 */
#define MNT_NS_ANON_INO 0xEFFFFFF7U

/* linux/security.h */
#define CAP_OPT_NOAUDIT (1 << 1)

/* linux/audit.h */
#define AUDIT_ARCH_I386 0x40000003
#define AUDIT_ARCH_X86_64 0xc000003e

/* linux/ptrace.h */
#define PTRACE_MODE_ATTACH 0x02
#define PTRACE_MODE_NOAUDIT 0x04

/* linux/socket.h, linux/net.h, linux/in.h; the numbers of options are those of all architectures that BPF-LSM runs on */
#define AF_UNSPEC 0
#define AF_INET 2
#define AF_INET6 10
#define AF_SMC 43
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SOCK_RAW 3
#define IPPROTO_IP 0
#define IPPROTO_ICMP 1
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_ICMPV6 58
#define IPPROTO_SCTP 132
#define IPPROTO_UDPLITE 136
#define IPPROTO_RAW 255
#define IPPROTO_SMC 256
#define IPPROTO_MPTCP 262
#define SOL_SOCKET 1
#define SOL_PACKET 263
#define SO_ATTACH_FILTER 26
#define SO_ATTACH_BPF 50
#define SO_ATTACH_REUSEPORT_CBPF 51
#define SO_ATTACH_REUSEPORT_EBPF 52
#define PACKET_FANOUT_DATA 22

/* linux/kernel_read_file.h and linux/security.h: the values here are replaced by those of the running kernel */
enum kernel_read_file_id {
	READING_MODULE = 2,
	READING_KEXEC_IMAGE = 3,
	READING_KEXEC_INITRAMFS = 4,
	READING_MODULE_COMPRESSED = 7, /* since 6.18 */
};

enum kernel_load_data_id {
	LOADING_MODULE = 2,
	LOADING_KEXEC_IMAGE = 3,
	LOADING_KEXEC_INITRAMFS = 4,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct qstr {
	union {
		struct {
			u32 hash;
			u32 len;
		};
		u64 hash_len;
	};
	const unsigned char *name;
};

struct hlist_bl_node {
	struct hlist_bl_node *next, **pprev;
};

struct list_head {
	struct list_head *next, *prev;
};

struct block_device;
struct dentry;
struct mount;

struct file_system_type {
	const char *name;
	int fs_flags;
};

struct super_block {
	struct file_system_type *s_type;
	unsigned long s_flags;
	struct dentry *s_root;
	struct list_head s_mounts; /* until 6.17 */
	struct block_device *s_bdev;
};

struct super_block___chained {
	struct mount *s_mounts;
};

struct inode {
	umode_t i_mode;
};

typedef struct seqcount {
	unsigned int sequence;
} seqcount_t;

typedef struct seqcount_spinlock {
	seqcount_t seqcount;
} seqcount_spinlock_t;

struct dentry {
	seqcount_spinlock_t d_seq;
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	struct super_block *d_sb;
};

struct vfsmount {
	struct dentry *mnt_root;
	struct super_block *mnt_sb;
	int mnt_flags;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct ns_common {
	unsigned int inum;
};

/* since 6.18 every namespace has a number that is never used again */
struct ns_common___numbered {
	u64 ns_id;
};

struct mnt_namespace {
	struct ns_common ns;
	struct mount *root;
	u64 seq; /* until 6.17: a number that is never used again */
};

/* since 6.15: where a tree that is attached nowhere was copied from, 0 when it is new */
struct mnt_namespace___origin {
	u64 seq_origin;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
	struct list_head mnt_instance; /* until 6.17: in s_mounts */
	const char *mnt_devname;
	struct mnt_namespace *mnt_ns;
};

/* since 6.18 */
struct mount___chained {
	struct mount *mnt_next_for_sb;
};

struct file {
	struct path f_path;
	struct inode *f_inode;
	unsigned int f_flags;
	fmode_t f_mode;
};

/* since 6.5: overlayfs opens a layer's file so */
struct backing_file {
	struct file file;
	struct path user_path;
};

struct vm_area_struct {
	unsigned long vm_flags;
	struct file *vm_file;
};

struct mm_struct {
	struct file *exe_file;
};

struct nsproxy {
	struct mnt_namespace *mnt_ns;
};

struct fs_struct {
	struct seqcount_spinlock seq; /* since 6.17 a seqlock_t, which begins with one */
	struct path root;
	struct path pwd;
};

struct cred;
struct io_uring_task;
struct bpf_local_storage;

struct kernfs_node {
	u64 id;
};

struct cgroup_root {
	int hierarchy_id;
};

struct cgroup {
	int level;
	struct kernfs_node *kn;
	struct cgroup_root *root;
	struct cgroup *ancestors[1];
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

/* x86-64; the loader leaves out the program that reads it elsewhere */
struct pt_regs {
	unsigned long r10, r9, r8, bp, bx, ax, cx, dx, si, di, orig_ax;
};

struct thread_info {
	u32 status;
};

struct seccomp {
	int mode;
};

struct task_struct {
	struct thread_info thread_info;
	unsigned int flags;
	pid_t pid;
	pid_t tgid;
	struct task_struct *real_parent;
	struct mm_struct *mm;
	const struct cred *real_cred;
	const struct cred *cred;
	struct fs_struct *fs;
	struct nsproxy *nsproxy;
	struct css_set *cgroups;
	struct io_uring_task *io_uring;
	struct bpf_local_storage *bpf_storage;
	struct seccomp seccomp;
};

struct linux_binprm {
	struct file *file;
	const char *filename;
	const char *interp; /* the same pointer, but for scripts */
};

struct posix_acl_entry {
	short e_tag;
	unsigned short e_perm;
};

struct posix_acl {
	unsigned int a_count;
	struct posix_acl_entry a_entries[];
};

struct sock_common {
	unsigned short skc_family;
};

struct sock {
	struct sock_common __sk_common;
};

struct socket {
	struct sock *sk;
};

struct unix_sock {
	struct path path;
};

struct msghdr {
	void *msg_name;
	int msg_namelen;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#pragma clang attribute pop

struct user_namespace;

/* addresses as user space hands them in: ABI, not relocated */
struct sockaddr {
	u16 sa_family;
	char sa_data[14];
};

struct sockaddr_in {
	u16 sin_family;
	u16 sin_port;
	u8 sin_addr[4];
};

struct sockaddr_in6 {
	u16 sin6_family;
	u16 sin6_port;
	u32 sin6_flowinfo;
	u8 sin6_addr[16];
};
