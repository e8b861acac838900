/* report_html.c: the page for people. report.html has all of it but the data, which are JSON: the
 * facts of all cases, and for each case the long texts, which a browser parses when it is opened.
 */
#include <stdlib.h>
#include <string.h>

#include <vibevmm/json.h>

#include "report.h"

/* The page and its end, in the program. A name given to the assembler is the same on ELF and
 * Mach-O. */
#ifdef __APPLE__
#define SECTION ".const_data"
#else
#define SECTION ".section .rodata.report_page, \"a\""
#endif
__asm__(SECTION "\n"
		"report_page:\n"
		".incbin \"src/suite/report.html\"\n"
		".byte 0\n"
		".text\n");
extern const char page[] __asm__("report_page") __attribute__((visibility("hidden")));

/* Where the data come in, in the order of the page. */
static const char facts_here[] = "@FACTS@", texts_here[] = "@TEXTS@";

/* In JSON, '<' stands in strings alone. Escaped there, no text can end its <script>, or begin a
 * comment (HTML Standard, "Restrictions for contents of script elements"). */
static void put_json(FILE *out, const char *json)
{
	for (size_t n; *json; json += n) {
		n = strcspn(json, "<");
		fwrite(json, 1, n, out);
		if (json[n]) {
			fputs("\\u003c", out);
			n++;
		}
	}
}

/* Writes one JSON object that fn fills. */
static void put_object(FILE *out, void (*fn)(struct json *json, const void *arg), const void *arg)
{
	struct json json = { .compact = true };
	char *text = NULL;
	size_t len;

	json.out = open_memstream(&text, &len);
	if (!json.out) {
		fputs("null", out);
		return;
	}
	json_open(&json, NULL, '{');
	fn(&json, arg);
	json_close(&json, '}');
	if (fclose(json.out) || !text)
		fputs("null", out);
	else
		put_json(out, text);
	free(text);
}

static void facts(struct json *json, const void *arg)
{
	const struct suite_run *run = arg;

	report_json_head(json, run);
	json_open(json, "results", '[');
	for (size_t i = 0; i < run->n; i++) {
		json_open(json, NULL, '{');
		report_json_facts(json, &run->results[i]);
		json_close(json, '}');
	}
	json_close(json, ']');
	json_open(json, "points", '[');
	for (unsigned i = 0; i < TIMELINE_POINTS; i++) {
		json_open(json, NULL, '{');
		json_string(json, "key", report_point_name((enum timeline_point)i));
		json_string(json, "name", timeline_name((enum timeline_point)i));
		json_close(json, '}');
	}
	json_close(json, ']');
}

static void texts(struct json *json, const void *arg)
{
	report_json_texts(json, arg);
}

void suite_report_html(const struct suite_run *run, FILE *out)
{
	const char *first = strstr(page, facts_here), *second = strstr(page, texts_here);

	fwrite(page, 1, (size_t)(first - page), out);
	put_object(out, facts, run);
	first += strlen(facts_here);
	fwrite(first, 1, (size_t)(second - first), out);
	for (size_t i = 0; i < run->n; i++) {
		fprintf(out, "<script type=\"application/json\" id=\"texts-%zu\">", i);
		put_object(out, texts, &run->results[i]);
		fputs("</script>\n", out);
	}
	fputs(second + strlen(texts_here), out);
}
