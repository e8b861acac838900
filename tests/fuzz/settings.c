/* settings.c: any bytes as vibevmm.ini. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vibevmm/config.h>

#include "fuzz.h"

static char dir[] = "/dev/shm/fuzz.XXXXXX", sub[64], file[96];

static void clean_up(void)
{
	unlink(file);
	rmdir(sub);
	rmdir(dir);
}

static void fuzz_one(const uint8_t *data, size_t size)
{
	struct config_settings settings = { 0 };
	struct diags *diags = diags_new();
	char *said = NULL;
	size_t len;
	FILE *out = open_memstream(&said, &len);
	int fd;

	if (!file[0]) {
		must(mkdtemp(dir));
		snprintf(sub, sizeof(sub), "%s/vibevmm", dir);
		snprintf(file, sizeof(file), "%s/vibevmm.ini", sub);
		must(!mkdir(sub, 0700) && !atexit(clean_up));
		setenv("XDG_CONFIG_HOME", dir, 1);
	}
	fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	must(fd >= 0 && write(fd, data, size) == (ssize_t)size && !close(fd));
	must(diags && out);
	config_settings_load(&settings, diags);
	diags_print(diags, out, DIAG_TEXT, false);
	fclose(out);
	must(!diags_errors(diags) || len);
	free(said);
	config_settings_free(&settings);
	diags_free(diags);
}
