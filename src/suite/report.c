/* report.c: what all reports say in the same way. */
#include <string.h>

#include <vibevmm/bytes.h>
#include <vibevmm/utf8.h>

#include "report.h"

struct report_counts report_count(const struct suite_result *results, size_t n)
{
	struct report_counts counts = { 0 };

	for (size_t i = 0; i < n; i++)
		counts.of[results[i].outcome]++;
	return counts;
}

const char *report_why(const struct suite_result *result)
{
	if (result->outcome != SUITE_FAILED)
		return result->why;
	if (result->report.reason[0])
		return result->report.reason;
	return result->why[0] ? result->why : "the VM's process ended without a word";
}

const char *report_file(const struct suite_result *result)
{
	return result->report.unmet && result->report.file[0] ? result->report.file : result->file;
}

uint64_t report_took(const struct suite_result *result)
{
	return result->end > result->begin ? result->end - result->begin : 0;
}

const char *report_end_name(enum expect_end end)
{
	static const char *const names[] = {
		[EXPECT_END_NONE] = "none",	  [EXPECT_END_POWEROFF] = "poweroff",
		[EXPECT_END_EXIT] = "exit",	  [EXPECT_END_RESET] = "reset",
		[EXPECT_END_PANIC] = "panic",	  [EXPECT_END_CRASH] = "crash",
		[EXPECT_END_MET] = "met",	  [EXPECT_END_UNMET] = "unmet",
		[EXPECT_END_TIMEOUT] = "timeout", [EXPECT_END_SIGNAL] = "signal",
		[EXPECT_END_FAILED] = "failed",
	};

	return (size_t)end < ARRAY_SIZE(names) ? names[end] : names[EXPECT_END_NONE];
}

const char *report_point_name(enum timeline_point point)
{
	static const char *const names[TIMELINE_POINTS] = {
		[TIMELINE_EXEC] = "exec",	[TIMELINE_LOADED] = "loaded",
		[TIMELINE_PLANNED] = "planned", [TIMELINE_BACKEND] = "backend",
		[TIMELINE_IMAGE] = "image",	[TIMELINE_GUEST] = "guest",
		[TIMELINE_CONSOLE] = "console", [TIMELINE_EXIT] = "exit",
	};

	return names[point];
}

uint64_t report_since(const struct expect_report *report, uint64_t at)
{
	uint64_t start = report->timeline[TIMELINE_EXEC];

	return start && at > start ? at - start : 0;
}

void report_line(FILE *out, const char *text, size_t len, const char *escape)
{
	size_t n;

	for (size_t i = 0; i < len; i += n) {
		uint32_t c = '?';

		n = utf8_decode(text + i, len - i, &c);
		if (!n)
			n = 1;
		/* U+2028 and U+2029 end lines in YAML 1.1, and no YAML has the other two. */
		if (utf8_is_control(c) || c == 0x2028 || c == 0x2029 || c == 0xfffe || c == 0xffff)
			fputc(' ', out);
		else if (n == 1)
			fprintf(out, strchr(escape, (int)c) ? "\\%c" : "%c", (int)c);
		else
			fwrite(text + i, 1, n, out);
	}
}
