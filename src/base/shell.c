/* shell.c: quoting for shells, and finding programs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* An empty folder means the current one (IEEE Std 1003.1, 8.3). */
bool shell_find(const char *name, const char *folders, char *path, size_t len)
{
	const char *next = folders ? folders : getenv("PATH");

	while (next) {
		int n = (int)strcspn(next, ":");
		int used = snprintf(path, len, "%.*s/%s", n ? n : 1, n ? next : ".", name);

		if (used > 0 && (size_t)used < len && !access(path, X_OK))
			return true;
		next = next[n] ? next + n + 1 : NULL;
	}
	return false;
}
