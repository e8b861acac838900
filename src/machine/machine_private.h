/* machine_private.h: the running VM, shared by build.c, vcpu.c, run.c and stats.c. */
#ifndef MACHINE_PRIVATE_H
#define MACHINE_PRIVATE_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include <vibevmm/bus.h>
#include <vibevmm/device.h>
#include <vibevmm/finding.h>
#include <vibevmm/machine.h>

/* Different stray addresses that are remembered, and so logged. */
#define STRAY_MAX 256

/* Accesses that no device claimed. */
struct stray {
	pthread_mutex_t lock;
	uint64_t accesses;
	size_t n;
	struct {
		enum hv_space space;
		uint64_t addr;
	} seen[STRAY_MAX];
};

/* Why the VM ends. The first cause wins. */
enum stop_cause {
	STOP_NONE,
	STOP_HALT, /* halted with no way to be woken */
	STOP_POWEROFF,
	STOP_EXIT,    /* the guest wrote to debug-exit: .value */
	STOP_PANIC,   /* .stop_who */
	STOP_RESET,   /* .stop_who, an end */
	STOP_RESTART, /* .stop_who; not an end, unless one comes from outside */
	STOP_CRASH,   /* triple fault or an exit that the backend can't go on from */
	STOP_QUIT,    /* Ctrl-A x */
	STOP_SIGNAL,  /* .value is its number */
	STOP_TIMEOUT,
	STOP_ENDED,  /* by the watch: .end_status */
	STOP_FAILED, /* we could not go on: .err */
};

struct vcpu {
	struct machine *machine;
	unsigned index;
	pthread_t thread;
	_Atomic(struct hv_vcpu *) hv;	       /* set when it can be kicked */
	struct bus_hint hints[2];	       /* by enum hv_space */
	_Atomic uint64_t exits[HV_EXIT_KINDS]; /* written by its thread alone */
	uint64_t pc;			       /* where it was when it left its loop, ... */
	bool waits;			       /* ... waiting to be started */
	struct hv_exit exit;
};

struct machine {
	/* What stays from the first start to the end. */
	const struct plan *plan;
	struct machine_options options;
	const struct hv_backend *backend;
	unsigned caps; /* what it has on this host: enum hv_cap */
	struct loop *loop;
	struct console *console;
	struct device_host host;
	struct stray stray;
	struct vcpu *vcpus; /* their counts add up */
	unsigned n_vcpus;
	struct accesses {
		uint64_t reads, writes;
	} * past;		  /* by device: those of earlier starts */
	struct device_kept *kept; /* by device */
	int button;		  /* index of the device with the power button, or -1 */
	unsigned restarts;

	/* From one power-on to the next: power.c. */
	struct hv_vm *vm;
	struct memory *memory;
	struct hv_entry entry;
	struct device *devices;
	size_t n_devices;
	struct bus bus[2];	       /* by enum hv_space */
	struct bus_hint late_hints[2]; /* the same, for gathered writes */
	atomic_uint gathering;	       /* ranges whose writes are gathered */
	struct loop_timer drain;       /* ... and when they come out at the latest */

	/* vCPU threads meet here: at the start, when all are created; at the end, when all have
	 * left their loops, so that no kick meets a vCPU that is gone. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned n_ready, n_left;

	atomic_int asked;  /* the signal for which the power button is pressed */
	atomic_bool press; /* ... and that is yet to be done */
	struct sigaction old_alarm;
	atomic_bool signalled; /* a signal that ends the VM came */
	atomic_int cause;      /* enum stop_cause */
	_Atomic uint64_t value;
	atomic_int end_status;	 /* STOP_ENDED: what to return */
	const char *stop_who;	 /* the device or backend that the guest told */
	struct vcpu *stop_vcpu;	 /* STOP_CRASH: whose registers to show */
	struct err stop_err;	 /* STOP_FAILED */
	char dump[2048];	 /* STOP_CRASH: registers */
	char why[600];		 /* what is printed about the end */
	struct loop_timer timer; /* --timeout */

	/* The watch's: watch.c. */
	struct loop_timer watch_timer;
	pthread_mutex_t lines_lock;
	struct line *lines; /* from one power-on to the next */
	size_t n_lines;

	/* panic.c; words NULL: this boot format's guests have none. */
	const char *panic_words;
	atomic_uchar *panic_heard; /* by device */
	atomic_bool panicked;

	uint64_t start, end; /* loop_now */
};

/* Ends the VM for this cause unless another came first (then false). Any thread; safe in a signal
 * handler. The caller fills in what belongs to the cause after true. */
bool machine_stop(struct machine *machine, enum stop_cause cause, uint64_t value);

/* The guest reset itself, as it told `who`: the end or a new start. */
void machine_reset(struct machine *machine, const char *who);

/* The user's Ctrl-A x and Ctrl-A p. */
void machine_quit(struct machine *machine);
void machine_press(struct machine *machine);

/* Presses the power button if a signal asked for it. vCPU 0's thread. */
void machine_attend(struct machine *machine);

/* Sets machine->host (host.c); the writes that the backend gathered come to machine_late_write. */
void machine_host_init(struct machine *machine);
void machine_late_write(void *machine, enum hv_space space, uint64_t addr, const uint8_t *data,
			unsigned size);

static inline struct machine *machine_of(struct device_host *host)
{
	return (struct machine *)((char *)host - offsetof(struct machine, host));
}

/* Lets the watch of the options, if any, take part: after machine_host_init; and forgets the lines
 * of devices that go. */
void watch_init(struct machine *machine);
void watch_drop_lines(struct machine *machine);

/* Listens for the words that the boot format's kernels print as they panic. */
int panic_init(struct machine *machine, struct err *err);
void panic_said(struct machine *machine, const struct device *dev, const uint8_t *buf, size_t len);

/* Everything as after power-on: VM, memory, devices, image. power_off undoes it, and what was built
 * of it after a failure. No vCPU runs and the loop stands still, or has not begun. */
int machine_power_on(struct machine *machine, struct err *err);
void machine_power_off(struct machine *machine);

/* From listen to deafen, handlers of these signals run where the guest doesn't keep them waiting;
 * before and after, on the calling thread, which is vCPU 0's (signals_linux.c, signals_macos.c). */
void machine_signals_listen(const sigset_t *set);
void machine_signals_deafen(void);

static inline bool machine_stopping(struct machine *machine)
{
	/* Against machine_stop: it sets the cause, then looks for vCPUs to kick; a vCPU shows
	 * itself, then looks at the cause. One of the two sees the other. */
	return atomic_load(&machine->cause) != STOP_NONE;
}

/* The programs that devices start, of all types (doctor.c). */
void doctor_programs(struct findings *findings);

/* What the plan needs of a host whose backend has these capabilities (doctor.c). */
void doctor_caps(const struct plan *plan, const struct hv_backend *backend,
		 const struct hv_caps *caps, struct findings *findings);

/* The hypervisors of this host (doctor_backends.c). */
void doctor_backends(struct findings *findings);

/* Its RAM beside what the host has. */
void doctor_memory(const struct plan *plan, struct findings *findings);

/* Bytes of RAM and swap of this host, 0 if unknown; and whether its kernel was told to give out
 * more than that (doctor_linux.c, doctor_macos.c). */
/* ... as far as a VM that wants so much of it may use. */
uint64_t host_memory(uint64_t wanted);
bool host_overcommits(void);

/* Whether the hypervisor runs guests by hardware. Those that emulate kernel code lack too much of
 * it for Linux. */
bool host_runs_linux(void);

/* Creates the vCPU on the calling thread, runs it to the VM's end, destroys it. */
void vcpu_main(struct vcpu *vcpu);

#endif
