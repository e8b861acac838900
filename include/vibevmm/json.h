/* json.h: writing JSON (RFC 8259). Any thread, on its own stream.
 */
#ifndef VIBEVMM_JSON_H
#define VIBEVMM_JSON_H

#include <stdio.h>

/* A UTF-8 text as a string with its quotes; NULL as null. */
void json_string(FILE *out, const char *text);

#endif
