/* test_number.c: numbers, sizes, addresses, lines and times, and "did you mean". */
#include <errno.h>

#include "load_helpers.h"

static void takes(enum option_kind kind, const char *text, uint64_t expected)
{
	uint64_t value = ~expected;
	const char *why = NULL;

	if (config_number(kind, text, &value, &why) || value != expected)
		fail_msg("'%s': %#llx (%s)", text, (unsigned long long)value, why ? why : "");
	assert_null(why);
}

static void refuses(enum option_kind kind, const char *text, int error)
{
	uint64_t value = 4711;
	const char *why = NULL;
	int ret = config_number(kind, text, &value, &why);

	if (ret != error)
		fail_msg("'%s' gave %d and %llu", text, ret, (unsigned long long)value);
	assert_int_equal(value, 4711);
	assert_non_null(why);
	/* It says what to write instead. */
	if (!strchr(why, ':'))
		fail_msg("%s: %s", text, why);
}

static void reads_plain_numbers(void **state)
{
	(void)state;
	takes(OPTION_UINT, "0", 0);
	takes(OPTION_UINT, "42", 42);
	takes(OPTION_UINT, "1_000_000", 1000000);
	takes(OPTION_UINT, "0x1F", 31);
	takes(OPTION_UINT, "0x4000_0000", 0x40000000);
	takes(OPTION_UINT, "0x0010", 16);
	takes(OPTION_UINT, "18446744073709551615", UINT64_MAX);
	takes(OPTION_UINT, "0xffff_ffff_ffff_ffff", UINT64_MAX);
}

static void refuses_what_two_readers_could_read_differently(void **state)
{
	static const char *const texts[] = {
		"",	 "+5",	 "-1",		 " 7",	"7 ",	 "010",	  "00",	  "0o17",
		"0b101", "0X1F", "12.7",	 "1e3", "1,000", "1__0",  "1_",	  "_1",
		"0x",	 "0x_1", "0x1_",	 "0_1", "lots",	 "512MB", "1.5G", "0xg",
		"12a",	 "ten",	 "\xef\xbc\x91", "1\n", "--1",	 "0x-1",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		refuses(OPTION_UINT, texts[i], -EINVAL);
		refuses(OPTION_SIZE, texts[i], -EINVAL);
		refuses(OPTION_ADDR, texts[i], -EINVAL);
		refuses(OPTION_IRQ, texts[i], -EINVAL);
		refuses(OPTION_DURATION, texts[i], -EINVAL);
	}
}

static void refuses_what_does_not_fit_64_bits(void **state)
{
	(void)state;
	refuses(OPTION_UINT, "18446744073709551616", -ERANGE);
	refuses(OPTION_UINT, "99999999999999999999999999999", -ERANGE);
	refuses(OPTION_UINT, "0x1_0000_0000_0000_0000", -ERANGE);
	refuses(OPTION_SIZE, "16777216T", -ERANGE);
	takes(OPTION_SIZE, "16777215T", 16777215ULL << 40);
	refuses(OPTION_DURATION, "307445734562m", -ERANGE);
	refuses(OPTION_IRQ, "4294967295", -ERANGE);
	takes(OPTION_IRQ, "4294967294", 4294967294);
}

static void reads_units_of_size_as_powers_of_1024(void **state)
{
	(void)state;
	takes(OPTION_SIZE, "4096", 4096);
	takes(OPTION_SIZE, "64K", 65536);
	takes(OPTION_SIZE, "64KiB", 65536);
	takes(OPTION_SIZE, "512M", 512ULL << 20);
	takes(OPTION_SIZE, "512MiB", 512ULL << 20);
	takes(OPTION_SIZE, "1G", 1ULL << 30);
	takes(OPTION_SIZE, "3TiB", 3ULL << 40);
	takes(OPTION_SIZE, "0x10K", 16384);
	takes(OPTION_ADDR, "9M", 9ULL << 20);
	takes(OPTION_ADDR, "0xfffe_0000", 0xfffe0000);
	refuses(OPTION_UINT, "4K", -EINVAL);
	refuses(OPTION_IRQ, "4K", -EINVAL);
	refuses(OPTION_SIZE, "4k", -EINVAL);
	refuses(OPTION_SIZE, "4KB", -EINVAL);
	refuses(OPTION_SIZE, "4kib", -EINVAL);
	refuses(OPTION_SIZE, "4B", -EINVAL);
	refuses(OPTION_SIZE, "4P", -EINVAL);
	refuses(OPTION_SIZE, "4 K", -EINVAL);
	refuses(OPTION_SIZE, "K", -EINVAL);
	refuses(OPTION_SIZE, "4KK", -EINVAL);
}

static void reads_times_and_lines(void **state)
{
	(void)state;
	takes(OPTION_DURATION, "127ms", 127000000ULL);
	takes(OPTION_DURATION, "20s", 20000000000ULL);
	takes(OPTION_DURATION, "2m", 120000000000ULL);
	refuses(OPTION_DURATION, "20", -EINVAL);
	refuses(OPTION_DURATION, "20h", -EINVAL);
	refuses(OPTION_DURATION, "20M", -EINVAL);
	takes(OPTION_IRQ, "none", OPTION_IRQ_NONE);
	takes(OPTION_IRQ, "4", 4);
	refuses(OPTION_IRQ, "None", -EINVAL);
	refuses(OPTION_UINT, "none", -EINVAL);
}

/* The reason names the very mistake. */
static void explains(enum option_kind kind, const char *text, const char *part)
{
	const char *why = "";
	uint64_t value;

	assert_int_equal(config_number(kind, text, &value, &why), -EINVAL);
	if (!strstr(why, part))
		fail_msg("'%s': %s", text, why);
}

static void explains_each_mistake(void **state)
{
	(void)state;
	explains(OPTION_UINT, "010", "octal");
	explains(OPTION_UINT, "-1", "sign");
	explains(OPTION_UINT, "0b1", "use decimal, or hex");
	explains(OPTION_UINT, "4K", "takes no unit");
	explains(OPTION_UINT, "1e3", "powers of ten");
	explains(OPTION_SIZE, "512MB", "KiB, MiB, GiB, TiB");
	explains(OPTION_SIZE, "512m", "case matters");
	explains(OPTION_SIZE, "1.5G", "fractions");
	explains(OPTION_SIZE, "5B", "leave the B out");
	explains(OPTION_SIZE, "1 G", "blank");
	explains(OPTION_SIZE, "1,024", "','");
	explains(OPTION_DURATION, "20", "ms, s or m");
	explains(OPTION_IRQ, "nil", "none");
}

static void prints_sizes_as_users_write_them(void **state)
{
	static const struct {
		uint64_t size;
		const char *text;
	} cases[] = {
		{ 0, "0" },
		{ 1, "1" },
		{ 1024, "1K" },
		{ 4097, "4097" },
		{ 65536, "64K" },
		{ 1536ULL << 20, "1536M" },
		{ 1ULL << 30, "1G" },
		{ 5ULL << 40, "5T" },
		{ 1ULL << 63, "8388608T" },
		{ UINT64_MAX, "18446744073709551615" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char buf[24];

		assert_string_equal(config_size_text(cases[i].size, buf, sizeof(buf)),
				    cases[i].text);
		takes(OPTION_SIZE, buf, cases[i].size);
	}
}

static void finds_the_word_that_was_meant(void **state)
{
	static const char *const words[] = { "uart16550", "read_only", "virtio-blk", "debug-exit",
					     "at",	  "irq",       "port",	     NULL };
	char lengthy[200];

	(void)state;
	assert_string_equal(config_nearest("redonly", words), "read_only");
	assert_string_equal(config_nearest("READ-ONLY", words), "read_only");
	assert_string_equal(config_nearest("virtio_blk", words), "virtio-blk");
	assert_string_equal(config_nearest("uart", words), "uart16550");
	assert_string_equal(config_nearest("prot", words), "port");
	assert_string_equal(config_nearest("irqq", words), "irq");
	assert_string_equal(config_nearest("AT", words), "at");
	assert_null(config_nearest("id", words));
	assert_null(config_nearest("colour", words));
	assert_null(config_nearest("", words));
	memset(lengthy, 'p', sizeof(lengthy));
	lengthy[sizeof(lengthy) - 1] = 0;
	assert_null(config_nearest(lengthy, words));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_plain_numbers),
		cmocka_unit_test(refuses_what_two_readers_could_read_differently),
		cmocka_unit_test(refuses_what_does_not_fit_64_bits),
		cmocka_unit_test(reads_units_of_size_as_powers_of_1024),
		cmocka_unit_test(reads_times_and_lines),
		cmocka_unit_test(explains_each_mistake),
		cmocka_unit_test(prints_sizes_as_users_write_them),
		cmocka_unit_test(finds_the_word_that_was_meant),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
