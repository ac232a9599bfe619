/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the programs in the kernel and the node daemon share: map keys, map values and events. The daemon's mirror is
 * varmor/kernel/bpf/layout.py; a test compares the two through the BTF of the object.
 *
 * The way from a task to its rules:
 *
 *   tasks[task].workload -> workloads[workload].slot -> slots[slot].profile -> profiles[profile] -> table, classes, ports, networks
 *
 * A task with an `executable` goes from slots[slot].profile by children[profile, executable] to a record of its own.
 *
 * A policy owns one slot. A new revision is written to an unused profile record and to unused parts of the tables, then
 * slots[slot].profile is set by one 4-byte store: every task sees the old or the new rules, never a mixture.
 */
#pragma once

/* Sizes. PATH_SIZE is the kernel's PATH_MAX with its NUL. */
#define PATH_SIZE 4096
#define WALK_STEPS 512	  /* components and mount points of one path */
#define CGROUP_LEVELS 24  /* depth of a cgroup below the root in which a bound ancestor is looked for */
#define UNIT_PATH_SIZE 256
#define NAME_SIZE 64
#define DIGEST_SIZE 32
#define MAX_PAIRS 4	  /* of automata for paths */
#define MAX_MOUNT_RULES 32
#define MAX_SOCKET_RULES 32
#define MAX_PORT_RANGES 4096
#define FSTYPE_SIZE 16

/* Access of a path rule. */
#define ACCESS_READ 1
#define ACCESS_WRITE 2
#define ACCESS_APPEND 4
#define ACCESS_EXEC 8
#define ACCESS_MAP 16 /* mapped executable: libraries, and programs that ld.so runs */
#define ACCESS_MAP_PROGRAM 32 /* the same, of a file that execve(2) would run: refused where ACCESS_EXEC is */

/* Word 0 of an automaton's row: what holds for a path that ends in this state. */
#define ACCEPT_DENY(word) ((word) & 0xff)
#define ACCEPT_AUDIT(word) (((word) >> 8) & 0xff)
#define ACCEPT_DENY_BELOW(word) (((word) >> 16) & 0xff) /* union of the denials of all states that can follow */
#define ACCEPT_ALLOW(word) ((word) >> 24)		/* of an allow-list */

/* Operations that are refused as a whole (bits of profile.switches_*). */
#define SWITCH_USERNS_CREATE 0x1
#define SWITCH_BPF 0x2			/* any bpf(2) */
#define SWITCH_BPF_PROG_LOAD 0x4
#define SWITCH_SOCKET_FILTER 0x8	/* setsockopt: SO_ATTACH_FILTER, _BPF, _REUSEPORT_CBPF, _REUSEPORT_EBPF */
#define SWITCH_USERFAULTFD 0x10
#define SWITCH_IO_URING 0x20
#define SWITCH_PERF_EVENT_OPEN 0x40
#define SWITCH_BLOCK_DEVICE_OPEN 0x80	/* a block special file, wherever it lies */
#define SWITCH_BLOCK_DEVICE_MOUNT 0x100	/* a file system on a block device */
#define SWITCH_CHMOD_X_BIT 0x200	/* a file gets an execute bit: chmod, or created with it */
#define SWITCH_CHMOD_S_BIT 0x400	/* a file gets S_ISUID or S_ISGID */
#define SWITCH_KEYRING 0x800		/* add_key, request_key, keyctl on a key */
#define SWITCH_KERNEL_MODULE 0x1000
#define SWITCH_KEXEC 0x2000

/* Protocols of socket rules, by what the kernel really takes. */
#define PROTOCOL_ICMP 1
#define PROTOCOL_TCP 2
#define PROTOCOL_UDP 4
#define PROTOCOL_SCTP 8
#define PROTOCOL_OTHER 16

/* ptrace: what a task does, and what is done to it. */
#define PTRACE_TRACE 1
#define PTRACE_READ 2
#define PTRACE_TRACED_BY 4
#define PTRACE_READ_BY 8

/* What an allow-list does with what it does not name. */
#define DEFAULT_DENY 1
#define DEFAULT_AUDIT 2

/* umount(2) in the words of a mount rule. */
#define MOUNT_RULE_UMOUNT 0x200

/* The flag words of a cgroup_binding. */
#define BIND_ENTRY_ONCE 1  /* the next exec here is the container's entrypoint: it is not judged itself */
#define BIND_UNIT 2	   /* a systemd unit: execs that bind are not judged, the host's mount namespace is fine */
#define BIND_HOST_MOUNTS 4 /* a container that was started in the host's mount namespace on purpose */

/* The flag word of a slot. */
#define SLOT_RECORD_SYSCALLS 1 /* tell of calls that a seccomp filter refuses */

/* Task storage: this task is confined as `workload` once `armed` is set (at a successful exec). */
struct task_binding {
	u64 cgroup; /* where the binding was found */
	u32 workload;
	u32 armed;
	u32 executable; /* key in `children`: a program with rules of its own was executed; 0: none */
	u32 next;	/* becomes `executable` when the exec has succeeded */
};

/* pids[tgid]: index in `workloads` and task_binding.executable of a process */
struct process {
	u32 workload;
	u32 executable;
};

/* workloads[index]: `number` is the daemon's own number, shown in events; slot 0 means no policy. */
struct workload {
	u32 number;
	u32 slot;
};

/* slots[slot]: index in `profiles`, 0: no rules. An array's elements lie at multiples of 8 bytes. */
struct slot {
	u32 profile;
	u32 flags;
};

/* cgroups[cgroup id] and units[path in the cgroup2 hierarchy] */
struct cgroup_binding {
	u32 workload;
	u32 flags;
};

struct unit_key {
	char path[UNIT_PATH_SIZE];
};

/* mount_namespaces[inode number]. The number is used again at once when a namespace is gone, the generation never. */
struct mount_binding {
	u64 generation;
	u32 workload;
	u32 reserved;
};

struct automaton {
	u32 start;   /* word index of the start state's row in the table; 0: matches nothing */
	u32 classes; /* index in `columns` */
};

/* They run side by side: two chains of loads that do not wait for each other cost hardly more than one. */
struct automaton_pair {
	struct automaton a, b;
};

struct mount_rule {
	u32 flags;   /* matches when any of these is set in the request ... */
	u32 reverse; /* ... or any of these is not */
	u32 deny;
	u32 audit;
	u32 allow; /* names what an allow-list lets pass */
	u32 reserved;
	char fstype[FSTYPE_SIZE]; /* "*": any */
};

/* A mask of zero means any. */
struct socket_rule {
	u64 domains;   /* bit AF_* */
	u32 types;     /* bit SOCK_* */
	u32 protocols; /* PROTOCOL_* */
	u32 deny;
	u32 audit;
	u32 allow;
	u32 reserved;
};

/* children: the rules that hold after a program of ExecutableRules was executed */
struct child_key {
	u32 profile;	/* index of the workload's record */
	u32 executable; /* what the automaton of profile.executables accepts with; the same in every revision */
};

struct profile {
	char name[NAME_SIZE];	  /* of the slot, for people and for a daemon that starts again */
	u8 digest[DIGEST_SIZE];	  /* of the revision */
	u64 revision;		  /* a number that no other record has or had since the kernel was booted */
	u64 capabilities_deny;
	u64 capabilities_audit;
	u32 switches_deny;
	u32 switches_audit;
	u32 paths_deny;		  /* union over all path rules: an access that no rule speaks about needs no path */
	u32 paths_audit;
	u32 paths_default_deny;	  /* accesses that are refused where ACCEPT_ALLOW has them not (allow-list) */
	u32 paths_default_audit;
	u32 mounts_default;	  /* DEFAULT_*: for mounts that no rule with `allow` names */
	u32 sockets_default;
	u32 ptrace_deny;	  /* PTRACE_*, across the workload's border */
	u32 ptrace_audit;
	u32 ptrace_deny_all;	  /* also within the workload */
	u32 ptrace_audit_all;
	u32 sockets;		  /* number of socket rules */
	u32 children;		  /* not 0: `executables` says what an exec changes */
	u32 pairs;
	u32 networks;		  /* network_key.profile of its egress rules; 0: there are none */
	u32 mounts;		  /* number of mount rules */
	u32 observe;
	struct automaton_pair pair[MAX_PAIRS];
	struct automaton_pair mount_source; /* accepts with a mask of mount rules in word 0 */
	struct automaton_pair mount_target;
	struct automaton_pair executables; /* accepts with child_key.executable */
	/* extents that belong to this record, for the allocator of a daemon that starts again */
	u32 table_first, table_count;
	u32 classes_first, classes_count;
	u32 ports_first, ports_count;
	struct mount_rule mount[MAX_MOUNT_RULES];
	struct socket_rule socket[MAX_SOCKET_RULES];
};

struct byte_classes {
	u8 column[256];
};

/* networks: longest prefix match; family 4 or 6; an IPv4 address fills the first four bytes */
struct network_key {
	u32 prefix; /* 48 bits of profile and family, then the address */
	u32 profile;
	u16 family;
	u8 address[16];
	u16 reserved; /* never compared: prefix ends before */
};

struct network_value {
	u32 first; /* index in `ports` */
	u32 count;
};

struct port_range {
	u16 low, high; /* both belong to it */
	u8 deny, audit;
	u16 reserved;
};

/* budgets[index of a workload]: how many events it made in this second, and how many were not recorded. */
struct budget {
	u32 second; /* since boot */
	u32 events;
	u32 withheld[2]; /* events beyond the limit: denials, others */
	u32 told[2];	 /* how many of them the daemon has told; it writes this */
};

enum hook {
	HOOK_FILE_OPEN = 1,
	HOOK_EXEC,
	HOOK_UNLINK,
	HOOK_RMDIR,
	HOOK_MKDIR,
	HOOK_MKNOD,
	HOOK_SYMLINK,
	HOOK_LINK,
	HOOK_RENAME,
	HOOK_TRUNCATE,
	HOOK_CHMOD,
	HOOK_CHOWN,
	HOOK_CAPABLE,
	HOOK_CONNECT,
	HOOK_SENDMSG,
	HOOK_MOUNT,
	HOOK_MOVE_MOUNT,
	HOOK_UMOUNT,
	HOOK_USERNS_CREATE, /* not used any more: an operation */
	HOOK_SECCOMP,
	HOOK_MAP,
	HOOK_UNIX_CONNECT, /* also a datagram to a unix socket with a path */
	HOOK_SOCKET,
	HOOK_PTRACE,
	HOOK_OPERATION,	   /* a switch */
	HOOK_FILE_RECEIVE,
};

enum verdict {
	VERDICT_DENIED = 1,
	VERDICT_AUDIT = 2,
};

/* Why: a rule, or something that cannot be judged and is refused where a rule could apply. */
enum reason {
	REASON_RULE = 0,
	REASON_PATH_TOO_LONG = 1,
	REASON_PATH_TOO_DEEP = 2,
	REASON_NO_BUFFER = 3,
	REASON_NO_PLACE = 4,	  /* a file on a mount that is in no mount namespace's tree */
	REASON_ABOVE_RULE = 5,	  /* a directory with denied paths below it would move */
	REASON_GAINS = 6,	  /* the new name allows what the old one does not (allow-list) */
};

enum counter {
	COUNTER_LOST_EVENTS,
	COUNTER_NO_BUFFER,
	COUNTER_BIND_FAILED,
	COUNTERS,
};

struct event {
	u64 time; /* ns since boot, suspend included */
	u64 cgroup;
	u64 argument; /* path hooks: access refused; capable: number; connect: family << 16 | port; mount: flags;
		       * socket: domain << 32 | type << 16 | PROTOCOL_*; ptrace: PTRACE_* << 32 | tgid of the other;
		       * operation: SWITCH_*;
		       * seccomp: errno << 32 | number of the call, errno 0: a signal instead */
	u32 tgid, tid, uid;
	u32 workload; /* the daemon's number; until it is sent the index in `workloads` */
	u32 slot;
	u32 mount_namespace;
	u8 hook, verdict, reason, reserved;
	u32 text_length; /* bytes after the header: the path, without NUL; mount: the target, NUL, the source */
	u8 address[16];	 /* connect, sendmsg: the address; mount: the file system type; seccomp: a u32 AUDIT_ARCH_* */
	char comm[16];
};

/* An event of a seccomp filter: the text is the arguments of the call. */
struct refused_call {
	struct event event;
	u64 args[6];
};

/* A record of the iterators. */
struct bound_task {
	u32 tgid, tid;
	u32 workload; /* index in `workloads` */
	u32 number;
};
