/* test_svg.c: the picture of a plan: read back, and measured. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <vibevmm/bytes.h>
#include <vibevmm/plan.h>
#include <vibevmm/utf8.h>

/* ---- A registry of our own ------------------------------------------------------------------- */

struct window_config {
	char *id;
	uint64_t at;
};

static const struct option window_options[] = {
	DEVICE_ID(struct window_config),
	OPTION(struct window_config, at, OPTION_ADDR, .doc = "Address"),
	{ 0 },
};

static const struct claim window_claims[] = {
	{ .name = "registers", .space = SPACE_MEM, .size = 0x1000, .fix = "at" },
	{ .name = "ports", .space = SPACE_PIO, .size = 8 },
	{ .name = "interrupt", .space = SPACE_IRQ, .size = 1 },
	{ .name = "input", .space = SPACE_INPUT, .size = 1 },
	{ 0 },
};

static const struct device_row window = {
	.type = { "window", "A window", window_options, sizeof(struct window_config) },
	.arches = ARCH_X86_64,
	.claims = window_claims,
};

static const struct device_row *const devices[] = { &window };

static void blob_plan(struct plan *plan, const struct config_choice *boot, struct diags *diags)
{
	plan_boot_fixed(plan, diags, "image", 0x1000, 0x170, boot->mark);
	plan_set_entry(plan, diags, ENTRY_LONG, 0x1000, boot->mark);
}

static const struct boot_row blob = {
	.type = { .name = "blob", .doc = "Three hundred bytes", .size = 1 },
	.arches = ARCH_ANY,
	.plan = blob_plan,
};

static const struct boot_row *const boots[] = { &blob };
static const struct registry registry = { devices, ARRAY_SIZE(devices), boots, ARRAY_SIZE(boots) };

/* ---- A picture, taken apart ------------------------------------------------------------------ */

struct label {
	double left, right, top, bottom;
	char words[600];
};

struct shape {
	double x, y, width, height;
	char class[40];
};

static struct scene {
	struct diags *diags;
	struct config *config;
	struct plan *plan;
	char *svg;
	size_t len;
	double height;
	struct label *labels;
	size_t n_labels;
	struct shape *rects;
	size_t n_rects;
} scene;

/* A tag by itself: searches end with it. */
static const char *tag_at(const char *p)
{
	static char tag[600];
	size_t n = strcspn(p, ">");

	assert_in_range(n, 1, sizeof(tag) - 1);
	memcpy(tag, p, n);
	tag[n] = '\0';
	return tag;
}

static double attribute(const char *tag, const char *name)
{
	const char *at = strstr(tag, name);

	assert_non_null(at);
	return strtod(at + strlen(name), NULL);
}

/* The value of an attribute like ` class="`, or "". */
static void attribute_text(const char *tag, const char *name, char *buf, size_t len)
{
	const char *at = strstr(tag, name);

	*buf = '\0';
	if (at)
		snprintf(buf, len, "%.*s", (int)strcspn(at + strlen(name), "\""),
			 at + strlen(name));
}

static void unescape(const char *from, size_t len, char *to)
{
	static const char *const entities[] = { "&lt;<", "&gt;>", "&amp;&" };

	while (len) {
		size_t step = 1;
		char c = *from;

		for (size_t i = 0; i < ARRAY_SIZE(entities); i++) {
			size_t n = strlen(entities[i]) - 1;

			if (len >= n && !strncmp(from, entities[i], n)) {
				step = n;
				c = entities[i][n];
			}
		}
		*to++ = c;
		from += step;
		len -= step;
	}
	*to = '\0';
}

/* Where its ink may be: a fixed-width font, 0.605 of its size wide at most. */
static void read_label(const char *text, struct label *label)
{
	const char *tag = tag_at(text), *start = text + strlen(tag) + 1;
	size_t len = strcspn(start, "<");
	double x = attribute(tag, " x=\""), y = attribute(tag, " y=\""), size = 12, width = 0;
	char class[40];

	assert_in_range(len, 1, sizeof(label->words) - 1);
	unescape(start, len, label->words);
	attribute_text(tag, " class=\"", class, sizeof(class));
	if (strstr(class, "name"))
		size = 20;
	else if (strstr(class, "small") || strstr(class, "onbar"))
		size = 11;
	for (const char *p = label->words; *p;) {
		uint32_t c = 0;
		size_t n = utf8_decode(p, strlen(p), &c);

		assert_true(n > 0);
		width += size * 0.605 * utf8_width(c);
		p += n;
	}
	label->left = strstr(class, "end") ? x - width : strstr(class, "onbar") ? x - width / 2 : x;
	label->right = label->left + width;
	label->top = y - size * 0.8;
	label->bottom = y + size * 0.2;
}

static void read_picture(void)
{
	size_t n = 0;

	for (const char *p = scene.svg; (p = strchr(p, '<')); p++)
		n++;
	scene.labels = calloc(n, sizeof(*scene.labels));
	scene.rects = calloc(n, sizeof(*scene.rects));
	assert_true(scene.labels && scene.rects);
	scene.height = attribute(tag_at(scene.svg), " height=\"");
	for (const char *p = scene.svg; (p = strchr(p, '<')); p++) {
		if (!strncmp(p, "<text ", 6)) {
			read_label(p, &scene.labels[scene.n_labels++]);
		} else if (!strncmp(p, "<rect x", 7)) {
			struct shape *rect = &scene.rects[scene.n_rects++];

			const char *tag = tag_at(p);

			rect->x = attribute(tag, " x=\"");
			rect->y = attribute(tag, " y=\"");
			rect->width = attribute(tag, " width=\"");
			rect->height = attribute(tag, " height=\"");
			attribute_text(tag, " class=\"", rect->class, sizeof(rect->class));
		}
	}
}

static char *print(size_t *len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, len);

	assert_non_null(out);
	assert_int_equal(plan_print_svg(scene.plan, out), 0);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void draw_with(const char *text, const struct hv_caps *caps)
{
	scene.diags = diags_new();
	scene.config = config_load_text("some/where/vm.yaml", text, strlen(text), &registry, NULL,
					scene.diags);
	assert_non_null(scene.config);
	scene.plan = plan_make(config_vm(scene.config), &registry, arch_find(ARCH_X86_64),
			       caps ? "test" : NULL, caps, scene.diags);
	assert_non_null(scene.plan);
	if (diags_errors(scene.diags)) {
		diags_print(scene.diags, stderr, DIAG_TEXT, false);
		fail_msg("no good plan");
	}
	scene.svg = print(&scene.len);
	read_picture();
}

static void draw(const char *text)
{
	draw_with(text, NULL);
}

static int done(void **state)
{
	(void)state;
	plan_free(scene.plan);
	config_free(scene.config);
	diags_free(scene.diags);
	free(scene.svg);
	free(scene.labels);
	free(scene.rects);
	memset(&scene, 0, sizeof(scene));
	return 0;
}

#define HEAD "arch: x86_64\nboot: {blob: {}}\n"

/* A lot of everything. */
static const char crowded[] =
	HEAD "name: crowded\nvcpus: 2\nmemory:\n"
	     "  - ram: {at: 0, size: 3G}\n  - ram: {at: 4G, size: 2G}\n"
	     "  - hole: {at: 0x9000000, size: 4K}\n  - reserved: {at: 0x8000000000, size: 16M}\n"
	     "  - ram: {at: 0xc000000000000, size: 4K}\n"
	     "devices:\n  - window: {at: 0x9000000, id: in-the-hole}\n"
	     "  - window: {at: 0xd0000000}\n  - window: {at: 0xd0001000}\n"
	     "  - window: {at: 0xfffffffff000, id: far-away}\n"
	     "  - window: {at: 0xd0003000, id: a-name-that-is-longer-than-any-column-has-room}\n"
	     "  - window: {id: \"\xe6\xbc\xa2\xe5\xad\x97\xe3\x81\xae\xe6\xbc\xa2\xe5\xad\x97\"}\n"
	     "  - window\n  - window\n  - window\n  - window\n  - window\n  - window\n";

static const char *const pictures[] = {
	crowded,
	HEAD "memory: 64K\n",
	HEAD "memory: 5G\nvcpus: 2\ndevices: [window]\n",
	HEAD "memory: [{ram: {at: 0, size: 4K}}, {ram: {at: 0xfffffffff0000, size: 4K}}, "
	     "{ram: {at: 0x1000, size: 1T}}]\n",
	HEAD "memory: 1G\nname: a name of sixty-four characters, which is the most that "
	     "there is\n",
};

/* ---- Well-formed ----------------------------------------------------------------------------- */

/* Tags balance, attributes are quoted, and there is no stray character: XML 1.0, as far as the
 * picture goes. */
static void check_well_formed(const char *p)
{
	const char *style_end = strstr(p, "</style>"); /* whose text may have '>' */
	char stack[16][16];
	size_t depth = 0;

	while (*p) {
		if (*p != '<') {
			assert_true(*p != '>' || p < style_end);
			assert_true((unsigned char)*p >= ' ' || *p == '\n');
			if (*p == '&')
				assert_true(!strncmp(p, "&lt;", 4) || !strncmp(p, "&gt;", 4) ||
					    !strncmp(p, "&amp;", 5));
			p++;
			continue;
		}
		if (p[1] == '/') {
			size_t n = strcspn(p + 2, ">");

			assert_true(depth > 0);
			depth--;
			assert_int_equal(strlen(stack[depth]), n);
			assert_memory_equal(stack[depth], p + 2, n);
			p += 2 + n + 1;
			continue;
		}
		assert_in_range(depth, 0, ARRAY_SIZE(stack) - 1);
		snprintf(stack[depth], sizeof(stack[0]), "%.*s", (int)strcspn(p + 1, " >/"), p + 1);
		p += 1 + strlen(stack[depth]);
		while (*p == ' ') {
			p++;
			assert_true(isalpha((unsigned char)*p));
			p += strcspn(p, "=");
			assert_true(p[0] == '=' && p[1] == '"');
			p += 2 + strcspn(p + 2, "\"<&");
			assert_int_equal(*p, '"');
			p++;
		}
		if (*p == '/')
			p++;
		else
			depth++;
		assert_int_equal(*p, '>');
		p++;
	}
	assert_int_equal(depth, 0);
}

static void it_is_well_formed(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(pictures); i++) {
		draw(pictures[i]);
		check_well_formed(scene.svg);
		done(state);
	}
}

static void names_cannot_break_out_of_it(void **state)
{
	(void)state;
	draw(HEAD "name: \"</title><script>&amp; \\x01\\uFFFE'\\\"\"\nmemory: 64K\n"
		  "devices: [{window: {id: \"<a&b>\"}}]\n");
	check_well_formed(scene.svg);
	assert_null(strstr(scene.svg, "<script"));
	assert_non_null(strstr(scene.svg, "&lt;script&gt;&amp;amp; ?\?'\""));
	assert_non_null(strstr(scene.svg, "&lt;a&amp;b&gt; registers"));
}

static void it_is_the_same_each_time(void **state)
{
	char *again;
	size_t len;

	(void)state;
	draw(crowded);
	again = print(&len);
	assert_int_equal(len, scene.len);
	assert_memory_equal(again, scene.svg, len);
	free(again);
}

/* ---- Labels ---------------------------------------------------------------------------------- */

static const struct label *find_label(const char *words)
{
	for (size_t i = 0; i < scene.n_labels; i++) {
		if (!strcmp(scene.labels[i].words, words))
			return &scene.labels[i];
	}
	return NULL;
}

/* The label that begins with words (one that was cut has fewer) on that line, or NULL. */
static bool beside(const struct label *range, const char *words)
{
	for (size_t i = 0; i < scene.n_labels; i++) {
		const struct label *l = &scene.labels[i];
		size_t n = strlen(l->words);

		if (l->bottom != range->bottom || l == range)
			continue;
		if (n > 3 && !strcmp(l->words + n - 3, "\xe2\x80\xa6"))
			n -= 3;
		else if (n != strlen(words))
			continue;
		if (!strncmp(l->words, words, n))
			return true;
	}
	return false;
}

static void every_region_has_its_label(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(pictures); i++) {
		int digits = 8;

		draw(pictures[i]);
		for (size_t k = 0; k < scene.plan->n_regions; k++) {
			const struct plan_region *r = &scene.plan->regions[k];

			while (r->space == SPACE_MEM && r->last >> 4 * digits)
				digits++;
		}
		for (size_t k = 0; k < scene.plan->n_regions; k++) {
			const struct plan_region *r = &scene.plan->regions[k];
			unsigned long long start = r->start, last = r->last;
			int width = r->space == SPACE_PIO ? 4 : digits;
			const struct label *range = NULL;
			char words[100], from[40] = "layout";
			bool found = false;

			snprintf(words, sizeof(words), "0x%0*llx-0x%0*llx", width, start, width,
				 last);
			if (r->space == SPACE_IRQ)
				snprintf(words, sizeof(words), "%llu", start);
			assert_non_null(find_label(words));
			if (r->mark.source)
				strcpy(from, "default");
			if (r->mark.line)
				snprintf(from, sizeof(from), "vm.yaml:%u", r->mark.line);
			/* A window may fill its hole: two labels say the same. */
			for (size_t n = 0; n < scene.n_labels && !found; n++) {
				char owner[100];

				range = &scene.labels[n];
				snprintf(owner, sizeof(owner), "%s%s%s", r->owner,
					 r->name ? " " : "", r->name ? r->name : "");
				found = !strcmp(range->words, words) && beside(range, owner) &&
					beside(range, from);
			}
			if (!found)
				fail_msg("%s of %s has no label", words, r->owner);
		}
		done(state);
	}
}

static void no_text_touches_another_or_the_rim(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(pictures); i++) {
		draw(pictures[i]);
		assert_in_range(scene.n_labels, 5, 1000);
		for (size_t k = 0; k < scene.n_labels; k++) {
			const struct label *a = &scene.labels[k];

			if (a->left < 4 || a->right > 996 || a->top < 4 ||
			    a->bottom > scene.height - 4)
				fail_msg("'%s' is cut off: %.0f-%.0f, %.0f-%.0f", a->words, a->left,
					 a->right, a->top, a->bottom);
			for (size_t n = 0; n < k; n++) {
				const struct label *b = &scene.labels[n];

				if (a->left < b->right && b->left < a->right &&
				    a->top < b->bottom && b->top < a->bottom)
					fail_msg("'%s' is over '%s'", a->words, b->words);
			}
		}
		done(state);
	}
}

/* ---- Scale ----------------------------------------------------------------------------------- */

/* The n-th slice of that kind on the bar. */
static const struct shape *slice(const char *class, unsigned n)
{
	for (size_t i = 0; i < scene.n_rects; i++) {
		const struct shape *rect = &scene.rects[i];

		if (rect->x == 136 && rect->width == 64 && !strcmp(rect->class, class) && !n--)
			return rect;
	}
	fail_msg("the bar has no such slice of %s", class);
	return NULL;
}

static void the_bar_is_to_scale(void **state)
{
	const struct shape *low, *hole, *high;

	(void)state;
	draw(HEAD "memory: [{ram: {at: 0, size: 4G}}, {hole: {at: 1G, size: 1G}}]\n");
	low = slice("ram", 0);
	hole = slice("hole", 0);
	high = slice("ram", 1);
	assert_true(low->height > 20);
	assert_true(hole->height > low->height - 0.1 && hole->height < low->height + 0.1);
	assert_true(high->height > 2 * low->height - 0.2 && high->height < 2 * low->height + 0.2);
	assert_true(hole->y > low->y + low->height - 0.1 && hole->y < low->y + low->height + 0.1);
}

static void long_unused_stretches_are_left_out(void **state)
{
	const struct shape *low, *high;

	(void)state;
	draw(HEAD "memory: [{ram: {at: 0, size: 1M}}, {ram: {at: 0x8000000000, size: 1M}}]\n");
	low = slice("ram", 0);
	high = slice("ram", 1);
	assert_true(low->height > 40 && high->height > 40);
	assert_true(high->y - (low->y + low->height) < 40);
	assert_non_null(find_label("~512.0G unused"));
}

static void a_window_of_4k_shows_beside_gigabytes(void **state)
{
	(void)state;
	draw(HEAD "memory: [{ram: {at: 0, size: 64G}}, {hole: {at: 32G, size: 4K}}]\n"
		  "devices: [{window: {at: 0x800000000}}]\n");
	assert_true(slice("device", 0)->height >= 1);
	assert_non_null(find_label("0x800000000-0x800000fff"));
}

static void thousands_of_windows_have_their_rows(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	fputs(HEAD "memory: 1G\ndevices:\n", f);
	for (int i = 0; i < 2000; i++)
		fputs("  - window\n", f);
	fclose(f);
	draw_with(text, &(struct hv_caps){ .caps = HV_CAP_PIO, .max_vcpus = 1, .phys_bits = 48 });
	free(text);
	check_well_formed(scene.svg);
	assert_non_null(find_label("window#2000 registers"));
	assert_non_null(find_label("window#2000 ports"));
}

static void a_plan_with_errors_can_be_drawn(void **state)
{
	static const char *const texts[] = {
		HEAD "memory: []\n",
		HEAD "memory: [{ram: {at: 0, size: 1M}}, {ram: {at: 0x80000, size: 1M}}]\n",
		HEAD "memory: 64K\ndevices: [{window: {at: 0xfffffffffffff000}}, "
		     "{window: {at: 0x1000}}]\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		scene.diags = diags_new();
		scene.config = config_load_text("vm.yaml", texts[i], strlen(texts[i]), &registry,
						NULL, scene.diags);
		assert_non_null(scene.config);
		scene.plan = plan_make(config_vm(scene.config), &registry, arch_find(ARCH_X86_64),
				       NULL, NULL, scene.diags);
		assert_non_null(scene.plan);
		scene.svg = print(&scene.len);
		check_well_formed(scene.svg);
		assert_null(strstr(scene.svg, "nan"));
		assert_null(strstr(scene.svg, "inf\""));
		done(state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(it_is_well_formed, done),
		cmocka_unit_test_teardown(names_cannot_break_out_of_it, done),
		cmocka_unit_test_teardown(it_is_the_same_each_time, done),
		cmocka_unit_test_teardown(every_region_has_its_label, done),
		cmocka_unit_test_teardown(no_text_touches_another_or_the_rim, done),
		cmocka_unit_test_teardown(the_bar_is_to_scale, done),
		cmocka_unit_test_teardown(long_unused_stretches_are_left_out, done),
		cmocka_unit_test_teardown(a_window_of_4k_shows_beside_gigabytes, done),
		cmocka_unit_test_teardown(thousands_of_windows_have_their_rows, done),
		cmocka_unit_test_teardown(a_plan_with_errors_can_be_drawn, done),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
