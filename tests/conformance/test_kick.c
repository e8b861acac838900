/* test_kick.c: kicks that must not get lost, and what a backend says of a host that can't. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "conformance/rig.h"

GUEST(spin, 16, "1: jmp 1b");
GUEST(chatter, 16, "1: out %al, $0x10; jmp 1b");

/* ---- Kicks by the vCPU's own thread -------------------------------------------------------- */

static void a_kick_before_the_first_run_ends_it(void **state)
{
	struct rig rig;

	rig_need(*state, 0);
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	rig_enter(&rig, RIG_REAL, spin);
	for (int i = 0; i < 100; i++) {
		rig.hv->vcpu_kick(rig.vcpu);
		rig_expect(&rig, HV_EXIT_KICKED);
	}
	rig_close(&rig);
}

static void kicks_before_a_run_count_as_one(void **state)
{
	struct rig rig;

	rig_need(*state, 0);
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	rig_enter(&rig, RIG_REAL, chatter);
	for (int i = 0; i < 100; i++) {
		for (int n = 0; n < 3; n++)
			rig.hv->vcpu_kick(rig.vcpu);
		rig_expect(&rig, HV_EXIT_KICKED);
		rig_expect_io(&rig, HV_EXIT_PIO, true, 0x10, 1, 0x22);
		rig_expect_io(&rig, HV_EXIT_PIO, true, 0x10, 1, 0x22);
	}
	rig_close(&rig);
}

GUEST(in_kept, 16, "in $0x10, %al; out %al, $0x11; hlt");

static void a_kick_does_not_lose_what_the_guest_reads(void **state)
{
	struct rig rig;

	rig_need(*state, HV_CAP_PIO);
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	rig_enter(&rig, RIG_REAL, in_kept);
	rig_expect_io(&rig, HV_EXIT_PIO, false, 0x10, 1, 0x5a);
	rig.hv->vcpu_kick(rig.vcpu);
	rig_expect(&rig, HV_EXIT_KICKED);
	rig_expect_io(&rig, HV_EXIT_PIO, true, 0x11, 1, 0x5a);
	rig_expect(&rig, HV_EXIT_HALT);
	rig_close(&rig);
}

/* ---- Kicks by another thread --------------------------------------------------------------- */

struct kicker {
	struct rig *rig;
	pthread_t thread, vcpu_thread;
	sem_t kicked;
	unsigned rounds;
	void (*kick)(struct kicker *kicker);
	atomic_bool done;
};

static void kick_directly(struct kicker *kicker)
{
	kicker->rig->hv->vcpu_kick(kicker->rig->vcpu);
}

/* Kicks, and kicks again only when the last was seen: a lost one would hang. */
static void *kick_in_turn(void *arg)
{
	struct kicker *kicker = arg;

	for (unsigned i = 0; i < kicker->rounds; i++) {
		kicker->kick(kicker);
		sem_wait(&kicker->kicked);
	}
	return NULL;
}

static void kicker_start(struct kicker *kicker, struct rig *rig, unsigned rounds,
			 void *(*run)(void *arg))
{
	kicker->rig = rig;
	kicker->rounds = rounds;
	kicker->vcpu_thread = pthread_self();
	sem_init(&kicker->kicked, 0, 0);
	assert_int_equal(pthread_create(&kicker->thread, NULL, run, kicker), 0);
}

static void each_kick_ends_a_busy_loop_once(void **state)
{
	struct kicker kicker = { .kick = kick_directly };
	struct rig rig;

	rig_need(*state, 0);
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	rig_enter(&rig, RIG_REAL, spin);
	kicker_start(&kicker, &rig, 3000, kick_in_turn);
	for (unsigned i = 0; i < 3000; i++) {
		rig_expect(&rig, HV_EXIT_KICKED);
		sem_post(&kicker.kicked);
	}
	pthread_join(kicker.thread, NULL);
	rig_close(&rig);
}

static void each_kick_is_seen_among_exits_once(void **state)
{
	struct kicker kicker = { .kick = kick_directly };
	unsigned kicks = 0;
	struct rig rig;

	rig_need(*state, 0);
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	rig_enter(&rig, RIG_REAL, chatter);
	kicker_start(&kicker, &rig, 3000, kick_in_turn);
	while (kicks < 3000) {
		rig_run(&rig);
		if (rig.exit.kind == HV_EXIT_KICKED) {
			kicks++;
			sem_post(&kicker.kicked);
		} else {
			assert_int_equal(rig.exit.kind, HV_EXIT_PIO);
		}
	}
	pthread_join(kicker.thread, NULL);
	for (unsigned i = 0; i < 10; i++) /* none was reported late */
		rig_expect(&rig, HV_EXIT_PIO);
	rig_close(&rig);
}

static void *kick_wildly(void *arg)
{
	struct kicker *kicker = arg;

	for (unsigned i = 0; i < kicker->rounds; i++)
		kick_directly(kicker);
	atomic_store(&kicker->done, true);
	kick_directly(kicker);
	return NULL;
}

static void the_last_of_a_storm_of_kicks_is_seen(void **state)
{
	struct kicker kicker = { 0 };
	struct rig rig;

	rig_need(*state, 0);
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	rig_enter(&rig, RIG_REAL, spin);
	kicker_start(&kicker, &rig, 20000, kick_wildly);
	do
		rig_expect(&rig, HV_EXIT_KICKED);
	while (!atomic_load(&kicker.done));
	pthread_join(kicker.thread, NULL);
	rig_close(&rig);
}

/* ---- Kicks by a signal handler ------------------------------------------------------------- */

static struct kicker *handlers_kicker;

static void kick_handler(int signum)
{
	(void)signum;
	kick_directly(handlers_kicker);
}

static void kick_by_signal(struct kicker *kicker)
{
	pthread_kill(kicker->vcpu_thread, SIGUSR2);
}

static void a_signal_handler_on_the_same_thread_may_kick(void **state)
{
	struct sigaction action = { .sa_handler = kick_handler }, old;
	struct kicker kicker = { .kick = kick_by_signal };
	struct rig rig;

	rig_need(*state, 0);
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	rig_enter(&rig, RIG_REAL, spin);
	handlers_kicker = &kicker;
	kicker.rig = &rig;
	sigaction(SIGUSR2, &action, &old);

	raise(SIGUSR2); /* before a run */
	rig_expect(&rig, HV_EXIT_KICKED);

	kicker_start(&kicker, &rig, 3000, kick_in_turn);
	for (unsigned i = 0; i < 3000; i++) {
		rig_expect(&rig, HV_EXIT_KICKED);
		sem_post(&kicker.kicked);
	}
	pthread_join(kicker.thread, NULL);
	sigaction(SIGUSR2, &old, NULL);
	rig_close(&rig);
}

static void do_nothing(int signum)
{
	(void)signum;
}

static void signal_then_kick(struct kicker *kicker)
{
	pthread_kill(kicker->vcpu_thread, SIGUSR2);
	kick_directly(kicker);
}

static void other_signals_are_no_kicks(void **state)
{
	struct sigaction action = { .sa_handler = do_nothing }, old;
	struct kicker kicker = { .kick = signal_then_kick };
	struct rig rig;

	rig_need(*state, 0);
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	rig_enter(&rig, RIG_REAL, spin);
	sigaction(SIGUSR2, &action, &old);
	kicker_start(&kicker, &rig, 500, kick_in_turn);
	for (unsigned i = 0; i < 500; i++) {
		rig_expect(&rig, HV_EXIT_KICKED);
		sem_post(&kicker.kicked);
	}
	pthread_join(kicker.thread, NULL);
	sigaction(SIGUSR2, &old, NULL);
	rig_close(&rig);
}

/* ---- Kicks that meet a device -------------------------------------------------------------- */

static int pipe_fds[2];

static void kick_then_write(struct kicker *kicker)
{
	kick_directly(kicker);
	if (write(pipe_fds[1], "x", 1) != 1)
		abort();
}

static void a_kick_interrupts_no_device_io(void **state)
{
	struct kicker kicker = { .kick = kick_then_write };
	struct rig rig;

	rig_need(*state, 0);
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	assert_int_equal(pipe(pipe_fds), 0);
	kicker_start(&kicker, &rig, 1000, kick_in_turn);
	for (unsigned i = 0; i < 1000; i++) {
		char c;

		assert_int_equal(read(pipe_fds[0], &c, 1), 1); /* never EINTR */
		sem_post(&kicker.kicked);
	}
	pthread_join(kicker.thread, NULL);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	rig_close(&rig);
}

static void a_thread_that_blocks_signals_is_kicked_too(void **state)
{
	struct kicker kicker = { .kick = kick_directly };
	sigset_t all, old;
	struct rig rig;

	rig_need(*state, 0);
	sigfillset(&all);
	sigdelset(&all, SIGALRM); /* the time limit */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	rig_enter(&rig, RIG_REAL, spin);
	kicker_start(&kicker, &rig, 100, kick_in_turn);
	for (unsigned i = 0; i < 100; i++) {
		rig_expect(&rig, HV_EXIT_KICKED);
		sem_post(&kicker.kicked);
	}
	pthread_join(kicker.thread, NULL);
	rig_close(&rig);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* ---- What a probe says --------------------------------------------------------------------- */

#ifdef __linux__
extern const char *kvm_device;

static const char *const real_device = "/dev/kvm";

/* The KVM backend alone: probes `path` in place of /dev/kvm, and asserts that it fails so. */
static void probe_fails(const struct hv_backend *hv, const char *path, int errnum, const char *word)
{
	struct hv_caps caps = { .max_vcpus = 77 };
	struct err err = { 0 };
	int ret;

	kvm_device = path;
	ret = hv->probe(&caps, &err);
	kvm_device = real_device;
	assert_int_equal(ret, -errnum);
	assert_int_equal(err.status, STATUS_UNAVAILABLE);
	assert_int_equal(caps.max_vcpus, 77); /* untouched */
	assert_non_null(strstr(err.text, path));
	if (!strstr(err.text, word))
		fail_msg("no '%s' in: %s", word, err.text);
}

static void a_missing_device_is_named_with_the_remedy(void **state)
{
	const struct hv_backend *hv = *state;

	if (strcmp(hv->name, "kvm") != 0)
		skip();
	probe_fails(hv, "/nonexistent/kvm", ENOENT, "modprobe");
}

static void a_file_that_is_not_kvm_is_told_apart(void **state)
{
	const struct hv_backend *hv = *state;

	if (strcmp(hv->name, "kvm") != 0)
		skip();
	probe_fails(hv, "/dev/null", ENOTTY, "not KVM");
}

static void a_forbidden_device_is_named_with_the_remedy(void **state)
{
	const struct hv_backend *hv = *state;
	char path[] = "/tmp/vibevmm-test-XXXXXX";
	uid_t me = geteuid();
	int fd;

	if (strcmp(hv->name, "kvm") != 0)
		skip();
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, 0), 0);
	if (me == 0)
		assert_int_equal(seteuid(65534), 0);
	probe_fails(hv, path, EACCES, "setfacl");
	if (me == 0) {
		assert_int_equal(seteuid(0), 0);
		/* A group of its own: tell how to join it. */
		assert_int_equal(fchown(fd, 0, 1), 0);
		assert_int_equal(fchmod(fd, 0660), 0);
		assert_int_equal(seteuid(65534), 0);
		probe_fails(hv, path, EACCES, "usermod -aG");
		assert_int_equal(seteuid(0), 0);
	}
	unlink(path);
	close(fd);
}
#endif

static void the_table_finds_each_of_its_rows(void **state)
{
	const struct hv_backend *hv = *state;

	assert_ptr_equal(hv_backend_find(hv->name, hv->arch), hv);
	assert_null(hv_backend_find("no-such-backend", hv->arch));
	assert_true(strlen(hv->doc) > 0);
	assert_true(hv->caps.max_vcpus > 0 && hv->caps.phys_bits >= 32);
}

static void a_probe_offers_no_more_than_the_row_says(void **state)
{
	const struct hv_backend *hv = *state;
	struct hv_caps caps;
	struct err err;

	rig_need(hv, 0);
	assert_int_equal(hv->probe(&caps, &err), 0);
	assert_int_equal(caps.caps & ~hv->caps.caps, 0);
	assert_in_range(caps.max_vcpus, 1, hv->caps.max_vcpus);
	assert_in_range(caps.phys_bits, 32, hv->caps.phys_bits);
	for (unsigned bit = 1; bit <= caps.caps; bit <<= 1) {
		if (caps.caps & bit)
			assert_null(strstr(hv_cap_name((enum hv_cap)bit), "unknown"));
	}
}

int main(void)
{
	static const struct rig_test tests[] = {
		RIG_TEST(the_table_finds_each_of_its_rows),
		RIG_TEST(a_probe_offers_no_more_than_the_row_says),
#ifdef __linux__
		RIG_TEST(a_missing_device_is_named_with_the_remedy),
		RIG_TEST(a_file_that_is_not_kvm_is_told_apart),
		RIG_TEST(a_forbidden_device_is_named_with_the_remedy),
#endif
		RIG_TEST(a_kick_before_the_first_run_ends_it),
		RIG_TEST(kicks_before_a_run_count_as_one),
		RIG_TEST(a_kick_does_not_lose_what_the_guest_reads),
		RIG_TEST(each_kick_ends_a_busy_loop_once),
		RIG_TEST(each_kick_is_seen_among_exits_once),
		RIG_TEST(the_last_of_a_storm_of_kicks_is_seen),
		RIG_TEST(a_signal_handler_on_the_same_thread_may_kick),
		RIG_TEST(other_signals_are_no_kicks),
		RIG_TEST(a_kick_interrupts_no_device_io),
		RIG_TEST(a_thread_that_blocks_signals_is_kicked_too),
	};

	return rig_run_tests(tests, ARRAY_SIZE(tests));
}
