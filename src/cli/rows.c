/* rows.c: what the rows say, for people to read. */
#include <inttypes.h>
#include <string.h>

#include "rows.h"

const char *rows_arches(unsigned arches, char *buf, size_t len)
{
	size_t used = 0;

	buf[0] = 0;
	for (unsigned bit = 1; bit <= arches && used < len; bit <<= 1) {
		if (arches & bit)
			used += (size_t)snprintf(buf + used, len - used, "%s%s", used ? ", " : "",
						 hv_arch_name((enum arch)bit));
	}
	return buf;
}

const struct device_row *rows_device(const struct registry *registry,
				     const struct config_type *type)
{
	for (size_t i = 0; i < registry->n_devices; i++) {
		if (&registry->devices[i]->type == type)
			return registry->devices[i];
	}
	return NULL;
}

const struct boot_row *rows_boot(const struct registry *registry, const struct config_type *type)
{
	for (size_t i = 0; i < registry->n_boots; i++) {
		if (&registry->boots[i]->type == type)
			return registry->boots[i];
	}
	return NULL;
}

void rows_print_values(FILE *out, const struct option *option)
{
	char values[CONFIG_VALUES_MAX], arches[ROWS_ARCHES_MAX];

	fputs(config_values_text(option, values, sizeof(values)), out);
	if (option->def)
		fprintf(out, "; default %s", option->def);
	if (option->required)
		fputs("; required", out);
	if (option->arches)
		fprintf(out, "; on %s", rows_arches(option->arches, arches, sizeof(arches)));
}

void rows_print_options(FILE *out, const struct config_type *type, int indent)
{
	for (const struct option *o = type->options; o && o->key; o++) {
		fprintf(out, "%*s%s: ", indent, "", o->key);
		rows_print_values(out, o);
		fprintf(out, "\n%*s%s\n", indent + 4, "", o->doc);
		if (o->type)
			rows_print_options(out, o->type, indent + 8);
	}
}

const char *rows_when(const struct config_type *type, const struct claim *claim, char *buf,
		      size_t len)
{
	if (!claim->when)
		return NULL;
	snprintf(buf, len, "%s: %s", claim->when,
		 registry_option(type, claim->when)->words[claim->is]);
	return buf;
}

void rows_print_claim(FILE *out, const struct config_type *type, const struct claim *claim)
{
	char size[24], arches[ROWS_ARCHES_MAX], when[ROWS_WHEN_MAX];

	switch (claim->space) {
	case SPACE_MEM:
		if (!claim->size)
			fprintf(out, "window for PCI BARs%s",
				claim->pool == POOL_PCI_WINDOW64 ? ", above 4G" : "");
		else
			fprintf(out, "memory window of %s%s",
				config_size_text(claim->size, size, sizeof(size)),
				claim->size % 1024 ? " bytes" : "");
		break;
	case SPACE_PIO:
		if (!claim->size)
			fputs("I/O ports for PCI BARs", out);
		else
			fprintf(out, "%" PRIu64 " I/O port%s", claim->size,
				claim->size == 1 ? "" : "s");
		break;
	case SPACE_IRQ:
		if (claim->size > 1)
			fprintf(out, "%" PRIu64 " interrupt lines in a row", claim->size);
		else
			fprintf(out, "interrupt line%s", claim->level ? ", by level" : "");
		break;
	case SPACE_PCI:
		fputs("function on the PCI bus", out);
		break;
	case SPACE_BAR:
		if (claim->sized_by)
			fprintf(out, "room for PCI BARs, as large as '%s' says", claim->sized_by);
		else
			fprintf(out, "PCI BAR of %s",
				config_size_text(claim->size, size, sizeof(size)));
		break;
	case SPACE_PORTS_BAR:
		fprintf(out, "PCI BAR of %" PRIu64 " I/O ports", claim->size);
		break;
	case SPACE_INPUT:
		fputs("the console's input", out);
		break;
	case SPACE_COUNT:
		break;
	}
	if (claim->fix)
		fprintf(out, ", set by '%s'", claim->fix);
	for (size_t i = 0; i < claim->n_prefer; i++)
		fprintf(out, claim->space == SPACE_IRQ ? "%s%" PRIu64 : "%s%#" PRIx64,
			i ? ", " : "; prefers ", claim->prefer[i]);
	if (claim->only_if)
		fprintf(out, "; only if '%s' is given", claim->only_if);
	if (claim->unless)
		fprintf(out, "; unless '%s' is given", claim->unless);
	if (rows_when(type, claim, when, sizeof(when)))
		fprintf(out, "; with '%s'", when);
	if (claim->arches)
		fprintf(out, "; on %s", rows_arches(claim->arches, arches, sizeof(arches)));
}

void rows_print_caps(FILE *out, unsigned caps)
{
	const char *comma = "";

	for (unsigned bit = 1; bit <= caps && bit; bit <<= 1) {
		if (!(caps & bit))
			continue;
		fprintf(out, "%s%s", comma, hv_cap_name((enum hv_cap)bit));
		comma = ", ";
	}
}

/* ---- Examples ---------------------------------------------------------------------------- */

/* The first place that a claim fixed by this option would take, as one writes it. */
static const char *preferred(const struct device_row *row, const struct option *option, char *buf,
			     size_t len)
{
	for (const struct claim *c = row ? row->claims : NULL; c && c->name; c++) {
		if (!c->fix || strcmp(c->fix, option->key) != 0 || !c->n_prefer)
			continue;
		snprintf(buf, len, c->space == SPACE_IRQ ? "%" PRIu64 : "%#" PRIx64, c->prefer[0]);
		return buf;
	}
	return NULL;
}

/* What stands for a value that only the user knows. */
static const char *made_up(const struct option *option, char *buf, size_t len)
{
	switch (option->kind) {
	case OPTION_SIZE:
		return "16M";
	case OPTION_ADDR:
		return "0x100000";
	case OPTION_DURATION:
		return "20s";
	case OPTION_BOOL:
		return "true";
	case OPTION_IRQ:
		return "none";
	case OPTION_PATH:
		if (option->disk)
			return "disk.img";
		snprintf(buf, len, "%s.bin", strcmp(option->key, "file") ? option->key : "image");
		return buf;
	case OPTION_ENUM:
		return option->words[0];
	case OPTION_STRING:
		return option->text == TEXT_MAC	     ? "52:54:00:12:34:56"
		       : option->text == TEXT_IFNAME ? "tap0"
		       : option->text == TEXT_PCI    ? "0000:01:00.0"
						     : option->key;
	default:
		snprintf(buf, len, "%" PRIu64, option->min);
		return buf;
	}
}

/* The example's value, or NULL if it does without this option. */
static const char *sample(const struct device_row *row, const struct config_type *type,
			  const struct option *option, char *buf, size_t len)
{
	const char *value;

	if (!strcmp(option->key, "id")) {
		snprintf(buf, len, "%s-0", type->name);
		return buf;
	}
	value = option->sample;
	if (!value)
		value = preferred(row, option, buf, len);
	if (!value)
		value = option->def;
	if (!value && option->required)
		value = made_up(option, buf, len);
	return value;
}

void rows_print_example(FILE *out, const struct registry *registry, const struct option *option,
			const struct config_type *type, int indent)
{
	const struct device_row *row = rows_device(registry, type);
	bool listed = option->kind == OPTION_CHOICES, bare = true;
	int deeper = indent + (listed ? 6 : 4);
	char buf[80];

	for (const struct option *o = type->options; o && o->key; o++)
		bare &= !o->required && !o->sample;
	fprintf(out, "%*s%s:\n%*s%s%s:", indent, "", option->key, indent + 2, "",
		listed ? "- " : "", type->name);
	fprintf(out, bare ? "   # or just: %s%s\n" : "\n", listed ? "- " : "", type->name);
	for (const struct option *o = type->options; o && o->key; o++) {
		const char *value = sample(row, type, o, buf, sizeof(buf));

		if (value)
			fprintf(out, "%*s%s: %s\n", deeper, "", o->key, value);
	}
}

/* ---- Types ------------------------------------------------------------------------------- */

void rows_print_type(FILE *out, const struct registry *registry, const struct option *option,
		     const struct config_type *type)
{
	const struct device_row *device = rows_device(registry, type);
	const struct boot_row *boot = rows_boot(registry, type);
	char arches[ROWS_ARCHES_MAX];

	fprintf(out, "%s: %s.\n", type->name, type->doc);
	if (device || boot)
		fprintf(out, "\nArchitectures: %s\n",
			rows_arches(device ? device->arches : boot->arches, arches,
				    sizeof(arches)));
	if (device && device->max)
		fprintf(out, "At most %u in one VM\n", device->max);
	if (device && device->needs) {
		fputs("Needs from the backend: ", out);
		rows_print_caps(out, device->needs);
		fputs("\n", out);
	}
	if (device && device->wants) {
		fputs("Uses if the backend has it: ", out);
		rows_print_caps(out, device->wants);
		fputs("\n", out);
	}
	fputs(type->options && type->options->key ? "\nOptions:\n" : "\nIt takes no options.\n",
	      out);
	rows_print_options(out, type, 2);
	if (device && device->claims && device->claims->name) {
		fputs("\nClaims:\n", out);
		for (const struct claim *c = device->claims; c->name; c++) {
			fprintf(out, "  %s: ", c->name);
			rows_print_claim(out, &device->type, c);
			fputs("\n", out);
		}
	}
	if (option) {
		fputs("\nExample:\n", out);
		rows_print_example(out, registry, option, type, 2);
	}
}
