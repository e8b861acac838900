/* expect_type.c: the rows of `expect`: what a test wants to see of a VM. */
#include "loader.h"

#define TEXT_LENGTH .min = 1, .max = 1024
#define SOME_TIME   .min = 1000000 /* 1 ms */

static const struct option step_options[] = {
	OPTION(struct expect_step, contains, OPTION_STRING, TEXT_LENGTH, .sample = "\"login:\"",
	       .doc = "Waits for a line with this text in it, letter by letter; of lines, here and "
		      "below, carriage returns and escape sequences are no part"),
	OPTION(struct expect_step, matches, OPTION_STRING, TEXT_LENGTH, .text = TEXT_REGEX,
	       .sample = "'login: $'",
	       .doc = "Waits for a line that this POSIX extended regular expression matches; an "
		      "unfinished line, such as a prompt, is looked at when nothing came for a "
		      "moment"),
	OPTION(struct expect_step, absent, OPTION_STRING, TEXT_LENGTH, .sample = "Kernel panic",
	       .doc = "Text that must not come: from the beginning of the run to its end or, if "
		      "`within` is given, for that long, which is waited for"),
	OPTION(struct expect_step, send, OPTION_STRING, TEXT_LENGTH, .sample = "\"root\\n\"",
	       .doc = "Types this; in double quotes, Enter is \\n and Ctrl-C is \\x03, and nothing "
		      "is added; a terminal's echo of it is heard like all that comes"),
	OPTION(struct expect_step, after, OPTION_STRING, TEXT_LENGTH, .sample = "\"login: \"",
	       .doc = "Waits for a line with this text in it before it sends"),
	OPTION(struct expect_step, within, OPTION_DURATION, SOME_TIME, .sample = "20s",
	       .doc = "How long to wait, from when it is this step's turn"),
	OPTION(struct expect_step, on, OPTION_STRING, TEXT_LENGTH, .sample = "virtio-console",
	       .doc = "Which console: a device by its id, or by its type if it has none, or one of "
		      "its ports, as in console.agent; without it the VM's standard output, and "
		      "for "
		      "`absent` all consoles"),
	OPTION(struct expect_step, ready, OPTION_BOOL, .sample = "true",
	       .doc = "Whether the guest is ready when this step is met, for boot_within and "
		      "exits_under; if no step says so, the first one that waits"),
	{ 0 },
};

static const struct config_type step_type = {
	.name = "step",
	.doc = "One thing that is waited for, forbidden or typed",
	.options = step_options,
	.size = sizeof(struct expect_step),
};

static const struct option expect_options[] = {
	OPTION(struct expect_config, within, OPTION_DURATION, .def = "60s", .planned = true,
	       SOME_TIME, .doc = "How long the whole run may take"),
	OPTION(struct expect_config, boot_within, OPTION_DURATION, SOME_TIME, .sample = "10s",
	       .doc = "How long it may take until the guest is ready"),
	OPTION(struct expect_config, exit, OPTION_STRING, .text = TEXT_EXIT, .sample = "0",
	       .doc = "How the VM must end: with a status from 0 to 63, or by poweroff, reset, "
		      "panic or crash; without it, the VM is ended once all that was waited for "
		      "has come or, if nothing was, must end with status 0"),
	OPTION(struct expect_config, console, OPTION_MAPS, .type = &step_type,
	       .doc = "What the guest says and is told, in this order; on different consoles the "
		      "order is free up to the next `send`"),
	OPTION(struct expect_config, memory_under, OPTION_SIZE, .min = 1, .sample = "4M",
	       .doc = "Most memory that vibevmm itself may take, without the guest's RAM"),
	OPTION(struct expect_config, exits_under, OPTION_UINT, .min = 1, .sample = "100_000",
	       .doc = "Most exits from guest to host until the guest is ready"),
	{ 0 },
};

const struct config_type expect_type = {
	.name = "expect",
	.doc = "What `vibevmm test` wants to see",
	.options = expect_options,
	.size = sizeof(struct expect_config),
};
