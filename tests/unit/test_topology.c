/* test_topology.c: how vCPUs make up processors: what is left open, and what can't be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <vibevmm/plan.h>

/* ---- A registry with one boot format, and plans made of texts ------------------------------- */

struct nothing {
	char *id;
};
static const struct option nothing_options[] = { DEVICE_ID(struct nothing), { 0 } };

static void nothing_plan(struct plan *plan, const struct config_choice *boot, struct diags *diags)
{
	(void)plan;
	(void)boot;
	(void)diags;
}

static const struct boot_row nothing = {
	.type = { "nothing", "Nothing to boot", nothing_options, sizeof(struct nothing) },
	.arches = ARCH_ANY,
	.plan = nothing_plan,
};
static const struct boot_row *const boots[] = { &nothing };
static const struct registry registry = { NULL, 0, boots, 1 };

static struct {
	struct diags *diags;
	struct config *config;
	struct plan *plan;
	char *said, *shown; /* diagnostics and plan as the user sees them */
} got;

static int teardown(void **state)
{
	(void)state;
	plan_free(got.plan);
	config_free(got.config);
	diags_free(got.diags);
	free(got.said);
	free(got.shown);
	memset(&got, 0, sizeof(got));
	return 0;
}

#define X86 "arch: x86_64\nmemory: 64M\nboot: nothing\n"
#define ARM "arch: arm64\nmemory: 64M\nboot: nothing\n"

static void make(const char *yaml)
{
	static const struct hv_caps caps = { .caps = ~0U, .max_vcpus = 512, .phys_bits = 48 };
	size_t len;
	FILE *out;

	teardown(NULL);
	got.diags = diags_new();
	got.config = config_load_text("vm", yaml, strlen(yaml), &registry, NULL, got.diags);
	assert_non_null(got.config);
	got.plan = plan_make(config_vm(got.config), &registry,
			     arch_find(config_vm(got.config)->arch), "toy", &caps, got.diags);
	assert_non_null(got.plan);
	out = open_memstream(&got.said, &len);
	diags_print(got.diags, out, DIAG_TEXT, false);
	fclose(out);
	out = open_memstream(&got.shown, &len);
	plan_print(got.plan, out, DIAG_TEXT);
	fclose(out);
}

static void is(const char *yaml, unsigned sockets, unsigned cores, unsigned threads)
{
	make(yaml);
	if (got.said[0])
		fail_msg("%s\n%s", yaml, got.said);
	assert_int_equal(got.plan->topology.sockets, sockets);
	assert_int_equal(got.plan->topology.cores, cores);
	assert_int_equal(got.plan->topology.threads, threads);
}

static void refused(const char *yaml, const char *why)
{
	make(yaml);
	if (diags_errors(got.diags) != 1 || !strstr(got.said, why))
		fail_msg("missing: %s\nin: %s", why, got.said);
}

static void shows(const char *text, bool shown)
{
	if (!strstr(got.shown, text) == shown)
		fail_msg("%s: %s\nin: %s", shown ? "missing" : "too much", text, got.shown);
}

/* ---- Tests ---------------------------------------------------------------------------------- */

static void by_default_all_vcpus_are_cores_of_one_socket(void **state)
{
	(void)state;
	is(X86, 1, 1, 1);
	is(X86 "vcpus: 6", 1, 6, 1);
	is(ARM "vcpus: 6", 1, 6, 1);
	is(X86 "vcpus: 6\ntopology: {}", 1, 6, 1);
}

static void what_is_left_open_is_chosen_to_fit(void **state)
{
	(void)state;
	is(X86 "vcpus: 8\ntopology: {threads: 2}", 1, 4, 2);
	is(X86 "vcpus: 8\ntopology: {sockets: 2}", 2, 4, 1);
	is(X86 "vcpus: 8\ntopology: {cores: 2}", 4, 2, 1);
	is(X86 "vcpus: 8\ntopology: {cores: 2, threads: 2}", 2, 2, 2);
	is(X86 "vcpus: 12\ntopology: {sockets: 2, threads: 2}", 2, 3, 2);
	is(X86 "vcpus: 12\ntopology: {sockets: 2, cores: 3, threads: 2}", 2, 3, 2);
	is(X86 "vcpus: 64\ntopology: {threads: 64}", 1, 1, 64);
}

static void numbers_that_make_another_number_of_vcpus_are_refused(void **state)
{
	(void)state;
	refused(X86 "vcpus: 4\ntopology: {sockets: 2, cores: 3}",
		"vm:5:11: error: 2 sockets of 3 cores of 1 thread make 6 vCPUs; this VM has 4");
	refused(X86 "topology: {sockets: 1, cores: 2, threads: 2}",
		"1 socket of 2 cores of 2 threads make 4 vCPUs; this VM has 1");
	refused(X86 "vcpus: 4\ntopology: {sockets: 4096, cores: 4096, threads: 64}",
		"make 1073741824 vCPUs; this VM has 4");
	refused(X86 "vcpus: 3\ntopology: {threads: 2}",
		"3 vCPUs cannot make 1 socket with cores of 2 threads");
	refused(X86 "vcpus: 3\ntopology: {sockets: 2}",
		"3 vCPUs cannot make 2 equal sockets with cores of 1 thread");
	refused(X86 "vcpus: 5\ntopology: {cores: 2}",
		"5 vCPUs cannot make sockets of 2 cores of 1 thread");
	refused(X86 "vcpus: 2\ntopology: {cores: 4096}",
		"2 vCPUs cannot make sockets of 4096 cores of 1 thread");
}

/* Bad numbers are the loader's errors, and no more is said. */
static void a_bad_number_is_one_error(void **state)
{
	(void)state;
	refused(X86 "vcpus: {count: 2}", "'vcpus' takes a number");
	refused(X86 "vcpus: 0\ntopology: {threads: 2}", "'vcpus' is 0");
	refused(X86 "vcpus: 3\ntopology: {threads: 2, cores: 0}", "'cores' of topology is 0");
}

static void sixty_four_vcpus_are_planned_in_any_shape(void **state)
{
	(void)state;
	is(X86 "vcpus: 64", 1, 64, 1);
	is(X86 "vcpus: 64\ntopology: {sockets: 2, threads: 2}", 2, 16, 2);
	assert_int_equal(hv_x86_apic_id(&got.plan->topology, 63), 63);
	is(ARM "vcpus: 64\ntopology: {cores: 4}", 16, 4, 1);
}

static void apic_ids_that_no_interrupt_reaches_are_refused(void **state)
{
	(void)state;
	is(X86 "vcpus: 255", 1, 255, 1);
	refused(X86 "vcpus: 256", "vm:4:8: error: vCPU 255 would have APIC ID 255");
	assert_non_null(strstr(got.said, "at most 255 vCPUs"));
	is(X86 "vcpus: 189\ntopology: {cores: 3}", 63, 3, 1);
	refused(X86 "vcpus: 195\ntopology: {cores: 3}",
		"vm:5:11: error: vCPU 194 would have APIC ID 258, and interrupts reach none above "
		"254");
	assert_non_null(strstr(got.said, "powers of two"));
}

static void the_plan_shows_a_topology_that_is_not_the_default(void **state)
{
	(void)state;
	is(X86 "vcpus: 8\ntopology: {sockets: 2, threads: 2}", 2, 2, 2);
	shows("8 vCPUs (2 sockets of 2 cores of 2 threads), 64M of RAM", true);
	is(X86 "vcpus: 8", 1, 8, 1);
	shows("8 vCPUs, 64M of RAM", true);
	is(X86 "vcpus: 8\ntopology: {cores: 8}", 1, 8, 1);
	shows("socket", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(by_default_all_vcpus_are_cores_of_one_socket, teardown),
		cmocka_unit_test_teardown(what_is_left_open_is_chosen_to_fit, teardown),
		cmocka_unit_test_teardown(numbers_that_make_another_number_of_vcpus_are_refused,
					  teardown),
		cmocka_unit_test_teardown(sixty_four_vcpus_are_planned_in_any_shape, teardown),
		cmocka_unit_test_teardown(apic_ids_that_no_interrupt_reaches_are_refused, teardown),
		cmocka_unit_test_teardown(a_bad_number_is_one_error, teardown),
		cmocka_unit_test_teardown(the_plan_shows_a_topology_that_is_not_the_default,
					  teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
