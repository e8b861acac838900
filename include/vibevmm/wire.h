/* wire.h: the host's end of a guest's serial line or console port, other than the VM's standard
 * input and output: a file, a pseudoterminal or a Unix socket.
 *
 * Nothing here makes the guest wait for the host, or only for a moment: a wire has buffers of fixed
 * size and a thread of its own, which begins when there is work for it.
 *
 * - A file is a log: what the disk can't take in time is dropped and counted, and the count is told
 *   at the end. It is appended to, and locked: no other VM writes it.
 * - A socket is listened on; one client at a time is served, the next waits. A pseudoterminal is
 *   found by a symbolic link. What comes while nobody is there goes nowhere.
 */
#ifndef VIBEVMM_WIRE_H
#define VIBEVMM_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vibevmm/err.h>

/* What the option `to` of a device holds: one of file, socket, pty; or none, which stands for
 * standard input and output. device.h has its rows. */
struct wire_config {
	char *file;
	uint64_t limit; /* then the file becomes FILE.1, and a new one begins; 0: never */
	bool timestamps;
	char *socket;
	char *pty; /* the link */
};

static inline bool wire_configured(const struct wire_config *config)
{
	return config->file || config->socket || config->pty;
}

struct wire;

/* Opens it. label, for messages, and config are copied or stay the caller's until wire_free. 0, or
 * -errno with err. */
int wire_new(struct wire **wire, const struct wire_config *config, const char *label,
	     struct err *err);

/* From now on others may come. ready(arg) is called, on the wire's thread and with no lock held,
 * when input comes to an empty buffer, when there is room again after a write that was cut short,
 * and when somebody comes or goes. Once; 0 or -errno. */
typedef void (*wire_ready_fn)(void *arg);
int wire_listen(struct wire *wire, wire_ready_fn ready, void *arg);

/* Ends the thread; a client that lags gets a second for what is in the buffers. NULL is fine. Not
 * from ready, nor with a lock that it takes. */
void wire_free(struct wire *wire);

/* Takes up to len bytes and tells how many; what isn't taken is to be written again after ready.
 * Any thread. */
size_t wire_write(struct wire *wire, const void *buf, size_t len);

/* For those who can't write again: what isn't taken is dropped and counted. A file that is full of
 * what the disk has yet to take holds up the caller for at most a second, and from then on takes
 * nothing until the disk has caught up. */
void wire_put(struct wire *wire, const void *buf, size_t len);

/* Input that is there, at most len bytes of it; 0: none now. Nothing is read from the host while
 * the buffer is full. Any thread. */
size_t wire_read(struct wire *wire, void *buf, size_t len);
bool wire_has_input(struct wire *wire);

/* Puts bytes in front of the guest as if somebody had sent them; how many there was room for. Any
 * thread, locks held or not: ready follows on the wire's thread. */
size_t wire_type(struct wire *wire, const void *buf, size_t len);

/* What the guest says is followed in this process: from now on somebody counts as being there, lest
 * a program in the guest waits for a client. Before wire_listen. */
void wire_follow(struct wire *wire);

/* Somebody is there, or has left input behind. Always true for a file. Any thread. */
bool wire_connected(struct wire *wire);

/* Bytes that were dropped so far, other than for want of a reader. */
uint64_t wire_lost(struct wire *wire);

#endif
