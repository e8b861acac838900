/* expect.c: how fast expectations follow a console, in MiB for each second of CPU time.
 *
 * The text is lines as a kernel writes them, with colours and CR LF; nothing that is waited for
 * comes before the end. Prints a line for each: what, MiB/s.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <vibevmm/bytes.h>
#include <vibevmm/expect.h>

enum { TEXT = 1 << 20 };

static const char *const consoles[] = { "" };

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t fill(char *text)
{
	size_t len = 0;

	for (unsigned i = 0; len < TEXT - 200; i++)
		len += (size_t)snprintf(
			text + len, 200,
			"[%5u.%06u] \x1b[33mpci 0000:00:%02x.0\x1b[0m: reg 0x10: [mem "
			"0x%08x-0x%08x 64bit]\r\n",
			i / 1000, i % 1000000, i % 32, i * 4096, i * 4096 + 4095);
	return len;
}

static void bench(const char *name, const struct expect_step *steps, size_t n, size_t piece,
		  unsigned mib, const char *text, size_t len)
{
	struct expect_config config = { .console = { steps, (uint32_t)n } };
	struct expect_report *report = calloc(1, sizeof(*report));
	struct expect_setup setup = {
		.config = &config,
		.consoles = consoles,
		.n_consoles = 1,
		.scale = 1,
		.start = 1,
		.report = report,
	};
	struct expect *expect;
	size_t done = 0;
	double start;

	if (!report || expect_new(&expect, &setup, NULL))
		exit(1);
	start = seconds();
	while (done < (size_t)mib << 20) {
		for (size_t at = 0; at < len; at += piece)
			expect_heard(expect, 0, text + at, len - at < piece ? len - at : piece, 1);
		done += len;
	}
	printf("%s %.0f\n", name, (double)done / (1 << 20) / (seconds() - start));
	if (expect_state(expect) != EXPECT_WAITS)
		exit(1);
	expect_free(expect);
	free(report);
}

int main(void)
{
	static const struct expect_step plain[] = {
		{ .contains = "login:" },
		{ .absent = "Kernel panic" },
		{ .absent = "Oops" },
		{ .absent = "BUG:" },
	};
	static const struct expect_step regex[] = {
		{ .matches = "^[a-z]+ login: $" },
		{ .absent = "Kernel panic" },
		{ .absent = "Oops" },
		{ .absent = "BUG:" },
	};
	static const struct expect_step anywhere[] = {
		{ .matches = ".*(ready|started) in [0-9]+ ms" },
	};
	char *text = malloc(TEXT);
	size_t len;

	if (!text)
		return 1;
	len = fill(text);
	bench("4-texts", plain, ARRAY_SIZE(plain), 4096, 256, text, len);
	bench("regex,3-texts", regex, ARRAY_SIZE(regex), 4096, 256, text, len);
	bench("regex-with-.*", anywhere, ARRAY_SIZE(anywhere), 4096, 32, text, len);
	bench("4-texts,byte-by-byte", plain, ARRAY_SIZE(plain), 1, 16, text, len);
	free(text);
	return 0;
}
