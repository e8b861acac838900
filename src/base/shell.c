/* shell.c: quoting for shells. */
#include <string.h>

#include <vibevmm/shell.h>

static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
			    "_./+-@%,:=";

const char *shell_quote(const char *text, char *buf, size_t len)
{
	static const char quote[] = "'\\''";
	size_t n = 0;

	if (*text && *text != '-' && text[strspn(text, plain)] == '\0')
		return text;
	buf[n++] = '\'';
	for (; *text; text++) {
		size_t need = *text == '\'' ? sizeof(quote) - 1 : 1;

		if (n + need + 2 > len)
			return "FILE";
		memcpy(buf + n, *text == '\'' ? quote : text, need);
		n += need;
	}
	buf[n++] = '\'';
	buf[n] = '\0';
	return buf;
}
