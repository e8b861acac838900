/* file.c: reading a text file that may be anything. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vibevmm/utf8.h>

#include "loader.h"

static const char *kind_of_file(mode_t mode)
{
	return S_ISDIR(mode)	? "a directory"
	       : S_ISFIFO(mode) ? "a pipe"
	       : S_ISSOCK(mode) ? "a socket"
				: "a device";
}

/* Opens without waiting for anybody (a FIFO) and without side effects (a tape). */
static int open_regular(const char *path, const char *what, bool optional, struct mark mark,
			struct diags *diags)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	struct stat st = { 0 };

	if (fd < 0) {
		int errnum = errno;

		if (errnum == ENOENT || errnum == ENOTDIR)
			errnum = ENOENT;
		if (errnum == ENOENT && optional)
			return -ENOENT;
		if (errnum == ENOENT)
			diag_missing_file(diags, mark, "there is no such file");
		else if (errnum == ENXIO && !stat(path, &st) && S_ISSOCK(st.st_mode))
			diag_missing_file(diags, mark, "this is a socket; %s is a regular file",
					  what);
		else
			diag_missing_file(diags, mark, "can't open it: %s", strerror(errnum));
		if (!*path)
			diag_help(diags, "its name is empty: is a variable of your shell not set?");
		if (errnum == ENOENT && path[0] == '-')
			diag_help(diags, "options go before the file's name");
		return -errnum;
	}
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		diag_missing_file(diags, mark, "this is %s; %s is a regular file",
				  kind_of_file(st.st_mode), what);
		if (S_ISDIR(st.st_mode))
			diag_help(diags, "name the file in it");
		else if (!strcmp(what, "a config"))
			diag_help(diags, "`-` reads it from standard input");
		close(fd);
		return -EINVAL;
	}
	return fd;
}

/* Reads to the end, or to max + 1 bytes. The count, or -errno. */
static ssize_t read_all(int fd, char *buf, size_t max)
{
	size_t len = 0;

	while (len <= max) {
		ssize_t n = read(fd, buf + len, max + 1 - len);

		if (n == 0)
			break;
		if (n > 0) {
			len += (size_t)n;
		} else if (errno == EAGAIN) {
			/* Standard input that another process made non-blocking. */
			poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, -1);
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return (ssize_t)len;
}

static size_t room_for(int fd, size_t max)
{
	struct stat st;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size < 0 || (size_t)st.st_size > max)
		return max;
	return (size_t)st.st_size;
}

int file_check_text(const struct source *source, struct diags *diags)
{
	size_t bad = utf8_check(source->text, source->len);
	const char *nul = memchr(source->text, 0, source->len);
	struct mark mark = { .source = source, .line = 1, .column = 1 };
	size_t end = nul && (size_t)(nul - source->text) < bad ? (size_t)(nul - source->text) : bad;

	if (end == source->len)
		return 0;
	for (size_t i = 0, n; i < end; i += n) {
		uint32_t c = 0;

		n = utf8_decode(source->text + i, end - i, &c);
		if (c == '\n') {
			mark.line++;
			mark.column = 1;
		} else if (c != 0xfeff || i) {
			mark.column++;
		}
	}
	if (end == 0 && source->len >= 2 &&
	    (!memcmp(source->text, "\xff\xfe", 2) || !memcmp(source->text, "\xfe\xff", 2))) {
		diag_error(diags, (struct mark){ .source = source }, "this file is in UTF-16");
		diag_help(diags, "save the file as UTF-8 text");
	} else if (end == bad) {
		diag_error(diags, mark, "the byte 0x%02x is not UTF-8", (uint8_t)source->text[end]);
		diag_help(diags, "save the file as UTF-8 text");
	} else {
		diag_error(diags, mark, "a NUL byte; text files have none");
		diag_help(diags, "is this the right file? It is to be UTF-8 text");
	}
	return -EINVAL;
}

int file_read(const char *path, const char *what, size_t max, bool optional, struct source *source,
	      struct diags *diags)
{
	bool standard = !strcmp(path, "-");
	struct mark whole = { .source = source };
	char *text = NULL;
	size_t room;
	ssize_t len;
	int fd, ret;

	fd = standard ? STDIN_FILENO : open_regular(path, what, optional, whole, diags);
	if (fd < 0)
		return fd;
	room = room_for(fd, max);
	text = malloc(room + 2);
	if (!text) {
		ret = -ENOMEM;
		diag_error(diags, whole, "out of memory");
		goto out;
	}
	len = read_all(fd, text, room);
	if (len >= 0 && (size_t)len > room && room < max) {
		/* It grew between fstat and read. */
		free(text);
		text = malloc(max + 2);
		len = text && !lseek(fd, 0, SEEK_SET) ? read_all(fd, text, max) : -ENOMEM;
	}
	if (len < 0) {
		ret = (int)len;
		diag_missing_file(diags, whole, "can't read it: %s", strerror(-ret));
		goto out;
	}
	if ((size_t)len > max) {
		ret = -EFBIG;
		diag_error(diags, whole, "longer than %zu KiB, the most that %s may have",
			   max / 1024, what);
		diag_help(diags, "is this the right file?");
		goto out;
	}
	text[len] = 0;
	source->text = text;
	source->len = (size_t)len;
	ret = file_check_text(source, diags);
	if (!ret)
		text = NULL;
	else
		source->text = NULL;
out:
	free(text);
	if (!standard)
		close(fd);
	return ret;
}
