# SPDX-License-Identifier: Apache-2.0
"""What kind each argument of each syscall is. Written by ``scripts/syscall_arguments.py``; do not edit.

One letter for each argument: ``p`` an address, ``h`` a number of 16 bits, ``i`` of 32, ``l`` as wide as a
register, ``q`` of 64 bits everywhere, for which an ABI of 32 bits takes two registers.
"""

from __future__ import annotations

_BY_KINDS = {
    "": """
        fork getegid getegid32 geteuid geteuid32 getgid getgid32 getpgrp getpid getppid gettid getuid getuid32
        inotify_init munlockall pause restart_syscall rt_sigreturn sched_yield setsid sgetmask sync uretprobe
        vfork vhangup
    """,
    "i": """
        alarm close dup epoll_create epoll_create1 eventfd exit exit_group fchdir fdatasync fsync getpgid
        getsid inotify_init1 iopl memfd_secret mlockall nice personality pkey_free sched_get_priority_max
        sched_get_priority_min sched_getscheduler setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32
        setuid setuid32 ssetmask syncfs timer_delete timer_getoverrun umask userfaultfd
    """,
    "ih": """
        fchmod
    """,
    "ii": """
        dup2 eventfd2 fanotify_init flock getpriority inotify_rm_watch ioprio_get kill landlock_restrict_self
        listen msgget pidfd_open process_mrelease setns setpgid setregid setregid32 setreuid setreuid32
        shutdown timerfd_create tkill
    """,
    "iii": """
        close_range dup3 fchown fchown32 fsmount ioprio_set membarrier pidfd_getfd semget setpriority
        setresgid setresgid32 setresuid setresuid32 sigsuspend socket tgkill
    """,
    "iiiipl": """
        io_uring_enter
    """,
    "iiil": """
        semctl
    """,
    "iiill": """
        kcmp
    """,
    "iiip": """
        epoll_ctl quotactl_fd reboot rt_tgsigqueueinfo socketpair
    """,
    "iiipi": """
        setsockopt
    """,
    "iiipp": """
        getsockopt
    """,
    "iil": """
        fcntl fcntl64 ioctl
    """,
    "iili": """
        tee
    """,
    "iillpl": """
        ipc
    """,
    "iilpl": """
        kexec_file_load
    """,
    "iip": """
        msgctl rt_sigqueueinfo sched_getaffinity sched_setaffinity sched_setscheduler seccomp shmctl
    """,
    "iipi": """
        io_uring_register landlock_add_rule pidfd_send_signal
    """,
    "iipip": """
        waitid
    """,
    "iipl": """
        sendfile sendfile64
    """,
    "iipp": """
        clock_nanosleep clock_nanosleep_time64 prlimit64 timer_settime timer_settime64 timerfd_settime
        timerfd_settime64
    """,
    "iippi": """
        fsconfig
    """,
    "iiqip": """
        fanotify_mark
    """,
    "iiqq": """
        fallocate
    """,
    "il": """
        arch_prctl ftruncate
    """,
    "ili": """
        lseek shmget
    """,
    "ill": """
        sysfs
    """,
    "illll": """
        keyctl prctl
    """,
    "illpi": """
        _llseek
    """,
    "ilp": """
        fstatfs64
    """,
    "ilpp": """
        migrate_pages
    """,
    "ilpppi": """
        move_pages
    """,
    "ip": """
        clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
        clock_settime clock_settime64 fremovexattr fstat fstatfs getgroups getgroups32 getitimer getrlimit
        getrusage io_setup io_uring_setup mq_notify oldfstat sched_getparam sched_rr_get_interval
        sched_rr_get_interval_time64 sched_setparam setgroups setgroups32 setrlimit signal socketcall
        timer_gettime timer_gettime64 timerfd_gettime timerfd_gettime64 ugetrlimit ustat
    """,
    "iph": """
        fchmodat mkdirat
    """,
    "iphi": """
        fchmodat2 mknodat
    """,
    "ipi": """
        bind bpf connect faccessat finit_module fspick getdents getdents64 inotify_add_watch open_by_handle_at
        open_tree readdir recvmsg sched_setattr semop sendmsg shmat syslog unlinkat waitpid
    """,
    "ipih": """
        openat
    """,
    "ipii": """
        epoll_wait faccessat2 lsm_set_self_attr sched_getattr sendmmsg
    """,
    "ipiii": """
        fchownat
    """,
    "ipiip": """
        recvmmsg recvmmsg_time64 statx
    """,
    "ipiipl": """
        epoll_pwait
    """,
    "ipip": """
        quotactl removexattrat renameat semtimedop semtimedop_time64 wait4
    """,
    "ipipi": """
        linkat move_mount renameat2
    """,
    "ipipl": """
        listxattrat mount_setattr open_tree_attr
    """,
    "ipipli": """
        copy_file_range splice
    """,
    "ipippl": """
        epoll_pwait2 getxattrat setxattrat
    """,
    "ipl": """
        flistxattr modify_ldt read set_mempolicy signalfd write
    """,
    "ipli": """
        msgsnd signalfd4 vmsplice
    """,
    "iplii": """
        process_madvise
    """,
    "iplip": """
        mq_timedsend mq_timedsend_time64
    """,
    "iplipi": """
        sendto
    """,
    "iplipp": """
        recvfrom
    """,
    "iplli": """
        msgrcv
    """,
    "iplpll": """
        process_vm_readv process_vm_writev
    """,
    "iplpp": """
        mq_timedreceive mq_timedreceive_time64
    """,
    "iplq": """
        pread64 pwrite64
    """,
    "ipp": """
        accept futimesat get_robust_list getpeername getsockname mq_getsetattr setitimer sigaction sigprocmask
        timer_create
    """,
    "ippi": """
        accept4 cachestat fstatat64 lsm_get_self_attr newfstatat readlinkat utimensat utimensat_time64
    """,
    "ippl": """
        fgetxattr openat2 rt_sigaction rt_sigprocmask
    """,
    "ippli": """
        fsetxattr
    """,
    "ipppi": """
        execveat name_to_handle_at
    """,
    "ipppp": """
        _newselect select
    """,
    "ippppp": """
        pselect6 pselect6_time64
    """,
    "iql": """
        readahead
    """,
    "iqli": """
        fadvise64
    """,
    "iqqi": """
        sync_file_range
    """,
    "l": """
        brk io_destroy unshare
    """,
    "ll": """
        mlock munlock munmap pkey_alloc vm86
    """,
    "lli": """
        ioperm madvise map_shadow_stack mlock2 msync
    """,
    "lll": """
        mprotect mseal
    """,
    "llli": """
        pkey_mprotect
    """,
    "llll": """
        ptrace set_mempolicy_home_node
    """,
    "lllll": """
        mremap remap_file_pages
    """,
    "llllll": """
        mmap mmap2
    """,
    "lllpli": """
        mbind
    """,
    "lllpp": """
        io_getevents
    """,
    "lllppp": """
        io_pgetevents io_pgetevents_time64
    """,
    "llp": """
        io_submit mincore
    """,
    "llpl": """
        kexec_load
    """,
    "llppl": """
        clone
    """,
    "lp": """
        fstat64
    """,
    "lpl": """
        readv writev
    """,
    "lplll": """
        preadv pwritev
    """,
    "lpllli": """
        preadv2 pwritev2
    """,
    "lpp": """
        io_cancel
    """,
    "p": """
        acct adjtimex chdir chroot get_thread_area mq_unlink oldolduname olduname pipe rmdir set_thread_area
        set_tid_address shmdt sigpending stime swapoff sysinfo time times umount uname unlink uselib vm86old
    """,
    "ph": """
        chmod creat mkdir
    """,
    "phi": """
        mknod
    """,
    "pi": """
        access delete_module fsopen memfd_create pipe2 setdomainname sethostname swapon umount2
    """,
    "pih": """
        open
    """,
    "pihp": """
        mq_open
    """,
    "pii": """
        chown chown32 lchown lchown32 poll
    """,
    "piii": """
        futex_requeue rseq
    """,
    "piiil": """
        perf_event_open
    """,
    "piipi": """
        futex_waitv
    """,
    "piippi": """
        futex futex_time64
    """,
    "pip": """
        symlinkat
    """,
    "pippl": """
        ppoll ppoll_time64
    """,
    "pl": """
        clone3 getcwd rt_sigpending rt_sigsuspend set_robust_list truncate
    """,
    "pli": """
        getrandom landlock_create_ruleset
    """,
    "plii": """
        futex_wake
    """,
    "pllipi": """
        futex_wait
    """,
    "plp": """
        init_module statfs64
    """,
    "pp": """
        capget capset gettimeofday link lremovexattr lstat lstat64 nanosleep oldlstat oldstat pivot_root
        removexattr rename settimeofday sigaltstack stat stat64 statfs symlink utime utimes
    """,
    "ppi": """
        lsm_list_modules readlink
    """,
    "ppl": """
        listxattr llistxattr
    """,
    "ppli": """
        listmount statmount
    """,
    "pplll": """
        get_mempolicy
    """,
    "ppp": """
        execve getcpu getresgid getresgid32 getresuid getresuid32
    """,
    "pppi": """
        request_key
    """,
    "pppl": """
        getxattr lgetxattr rt_sigtimedwait rt_sigtimedwait_time64
    """,
    "pppli": """
        add_key lsetxattr setxattr
    """,
    "ppplp": """
        mount
    """,
    "qpl": """
        lookup_dcookie
    """,
}

KINDS = {name: kinds for kinds, names in _BY_KINDS.items() for name in names.split()}
"""The kinds of a call's arguments, in the order of a 64-bit ABI where the call has one there."""

TWINS = {
    "chown": ("chown32",),
    "clock_adjtime": ("clock_adjtime64",),
    "clock_getres": ("clock_getres_time64",),
    "clock_gettime": ("clock_gettime64",),
    "clock_nanosleep": ("clock_nanosleep_time64",),
    "clock_settime": ("clock_settime64",),
    "fadvise64": ("fadvise64_64",),
    "fchown": ("fchown32",),
    "fcntl": ("fcntl64",),
    "ftruncate": ("ftruncate64",),
    "futex": ("futex_time64",),
    "getegid": ("getegid32",),
    "geteuid": ("geteuid32",),
    "getgid": ("getgid32",),
    "getgroups": ("getgroups32",),
    "getresgid": ("getresgid32",),
    "getresuid": ("getresuid32",),
    "getrlimit": ("ugetrlimit",),
    "getuid": ("getuid32",),
    "io_pgetevents": ("io_pgetevents_time64",),
    "lchown": ("lchown32",),
    "mmap": ("mmap2",),
    "mq_timedreceive": ("mq_timedreceive_time64",),
    "mq_timedsend": ("mq_timedsend_time64",),
    "ppoll": ("ppoll_time64",),
    "pselect6": ("pselect6_time64",),
    "recvmmsg": ("recvmmsg_time64",),
    "rt_sigtimedwait": ("rt_sigtimedwait_time64",),
    "sched_rr_get_interval": ("sched_rr_get_interval_time64",),
    "select": ("_newselect",),
    "semtimedop": ("semtimedop_time64",),
    "sendfile": ("sendfile64",),
    "setfsgid": ("setfsgid32",),
    "setfsuid": ("setfsuid32",),
    "setgid": ("setgid32",),
    "setgroups": ("setgroups32",),
    "setregid": ("setregid32",),
    "setresgid": ("setresgid32",),
    "setresuid": ("setresuid32",),
    "setreuid": ("setreuid32",),
    "settimeofday": ("stime",),
    "setuid": ("setuid32",),
    "timer_gettime": ("timer_gettime64",),
    "timer_settime": ("timer_settime64",),
    "timerfd_gettime": ("timerfd_gettime64",),
    "timerfd_settime": ("timerfd_settime64",),
    "truncate": ("truncate64",),
    "umount2": ("umount",),
    "utimensat": ("utimensat_time64",),
    "wait4": ("waitpid",),
}
"""Calls of the 32-bit ABIs that do the same as a call under its own name."""

_FOREIGN = """
    _llseek _newselect chown32 clock_adjtime64 clock_getres_time64 clock_gettime64 clock_nanosleep_time64
    clock_settime64 fchown32 fcntl64 fstat64 fstatat64 fstatfs64 futex_time64 getegid32 geteuid32 getgid32
    getgroups32 getresgid32 getresuid32 getuid32 getxattrat io_pgetevents_time64 ipc lchown32 listmount
    listxattrat lsm_get_self_attr lsm_list_modules lsm_set_self_attr lstat64 mmap2 mq_timedreceive_time64
    mq_timedsend_time64 mseal nice oldfstat oldlstat oldolduname oldstat olduname open_tree_attr ppoll_time64
    pselect6_time64 readdir recvmmsg_time64 removexattrat rt_sigtimedwait_time64 sched_rr_get_interval_time64
    semtimedop_time64 sendfile64 setfsgid32 setfsuid32 setgid32 setgroups32 setregid32 setresgid32 setresuid32
    setreuid32 setuid32 setxattrat sgetmask sigaction signal sigpending sigprocmask sigsuspend socketcall
    ssetmask stat64 statfs64 statmount stime timer_gettime64 timer_settime64 timerfd_gettime64
    timerfd_settime64 ugetrlimit umount uretprobe utimensat_time64 vm86 vm86old waitpid
"""
FOREIGN = frozenset(_FOREIGN.split())
"""Of all these, the calls that x86_64 has not, or that libseccomp 2.5.4 does not know there."""
