/* schema.h: what the files that write the JSON Schema share.
 */
#ifndef VIBEVMM_CONFIG_SCHEMA_H
#define VIBEVMM_CONFIG_SCHEMA_H

#include <vibevmm/json.h>

#include "loader.h"

/* How a pattern lets a text with ${VAR} in it through. */
#define SCHEMA_VARIABLE "\\$\\{"

/* The keyword `type`: these (each may be NULL), or null. */
void schema_types(struct json *json, const char *a, const char *b, const char *c);

/* A reference to the definition NAMESUFFIX. key NULL: in an array. */
void schema_ref(struct json *json, const char *key, const char *name, const char *suffix);

/* The property `cases`. */
void schema_cases(struct json *json);

/* The keywords for an option's value, a scalar. */
void schema_value(struct json *json, const struct option *option);

#endif
