// SPDX-License-Identifier: Apache-2.0
/*
 * calls REPETITIONS OPERATION [ARGUMENT...]: makes one kind of system call many times and prints, for each repetition, the
 * nanoseconds that one took. In a guest whose clock counts instructions (qemu -icount shift=0) these are instructions.
 *
 *   open PATH      open for reading and close
 *   rename A B     rename A to B and back: two calls are one operation
 *   exec PROGRAM   fork, execute the program (which ends at once), wait
 *   fork           fork a child that ends at once, wait
 *   connect PORT   a UDP socket's connect to 127.0.0.1
 *   capable        sethostname to the present name: one capability check
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct operation {
	const char *name;
	int arguments;
	long count;	 /* calls per repetition */
	clockid_t clock; /* whole machine where other tasks do a part of the work */
	void (*run)(long count, char **arguments);
};

static void opens(long count, char **arguments)
{
	for (long i = 0; i < count; i++) {
		int file = open(arguments[0], O_RDONLY | O_CLOEXEC);

		if (file < 0)
			err(1, "open %s", arguments[0]);
		close(file);
	}
}

static void renames(long count, char **arguments)
{
	for (long i = 0; i < count; i++)
		if (rename(arguments[0], arguments[1]) || rename(arguments[1], arguments[0]))
			err(1, "rename %s", arguments[0]);
}

static void wait_for(pid_t child)
{
	int status;

	if (child < 0)
		err(1, "fork");
	if (waitpid(child, &status, 0) != child || status)
		errx(1, "the child ended with status %#x", status);
}

static void forks(long count, char **arguments)
{
	(void)arguments;
	for (long i = 0; i < count; i++) {
		pid_t child = fork();

		if (!child)
			_exit(0);
		wait_for(child);
	}
}

static void execs(long count, char **arguments)
{
	for (long i = 0; i < count; i++) {
		char *words[] = { arguments[0], NULL };
		pid_t child;
		int error = posix_spawn(&child, arguments[0], NULL, NULL, words, NULL);

		if (error)
			errx(1, "%s: %s", arguments[0], strerror(error));
		wait_for(child);
	}
}

static void connects(long count, char **arguments)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(atoi(arguments[0])) };
	int handle = socket(AF_INET, SOCK_DGRAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (long i = 0; i < count; i++)
		if (connect(handle, (struct sockaddr *)&address, sizeof(address)))
			err(1, "connect");
	close(handle);
}

static void capables(long count, char **arguments)
{
	char name[65];

	(void)arguments;
	if (gethostname(name, sizeof(name)))
		err(1, "gethostname");
	for (long i = 0; i < count; i++)
		if (sethostname(name, strlen(name)))
			err(1, "sethostname");
}

static const struct operation operations[] = {
	{ "open", 1, 2000, CLOCK_THREAD_CPUTIME_ID, opens },
	{ "rename", 2, 1000, CLOCK_THREAD_CPUTIME_ID, renames },
	{ "exec", 1, 30, CLOCK_MONOTONIC, execs },
	{ "fork", 0, 100, CLOCK_MONOTONIC, forks },
	{ "connect", 1, 2000, CLOCK_THREAD_CPUTIME_ID, connects },
	{ "capable", 0, 2000, CLOCK_THREAD_CPUTIME_ID, capables },
};

static double now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

int main(int count, char **words)
{
	if (count == 1) /* the program that "exec" executes */
		return 0;
	if (count < 3)
		errx(2, "usage: calls REPETITIONS OPERATION [ARGUMENT...]");
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		const struct operation *operation = &operations[i];

		if (strcmp(operation->name, words[2]) || count - 3 != operation->arguments)
			continue;
		for (int repetition = atoi(words[1]); repetition > 0; repetition--) {
			double begin = now(operation->clock);

			operation->run(operation->count, words + 3);
			printf("%.1f\n", (now(operation->clock) - begin) / operation->count);
		}
		return 0;
	}
	errx(2, "%s: no such operation, or a wrong number of arguments", words[2]);
}
