/* schema_cases.c: `cases` in words of JSON Schema. Its keys are paths and its values any, so there
 * is little to say about them. */
#include "schema.h"

static void begin(struct json *json, const char *key, const char *type, const char *text)
{
	json_open(json, key, '{');
	json_string(json, "title", key);
	json_string(json, "description", text);
	schema_types(json, type, NULL, NULL);
}

/* A list of mappings with at least one key each. */
static void entries(struct json *json, const char *key, const char *text)
{
	begin(json, key, "array", text);
	json_open(json, "items", '{');
	json_string(json, "type", "object");
	json_uint(json, "minProperties", 1);
	json_close(json, '}');
	json_close(json, '}');
}

static void append(struct json *json, const char *key)
{
	begin(json, key, "array", "Appends to that of what this file extends.");
	json_close(json, '}');
}

void schema_cases(struct json *json)
{
	begin(json, "cases", "object",
	      "The combinations of values that `vibevmm test` runs, each as a case of its own. "
	      "Without --case, other commands take the file without them.");
	json_bool(json, "additionalProperties", false);
	json_open(json, "properties", '{');
	begin(json, "matrix", "object",
	      "Lists of values, by key: a path as --set has it, such as devices.root.transport, or "
	      "$NAME for a variable. Each value is combined with those of all other keys.");
	json_open(json, "additionalProperties", '{');
	schema_types(json, "array", NULL, NULL);
	json_uint(json, "minItems", 1);
	json_close(json, '}');
	json_close(json, '}');
	entries(json, "exclude",
		"Leaves out the combinations of the matrix that have all values of an entry.");
	append(json, "exclude+");
	entries(json, "include", "Each entry is one more case, with these values.");
	append(json, "include+");
	json_close(json, '}');
	json_close(json, '}');
}
