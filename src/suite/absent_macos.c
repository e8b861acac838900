/* absent_macos.c: the lab is made of a Linux host's own kernel and files, so there is none here. */
#include <errno.h>

#include <vibevmm/suite.h>

int suite_lab(const struct suite *suite, const struct suite_choice *choice,
	      const struct suite_options *options, const struct suite_lab_options *lab,
	      struct suite_run *run, struct err *err)
{
	(void)suite;
	(void)choice;
	(void)options;
	(void)lab;
	*run = (struct suite_run){ 0 };
	return err_set(err, ENOTSUP, STATUS_UNAVAILABLE,
		       "`--lab` boots the kernel and the files of a Linux host; run it on one");
}

void suite_lab_init(int argc, char **argv)
{
	(void)argc;
	(void)argv;
}
