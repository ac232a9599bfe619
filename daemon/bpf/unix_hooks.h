/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Connections and datagrams to unix sockets that have a path: reading and writing it. Refusals are -EACCES.
 *
 * A socket knows the path that it was bound to, in the mount namespace of whoever bound it. A container sees it elsewhere,
 * where it (or a directory above it) is mounted: every such place is judged, whatever name was used to get there.
 */
#pragma once

#include "judge.h"

#define SOCKET_ACCESS (ACCESS_READ | ACCESS_WRITE)
#define MOUNTS_OF_A_FILE_SYSTEM 8192

struct place_search {
	struct profile *profile;
	struct scratch *scratch;
	struct dentry *dentry;
	struct mnt_namespace *ns;
	void *next; /* the list's element: a mount, or the list_head in one */
	void *head;
	u32 found;
	int verdict;
};

static __always_inline bool is_chain(void)
{
	struct mount___chained *mount = NULL;

	return bpf_core_field_exists(mount->mnt_next_for_sb);
}

/* The first element of the list of a file system's mounts. */
static __always_inline void begin_search(struct place_search *search)
{
	struct dentry *dentry = search->dentry;
	struct super_block *block = BPF_CORE_READ(dentry, d_sb);

	if (is_chain()) {
		struct super_block___chained *chain = (void *)block;

		search->next = BPF_CORE_READ(chain, s_mounts);
	} else {
		search->next = BPF_CORE_READ(block, s_mounts.next);
		search->head = (void *)block + bpf_core_field_offset(struct super_block, s_mounts);
	}
}

/* The mount that the search stands at; goes on to the following one. */
static __always_inline struct mount *step_search(struct place_search *search)
{
	struct mount *mount;

	if (is_chain()) {
		struct mount___chained *chain = search->next;

		search->next = BPF_CORE_READ(chain, mnt_next_for_sb);
		return (void *)chain;
	}
	mount = search->next - bpf_core_field_offset(struct mount, mnt_instance);
	search->next = BPF_CORE_READ(mount, mnt_instance.next);
	return mount;
}

static long judge_mounted(u64 number, struct place_search *search)
{
	struct mount *mount;
	int offset;

	if (!search->next || search->next == search->head)
		return 1;
	mount = step_search(search);
	if (BPF_CORE_READ(mount, mnt_ns) != search->ns)
		return 0;
	offset = walk_path(search->scratch, search->dentry,
			   (void *)mount + bpf_core_field_offset(struct mount, mnt), PATH_END);
	if (offset == -REASON_NO_PLACE) /* this mount shows another part of the file system */
		return 0;
	search->found = 1;
	search->verdict = judge_walked(search->profile, search->scratch, offset);
	return search->verdict != 0;
}

static __noinline int judge_places(struct profile *profile, struct scratch *scratch, struct path *path)
{
	struct place_search search = { .profile = profile, .scratch = scratch, .dentry = path->dentry };
	struct vfsmount *vfsmount = path->mnt;
	struct mount *mount = (void *)vfsmount - bpf_core_field_offset(struct mount, mnt);

	search.ns = bpf_get_current_task_btf()->nsproxy->mnt_ns;
	if (BPF_CORE_READ(mount, mnt_ns) != search.ns) {
		begin_search(&search);
		bpf_loop(MOUNTS_OF_A_FILE_SYSTEM, judge_mounted, &search, 0);
		if (search.found)
			return search.verdict;
		if (place_of(vfsmount) == PLACE_NOWHERE)
			return judge_path(profile, scratch, -REASON_NO_PLACE, 0);
	}
	return judge_walked(profile, scratch, walk_path(scratch, path->dentry, vfsmount, PATH_END));
}

static __noinline int judge_socket(struct sock *other)
{
	struct unix_sock *peer = (void *)other;
	struct path path = {};
	struct scratch *scratch;
	struct subject who;
	int verdict;
	u32 index;

	if (!confined(&who))
		return 0;
	if (!(SOCKET_ACCESS & (who.profile->paths_deny | who.profile->paths_audit)))
		return 0;
	path.dentry = BPF_CORE_READ(peer, path.dentry);
	path.mnt = BPF_CORE_READ(peer, path.mnt);
	if (!path.dentry || !path.mnt) /* abstract, or without a name */
		return 0;
	scratch = take_scratch(&index);
	if (!scratch)
		return judge_unknown(who.profile, who.identity, HOOK_UNIX_CONNECT, SOCKET_ACCESS, REASON_NO_BUFFER);
	ask(scratch, who.identity, HOOK_UNIX_CONNECT, SOCKET_ACCESS, SOCKET_ACCESS, 0);
	verdict = judge_places(who.profile, scratch, &path);
	release_scratch(index);
	return verdict;
}

SEC("?lsm/unix_stream_connect")
int BPF_PROG(varmor_unix_connect, struct sock *sock, struct sock *other)
{
	return verdict_of(judge_socket(other));
}

/* A datagram, also along a connection, and the connection of a datagram socket. */
SEC("?lsm/unix_may_send")
int BPF_PROG(varmor_unix_send, struct socket *sock, struct socket *other)
{
	return verdict_of(judge_socket(BPF_CORE_READ(other, sk)));
}
